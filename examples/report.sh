#!/usr/bin/env bash
# The last step of `make demo`: what the gates of the walk-throughs recorded, as a page for people, and whether anything
# is missing from it.
#
#   examples/report.sh         writes dist/demo/report.html from the logs in dist/demo
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/../scripts/lib.sh"

toolgate=${TOOLGATE_BIN:-$root/dist/toolgate}
cd "$root"

logs=(dist/demo/*.jsonl)
[[ -e ${logs[0]} ]] || die "no walk-through has left a log: run 'make demo'"

printf '\nThe records of all of it:\n  '
"$toolgate" audit verify "${logs[@]}"
"$toolgate" report "${logs[@]}" -o dist/demo/report.html
printf '  the report: %s\n' "$root/dist/demo/report.html"
