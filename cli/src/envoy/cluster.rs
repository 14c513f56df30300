//! Clusters: where the servers are.

use std::path::Path;

use serde_json::{Value, json};

use super::{buffers, tls};
use crate::upstream::{Endpoint, Upstream};

/// The cluster of one server.
pub(super) fn of_upstream(upstream: &Upstream, ca: Option<&Path>) -> Value {
    let mut cluster = named(&upstream.name, &upstream.endpoints, upstream.tls, ca);
    cluster["per_connection_buffer_limit_bytes"] = json!(buffers::STEP);
    // An event stream occupies a request (and with HTTP/1.1 a connection) for as long as it is open.
    cluster["circuit_breakers"] = json!({
        "thresholds": [{ "max_connections": 50_000, "max_pending_requests": 50_000, "max_requests": 50_000 }],
    });
    cluster
}

/// A cluster with these endpoints.
pub(super) fn named(name: &str, endpoints: &[Endpoint], https: bool, ca: Option<&Path>) -> Value {
    let mut cluster = json!({
        "name": name,
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": endpoints.iter().map(|at| lb_endpoint(at, https)).collect::<Vec<_>>() }],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol(https),
        },
    });
    discovery(&mut cluster, endpoints);
    if https {
        tls::upstream(&mut cluster, endpoints, ca);
    }
    cluster
}

/// A gRPC service in the clear. A dead connection must be noticed soon.
pub(super) fn grpc(name: &str, endpoint: &Endpoint) -> Value {
    let mut cluster = named(name, std::slice::from_ref(endpoint), false, None);
    cluster["connect_timeout"] = json!("1s");
    cluster["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {
                "http2_protocol_options": {
                    "connection_keepalive": { "interval": "30s", "timeout": "5s" },
                },
            },
        },
    });
    cluster
}

/// Addresses are taken as they are. One name: a connection goes to whichever of its addresses
/// answers first. Several: every address of every name is an endpoint.
fn discovery(cluster: &mut Value, endpoints: &[Endpoint]) {
    let (kind, family) = match endpoints {
        [one] if one.is_dns() => ("LOGICAL_DNS", Some("ALL")),
        several if several.iter().any(Endpoint::is_dns) => ("STRICT_DNS", Some("V4_PREFERRED")),
        _ => ("STATIC", None),
    };
    cluster["type"] = json!(kind);
    if let Some(family) = family {
        cluster["dns_lookup_family"] = json!(family);
    }
}

fn lb_endpoint(endpoint: &Endpoint, https: bool) -> Value {
    let mut entry = json!({
        "endpoint": {
            "address": { "socket_address": { "address": endpoint.address(), "port_value": endpoint.port } },
            // What `auto_host_rewrite` sends.
            "hostname": endpoint.authority(),
        },
    });
    if https {
        entry["metadata"] = tls::endpoint_metadata(endpoint);
    }
    entry
}

/// HTTP/1.1 in the clear, whatever ALPN agrees on over TLS. Idle connections are dropped before the
/// usual keep-alive of MCP servers ends (5 s in Node and uvicorn): a request on a connection that the
/// server is just closing would fail, and a tool call is not retried.
fn protocol(https: bool) -> Value {
    let mut options = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "common_http_protocol_options": { "idle_timeout": "4s" },
    });
    if https {
        options["auto_config"] = json!({
            "http_protocol_options": {},
            "http2_protocol_options": {
                "initial_stream_window_size": 1_048_576,
                "initial_connection_window_size": 16_777_216,
            },
        });
    } else {
        options["explicit_http_config"] = json!({ "http_protocol_options": {} });
    }
    options
}
