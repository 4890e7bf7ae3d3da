# shellcheck shell=sh
work() { apt autoremove; }
