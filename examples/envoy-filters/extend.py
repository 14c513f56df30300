"""Adds what is written in Envoy's own terms to a bootstrap of `toolgate render envoy`, read from standard input.

- A route: the team research gets the server's next version.
- RBAC, behind Toolgate's filter: the team payments does not call test_image_content.

Both act on the headers that Toolgate writes with "contextHeaders": true, and takes away where a client sends them.
"""

from __future__ import annotations

import json
import sys

TEAM, TOOL = "x-toolgate-team", "x-toolgate-tool"
NEXT = "everything-next"


def main(port: int) -> None:
    bootstrap = json.load(sys.stdin)
    resources = bootstrap["static_resources"]
    resources["clusters"].append(next_version(resources["clusters"][0], port))
    [listener] = resources["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_filters"].insert(-1, rbac())  # the last one is the router
    for host in manager["route_config"]["virtual_hosts"]:
        host["routes"] = [route for old in host["routes"] for route in (to_next_version(old), old)]
    json.dump(bootstrap, sys.stdout, indent=2)


def next_version(cluster: dict, port: int) -> dict:
    cluster = json.loads(json.dumps(cluster)) | {"name": NEXT}
    assignment = cluster["load_assignment"]
    assignment["cluster_name"] = NEXT
    address = assignment["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
    address["port_value"] = port
    return cluster


def to_next_version(route: dict) -> dict:
    """The first route that matches is taken, and the one without the header stays behind it."""
    route = json.loads(json.dumps(route))
    route["match"].setdefault("headers", []).append(exactly(TEAM, "research"))
    route["route"]["cluster"] = NEXT
    return route


def rbac() -> dict:
    return {
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {
                "action": "DENY",
                "policies": {
                    "no-images-for-payments": {
                        "permissions": [{"header": exactly(TOOL, "test_image_content")}],
                        "principals": [{"header": exactly(TEAM, "payments")}],
                    }
                },
            },
        },
    }


def exactly(name: str, value: str) -> dict:
    return {"name": name, "string_match": {"exact": value}}


if __name__ == "__main__":
    main(int(sys.argv[1]))
