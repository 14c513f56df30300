//! Istio's WasmPlugin. <https://istio.io/latest/docs/reference/config/proxy_extensions/wasm-plugin/>

use serde_json::{Value, json};

use super::metadata::{Istio, object};
use super::numbers::carried;
use super::{Delivery, Rendered, envoyfilter, stats};
use crate::envoy::wasm::NAME;
use crate::failure::Outcome;
use toolgate_engine::policy::Hold;

/// The plugin, and an EnvoyFilter that lifts Envoy's limits above the policy's.
pub(crate) fn wasmplugin(delivery: &Delivery<'_>, to: &Istio) -> Outcome<Rendered> {
    let policy = delivery.policy;
    let mut config = carried(delivery.document)?;
    let mut notes = vec![format!("this governs {}", to.proxies())];
    if policy.hold() == Hold::Headers {
        // Istio does not set allow_on_headers_stop_iteration: with headers on hold a request would never get on.
        config.value["hold"] = json!("body");
        notes.push(
            "a WasmPlugin cannot hold headers, so its copy of the policy says \"hold\": \"body\"; render envoyfilter holds them".into(),
        );
        if policy.context_headers() {
            notes.push(
                "with \"hold\": \"body\" the request says no x-toolgate-tool: routes and filters that match it match nothing"
                    .into(),
            );
        }
    }
    let mut spec = json!({
        "url": delivery.module.url(),
        "type": "HTTP",
        "pluginName": NAME,
        // After authentication, whose verified JWTs the filter reads.
        "phase": "AUTHZ",
        // A crashed VM is replaced; requests meanwhile are refused.
        "failStrategy": "FAIL_RELOAD",
        "pluginConfig": config.value,
    });
    if let Some(sha256) = delivery.module.sha256() {
        spec["sha256"] = json!(sha256);
    }
    if let Some(name) = &policy.sessions().secret_env {
        spec["vmConfig"] = json!({ "env": [{ "name": name, "valueFrom": "HOST" }] });
    }
    to.select(&mut spec, "selector", "matchLabels");
    let plugin = object(
        "extensions.istio.io/v1alpha1",
        "WasmPlugin",
        to.name.as_str(),
        &to.namespace,
        &spec,
    );
    let mut documents: Vec<Value> = vec![plugin, envoyfilter::limits(policy, to)];
    notes.extend(config.notes);
    if delivery.bootstrap {
        documents.push(stats::istio(&to.name, &to.namespace)?);
        notes.push(stats::istio_note(&to.name));
    } else {
        notes.push(stats::NOTE.into());
    }
    Ok(Rendered { documents, notes })
}
