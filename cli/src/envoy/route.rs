//! Routes: the policy's paths to the upstreams' paths.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use toolgate_engine::policy::Server;

use super::{Setup, buffers};
use crate::upstream::{Endpoint, Upstream};

/// Streams without any byte are ended after this. Server-sent event streams are silent for long.
pub(crate) const STREAM_IDLE: &str = "3600s";
const SESSION_FILTER: &str = "envoy.filters.http.stateful_session";

/// One virtual host per `host` of the policy and one for the rest. A server with a `host` comes
/// before one without on the same path; the ones without are reachable on every host.
pub(super) fn configuration(setup: &Setup<'_>) -> Value {
    let mut by_host: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (_, server) in setup.policy.servers() {
        if let Some(host) = &server.host {
            by_host
                .entry(host.clone())
                .or_default()
                .push(route(setup, server));
        }
    }
    let anywhere = setup.policy.servers().filter(|(_, server)| server.host.is_none());
    let anywhere: Vec<Value> = anywhere.map(|(_, server)| route(setup, server)).collect();
    let mut hosts: Vec<Value> = by_host
        .into_iter()
        .map(|(host, mut routes)| {
            // The first match wins.
            routes.extend(anywhere.iter().cloned());
            json!({ "name": host, "domains": [host], "routes": routes })
        })
        .collect();
    hosts.push(json!({ "name": "*", "domains": ["*"], "routes": anywhere }));
    json!({
        "name": "mcp",
        // The policy compares hosts without their port.
        "ignore_port_in_host_matching": true,
        // Only the server's own answers have it, ours do not.
        "response_headers_to_remove": ["x-envoy-upstream-service-time"],
        "virtual_hosts": hosts,
    })
}

/// A load-balanced server keeps its sessions in the memory of one endpoint, so the session id
/// that the client sees carries that endpoint. The filter stands after ours, which therefore sees the
/// same id in both directions; the server sees its own.
/// <https://www.envoyproxy.io/docs/envoy/v1.36.0/api-v3/extensions/http/stateful_session/envelope/v3/envelope.proto>
pub(super) fn session_filter(upstreams: &[Upstream]) -> Option<Value> {
    upstreams.iter().any(is_balanced).then(|| {
        json!({
            "name": SESSION_FILTER,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.stateful_session.v3.StatefulSession",
                "session_state": {
                    "name": "envoy.http.stateful_session.envelope",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.http.stateful_session.envelope.v3.EnvelopeSessionState",
                        "header": { "name": "mcp-session-id" },
                    },
                },
            },
        })
    })
}

fn route(setup: &Setup<'_>, server: &Server) -> Value {
    let upstream = setup
        .upstreams
        .iter()
        .find(|upstream| *upstream.name == *server.name);
    let mut action = json!({
        "cluster": *server.name,
        // An exact match is replaced as a whole; the query stays.
        "prefix_rewrite": upstream.map_or(server.path.as_str(), |upstream| upstream.path.as_str()),
        // The default of 15 s cuts event streams.
        "timeout": "0s",
        "idle_timeout": STREAM_IDLE,
    });
    if let Some(upstream) = upstream {
        rewrite_host(upstream, &mut action);
    }
    let mut route = json!({
        "name": *server.name,
        "match": { "path": server.path },
        "route": action,
        "request_body_buffer_limit": buffers::limit(setup.policy),
    });
    if let Some(upstream) = upstream {
        if !upstream.headers.is_empty() {
            route["request_headers_to_add"] = upstream.headers.iter().map(own_header).collect();
        }
        if setup.upstreams.iter().any(is_balanced) && !is_balanced(upstream) {
            route["typed_per_filter_config"] = json!({
                (SESSION_FILTER): {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute",
                    "disabled": true,
                },
            });
        }
    }
    route
}

/// A server reached by name or over TLS expects that name in `Host`: virtual hosting and
/// certificates hang on it. One reached by plain address gets the client's `Host`, because servers
/// on a developer's machine check it against DNS rebinding, and a rewritten one always passes.
fn rewrite_host(upstream: &Upstream, action: &mut Value) {
    let wanted = upstream.tls
        || upstream
            .endpoints
            .iter()
            .any(|at| at.is_dns() && !at.is_loopback());
    if !wanted {
        return;
    }
    let authorities: Vec<String> = upstream.endpoints.iter().map(Endpoint::authority).collect();
    match authorities.split_first() {
        Some((first, rest)) if rest.iter().all(|other| other == first) => {
            action["host_rewrite_literal"] = json!(first);
        }
        // Each endpoint carries its own.
        _ => action["auto_host_rewrite"] = json!(true),
    }
}

/// Overwrites what the client sent: it is our credential, not the client's.
fn own_header((name, value): &(String, String)) -> Value {
    json!({
        // A percent sign starts a command operator in Envoy's header values.
        "header": { "key": name, "value": value.replace('%', "%%") },
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    })
}

fn is_balanced(upstream: &Upstream) -> bool {
    upstream.endpoints.len() > 1
}
