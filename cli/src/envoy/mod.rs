//! A complete Envoy bootstrap for a policy: every extension point that the filter relies on, set
//! so that the filter sees what the server will see.
//!
//! Loads on Envoy 1.36 to 1.40. API reference:
//! <https://www.envoyproxy.io/docs/envoy/v1.36.0/api-v3/api>.

mod access_log;
pub(crate) mod buffers;
mod cluster;
mod health;
mod jwt;
mod listener;
pub(crate) mod metrics;
mod otlp;
mod rate_limit;
pub(crate) mod route;
mod text;
mod tls;
mod tracing;
pub(crate) mod wasm;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use toolgate_engine::policy::Policy;

use crate::upstream::Upstream;

pub(crate) use access_log::AccessLog;
pub(crate) use health::CLUSTER as HEALTH_CLUSTER;
pub(crate) use jwt::{Jwks, Jwt};
pub(crate) use otlp::{CLUSTER as OTLP_CLUSTER, Otlp};
pub(crate) use rate_limit::RateLimit;
pub(crate) use text::{Ordered, to_text};
pub(crate) use tls::DownstreamTls;

/// Everything the bootstrap depends on. All paths are absolute.
pub(crate) struct Setup<'a> {
    /// The policy, compiled.
    pub(crate) policy: &'a Policy,
    /// The policy as JSON text, for the filter.
    pub(crate) document: &'a str,
    /// A directory from which Envoy gets the filter with its policy, instead of the bootstrap.
    pub(crate) policy_file: Option<&'a Path>,
    /// The compiled filter.
    pub(crate) wasm: PathBuf,
    /// Where agents connect.
    pub(crate) listen: SocketAddr,
    /// Envoy's admin interface.
    pub(crate) admin: SocketAddr,
    /// Where a kubelet and Prometheus ask.
    pub(crate) health: Option<SocketAddr>,
    /// One per server of the policy.
    pub(crate) upstreams: Vec<Upstream>,
    /// Trusted roots for https upstreams and a JWKS URL.
    pub(crate) ca: Option<PathBuf>,
    /// TLS to the outside.
    pub(crate) tls: Option<DownstreamTls>,
    /// `jwt_authn` in front of the filter.
    pub(crate) jwt: Option<Jwt>,
    /// Where global limits are counted.
    pub(crate) rate_limit: Option<RateLimit>,
    /// Where decisions are recorded.
    pub(crate) access_logs: Vec<AccessLog>,
    /// Where decisions and spans go as well.
    pub(crate) otlp: Option<Otlp>,
}

impl Setup<'_> {
    /// What works and is probably not meant.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.admin.ip().is_loopback() {
            warnings.push(format!(
                "Envoy's admin interface on {} has no authentication; anyone who reaches it can stop Envoy",
                self.admin
            ));
        }
        if self.policy.identity().jwt.is_some() && self.jwt.is_none() {
            warnings.push(
                "the policy reads JWTs, but without --jwks nothing verifies them: no subject matches".into(),
            );
        }
        if self.rate_limit.is_some() && !self.policy.counts_globally() {
            warnings.push(
                "no limit of the policy has scope \"global\": the rate limit service is never asked".into(),
            );
        }
        warnings
    }
}

/// The bootstrap.
pub(crate) fn bootstrap(setup: &Setup<'_>) -> Value {
    let mut clusters: Vec<Value> = setup
        .upstreams
        .iter()
        .map(|upstream| cluster::of_upstream(upstream, setup.ca.as_deref()))
        .collect();
    clusters.extend(
        setup
            .jwt
            .as_ref()
            .and_then(|jwt| jwt::cluster(jwt, setup.ca.as_deref())),
    );
    clusters.extend(setup.rate_limit.as_ref().map(rate_limit::cluster));
    clusters.extend(setup.otlp.as_ref().map(otlp::cluster));
    let mut listeners = vec![listener::listener(setup)];
    if let Some(address) = setup.health {
        listeners.push(health::listener(address));
        clusters.push(health::cluster(setup.admin));
    }
    let mut bootstrap = json!({
        "admin": { "address": socket_address(setup.admin) },
        "stats_config": metrics::stats_config(),
        "static_resources": {
            "listeners": listeners,
            "clusters": clusters,
        },
        // Without a limit a flood of connections ends in file descriptors, not in refusals.
        "overload_manager": {
            "resource_monitors": [{
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": 50_000,
                },
            }],
        },
    });
    if setup.policy_file.is_some() {
        // What discovers anything says who it is.
        bootstrap["node"] = json!({ "id": wasm::NAME, "cluster": wasm::NAME });
    }
    bootstrap
}

fn socket_address(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}
