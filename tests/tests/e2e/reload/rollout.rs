//! `toolgate rollout status` about a real Envoy.

use serde_json::{Value, json};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::run;
use toolgate_tests::toolgate::toolgate;
use toolgate_tests::upstream::{Upstream, mcp_server};

use super::{Watched, policy};

/// Exit code and document.
fn status(watched: &Watched, policy: Option<&Value>, timeout: &str) -> (Option<i32>, Value) {
    let file = watched.envoy.directory().join("asked.json");
    let mut arguments: Vec<String> = [
        "rollout",
        "status",
        "--format",
        "json",
        "--timeout",
        timeout,
        "--admin",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(watched.envoy.admin_address().to_string());
    if let Some(policy) = policy {
        std::fs::write(&file, policy.to_string()).expect("written");
        arguments.extend(["--policy".to_owned(), file.display().to_string()]);
    }
    let output = toolgate(arguments);
    let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), said)
}

#[test]
fn tells_whether_a_policy_is_in_force_and_what_was_rejected() {
    for release in Release::ALL {
        run(rollout(release));
    }
}

async fn rollout(release: Release) {
    let upstream = Upstream::start(mcp_server(json!([]))).await;
    let options = Options {
        release,
        ..Options::default()
    };
    let (first, second) = (policy(&["first"]), policy(&["second"]));
    let watched = Watched::start(options, first.clone(), upstream).await;
    let (code, said) = status(&watched, Some(&first), "20s");
    assert_eq!(code, Some(0), "{release:?} {said}");
    assert_eq!(said["envoys"][0]["inForce"], json!([said["policy"]]));
    let (code, said) = status(&watched, Some(&second), "0s");
    assert_eq!(code, Some(1), "{release:?} {said}");
    assert_eq!(said["envoys"][0]["rejected"], 0);

    watched.put(&second).expect("rendered");
    let (code, said) = status(&watched, Some(&second), "20s");
    assert_eq!(code, Some(0), "{release:?} {said}");
    watched.until("second", "allowed").await;

    // It compiles, and this Envoy cannot do what it asks for: its environment lacks the secret.
    let mut third = policy(&["third"]);
    third["sessions"] = json!({ "secretEnv": "TOOLGATE_TEST_UNSET" });
    watched.put(&third).expect("rendered");
    let (code, said) = status(&watched, Some(&third), "3s");
    assert_eq!(code, Some(1), "{release:?} {said}");
    assert_eq!(said["envoys"][0]["rejected"], 1, "{release:?} {said}");
    // The one before is, and nobody is told otherwise.
    let (code, said) = status(&watched, Some(&second), "0s");
    assert_eq!(code, Some(0), "{release:?} {said}");
    assert_eq!(watched.decision("second").await, "allowed");
    // The same again is in force again.
    watched.put(&first).expect("rendered");
    assert_eq!(status(&watched, Some(&first), "20s").0, Some(0), "{release:?}");
}

#[test]
fn an_envoy_that_never_had_a_policy_has_none() {
    run(async {
        let upstream = Upstream::start(mcp_server(json!([]))).await;
        let mut wrong = policy(&["first"]);
        wrong["sessions"] = json!({ "secretEnv": "TOOLGATE_TEST_UNSET" });
        let watched = Watched::start(Options::default(), wrong, upstream).await;
        let (code, said) = status(&watched, None, "1s");
        assert_eq!(code, Some(1), "{said}");
        assert_eq!(said["envoys"][0]["inForce"], json!([]), "{said}");
        assert_eq!(said["envoys"][0]["rejected"], 1, "{said}");
    });
}
