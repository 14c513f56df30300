//! Sessions outlive the policy under which they began.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use toolgate_tests::client::Transport;
use toolgate_tests::envoy::{Envoy, Options};
use toolgate_tests::messages::Era;
use toolgate_tests::run;
use toolgate_tests::toolgate::Render;
use toolgate_tests::upstream::{Upstream, mcp_server};

use super::{Caller, DOCS};
use crate::policy_in_force::Ecds;

const VARIABLE: &str = "TOOLGATE_TEST_SESSION_SECRET";
const SECRET: &str = "correct-horse-battery-staple-0123456789";

#[test]
fn a_session_goes_on_under_the_next_policy() {
    run(reload(Some(VARIABLE)));
}

#[test]
fn a_session_with_a_drawn_secret_goes_on_under_the_next_policy() {
    run(reload(None));
}

async fn reload(secret_env: Option<&str>) {
    let mut policy = super::policy("headers");
    if let Some(name) = secret_env {
        policy["sessions"] = json!({ "secretEnv": name });
    }
    let upstream = Upstream::start(mcp_server(json!([]))).await;
    let directory = tempfile::tempdir().expect("a directory");
    let render = Render::new(policy.clone())
        .upstream("docs", &upstream.url("/docs/mcp"))
        .upstream("files", &upstream.url("/files/mcp"));
    let ecds = Ecds::of(directory.path(), render);
    ecds.put(&policy.to_string());
    let envoy = Envoy::start_in(&[(VARIABLE, SECRET)], Options::default(), |listener, admin| {
        ecds.bootstrap(listener, admin)
    })
    .await;
    let (alice, bob) = (Caller::new(DOCS, "alice-key"), Caller::new(DOCS, "bob-key"));
    let session = alice.begin(&envoy).await;
    alice.assert_in(&session, &envoy, &upstream, "before").await;

    // Other VMs, with another role for everybody.
    policy["roles"]["all"] = json!({ "allow": ["*/*"], "deny": ["docs/hidden"] });
    ecds.put(&policy.to_string());
    in_force(&envoy, &policy).await;
    alice.assert_in(&session, &envoy, &upstream, "after").await;
    bob.assert_out(&session, &envoy, &upstream, "bob").await;
    assert_eq!(alice.begin(&envoy).await, session, "{secret_env:?}");

    // A key of another name is another owner, even if it is presented alike.
    let key = policy["keys"]["alice"].take();
    policy["keys"] = json!({ "alicia": key, "bob": policy["keys"]["bob"] });
    policy["roles"]["all"] = json!({ "allow": ["*/*"] });
    ecds.put(&policy.to_string());
    visible(&envoy).await;
    alice.assert_out(&session, &envoy, &upstream, "renamed").await;
}

async fn in_force(envoy: &Envoy, policy: &Value) {
    wait(&format!("{policy} is in force"), envoy, "hidden").await;
}

async fn visible(envoy: &Envoy) {
    wait("the last policy is in force", envoy, "allowed").await;
}

/// Until every worker decides so.
async fn wait(what: &str, envoy: &Envoy, decision: &str) {
    let request = Era::Legacy.call(DOCS, "hidden", &json!({})).key("bob-key");
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut alike = 0;
    while alike < 12 {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        let answer = envoy.send(&request, Transport::Length).await;
        if answer.header("x-toolgate-decision") == decision {
            alike += 1;
        } else {
            alike = 0;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
