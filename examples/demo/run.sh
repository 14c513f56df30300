#!/usr/bin/env bash
# Two MCP servers that nobody here wrote, Envoy with the Toolgate filter in front of them, a policy with three keys,
# and an agent that tries what each key may and may not do. Exits with 0 only if everything went as the policy promises.
#
#   make demo                  installs and builds what is missing, then runs this
#   examples/demo/run.sh       runs it again
#
# Everything listens on 127.0.0.1, on ports that are free; it all ends with this script.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
source "$here/../../scripts/lib.sh"

toolgate=$root/dist/toolgate
work=$(mktemp -d "${TMPDIR:-/tmp}/toolgate-demo.XXXXXX")
children=()

main() {
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  prepare

  local sql everything gate
  read -r sql everything gate < <(free_ports 3)
  start sql "$cache/duckdb/bin/mcp-server-motherduck" --transport http --host 127.0.0.1 --port "$sql" \
    --db-path "$work/orders.duckdb" --read-write
  cd "$cache/sdk/sdist/examples/servers/everything-server"
  start everything "$cache/sdk/bin/python" -m mcp_everything_server --port "$everything" --log-level WARNING
  cd "$root"
  # The policy is all that stands between an agent and these two servers.
  start gate "$toolgate" run --policy "$here/policy.json" --listen "127.0.0.1:$gate" \
    --upstream "sql=http://127.0.0.1:$sql/mcp" --upstream "everything=http://127.0.0.1:$everything/mcp" \
    --envoy "$cache/envoy-1.40/envoy" --access-log "$work/access.jsonl"
  until_says sql 'Uvicorn running'
  until_says everything 'Uvicorn running'
  until_says gate 'mcpServers'

  in_foreground "$cache/sdk/bin/python" "$here/agent.py" \
    --gate "http://127.0.0.1:$gate" --sql "http://127.0.0.1:$sql/mcp" --everything "http://127.0.0.1:$everything/mcp" \
    --logs "$work" || die "the demo did not go as the policy promises (see above)"
  next_steps
}

prepare() {
  [[ -x $toolgate && -e $root/dist/toolgate.wasm ]] || die "nothing is built yet: run 'make demo'"
  local tool
  for tool in envoy-1.40/envoy sdk/bin/python duckdb/bin/mcp-server-motherduck; do
    [[ -x $cache/$tool ]] || die "$cache/$tool is missing: run 'make demo'"
  done
  # Nothing here leaves the machine, whatever proxy the environment names.
  export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
  # The SQL server would look for a cloud account in HOME, and its framework for a newer version of itself.
  export FASTMCP_CHECK_FOR_UPDATES=off FASTMCP_SHOW_SERVER_BANNER=false PYTHONUNBUFFERED=1
  HOME=$work "$cache/duckdb/bin/python" - "$work/orders.duckdb" <<'PYTHON'
import duckdb, sys
with duckdb.connect(sys.argv[1]) as database:
    database.execute("create table orders (id integer, customer text, total decimal(9, 2))")
    database.execute("insert into orders values (1, 'Ada', 120.00), (2, 'Grace', 80.50), (3, 'Edsger', 19.90)")
PYTHON
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

next_steps() {
  cat <<'TEXT'

Next:
  dist/toolgate explain --policy examples/demo/policy.json --key reader --server everything
      what a key may do, and through which grant
  dist/toolgate keygen --name me
      a key of your own, and its entry in a policy
  examples/demo/README.md
      your own agent and your own server with Toolgate between them
TEXT
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

main "$@"
