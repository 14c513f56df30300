//! What an Envoy is configured with, as its `/config_dump` has it.
//!
//! The filter's metrics say which policies filters took. A listener may have been refused after its filter took a policy, or
//! been removed since: the dump has the listeners that are there. Of a filter that is discovered it has what was *sent*
//! last, also if that was refused; there the metrics know.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use toolgate_engine::policy::Policy;

/// What waits to be in force, or was, is no answer.
const OTHER_STATES: [&str; 3] = ["warming_state", "draining_state", "error_state"];

/// The policies in a dump.
#[derive(Debug, Default)]
pub(super) struct Configured {
    /// The hashes of those that listeners have themselves.
    policies: BTreeSet<String>,
    /// Names of filters that listeners have from discovery.
    wanted: BTreeSet<String>,
    /// Wasm filters that came by discovery, and the hash of each one's policy, if it is one.
    discovered: BTreeMap<String, Option<String>>,
}

impl Configured {
    pub(super) fn of(dump: &Value) -> Self {
        let mut found = Self::default();
        found.collect(dump);
        found
    }

    /// Those of the policies that filters took that are in force.
    pub(super) fn narrow(&self, taken: BTreeSet<String>) -> BTreeSet<String> {
        let mut found: BTreeSet<String> = taken.intersection(&self.policies).cloned().collect();
        let mut unknown = false;
        for sent in self.wanted.iter().filter_map(|name| self.discovered.get(name)) {
            match sent {
                Some(hash) if taken.contains(hash) => {
                    found.insert(hash.clone());
                }
                // It was refused, and which one the filter has instead is not said.
                Some(_) => return taken,
                // It was refused, too, or the filter is somebody else's.
                None => unknown = true,
            }
        }
        if unknown && found.is_empty() { taken } else { found }
    }

    fn collect(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(members) => {
                self.look(members);
                for (name, member) in members {
                    match name.as_str() {
                        name if OTHER_STATES.contains(&name) => {}
                        "ecds_filter" => self.discover(member),
                        _ => self.collect(member),
                    }
                }
            }
            _ => {}
        }
    }

    fn look(&mut self, members: &Map<String, Value>) {
        if members.contains_key("vm_config") {
            self.policies.extend(policy(members));
        }
        if let Some(Value::String(name)) = members.get("name")
            && members.contains_key("config_discovery")
        {
            self.wanted.insert(name.clone());
        }
    }

    fn discover(&mut self, filter: &Value) {
        if let (Some(name), Some(config)) = (
            filter["name"].as_str(),
            filter["typed_config"]["config"].as_object(),
        ) && config.contains_key("vm_config")
        {
            self.discovered.insert(name.to_owned(), policy(config));
        }
    }
}

/// The hash of the policy in a filter's configuration, unless that is somebody else's.
fn policy(filter: &Map<String, Value>) -> Option<String> {
    let policy = match &filter.get("configuration")?["value"] {
        Value::String(text) => Policy::compile(text.as_bytes()),
        // A `google.protobuf.Struct`.
        document => Policy::compile(document.to_string().as_bytes()),
    };
    Some(policy.ok()?.hash().to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FIRST: &str = r#"{"version":1}"#;
    const SECOND: &str = r#"{"version":1,"mode":"shadow"}"#;
    const THIRD: &str = r#"{"version":1,"unmatched":"deny"}"#;

    fn filter(text: &str) -> Value {
        json!({ "vm_config": {}, "configuration": { "value": text } })
    }

    fn hashes(texts: &[&str]) -> BTreeSet<String> {
        let hash = |text: &&str| Policy::compile(text.as_bytes()).unwrap().hash().to_string();
        texts.iter().map(hash).collect()
    }

    fn narrowed(dump: &Value, taken: &[&str]) -> BTreeSet<String> {
        Configured::of(dump).narrow(hashes(taken))
    }

    #[test]
    fn a_policy_is_in_force_if_its_listener_is() {
        let as_struct: Value = serde_json::from_str(THIRD).unwrap();
        let dump = json!({ "configs": [
            { "dynamic_listeners": [{
                "active_state": { "listener": { "x": [filter(FIRST), filter("not ours"), filter("{}")] } },
                "warming_state": { "listener": [filter(SECOND)] },
            }] },
            { "static_listeners": [{ "listener": { "vm_config": {}, "configuration": { "value": as_struct } } }] },
        ] });
        assert_eq!(narrowed(&dump, &[FIRST, SECOND, THIRD]), hashes(&[FIRST, THIRD]));
        assert_eq!(narrowed(&dump, &[SECOND]), hashes(&[]));
    }

    /// Listeners that want filters of these names, and what was sent of each last.
    fn discovery(wanted: &[&str], sent: &[(&str, &str)]) -> Value {
        let sent = sent.iter().map(|(name, text)| {
            json!({ "ecds_filter": { "name": name, "typed_config": { "config": filter(text) } } })
        });
        let wanted = wanted
            .iter()
            .map(|name| json!({ "name": name, "config_discovery": {} }));
        json!({ "configs": [
            { "ecds_filters": sent.collect::<Vec<_>>() },
            { "active_state": { "http_filters": wanted.collect::<Vec<_>>() } },
        ] })
    }

    #[test]
    fn of_a_discovered_filter_the_dump_has_what_was_sent_last() {
        let sent = |last| discovery(&["a"], &[("a", last)]);
        assert_eq!(narrowed(&sent(FIRST), &[FIRST]), hashes(&[FIRST]));
        // A gauge that nobody took back.
        assert_eq!(narrowed(&sent(FIRST), &[FIRST, SECOND]), hashes(&[FIRST]));
        // What came then was refused: the first is still in force.
        assert_eq!(narrowed(&sent(SECOND), &[FIRST]), hashes(&[FIRST]));
        assert_eq!(narrowed(&sent("{}"), &[FIRST]), hashes(&[FIRST]));
        assert_eq!(narrowed(&sent(THIRD), &[FIRST, SECOND]), hashes(&[FIRST, SECOND]));
    }

    #[test]
    fn a_discovered_filter_that_no_listener_has_is_not_in_force() {
        let gone = discovery(&["other"], &[("a", FIRST)]);
        assert_eq!(narrowed(&gone, &[FIRST]), hashes(&[]));
    }

    #[test]
    fn of_two_discovered_filters_none_is_passed_over() {
        let two = |b| discovery(&["a", "b"], &[("a", FIRST), ("b", b)]);
        assert_eq!(
            narrowed(&two(SECOND), &[FIRST, SECOND, THIRD]),
            hashes(&[FIRST, SECOND])
        );
        // The second one has the third policy still.
        assert_eq!(narrowed(&two(SECOND), &[FIRST, THIRD]), hashes(&[FIRST, THIRD]));
        // Somebody else's.
        assert_eq!(narrowed(&two("{}"), &[FIRST, THIRD]), hashes(&[FIRST]));
    }
}
