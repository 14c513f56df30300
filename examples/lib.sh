# Shared by the walk-throughs: programs in the background that all end with the script.
# shellcheck shell=bash

source "$(dirname -- "${BASH_SOURCE[0]}")/../scripts/lib.sh"

# What `make build` leaves, unless another one is named.
toolgate=${TOOLGATE_BIN:-$root/dist/toolgate}
work=$(mktemp -d "${TMPDIR:-/tmp}/toolgate-example.XXXXXX")
children=()

# walk_through <tool in the cache>...: what has to be there, and an end for everything that is started.
walk_through() {
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  [[ -x $toolgate ]] || die "nothing is built yet: run 'make demo'"
  local tool
  for tool in "$@"; do
    [[ -x $cache/$tool ]] || die "$cache/$tool is missing: run 'make demo'"
  done
  # Nothing here leaves the machine, whatever proxy the environment names.
  export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 PYTHONUNBUFFERED=1
}

# The test server of the official Python SDK, as everything.
start_everything() {
  cd "$cache/sdk/sdist/examples/servers/everything-server"
  start everything "$cache/sdk/bin/python" -m mcp_everything_server --port "$1" --log-level WARNING
  cd "$root"
}

# Below the range that the system takes ports for outgoing connections from: nobody gets them in between by chance.
free_ports() {
  python3 - "$1" <<'PYTHON'
import random, socket, sys
held = []
while len(held) < int(sys.argv[1]):
    held.append(socket.socket())
    try:
        held[-1].bind(("127.0.0.1", random.randrange(10_000, 30_000)))
    except OSError:
        held.pop().close()
print(*(one.getsockname()[1] for one in held))
PYTHON
}

# start <name> <command...>: in the background, with its output in $work/<name>.log
start() {
  local name=$1
  shift
  HOME=$work ends_with_us "$@" >"$work/$name.log" 2>&1 </dev/null &
  children+=($!)
  declare -g "pid_$name=$!"
}

in_foreground() { (ends_with_us "$@"); }

# Becomes the command. Where the system can do it, the command ends even if this script is killed outright.
ends_with_us() {
  if setpriv --pdeathsig TERM true 2>/dev/null; then exec setpriv --pdeathsig TERM -- "$@"; else exec "$@"; fi
}

# until_says <name> <text>: waits until the log of <name> has the text, for a minute at most.
until_says() {
  local pid=pid_$1 deadline=$((SECONDS + 60))
  until grep -q "$2" "$work/$1.log"; do
    if ! kill -0 "${!pid}" 2>/dev/null || ((SECONDS >= deadline)); then
      tail -n 20 "$work/$1.log" >&2
      die "$1 does not start (its last lines are above)"
    fi
    sleep 0.1
  done
}

# keep_log <name>: ends the gate, and keeps what it recorded of this walk-through for reports on it.
keep_log() {
  # shellcheck disable=SC2154 # set by start
  kill -TERM "$pid_gate" 2>/dev/null || true
  # However it ends: Envoy writes what is left of its access log then.
  wait "$pid_gate" || true
  mkdir -p "$root/dist/demo"
  cp -- "$work/access.jsonl" "$root/dist/demo/$1.jsonl"
}

clean_up() {
  local status=$? pid deadline=$((SECONDS + 10))
  trap - EXIT
  for pid in "${children[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${children[@]}"; do
    while kill -0 "$pid" 2>/dev/null && ((SECONDS < deadline)); do sleep 0.05; done
    kill -KILL "$pid" 2>/dev/null || true
  done
  wait
  rm -rf -- "$work"
  exit "$status"
}
