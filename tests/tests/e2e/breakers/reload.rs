//! A policy that is replaced while breakers are open and while calls are under way.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use toolgate_tests::client::{Connection, Request, Transport};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::messages::Era;
use toolgate_tests::run;
use toolgate_tests::toolgate::{Render, key_digest};
use toolgate_tests::upstream::{Answer, Door, Upstream, mcp_server};

use crate::policy_in_force::Ecds;

const PATH: &str = "/docs/mcp";

fn policy(failures: u32, marker: &str) -> Value {
    json!({
        "version": 1,
        "servers": { "docs": { "path": PATH, "breaker": { "failures": failures, "open": "1h" } } },
        "roles": { "all": { "allow": ["docs/failing", "docs/pending", format!("docs/{marker}")] } },
        "keys": { "ada": { "sha256": [key_digest("ada-key")], "roles": ["all"] } },
    })
}

fn call(tool: &str) -> Request {
    Era::Modern
        .call(PATH, tool, &json!({}))
        .key("ada-key")
        .header("x-label", format!("{tool}."))
}

async fn decision(envoy: &Envoy, tool: &str) -> String {
    envoy
        .send(&call(tool), Transport::Length)
        .await
        .header("x-toolgate-decision")
}

#[test]
fn breakers_and_permits_outlive_their_policy() {
    for release in Release::ALL {
        run(outlive(release));
    }
}

async fn outlive(release: Release) {
    let upstream = Upstream::start(mcp_server(json!([]))).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let render = Render::new(policy(2, "before")).upstream("docs", &upstream.url(PATH));
    let ecds = Ecds::of(directory.path(), render);
    ecds.put(&policy(2, "before").to_string());
    let options = Options {
        release,
        concurrency: 4,
    };
    let envoy = Envoy::start(options, |listener, admin| ecds.bootstrap(listener, admin)).await;
    upstream.answer("failing.", |_| Answer::new(500));
    let door = Door::closed();
    let held = door.clone();
    upstream.answer("pending.", move |_| Answer::new(500).behind(&held));
    for _ in 0..2 {
        assert_eq!(decision(&envoy, "failing").await, "allowed", "{release:?}");
    }
    assert_eq!(decision(&envoy, "failing").await, "breaker", "{release:?}");
    // Two calls that will fail under the next policy.
    let mut pending = Vec::new();
    for number in 1..=2 {
        let mut connection = Connection::open(envoy.address()).await.expect("connects");
        connection
            .request(&call("pending"), Transport::Length)
            .await
            .expect("sent");
        upstream.wait_for("pending.", number).await;
        pending.push(connection);
    }
    ecds.put(&policy(2, "after").to_string());
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut in_a_row = 0;
    while in_a_row < 16 {
        // Each connection may be another worker's.
        in_a_row = if decision(&envoy, "after").await == "allowed" {
            in_a_row + 1
        } else {
            0
        };
        assert!(
            Instant::now() < deadline,
            "{release:?}: the new policy is not in force"
        );
    }
    for _ in 0..8 {
        assert_eq!(decision(&envoy, "failing").await, "breaker", "{release:?}");
    }
    assert_eq!(upstream.labelled("failing.").len(), 2, "{release:?}");
    door.open();
    for mut connection in pending {
        assert_eq!(
            connection.response().await.expect("an answer").status,
            500,
            "{release:?}"
        );
    }
    assert_eq!(decision(&envoy, "pending").await, "breaker", "{release:?}");
    assert_eq!(upstream.labelled("pending.").len(), 2, "{release:?}");
    let log = envoy.log();
    assert!(!log.contains("panicked") && !log.contains("[critical]"), "{log}");
}
