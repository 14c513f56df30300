//! Labels for the filter's metrics. Envoy knows none for what a wasm filter counts, so they come in a metric's name,
//! `wasmcustom.toolgate_x;owner=key;name=alice`, and are taken out of it by regular expressions.
//! <https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/metrics/v3/stats.proto>

use serde_json::{Value, json};
use toolgate_engine::telemetry::Family;

/// `stats_config`. Envoy's own tags stay as they are.
pub(crate) fn stats_config() -> Value {
    let mut labels: Vec<&str> = Vec::new();
    for label in Family::ALL.into_iter().flat_map(Family::labels) {
        if !labels.contains(label) {
            labels.push(label);
        }
    }
    let tags: Vec<Value> = labels
        .into_iter()
        .map(|label| json!({ "tag_name": label, "regex": regex(label) }))
        .collect();
    json!({ "stats_tags": tags, "histogram_bucket_settings": buckets() })
}

/// Envoy's own buckets suit neither bytes nor calls that take minutes.
fn buckets() -> Vec<Value> {
    let histograms = Family::ALL
        .into_iter()
        .filter(|family| !family.buckets().is_empty());
    let settings = histograms.map(|family| {
        json!({
            "match": { "prefix": format!("wasmcustom.{}", family.name()) },
            "buckets": family.buckets(),
        })
    });
    settings.collect()
}

/// The first group is cut out of the name, the second is the value, which has no `;`.
///
/// Envoy tries an expression that begins with a plain word and a dot only on names that do, so that no other metric pays
/// for these.
fn regex(label: &str) -> String {
    format!(r"^wasmcustom\.toolgate_.*(;{label}=([^;]*)).*$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_the_same_labels_and_buckets() {
        let sample = include_str!("../../../envoy/toolgate.yaml");
        let config = stats_config();
        let tags = config["stats_tags"].as_array().unwrap();
        for tag in tags {
            let (name, regex) = (tag["tag_name"].as_str().unwrap(), tag["regex"].as_str().unwrap());
            let line = format!("- {{ tag_name: {name}, regex: '{regex}' }}");
            assert!(sample.contains(&line), "{line}");
        }
        assert_eq!(sample.matches("tag_name").count(), tags.len());
        let settings = config["histogram_bucket_settings"].as_array().unwrap();
        for setting in settings {
            let prefix = setting["match"]["prefix"].as_str().unwrap();
            let bounds: Vec<_> = setting["buckets"]
                .as_array()
                .unwrap()
                .iter()
                .map(Value::to_string)
                .collect();
            let lines = format!(
                "  - match: {{ prefix: {prefix} }}\n    buckets: [{}]\n",
                bounds.join(", ")
            );
            assert!(sample.contains(&lines), "{lines}");
        }
        assert_eq!(sample.matches("buckets:").count(), settings.len());
    }
}
