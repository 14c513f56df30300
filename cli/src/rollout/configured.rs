//! What an Envoy is configured with, as its `/config_dump` has it.
//!
//! The filter's metrics say which policies filters took. A listener may have been refused after its filter took a policy, or
//! been removed since; and filters of one name, in two listeners, say only what one of them took last. The dump has the
//! listeners that are there, and what their filters took. Of a filter that is discovered it has what was *sent* last, also if
//! that was refused; there the metrics know.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use toolgate_engine::policy::Policy;

/// What waits to be in force, or was, is no answer.
const OTHER_STATES: [&str; 3] = ["warming_state", "draining_state", "error_state"];

/// What only the configuration of a Wasm filter has: as Envoy writes it, and as it may stand in a `TypedStruct`.
const WASM: [&str; 2] = ["vm_config", "vmConfig"];

/// What the metrics say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metrics {
    /// The hashes of all policies that filters took.
    pub(super) taken: BTreeSet<String>,
    /// Those that no other was taken after, by a filter of the same name.
    pub(super) last: BTreeSet<String>,
    /// Filters that are discovered and of which something was refused, by [`stat_name`].
    pub(super) refused: BTreeSet<String>,
}

/// The policies in a dump.
#[derive(Debug, Default)]
pub(super) struct Configured {
    /// The hash of each Wasm filter that stands in a listener; none of one that is somebody else's.
    filters: Vec<Option<String>>,
    /// Names of filters that listeners have from discovery, with the policies that are in force until something came.
    wanted: BTreeMap<String, Vec<String>>,
    /// What came, by name: as `filters`.
    sent: BTreeMap<String, Vec<Option<String>>>,
}

impl Configured {
    pub(super) fn of(dump: &Value) -> Self {
        let mut found = Self::default();
        found.collect(dump);
        found
    }

    /// The hashes of the policies in force.
    pub(super) fn in_force(&self, metrics: &Metrics) -> BTreeSet<String> {
        let is_taken = |hash: &&String| metrics.taken.contains(*hash);
        let mut found: BTreeSet<String> = self.filters.iter().flatten().filter(is_taken).cloned().collect();
        let mut unsaid = false;
        for (name, defaults) in &self.wanted {
            let Some(sent) = self.sent.get(name) else {
                found.extend(defaults.iter().filter(is_taken).cloned());
                continue;
            };
            found.extend(sent.iter().flatten().filter(is_taken).cloned());
            // It was refused, or is not there yet: an older one is in force. What is no policy may be no filter of ours.
            unsaid |= sent.iter().any(|hash| match hash {
                Some(hash) => !metrics.last.contains(hash),
                None => metrics.refused.contains(&stat_name(name)),
            });
        }
        if unsaid {
            found.extend(metrics.last.iter().cloned());
        }
        found
    }

    fn collect(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(members) => self.look(members),
            _ => {}
        }
    }

    fn look(&mut self, members: &Map<String, Value>) {
        if let Some(discovery) = members.get("config_discovery")
            && let Some(Value::String(name)) = members.get("name")
        {
            let defaults = Self::of(discovery).filters.into_iter().flatten();
            self.wanted.entry(name.clone()).or_default().extend(defaults);
        } else if let Some(filter) = members.get("ecds_filter")
            && let Some(name) = filter["name"].as_str()
        {
            let sent = self.sent.entry(name.to_owned()).or_default();
            sent.extend(Self::of(filter).filters);
        } else if WASM.iter().any(|name| members.contains_key(*name)) {
            self.filters.push(policy(members));
        } else {
            let members = members
                .iter()
                .filter(|(name, _)| !OTHER_STATES.contains(&name.as_str()));
            members.for_each(|(_, member)| self.collect(member));
        }
    }
}

/// As [`Metrics`] have the name of a filter: statistics have no colons in their names.
pub(super) fn stat_name(name: &str) -> String {
    name.replace("://", "_").replace(":/", "_").replace(':', "_")
}

/// The hash of the policy in a filter's configuration, unless that is somebody else's.
fn policy(filter: &Map<String, Value>) -> Option<String> {
    let configuration = filter.get("configuration")?;
    let policy = match &configuration["value"] {
        Value::String(text) if is_bytes(configuration) => Policy::compile(&STANDARD.decode(text).ok()?),
        Value::String(text) => Policy::compile(text.as_bytes()),
        // A `google.protobuf.Struct`.
        document => Policy::compile(document.to_string().as_bytes()),
    };
    Some(policy.ok()?.hash().to_string())
}

