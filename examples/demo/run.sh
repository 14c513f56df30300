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
source "$here/../lib.sh"

main() {
  walk_through envoy-1.40/envoy sdk/bin/python duckdb/bin/mcp-server-motherduck
  prepare

  local sql everything gate
  read -r sql everything gate < <(free_ports 3)
  start sql "$cache/duckdb/bin/mcp-server-motherduck" --transport http --host 127.0.0.1 --port "$sql" \
    --db-path "$work/orders.duckdb" --read-write
  start_everything "$everything"
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
  keep_log demo
  next_steps
}

prepare() {
  # The SQL server would look for a cloud account in HOME, and its framework for a newer version of itself.
  export FASTMCP_CHECK_FOR_UPDATES=off FASTMCP_SHOW_SERVER_BANNER=false
  HOME=$work "$cache/duckdb/bin/python" - "$work/orders.duckdb" <<'PYTHON'
import duckdb, sys
with duckdb.connect(sys.argv[1]) as database:
    database.execute("create table orders (id integer, customer text, total decimal(9, 2))")
    database.execute("insert into orders values (1, 'Ada', 120.00), (2, 'Grace', 80.50), (3, 'Edsger', 19.90)")
PYTHON
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
  dist/toolgate learn dist/demo/demo.jsonl
      the least-privilege policy that this traffic needs
  examples/limits/run.sh
      quotas and budgets: the same server, callers that do not stop
TEXT
}

main "$@"
