#!/usr/bin/env bash
# Routing and RBAC of Envoy's own that act on what Toolgate knows of a call: which team and which tool. Exits with 0 only
# if every call went where it is said to go.
#
#   make demo                       installs and builds what is missing, then runs this after examples/outage
#   examples/envoy-filters/run.sh   runs it again
#
# Everything listens on 127.0.0.1, on ports that are free; it all ends with this script.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"

main() {
  walk_through envoy-1.40/envoy sdk/bin/python

  local stable next gate admin
  read -r stable next gate admin < <(free_ports 4)
  start_everything "$stable"
  until_says everything 'Uvicorn running'
  start_everything "$next"
  "$toolgate" render envoy --policy "$here/policy.json" --wasm "${TOOLGATE_WASM:-$root/dist/toolgate.wasm}" \
    --listen "127.0.0.1:$gate" --admin "127.0.0.1:$admin" --access-log "$work/access.jsonl" \
    --upstream "everything=http://127.0.0.1:$stable/mcp" 2>"$work/render.log" |
    python3 "$here/extend.py" "$next" >"$work/envoy.json" || die "no bootstrap: $(<"$work/render.log")"
  start gate "$cache/envoy-1.40/envoy" --config-path "$work/envoy.json" --concurrency 2 --disable-hot-restart --log-level warning \
    --file-flush-interval-msec 100
  until_answers "$admin"
  until_says everything 'Uvicorn running'

  in_foreground "$cache/sdk/bin/python" "$here/agent.py" --gate "http://127.0.0.1:$gate/everything/mcp" \
    --stable "127.0.0.1:$stable" --next "127.0.0.1:$next" --access-log "$work/access.jsonl" ||
    die "the walk-through did not go as it is said to (see above)"
  keep_log envoy-filters
}

# until_answers <admin port>: waits until Envoy is ready, for a minute at most.
until_answers() {
  python3 - "$1" <<'PYTHON' || { tail -n 20 "$work/gate.log" >&2; die "Envoy does not start (its last lines are above)"; }
import sys, time, urllib.request
for _ in range(600):
    try:
        if urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/ready", timeout=1).status == 200:
            sys.exit(0)
    except OSError:
        pass
    time.sleep(0.1)
sys.exit(1)
PYTHON
}

main "$@"
