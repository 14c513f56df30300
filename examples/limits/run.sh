#!/usr/bin/env bash
# A server with tools that cost something, Envoy with the Toolgate filter in front of it, and two agents of one team
# that go on until they are refused. Exits with 0 only if everything went as the policy promises.
#
#   make demo                  installs and builds what is missing, then runs this after examples/demo
#   examples/limits/run.sh     runs it again
#
# Everything listens on 127.0.0.1, on ports that are free; it all ends with this script.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"

main() {
  walk_through envoy-1.40/envoy sdk/bin/python

  local everything gate
  read -r everything gate < <(free_ports 2)
  start_everything "$everything"
  # Four workers: one count for all of them.
  start gate "$toolgate" run --policy "$here/policy.json" --listen "127.0.0.1:$gate" --concurrency 4 \
    --upstream "everything=http://127.0.0.1:$everything/mcp" \
    --envoy "$cache/envoy-1.40/envoy" --access-log "$work/access.jsonl"
  until_says everything 'Uvicorn running'
  until_says gate 'mcpServers'

  in_foreground "$cache/sdk/bin/python" "$here/agent.py" \
    --gate "http://127.0.0.1:$gate/everything/mcp" --access-log "$work/access.jsonl" ||
    die "the walk-through did not go as the policy promises (see above)"
  keep_log limits
}

main "$@"
