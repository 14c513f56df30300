//! The filter as a file that Envoy watches.
//! <https://www.envoyproxy.io/docs/envoy/v1.36.0/configuration/overview/extension>

use serde_json::{Value, json};
use toolgate_engine::policy::Policy;

use crate::envoy::wasm;

/// The file's name, in whatever directory Envoy watches.
pub(crate) const FILE: &str = "ecds.json";

/// A variable of the filter's environment that names the module. Envoy reads the module's file when its configuration
/// differs from the one before, and only then: with the same policy, this is what differs after an upgrade.
const MODULE: &str = "TOOLGATE_MODULE_SHA256";

/// The file's text: the filter with this policy and the module at `wasm`, a path in the proxy's file system, with this
/// digest if it is known.
pub(crate) fn ecds(policy: &Policy, document: &str, wasm: &str, sha256: Option<&str>) -> String {
    let code = json!({ "local": { "filename": wasm } });
    let mut config = wasm::config(policy, document, &code);
    if let Some(sha256) = sha256 {
        config["config"]["vm_config"]["environment_variables"]["key_values"][MODULE] = json!(sha256);
    }
    let resource = json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": wasm::NAME,
        "typed_config": config,
    });
    let response: Value = json!({ "resources": [resource] });
    response.to_string() + "\n"
}
