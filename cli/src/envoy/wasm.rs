//! The filter itself.

use std::path::Path;

use serde_json::{Value, json};
use toolgate_engine::policy::{Hold, Policy};

use super::Setup;
use crate::manifest::ECDS_FILE;

/// What the filter, its VM and its root are called.
pub(crate) const NAME: &str = "toolgate";
/// The type of [`config`].
pub(crate) const TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// The filter, with the policy inline or from a directory.
pub(super) fn filter(setup: &Setup<'_>) -> Value {
    if let Some(directory) = setup.policy_file {
        return discovered(directory);
    }
    let code = json!({ "local": { "filename": setup.wasm } });
    json!({ "name": NAME, "typed_config": config(setup.policy, setup.document, &code) })
}

/// The filter from a file. Its directory is watched, because the file is a link that stays: what it leads to is replaced.
fn discovered(directory: &Path) -> Value {
    json!({
        "name": NAME,
        "config_discovery": {
            "config_source": {
                "resource_api_version": "V3",
                "path_config_source": {
                    "path": directory.join(ECDS_FILE),
                    "watched_directory": { "path": directory },
                },
            },
            "type_urls": [TYPE],
        },
    })
}

/// The filter's configuration with this policy, from its compiled form and its text, and with the module from `code`
/// (an `AsyncDataSource`).
/// <https://www.envoyproxy.io/docs/envoy/v1.36.0/api-v3/extensions/wasm/v3/wasm.proto>
pub(crate) fn config(policy: &Policy, document: &str, code: &Value) -> Value {
    let mut config = json!({
        "name": NAME,
        "root_id": NAME,
        // A crashed VM is replaced; requests meanwhile are refused.
        "failure_policy": "FAIL_RELOAD",
        "reload_config": { "backoff": { "base_interval": "1s" } },
        "vm_config": {
            "vm_id": NAME,
            "runtime": "envoy.wasm.runtime.v8",
            "code": code,
        },
        // Not a Struct: that would arrive as binary protobuf.
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": document,
        },
    });
    if let Some(name) = &policy.sessions().secret_env {
        config["vm_config"]["environment_variables"] = json!({ "host_env_keys": [name] });
    }
    if policy.hold() == Hold::Headers {
        config["allow_on_headers_stop_iteration"] = json!(true);
    }
    json!({ "@type": TYPE, "config": config })
}
