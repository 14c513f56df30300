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

/// Calls wait for it.
pub(super) fn cluster(service: &RateLimit) -> Value {
    let mut cluster = cluster::grpc(&service.cluster, &service.endpoint);
    cluster["circuit_breakers"] = json!({
        "thresholds": [{ "max_connections": 1_024, "max_pending_requests": 50_000, "max_requests": 50_000 }],
    });
    cluster
}
