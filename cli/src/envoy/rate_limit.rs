//! The cluster of the rate limit service.

use serde_json::{Value, json};

use super::cluster;
use crate::upstream::Endpoint;

/// Where the rate limit service is, under the name that the policy gives its cluster.
pub(crate) struct RateLimit {
    /// The cluster's name.
    pub(crate) cluster: String,
    /// The service.
    pub(crate) endpoint: Endpoint,
}

/// gRPC, so HTTP/2; a call waits for it, so a dead connection must be noticed soon.
pub(super) fn cluster(service: &RateLimit) -> Value {
    let endpoint = std::slice::from_ref(&service.endpoint);
    let mut cluster = cluster::named(&service.cluster, endpoint, false, None);
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
    cluster["circuit_breakers"] = json!({
        "thresholds": [{ "max_connections": 1_024, "max_pending_requests": 50_000, "max_requests": 50_000 }],
    });
    cluster
}
