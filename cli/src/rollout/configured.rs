//! What an Envoy is configured with, as its `/config_dump` has it.
//!
//! The filter's metrics say which policies filters took. A listener may have been refused after its filter took a policy, or
//! been removed since: the dump has the listeners that are there. Of a filter that is discovered it has what was *sent*
//! last, also if that was refused; there the metrics know.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use toolgate_engine::policy::Policy;

/// What waits to be in force, or was, is no answer.
const OTHER_STATES: [&str; 3] = ["warming_state", "draining_state", "error_state"];

/// The policies in a dump.
#[derive(Debug, Default)]
pub(super) struct Configured {
    /// The hashes of all.
    policies: BTreeSet<String>,
    /// Names of filters that listeners have from discovery.
    wanted: BTreeSet<String>,
    /// Names of Wasm filters that came by discovery.
    discovered: BTreeSet<String>,
}

impl Configured {
    pub(super) fn of(dump: &Value) -> Self {
        let mut found = Self::default();
        found.collect(dump);
        found
    }

    /// Those of the policies that filters took that are in force.
    pub(super) fn narrow(&self, taken: BTreeSet<String>) -> BTreeSet<String> {
        let both: BTreeSet<String> = taken.intersection(&self.policies).cloned().collect();
        let discovers = !self.wanted.is_disjoint(&self.discovered);
        // What was sent last was refused, or somebody left without a trace: the one that was taken is in force.
        if discovers && (both.is_empty() || taken.len() == 1) {
            taken
        } else {
            both
        }
    }

    fn collect(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(members) => {
                self.look(members);
                let members = members
                    .iter()
                    .filter(|(name, _)| !OTHER_STATES.contains(&name.as_str()));
                members.for_each(|(_, member)| self.collect(member));
            }
            _ => {}
        }
    }

    fn look(&mut self, members: &Map<String, Value>) {
        self.policies
            .extend(members.get("vm_config").and_then(|_| policy(members)));
        if let Some(Value::String(name)) = members.get("name")
            && members.contains_key("config_discovery")
        {
            self.wanted.insert(name.clone());
        }
        if let Some(filter) = members.get("ecds_filter")
            && let Some(name) = filter["name"].as_str()
            && filter["typed_config"]["config"].get("vm_config").is_some()
        {
            self.discovered.insert(name.to_owned());
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

    #[test]
    fn of_a_discovered_filter_the_dump_has_what_was_sent_last() {
        let dump = |last: &str, wanted: bool| {
            let name = if wanted { "toolgate" } else { "other" };
            json!({ "configs": [
                { "ecds_filters": [{ "ecds_filter": { "name": "toolgate", "typed_config": { "config": filter(last) } } }] },
                { "active_state": { "http_filters": [{ "name": name, "config_discovery": {} }] } },
            ] })
        };
        // The second was refused: the first is still in force.
        assert_eq!(narrowed(&dump(SECOND, true), &[FIRST]), hashes(&[FIRST]));
        assert_eq!(narrowed(&dump("{}", true), &[FIRST]), hashes(&[FIRST]));
        assert_eq!(narrowed(&dump(FIRST, true), &[FIRST, SECOND]), hashes(&[FIRST]));
        assert_eq!(
            narrowed(&dump(THIRD, true), &[FIRST, SECOND]),
            hashes(&[FIRST, SECOND])
        );
        // No listener has it any more.
        assert_eq!(narrowed(&dump(SECOND, false), &[FIRST]), hashes(&[]));
    }
}
