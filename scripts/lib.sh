# Shared by the scripts here: where things are kept, how they are reported, how they are installed.
# shellcheck shell=bash

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/toolgate

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# sha256 <file>...: one hex digest over the contents of all files, in order.
sha256() {
  python3 -c '
import hashlib, sys
digest = hashlib.sha256()
for name in sys.argv[1:]:
    with open(name, "rb") as file:
        digest.update(file.read())
print(digest.hexdigest())' "$@"
}

# ensure <name> <stamp> <function>: installs component <name> into its own directory unless it is there already.
#
# The directory is named after the stamp (a digest of the pinned requirements), and `.complete` is written last: an
# interrupted installation is never taken for a finished one. Virtual environments cannot be moved, so an installation
# happens in place and not in a temporary directory. `$cache/<name>` always points at the current one.
ensure() {
  local name=$1 stamp=$2 install=$3
  local dir=$cache/store/$name-${stamp:0:16}
  if [[ ! -e $dir/.complete ]]; then
    mkdir -p "$cache/store"
    (
      # Two checkouts may run this at the same time.
      if command -v flock >/dev/null; then exec 9>"$cache/store/$name.lock"; flock 9; fi
      if [[ ! -e $dir/.complete ]]; then
        say "installing $name (once; kept in $cache)"
        rm -rf -- "$dir"
        mkdir -p "$dir"
        "$install" "$dir"
        touch "$dir/.complete"
      fi
    ) </dev/null
  fi
  if [[ $(readlink "$cache/$name" || true) != "$dir" ]]; then
    local link=$cache/.$name.$$
    ln -s "$dir" "$link"
    mv -Tf "$link" "$cache/$name"
  fi
}
