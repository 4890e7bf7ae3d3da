# shellcheck shell=sh
work() { ubuntu-drivers install; }
