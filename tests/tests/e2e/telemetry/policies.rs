//! Which policy is in force, and that a refused one is counted: once, however many workers there are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use toolgate_engine::policy::Policy;
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::run;
use toolgate_tests::upstream::{Upstream, mcp_server};

use crate::policy_in_force::Ecds;
use crate::quotas::policy;

fn named(name: &str) -> Value {
    policy(&json!({ name: {} }), &json!({}))
}

fn hash(policy: &str) -> String {
    let policy = Policy::compile(policy.as_bytes()).unwrap_or_else(|errors| panic!("{errors}"));
    policy.hash().to_string()
}

/// The policies that an Envoy tells, and how many it has refused.
async fn told(envoy: &Envoy) -> (BTreeMap<String, u64>, u64) {
    let page = envoy.admin("/stats/prometheus").await;
    let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse().ok());
    let info = page.lines().filter_map(|line| {
        let (hash, _) = line
            .strip_prefix("toolgate_policy_info{hash=\"")?
            .split_once('"')?;
        Some((hash.to_owned(), value(line)?))
    });
    let rejected = page
        .lines()
        .find(|line| line.starts_with("toolgate_policy_rejected_total"));
    (
        info.collect(),
        rejected
            .and_then(value)
            .expect("the counter is there from the start"),
    )
}

async fn becomes(envoy: &Envoy, expected: (&[(&str, u64)], u64), when: &str) {
    let (info, rejected) = expected;
    let info = info
        .iter()
        .map(|(hash, value)| ((*hash).to_owned(), *value))
        .collect();
    let expected: (BTreeMap<String, u64>, u64) = (info, rejected);
    let deadline = Instant::now() + Duration::from_mins(1);
    while told(envoy).await != expected {
        if Instant::now() > deadline {
            assert_eq!(told(envoy).await, expected, "{when}: {}", envoy.log());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // And stays so when the last worker has come to it.
    for _ in 0..50 {
        assert_eq!(told(envoy).await, expected, "{when}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn reloads_refusals_and_rollbacks_are_told() {
    for release in Release::ALL {
        run(async {
            let upstream = Upstream::start(mcp_server(json!([]))).await;
            let directory = tempfile::tempdir().expect("a directory");
            let ecds = Ecds::new(directory.path(), &upstream);
            let [one, two] = ["one", "two"].map(|name| named(name).to_string());
            let [first, second] = [&one, &two].map(|policy| hash(policy));
            ecds.put(&one);
            let options = Options {
                release,
                concurrency: 4,
            };
            let envoy = Envoy::start(options, |listener, admin| ecds.bootstrap(listener, admin)).await;
            becomes(&envoy, (&[(&first, 1)], 0), "at the start").await;
            ecds.put(&two);
            becomes(&envoy, (&[(&first, 0), (&second, 1)], 0), "after an update").await;
            let mut broken = named("one");
            for refused in 1..=3 {
                // Envoy does not look again at what it has refused.
                broken[format!("unknown{refused}")] = json!(1);
                ecds.put(&broken.to_string());
                becomes(&envoy, (&[(&first, 0), (&second, 1)], refused), "after a refusal").await;
            }
            ecds.put(&one);
            becomes(&envoy, (&[(&first, 1), (&second, 0)], 3), "after the way back").await;
            // The same policy in another spelling.
            let value: Value = serde_json::from_str(&two).expect("JSON");
            let mut pretty = serde_json::to_string_pretty(&value).expect("JSON");
            pretty = pretty.replacen('{', "{\"$schema\": \"policy.schema.json\", ", 1);
            ecds.put(&pretty);
            becomes(&envoy, (&[(&first, 0), (&second, 1)], 3), "in another spelling").await;
        });
    }
}
