#!/usr/bin/env bash
# Checks what the machine itself must bring, and says how to get what is missing. Everything else is installed by setup.sh.
set -euo pipefail

missing=0
need() {
  printf 'missing: %s\n         %s\n' "$1" "$2" >&2
  missing=1
}
has() { command -v "$1" >/dev/null 2>&1; }

# version_at_least <have> <want>, both like 1.95 or 20.11.1
version_at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

rust_wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname -- "$0")/../Cargo.toml")

has git || need "git" "install the package 'git' of your system"
has make || need "make" "install the package 'make' of your system"
has cc || need "a C compiler (cc)" "install 'build-essential' (Debian, Ubuntu), 'gcc' (Fedora), or Xcode's command line tools"

if ! has rustup || ! has cargo; then
  need "rustup with a stable toolchain" "see https://rustup.rs"
else
  rust=$(rustc --version 2>/dev/null | cut -d' ' -f2)
  version_at_least "${rust:-0}" "$rust_wanted" \
    || need "Rust $rust_wanted or newer (found ${rust:-none})" "run: rustup update stable"
fi

if ! has python3; then
  need "Python 3.11 or newer" "install 'python3' and 'python3-venv' of your system"
elif ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  need "Python 3.11 or newer (found $(python3 -V 2>&1))" "put a newer python3 first in PATH"
elif ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
  need "Python's venv module" "install the package 'python3-venv' of your system"
fi

if ! has node || ! has npm; then
  need "Node.js 20 or newer, with npm" "see https://nodejs.org"
elif ! version_at_least "$(node --version | tr -d v)" 20; then
  need "Node.js 20 or newer (found $(node --version))" "see https://nodejs.org"
fi

exit "$missing"
