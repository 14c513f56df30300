//! What a refused caller is told, and that nothing of the call arrives.

use serde_json::{Value, json};
use toolgate_tests::client::Transport;
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::messages::Era;
use toolgate_tests::run;
use toolgate_tests::upstream::mcp_server;

use super::{PATH, call, policy, text};

async fn start(release: Release, hold: &str, keys: &Value) -> Gate {
    let options = Options {
        release,
        concurrency: 2,
    };
    let mut policy = policy(keys, &json!({}));
    policy["hold"] = json!(hold);
    Gate::start(options, policy, mcp_server(json!([{ "name": "search" }]))).await
}

async fn refused_over_every_transport(release: Release, hold: &str) {
    let gate = start(
        release,
        hold,
        &json!({ "ada": { "quotas": [{ "limit": 2, "per": "365d", "on": "docs/search" }] } }),
    )
    .await;
    for label in ["first", "second"] {
        let answer = gate.send(&call("ada", "search", label), Transport::Http2).await;
        assert_eq!(
            answer.header("x-toolgate-decision"),
            "allowed",
            "{}",
            answer.text()
        );
        assert_eq!(gate.upstream.labelled(label).len(), 1);
    }
    for transport in Transport::ALL {
        let label = format!("refused-{transport:?}");
        let answer = gate.send(&call("ada", "search", &label), transport).await;
        let what = format!("{release:?} {hold} {transport:?}: {}", answer.text());
        assert_eq!(answer.status, 200, "{what}");
        assert_eq!(answer.header("x-toolgate-decision"), "quota", "{what}");
        let body = answer.json();
        assert_eq!(body["id"], 1, "{what}");
        assert_eq!(body["result"]["isError"], true, "{what}");
        assert_eq!(body["result"]["resultType"], "complete", "{what}");
        assert!(text(&body).contains("2 calls per 365 days"), "{what}");
        // The next call is free after half the window.
        let millis = body["result"]["_meta"]["toolgate/retryAfterMs"].as_u64();
        let half_a_year = 365 * 43_200_000;
        assert!(
            millis.is_some_and(|millis| (half_a_year - 60_000..=half_a_year).contains(&millis)),
            "{what}"
        );
        let seconds: u64 = answer.header("retry-after").parse().expect("seconds");
        assert_eq!(
            Some(seconds),
            millis.map(|millis| millis.div_ceil(1000)),
            "{what}"
        );
        for arrived in gate.upstream.labelled(&label) {
            assert!(hold == "body" && arrived.body.is_empty(), "{what}: {arrived:?}");
        }
    }
    // What the quota does not count goes on.
    let answer = gate.send(&call("ada", "other", "other"), Transport::Length).await;
    assert_eq!(answer.header("x-toolgate-decision"), "allowed");
    let list = Era::Modern
        .request(PATH, "tools/list", None, json!({}))
        .key("ada-key");
    let answer = gate.send(&list, Transport::Length).await;
    assert_eq!(answer.header("x-toolgate-decision"), "allowed");
}

#[test]
fn with_held_headers_nothing_arrives() {
    run(refused_over_every_transport(Release::V1_40, "headers"));
    run(refused_over_every_transport(Release::V1_36, "headers"));
}

#[test]
fn with_a_held_body_no_byte_of_it_arrives() {
    run(refused_over_every_transport(Release::V1_40, "body"));
    run(refused_over_every_transport(Release::V1_36, "body"));
}

#[test]
fn a_legacy_client_gets_a_legacy_result() {
    run(async {
        let gate = start(
            Release::V1_40,
            "headers",
            &json!({ "ada": { "quotas": [{ "limit": 1, "per": "hour" }] } }),
        )
        .await;
        let request = |label: &str| {
            Era::Legacy
                .call(PATH, "search", &json!({}))
                .key("ada-key")
                .header("x-label", label)
        };
        gate.send(&request("one"), Transport::Length).await;
        let answer = gate.send(&request("two"), Transport::Length).await;
        let body = answer.json();
        assert_eq!(body["result"]["isError"], true, "{body}");
        assert_eq!(body["result"].get("resultType"), None, "{body}");
        assert!(text(&body).contains("1 call per hour"), "{body}");
        assert!(gate.upstream.labelled("two").is_empty());
    });
}

#[test]
fn a_refused_call_charges_nothing_and_the_next_is_free_in_time() {
    run(async {
        let gate = start(
            Release::V1_40,
            "headers",
            &json!({ "ada": { "quotas": [{ "limit": 1, "per": "2s" }] } }),
        )
        .await;
        let send = async |label: &str| {
            let answer = gate.send(&call("ada", "search", label), Transport::Length).await;
            answer.header("x-toolgate-decision")
        };
        assert_eq!(send("first").await, "allowed");
        let since = std::time::Instant::now();
        let mut refused = 0;
        while send("again").await != "allowed" {
            refused += 1;
            assert!(since.elapsed().as_secs() < 10, "locked out by refused calls");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert!(
            refused > 0 && since.elapsed().as_millis() > 1_500,
            "{refused} {:?}",
            since.elapsed()
        );
        assert_eq!(gate.upstream.labelled("again").len(), 1);
    });
}

#[test]
fn shadow_mode_lets_the_call_through_and_says_so() {
    run(async {
        let log = tempfile::NamedTempFile::new().expect("a temporary file");
        let keys = json!({ "ada": { "mode": "shadow", "quotas": [{ "limit": 1, "per": "365d" }] } });
        let gate = Gate::start_with(
            Options::default(),
            policy(&keys, &json!({})),
            mcp_server(json!([])),
            |render| render.arg("--access-log").arg(log.path().display().to_string()),
            |bootstrap| bootstrap,
        )
        .await;
        for label in ["one", "two", "three"] {
            let answer = gate.send(&call("ada", "search", label), Transport::Length).await;
            assert_eq!(
                answer.header("x-toolgate-decision"),
                "allowed",
                "{}",
                answer.text()
            );
            assert_eq!(gate.upstream.labelled(label).len(), 1);
        }
        gate.envoy.terminate();
        let log = std::fs::read_to_string(log.path()).expect("the access log");
        let lines: Vec<Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let recorded: Vec<_> = lines
            .iter()
            .map(|line| (line["would_deny"].as_str(), line["limit"].as_str()))
            .collect();
        let over = (Some("quota"), Some("/keys/ada/quotas/0"));
        assert_eq!(recorded, [(None, None), over, over], "{log}");
    });
}
