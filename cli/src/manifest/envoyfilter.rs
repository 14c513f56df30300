//! Istio's EnvoyFilter: the filter as Envoy's own configuration, which can hold headers.
//! <https://istio.io/latest/docs/reference/config/networking/envoy-filter/>

use serde_json::{Value, json};
use toolgate_engine::policy::Policy;

use super::metadata::{Istio, object};
use super::{Delivery, Rendered, stats};
use crate::envoy::{buffers, route, wasm};
use crate::failure::Outcome;

const MANAGER: &str = "envoy.filters.network.http_connection_manager";
const MANAGER_TYPE: &str =
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const ROUTER: &str = "envoy.filters.http.router";

/// The filter as a resource that is discovered (a bad policy leaves the one before in force), its place in the chain,
/// and Envoy's limits above the policy's.
pub(crate) fn envoyfilter(delivery: &Delivery<'_>, to: &Istio) -> Outcome<Rendered> {
    // The agent beside the proxy fetches it, whatever the cluster is called.
    let code = delivery.module.source("_");
    // Resources of all EnvoyFilters are in one space.
    let resource = format!("{}.{}", to.namespace, to.name);
    let mut patches = vec![
        json!({
            "applyTo": "EXTENSION_CONFIG",
            "match": { "context": "GATEWAY" },
            "patch": {
                "operation": "ADD",
                "value": {
                    "name": resource,
                    "typed_config": wasm::config(delivery.policy, delivery.document, &code),
                },
            },
        }),
        json!({
            "applyTo": "HTTP_FILTER",
            "match": { "context": "GATEWAY", "listener": { "filterChain": { "filter": {
                "name": MANAGER,
                "subFilter": { "name": ROUTER },
            } } } },
            "patch": {
                // After authentication, whose verified JWTs the filter reads.
                "operation": "INSERT_BEFORE",
                "value": {
                    "name": resource,
                    "config_discovery": {
                        "config_source": { "ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3" },
                        "type_urls": [wasm::TYPE],
                    },
                },
            },
        }),
    ];
    patches.extend(hardening(delivery.policy));
    let mut documents = vec![filter(to, to.name.as_str(), &patches)];
    let mut notes = vec![format!("this governs {}", to.proxies())];
    if delivery.bootstrap {
        documents.push(stats::istio(&to.name, &to.namespace)?);
        notes.push(stats::istio_note(&to.name));
    } else {
        notes.push(stats::NOTE.into());
    }
    Ok(Rendered { documents, notes })
}

/// What a WasmPlugin cannot say of its listener.
pub(super) fn limits(policy: &Policy, to: &Istio) -> Value {
    filter(to, &to.name.with("limits"), &hardening(policy))
}

fn filter(to: &Istio, name: &str, patches: &[Value]) -> Value {
    let mut spec = json!({ "configPatches": patches });
    to.select(&mut spec, "workloadSelector", "labels");
    object(
        "networking.istio.io/v1alpha3",
        "EnvoyFilter",
        name,
        &to.namespace,
        &spec,
    )
}

/// As in the bootstrap: bodies that are held fit, and the filter reads paths and header names as the servers do.
fn hardening(policy: &Policy) -> Vec<Value> {
    vec![
        json!({
            "applyTo": "LISTENER",
            "match": { "context": "GATEWAY" },
            "patch": {
                "operation": "MERGE",
                "value": { "per_connection_buffer_limit_bytes": buffers::limit(policy) },
            },
        }),
        json!({
            "applyTo": "NETWORK_FILTER",
            "match": { "context": "GATEWAY", "listener": { "filterChain": { "filter": { "name": MANAGER } } } },
            "patch": {
                "operation": "MERGE",
                "value": { "name": MANAGER, "typed_config": {
                    "@type": MANAGER_TYPE,
                    "normalize_path": true,
                    "merge_slashes": true,
                    "path_with_escaped_slashes_action": "REJECT_REQUEST",
                    "common_http_protocol_options": { "headers_with_underscores_action": "REJECT_REQUEST" },
                    "http2_protocol_options": {
                        "initial_stream_window_size": buffers::stream_window(policy),
                        "initial_connection_window_size": buffers::connection_window(policy),
                    },
                    "stream_idle_timeout": route::STREAM_IDLE,
                } },
            },
        }),
    ]
}
