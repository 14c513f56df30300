//! Which policy an Envoy has in force, as it says itself.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::configured::{Configured, Metrics};
use super::{Admin, Problem};

/// Every statistic that says something about policies: of the filter, of extensions that are discovered, of listeners.
const STATS: &str = "/stats?format=json&filter=%5E(wasmcustom%5C.toolgate_policy_%7Cextension_config_discovery%5C.%7Clistener_manager%5C.lds%5C.)";
/// Gauges of the filter, one for each policy that was ever taken: 0 once a filter of the same name took another.
const INFO: &str = "wasmcustom.toolgate_policy_info;hash=";
/// What an update of listeners, or of their filters, failed with last.
const ERRORS: &str =
    "/config_dump?resource=dynamic_listeners&mask=name,error_state.details,error_state.last_update_attempt";

/// What is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// Envoy's version.
    pub(crate) envoy: String,
    /// Envoy's state: `LIVE` once its listeners take connections.
    pub(crate) state: String,
    /// Hashes of the policies in force: one, unless filters have different ones.
    pub(crate) in_force: BTreeSet<String>,
    /// Updates that Envoy has not taken since it started: the policy was refused, or the file could not be read.
    pub(crate) rejected: u64,
    /// Why, where Envoy says it here.
    pub(crate) errors: Vec<Rejection>,
}

/// An update of a listener that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rejection {
    /// The listener.
    pub(crate) listener: String,
    /// Envoy's words.
    pub(crate) details: String,
    /// When, as RFC 3339 has it.
    pub(crate) at: String,
}

impl Status {
    /// Asks, for at most this time.
    pub(crate) fn of(admin: &Admin, within: Duration) -> Result<Self, Problem> {
        let until = Instant::now() + within;
        let left = || {
            until
                .saturating_duration_since(Instant::now())
                .max(Duration::from_millis(100))
        };
        let info = admin.ask("/server_info", left())?;
        let (Some(version), Some(state)) = (info["version"].as_str(), info["state"].as_str()) else {
            return Err(Problem::NotEnvoy(
                "/server_info has no version and no state".into(),
            ));
        };
        let stats = admin.ask(STATS, left())?;
        let mut status = Self {
            // Commit, version, kind and more, in a row.
            envoy: version.split('/').nth(1).unwrap_or(version).to_owned(),
            state: state.to_owned(),
            ..Self::default()
        };
        let metrics = status.read(&stats)?;
        if !metrics.taken.is_empty() {
            let dump = admin.ask("/config_dump?include_eds=false", left())?;
            status.in_force = Configured::of(&dump).in_force(&metrics);
        }
        if status.rejected > 0 {
            status.errors = rejections(&admin.ask(ERRORS, left()).unwrap_or_default());
        }
        Ok(status)
    }

    fn read(&mut self, stats: &Value) -> Result<Metrics, Problem> {
        let Some(stats) = stats["stats"].as_array() else {
            return Err(Problem::NotEnvoy("/stats has no statistics".into()));
        };
        let mut metrics = Metrics::default();
        for stat in stats {
            let (Some(name), Some(value)) = (stat["name"].as_str(), stat["value"].as_u64()) else {
                continue;
            };
            if let Some(hash) = name.strip_prefix(INFO) {
                metrics.taken.insert(hash.to_owned());
                if value == 1 {
                    metrics.last.insert(hash.to_owned());
                }
            } else if is_rejection(name) {
                self.rejected += value;
                let filter = discovered(name).and_then(|name| name.rsplit_once('.'));
                let filter = filter.filter(|_| value > 0);
                metrics
                    .refused
                    .extend(filter.map(|(filter, _)| filter.to_owned()));
            }
        }
        Ok(metrics)
    }
}

/// Not `config_fail`, which counts again what `update_rejected` counts.
fn is_rejection(name: &str) -> bool {
    let discovered = discovered(name).is_some();
    let listeners = name.starts_with("listener_manager.lds.");
    (discovered || listeners)
        && (name.ends_with(".update_rejected") || (discovered && name.ends_with(".update_failure")))
}

/// What is counted of which filter that is discovered.
fn discovered(name: &str) -> Option<&str> {
    name.strip_prefix("extension_config_discovery.http_filter.")
}

fn rejections(dump: &Value) -> Vec<Rejection> {
    let listeners = dump["configs"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found = listeners.filter_map(|listener| {
        let error = listener.get("error_state")?;
        Some(Rejection {
            listener: text(&listener["name"]),
            details: text(&error["details"]),
            at: text(&error["last_update_attempt"]),
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_what_was_rejected_once() {
        let mut status = Status::default();
        let stat = |name: &str, value: u64| json!({ "name": name, "value": value });
        let stats = json!({ "stats": [
            stat("wasmcustom.toolgate_policy_info;hash=aa", 0),
            stat("wasmcustom.toolgate_policy_info;hash=bb", 1),
            stat("wasmcustom.toolgate_policy_rejected_total", 9),
            stat("extension_config_discovery.http_filter.my.toolgate.update_rejected", 2),
            stat("extension_config_discovery.http_filter.my.toolgate.config_fail", 2),
            stat("extension_config_discovery.http_filter.other.update_rejected", 0),
            stat("extension_config_discovery.http_filter.toolgate.update_failure", 1),
            stat("listener_manager.lds.update_rejected", 4),
            { "histograms": {} },
        ] });
        let metrics = status.read(&stats).unwrap();
        assert_eq!(status.rejected, 7);
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expected = Metrics {
            taken: set(&["aa", "bb"]),
            last: set(&["bb"]),
            refused: set(&["my.toolgate", "toolgate"]),
        };
        assert_eq!(metrics, expected);
        assert!(Status::default().read(&json!([])).is_err());
    }
}
