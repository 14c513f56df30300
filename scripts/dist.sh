#!/usr/bin/env bash
# Puts what was built into dist/, prints the module's size, and fails when it is above the limit.
#
#   scripts/dist.sh TARGET_DIR LIMIT_BYTES
set -euo pipefail
source "$(dirname -- "$0")/lib.sh"

target_dir=$1 limit=$2
cd "$root"

# Replaced by renaming, so that a running Envoy or tool keeps the file it has opened.
place() {
  mkdir -p dist
  cp -- "$1" "dist/.new.$$"
  mv -f -- "dist/.new.$$" "dist/$2"
}
place "$target_dir/wasm32-wasip1/release/toolgate_filter.wasm" toolgate.wasm
place "$target_dir/release/toolgate" toolgate

size=$(($(wc -c <dist/toolgate.wasm)))
echo "dist/toolgate.wasm: $size bytes (limit $limit)"
((size <= limit)) || die "the module is larger than $limit bytes"
