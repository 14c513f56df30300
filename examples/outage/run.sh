#!/usr/bin/env bash
# A server that loses its database and gets it back, Envoy with the Toolgate filter in front of it, and agents that are
# told to wait, to stop, and that a session is not theirs. Exits with 0 only if everything went as the policy promises.
#
#   make demo                  installs and builds what is missing, then runs this after examples/limits
#   examples/outage/run.sh     runs it again
#
# Everything listens on 127.0.0.1, on ports that are free; it all ends with this script.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"

main() {
  walk_through envoy-1.40/envoy sdk/bin/python

  local catalogue gate
  read -r catalogue gate < <(free_ports 2)
  start catalogue "$cache/sdk/bin/python" "$here/server.py" "$work/parts.db" "$catalogue"
  # What `openssl rand -base64 32` prints would do; Envoy inherits it.
  TOOLGATE_SESSION_SECRET=$(head -c 32 /dev/urandom | base64)
  export TOOLGATE_SESSION_SECRET
  # Four workers: one breaker for all of them.
  start gate "$toolgate" run --policy "$here/policy.json" --listen "127.0.0.1:$gate" --concurrency 4 \
    --upstream "catalogue=http://127.0.0.1:$catalogue/mcp" \
    --envoy "$cache/envoy-1.40/envoy" --access-log "$work/access.jsonl"
  until_says catalogue 'Uvicorn running'
  until_says gate 'mcpServers'

  in_foreground "$cache/sdk/bin/python" "$here/agent.py" --gate "http://127.0.0.1:$gate/catalogue/mcp" \
    --database "$work/parts.db" --server-log "$work/catalogue.log" --access-log "$work/access.jsonl" ||
    die "the walk-through did not go as the policy promises (see above)"
  keep_log outage
}

main "$@"
