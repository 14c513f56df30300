//! Which policy is in force, and how often one was refused, for Envoy's metrics.
//!
//! Envoy deletes no metric, so each policy that was ever in force has a gauge, and all but one of them are 0. Which one was
//! in force before is in shared data: a VM that is new does not know, and each worker has its own.

use toolgate_engine::policy::PolicyHash;
use toolgate_engine::store::{Expect, Store};
use toolgate_engine::telemetry::Measure;

use crate::host::Host;
use crate::metrics;
use crate::store::SharedData;

/// A policy was accepted.
pub fn accepted(host: &impl Host, hash: &PolicyHash) {
    let store = SharedData(host);
    let key = key(host);
    let before = match store.get(&key) {
        Ok(Some(before)) => String::from_utf8(before.value).ok(),
        // Without it, a gauge stays 1 too long: nothing that a request depends on.
        Ok(None) | Err(_) => None,
    };
    let mut measures = vec![
        Measure::policy_info(hash.as_str(), true),
        // It is there from the start, so that the first refusal is an increase.
        Measure::policy_rejected(0),
    ];
    if before.as_deref() != Some(hash.as_str()) {
        measures.extend(before.map(|before| Measure::policy_info(&before, false)));
        // Workers come here at about the same time, with the same policy: who writes last does not matter.
        let _ = store.set(&key, hash.as_str().as_bytes(), Expect::Anything);
    }
    metrics::report_once(host, &measures);
}

/// A policy was refused.
pub fn refused(host: &impl Host) {
    metrics::report_once(host, &[Measure::policy_rejected(1)]);
}

/// One for each filter of a process that has a name of its own.
fn key(host: &impl Host) -> String {
    let name = |path: &str| {
        let name = host.property(&[path]).ok().flatten().unwrap_or_default();
        String::from_utf8_lossy(&name).into_owned()
    };
    format!(
        "toolgate/policy/1/{}/{}",
        name("plugin_root_id"),
        name("plugin_name")
    )
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use serde_json::json;

    use crate::metrics;
    use crate::root::Plugin;
    use crate::testing::FakeHost;

    fn configure(host: &FakeHost, policy: &str) -> Option<Rc<str>> {
        host.state_mut().configuration = policy.as_bytes().to_vec();
        Plugin::configure(host, 1).map(|plugin| plugin.hash().into())
    }

    fn info(hash: &str) -> String {
        format!("toolgate_policy_info;hash={hash}")
    }

    #[test]
    fn one_policy_is_in_force_and_those_before_are_not() {
        metrics::forget();
        let host = FakeHost::default();
        let one = configure(&host, r#"{"version":1}"#).unwrap();
        let rejected = "toolgate_policy_rejected_total";
        assert_eq!(json!(host.state().metrics), json!({ info(&one): 1, rejected: 0 }));
        let two = configure(&host, r#"{"version":1,"mode":"shadow"}"#).unwrap();
        assert_eq!(
            json!(host.state().metrics),
            json!({ info(&one): 0, info(&two): 1, rejected: 0 })
        );
        // A refused one changes nothing, nor does the same again in another spelling.
        assert_eq!(configure(&host, r#"{"version":2}"#), None);
        assert_eq!(
            configure(&host, r#"{"hold":"body", "mode":"shadow", "version":1}"#),
            Some(two.clone())
        );
        assert_eq!(
            json!(host.state().metrics),
            json!({ info(&one): 0, info(&two): 1, rejected: 1 })
        );
        // A new VM knows what was before all the same.
        metrics::forget();
        assert_eq!(configure(&host, r#"{"version":1}"#), Some(one.clone()));
        assert_eq!(
            json!(host.state().metrics),
            json!({ info(&one): 1, info(&two): 0, rejected: 1 })
        );
    }

    #[test]
    fn filters_with_names_of_their_own_are_told_apart() {
        metrics::forget();
        let host = FakeHost::default();
        host.put_property("plugin_name", b"a");
        let one = configure(&host, r#"{"version":1}"#).unwrap();
        host.put_property("plugin_name", b"b");
        let two = configure(&host, r#"{"version":1,"mode":"shadow"}"#).unwrap();
        let metrics = json!(host.state().metrics);
        assert_eq!(
            (&metrics[info(&one)], &metrics[info(&two)]),
            (&json!(1), &json!(1))
        );
    }

    #[test]
    fn a_host_that_keeps_nothing_gets_its_policy() {
        metrics::forget();
        for call in [
            "shared_data",
            "set_shared_data",
            "property",
            "define_metric",
            "record_metric",
        ] {
            let host = FakeHost::default();
            host.put_environment("S", &"s".repeat(32));
            host.fail(call, 2);
            let policy = r#"{"version":1,"sessions":{"secretEnv":"S"}}"#;
            assert!(configure(&host, policy).is_some(), "{call}");
        }
    }
}
