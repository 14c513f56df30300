//! Manifests as `toolgate render` prints them.

use std::fs;
use std::path::Path;

use serde_json::Value;
use toolgate_tests::toolgate::toolgate;

/// The documents that `toolgate render` prints with these arguments for `policy`.
///
/// # Panics
///
/// When it refuses.
pub(crate) fn render(kind: &str, policy: &Value, image: &str, arguments: &[&str]) -> String {
    let file = tempfile::NamedTempFile::with_suffix(".json").expect("a temporary file");
    fs::write(file.path(), policy.to_string()).expect("written");
    let policy = file.path().to_str().expect("UTF-8");
    let all = [&["render", kind, "--policy", policy, "--image", image], arguments].concat();
    let output = toolgate(&all);
    assert!(
        output.status.success(),
        "{all:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The object of this kind among rendered ones.
///
/// # Panics
///
/// When there is none.
pub(crate) fn object(manifest: &str, kind: &str) -> Value {
    let objects = manifest
        .split("\n---\n")
        .map(|document| serde_saphyr::from_str::<Value>(document).expect("YAML"));
    let mut meant = objects.filter(|object| object["kind"] == kind);
    meant.next().unwrap_or_else(|| panic!("no {kind} in {manifest}"))
}

/// Replaces a file in one step, so that nobody reads half of it.
pub(crate) fn replace(file: &Path, text: &str) {
    // A name that begins with a dot is nothing to Envoy Gateway.
    let new = file.with_file_name(".new");
    fs::write(&new, text).expect("written");
    fs::rename(new, file).expect("moved");
}
