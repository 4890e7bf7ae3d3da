# shellcheck shell=sh
sum() { if command -v openssl >/dev/null 2>&1; then openssl dgst -sha256 -r; else sha256sum; fi | cut -d ' ' -f 1; }
