#!/usr/bin/env bash
# Renders what kustomization.yaml needs from policy.json. TOOLGATE is the program (default: the one in PATH).
set -euo pipefail
cd -- "$(dirname -- "$0")"
toolgate=${TOOLGATE:-toolgate}

# A change of this file alone reaches running pods.
"$toolgate" render configmap --policy policy.json --wasm /opt/toolgate/plugin.wasm --namespace toolgate >policy.yaml

# Again when servers, their paths, limits on bytes or upstreams have changed.
"$toolgate" render envoy --elsewhere --policy policy.json --policy-file /etc/toolgate/policy \
  --wasm /opt/toolgate/plugin.wasm --listen 0.0.0.0:8080 --admin 127.0.0.1:9901 --health 0.0.0.0:9902 \
  --access-log /dev/stdout --upstream docs=http://docs.tools.svc.cluster.local:3000/mcp >envoy.json
