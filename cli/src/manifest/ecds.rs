//! The filter as a file that Envoy watches.
//! <https://www.envoyproxy.io/docs/envoy/v1.36.0/configuration/overview/extension>

use serde_json::{Value, json};
use toolgate_engine::policy::Policy;

use crate::envoy::wasm;

/// The file's name, in whatever directory Envoy watches.
pub(crate) const FILE: &str = "ecds.json";

/// The file's text: the filter with this policy and the module at `wasm`, a path in the proxy's file system.
pub(crate) fn ecds(policy: &Policy, document: &str, wasm: &str) -> String {
    let code = json!({ "local": { "filename": wasm } });
    let resource = json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": wasm::NAME,
        "typed_config": wasm::config(policy, document, &code),
    });
    let response: Value = json!({ "resources": [resource] });
    response.to_string() + "\n"
}
