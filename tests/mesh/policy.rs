//! The policies that are pushed, and what they are called.

use std::ffi::OsStr;

use serde_json::{Value, json};
use toolgate_tests::toolgate::{key_digest, toolgate};

/// The key that all requests carry.
pub(crate) const KEY: &str = "mesh-key";
/// Where the policy's only server is.
pub(crate) const PATH: &str = "/docs/mcp";

/// A policy that lets [`KEY`] call `tool` and nothing else.
///
/// It is written as a person may: members out of order, numbers that a double spells otherwise, text that YAML and HTML
/// treat specially. None of this may change what it is called.
pub(crate) fn granting(tool: &str, hold: &str) -> Value {
    json!({
        "version": 1,
        "servers": { "docs": {
            "path": PATH,
            "tools": { "yes: <no> & \"ä\"": { "cost": 1.0, "inputSchema": { "type": "object", "maxProperties": 1e3 } } },
        } },
        "limits": { "requestBytes": 1_048_576 },
        "hold": hold,
        "roles": { "reader": { "allow": [format!("docs/{tool}")] } },
        "keys": { "k": { "sha256": [key_digest(KEY)], "roles": ["reader"] } },
    })
}

/// The hash of a policy, as `toolgate check` prints it for the file.
pub(crate) fn hash(policy: &Value) -> String {
    let file = tempfile::NamedTempFile::with_suffix(".json").expect("a temporary file");
    std::fs::write(file.path(), policy.to_string()).expect("written");
    let arguments = ["check", "--format", "json"].map(OsStr::new);
    let output = toolgate(arguments.into_iter().chain([file.path().as_os_str()]));
    let reports: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let hash = reports.pointer("/files/0/hash").and_then(Value::as_str);
    hash.unwrap_or_else(|| panic!("no hash in {reports}")).to_owned()
}