/// A `google.protobuf.BytesValue`, which JSON has in base64.
fn is_bytes(configuration: &Value) -> bool {
    configuration["@type"]
        .as_str()
        .is_some_and(|name| name.ends_with("/google.protobuf.BytesValue"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FIRST: &str = r#"{"version":1}"#;
    const SECOND: &str = r#"{"version":1,"mode":"shadow"}"#;
    const THIRD: &str = r#"{"version":1,"unmatched":"deny"}"#;
    const FOURTH: &str = r#"{"version":1,"limits":{"resultBytes":65536}}"#;

    fn filter(text: &str) -> Value {
        json!({ "vm_config": {}, "configuration": { "value": text } })
    }

    fn hashes(texts: &[&str]) -> BTreeSet<String> {
        let hash = |text: &&str| Policy::compile(text.as_bytes()).unwrap().hash().to_string();
        texts.iter().map(hash).collect()
    }

    /// Of metrics with these policies, the last ones and all before, and with these filters.
    fn in_force(dump: &Value, last: &[&str], before: &[&str], refused: &[&str]) -> BTreeSet<String> {
        let last = hashes(last);
        Configured::of(dump).in_force(&Metrics {
            taken: &last | &hashes(before),
            last,
            refused: refused.iter().map(|name| stat_name(name)).collect(),
        })
    }

    #[test]
    fn a_policy_is_in_force_if_its_listener_is() {
        let as_struct: Value = serde_json::from_str(THIRD).unwrap();
        let as_bytes = json!({
            "@type": "type.googleapis.com/google.protobuf.BytesValue",
            "value": STANDARD.encode(FOURTH),
        });
        let dump = json!({ "configs": [
            { "dynamic_listeners": [{
                "active_state": { "listener": { "x": [filter(FIRST), filter("not ours"), filter("{}")] } },
                "warming_state": { "listener": [filter(SECOND)] },
            }] },
            { "static_listeners": [
                { "listener": { "vmConfig": {}, "configuration": { "value": as_struct } } },
                { "listener": { "vm_config": {}, "configuration": as_bytes } },
            ] },
        ] });
        assert_eq!(
            in_force(&dump, &[FIRST, SECOND, THIRD, FOURTH], &[], &[]),
            hashes(&[FIRST, THIRD, FOURTH])
        );
        // One that nobody took, whoever else has one.
        assert_eq!(in_force(&dump, &[FIRST, SECOND], &[], &[]), hashes(&[FIRST]));
        assert_eq!(in_force(&dump, &[SECOND], &[], &[]), hashes(&[]));
        // The listener of the second is not there yet, or was refused: the first is in force as before.
        assert_eq!(in_force(&dump, &[SECOND], &[FIRST], &[]), hashes(&[FIRST]));
    }

    #[test]
    fn filters_of_one_name_do_not_hide_each_other() {
        let dump = json!({ "configs": [{ "dynamic_listeners": [
            { "active_state": filter(FIRST) }, { "active_state": filter(SECOND) },
        ] }] });
        assert_eq!(
            in_force(&dump, &[SECOND], &[FIRST], &[]),
            hashes(&[FIRST, SECOND])
        );
    }

    /// Listeners that want filters of these names, and what was sent of each last.
    fn discovery(wanted: &[&str], sent: &[(&str, Value)]) -> Value {
        let sent = sent.iter().map(
            |(name, config)| json!({ "ecds_filter": { "name": name, "typed_config": { "config": config } } }),
        );
        let wanted = wanted
            .iter()
            .map(|name| json!({ "name": name, "config_discovery": { "config_source": {} } }));
        json!({ "configs": [
            { "ecds_filters": sent.collect::<Vec<_>>() },
            { "active_state": { "http_filters": wanted.collect::<Vec<_>>() } },
        ] })
    }

    #[test]
    fn of_a_discovered_filter_the_dump_has_what_was_sent_last() {
        let sent = |last| discovery(&["a"], &[("a", filter(last))]);
        assert_eq!(in_force(&sent(FIRST), &[FIRST], &[], &[]), hashes(&[FIRST]));
        // A gauge that nobody took back.
        assert_eq!(
            in_force(&sent(FIRST), &[FIRST, SECOND], &[], &[]),
            hashes(&[FIRST])
        );
        // What came then was refused: the first is still in force.
        assert_eq!(in_force(&sent(SECOND), &[FIRST], &[], &["a"]), hashes(&[FIRST]));
        assert_eq!(in_force(&sent("{}"), &[FIRST], &[], &["a"]), hashes(&[FIRST]));
        assert_eq!(
            in_force(&sent(THIRD), &[FIRST, SECOND], &[], &[]),
            hashes(&[FIRST, SECOND])
        );
        // The first was sent again, and is not there yet.
        assert_eq!(
            in_force(&sent(FIRST), &[SECOND], &[FIRST], &[]),
            hashes(&[FIRST, SECOND])
        );
        // In a `TypedStruct`.
        let wrapped = json!({ "type_url": "wasm", "value": { "config": filter(SECOND) } });
        let dump = discovery(&["a"], &[("a", wrapped)]);
        assert_eq!(in_force(&dump, &[FIRST], &[], &[]), hashes(&[FIRST]));
    }

    #[test]
    fn a_discovered_filter_that_no_listener_has_is_not_in_force() {
        let gone = discovery(&["other"], &[("a", filter(FIRST))]);
        assert_eq!(in_force(&gone, &[FIRST], &[], &["a"]), hashes(&[]));
    }

    #[test]
    fn of_two_discovered_filters_none_is_passed_over() {
        let two = |b| discovery(&["a", "b"], &[("a", filter(FIRST)), ("b", filter(b))]);
        assert_eq!(
            in_force(&two(SECOND), &[FIRST, SECOND, THIRD], &[], &[]),
            hashes(&[FIRST, SECOND])
        );
        // The second one has the third policy still.
        for refused in [SECOND, "{}"] {
            assert_eq!(
                in_force(&two(refused), &[FIRST, THIRD], &[], &["b"]),
                hashes(&[FIRST, THIRD])
            );
        }
        // Somebody else's.
        assert_eq!(in_force(&two("{}"), &[FIRST, THIRD], &[], &[]), hashes(&[FIRST]));
    }

    #[test]
    fn a_discovered_filter_of_somebody_else_says_nothing_about_ours() {
        let stats = || discovery(&["ns/stats:1"], &[("ns/stats:1", filter("not ours"))]);
        // Our listener was removed.
        assert_eq!(in_force(&stats(), &[FIRST], &[], &["toolgate"]), hashes(&[]));
        // It may be ours if it was refused.
        assert_eq!(
            in_force(&stats(), &[FIRST], &[], &["ns/stats:1"]),
            hashes(&[FIRST])
        );
    }

    #[test]
    fn a_listener_of_its_own_does_not_hide_what_a_discovered_filter_has() {
        // The third was refused, so that the second is in force there.
        let mut dump = discovery(&["a"], &[("a", filter(THIRD))]);
        dump["static_listeners"] = filter(FIRST);
        assert_eq!(
            in_force(&dump, &[FIRST, SECOND], &[], &["a"]),
            hashes(&[FIRST, SECOND])
        );
        // What was sent is no policy, and was refused.
        let mut dump = discovery(&["a"], &[("a", filter("{}"))]);
        dump["static_listeners"] = filter(FIRST);
        assert_eq!(
            in_force(&dump, &[FIRST, SECOND], &[], &["a"]),
            hashes(&[FIRST, SECOND])
        );
    }

    #[test]
    fn a_default_is_in_force_until_something_came() {
        let wanted =
            json!({ "name": "a", "config_discovery": { "default_config": { "config": filter(FIRST) } } });
        let mut dump = json!({ "configs": [{ "active_state": wanted }] });
        assert_eq!(in_force(&dump, &[FIRST], &[], &[]), hashes(&[FIRST]));
        dump["ecds_filters"] =
            json!([{ "ecds_filter": { "name": "a", "typed_config": { "config": filter(SECOND) } } }]);
        assert_eq!(in_force(&dump, &[SECOND], &[FIRST], &[]), hashes(&[SECOND]));
    }
}
