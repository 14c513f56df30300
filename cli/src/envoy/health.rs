//! What a kubelet and Prometheus may ask from outside, and nothing else of the admin interface.
//! <https://www.envoyproxy.io/docs/envoy/v1.36.0/operations/admin>

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde_json::{Value, json};

use super::socket_address;

/// The cluster's name, which no server may have.
pub(crate) const CLUSTER: &str = "toolgate.admin";
/// Whether Envoy takes connections, and its metrics.
const PATHS: [&str; 2] = ["/ready", "/stats/prometheus"];

/// A listener that passes on two questions.
pub(super) fn listener(address: SocketAddr) -> Value {
    let routes: Vec<Value> = PATHS.iter().map(|path| route(path)).collect();
    json!({
        "name": "health",
        "address": socket_address(address),
        "enable_reuse_port": false,
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "health",
                "normalize_path": true,
                "request_headers_timeout": "5s",
                "stream_idle_timeout": "30s",
                "route_config": { "name": "health", "virtual_hosts": [{ "name": "*", "domains": ["*"], "routes": routes }] },
                "http_filters": [{
                    "name": "envoy.filters.http.router",
                    "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
                }],
            },
        }] }],
    })
}

/// The admin interface, from within.
pub(super) fn cluster(admin: SocketAddr) -> Value {
    let host = match admin.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let address = socket_address(SocketAddr::new(host, admin.port()));
    json!({
        "name": CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": CLUSTER,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
    })
}

/// Nothing with a query: `/stats/prometheus?filter=…` would run an expression of the caller's.
fn route(path: &str) -> Value {
    json!({
        "match": {
            "path": path,
            "headers": [
                { "name": ":method", "string_match": { "exact": "GET" } },
                { "name": ":path", "string_match": { "exact": path } },
            ],
        },
        "route": { "cluster": CLUSTER, "timeout": "10s" },
    })
}
