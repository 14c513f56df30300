//! Labels for metrics: Envoy takes them from its bootstrap only, which no manifest of a filter can change.

use serde_json::{Value, json};

use super::metadata::{Name, object};
use crate::envoy::metrics::stats_config;
use crate::failure::{Failure, Outcome};

/// Says what is missing.
pub(super) const NOTE: &str =
    "metrics have labels once the proxy's bootstrap has Toolgate's stats_tags: --bootstrap prints them too";

/// For Istio: a bootstrap override, which pods ask for by an annotation.
/// <https://istio.io/latest/docs/reference/config/annotations/#SidecarBootstrapOverride>
pub(super) fn istio(name: &Name, namespace: &Name) -> Outcome<Value> {
    let text = serde_json::to_string_pretty(&json!({ "stats_config": stats_config() }))
        .map_err(|error| Failure::no(error.to_string()))?;
    let mut map = object(
        "v1",
        "ConfigMap",
        &name.with("bootstrap"),
        namespace,
        &Value::Null,
    );
    if let Some(members) = map.as_object_mut() {
        members.remove("spec");
    }
    map["data"] = json!({ "custom_bootstrap.json": text });
    Ok(map)
}

/// Says how pods get it.
pub(super) fn istio_note(name: &Name) -> String {
    format!(
        "annotate the proxy's pods with sidecar.istio.io/bootstrapOverride: {}, and restart them",
        name.with("bootstrap")
    )
}

/// For Envoy Gateway: its proxies' bootstrap, merged with this one.
/// <https://gateway.envoyproxy.io/docs/api/extension_types/#proxybootstrap>
pub(super) fn envoy_gateway(name: &Name, namespace: &Name) -> Outcome<Value> {
    let text = super::yaml::plain(&json!({ "stats_config": stats_config() }))?;
    let spec = json!({ "bootstrap": { "type": "Merge", "value": text } });
    Ok(object(
        "gateway.envoyproxy.io/v1alpha1",
        "EnvoyProxy",
        &name.with("bootstrap"),
        namespace,
        &spec,
    ))
}

/// Says how a Gateway gets it.
pub(super) fn envoy_gateway_note(name: &Name) -> String {
    format!(
        "refer to the EnvoyProxy {} in the Gateway's infrastructure.parametersRef, or merge it with the one that is there",
        name.with("bootstrap")
    )
}
