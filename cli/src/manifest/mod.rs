//! Kubernetes manifests that carry the filter and its policy into a proxy that somebody else configures.

mod configmap;
mod ecds;
mod envoy_gateway;
mod envoyfilter;
mod metadata;
mod module;
mod numbers;
mod stats;
mod wasmplugin;
mod yaml;

use toolgate_engine::policy::Policy;

pub(crate) use configmap::configmap;
pub(crate) use ecds::{FILE as ECDS_FILE, ecds};
pub(crate) use envoy_gateway::{EnvoyGateway, envoy_gateway};
pub(crate) use envoyfilter::envoyfilter;
pub(crate) use metadata::{Istio, Name, label};
pub(crate) use module::Module;
pub(crate) use wasmplugin::wasmplugin;
pub(crate) use yaml::to_yaml;

/// What is delivered.
pub(crate) struct Delivery<'a> {
    /// The policy, compiled.
    pub(crate) policy: &'a Policy,
    /// The policy as JSON text.
    pub(crate) document: &'a str,
    /// Where the compiled filter is.
    pub(crate) module: &'a Module,
    /// Whether to add what the proxy's bootstrap must have for labels on metrics.
    pub(crate) bootstrap: bool,
}

/// Documents, and what their reader has to know beside them.
pub(crate) struct Rendered {
    /// Kubernetes objects.
    pub(crate) documents: Vec<serde_json::Value>,
    /// Sentences for standard error.
    pub(crate) notes: Vec<String>,
}
