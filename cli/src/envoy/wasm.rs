//! The filter itself.

use serde_json::{Value, json};
use toolgate_engine::policy::Hold;

use super::Setup;

const NAME: &str = "toolgate";

/// The filter, with the policy inline.
pub(super) fn filter(setup: &Setup<'_>) -> Value {
    let mut config = json!({
        "name": NAME,
        "root_id": NAME,
        // A crashed VM is replaced; requests meanwhile are refused.
        "failure_policy": "FAIL_RELOAD",
        "reload_config": { "backoff": { "base_interval": "1s" } },
        "vm_config": {
            "vm_id": NAME,
            "runtime": "envoy.wasm.runtime.v8",
            "code": { "local": { "filename": setup.wasm } },
        },
        // Not a Struct: that would arrive as binary protobuf.
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": setup.document,
        },
    });
    if let Some(name) = &setup.policy.sessions().secret_env {
        config["vm_config"]["environment_variables"] = json!({ "host_env_keys": [name] });
    }
    if setup.policy.hold() == Hold::Headers {
        config["allow_on_headers_stop_iteration"] = json!(true);
    }
    json!({
        "name": NAME,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": config,
        },
    })
}
