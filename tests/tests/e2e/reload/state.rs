//! What was counted goes on being counted under the next policy.

use serde_json::{Value, json};
use toolgate_tests::client::Transport;
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::messages::Era;
use toolgate_tests::run;
use toolgate_tests::upstream::{Answer, Upstream, mcp_server};

use super::{KEY, PATH, Watched, policy};

/// Quota, budget, loop guard and breaker, and a tool by which to tell the policies apart.
fn governed(marker: &str) -> Value {
    let mut policy = policy(&["counted", "priced", "same", "failing", marker]);
    let docs = &mut policy["servers"]["docs"];
    docs["breaker"] = json!({ "each": "tool", "failures": 2, "open": "1h" });
    docs["tools"] = json!({ "priced": { "cost": 1 } });
    let ada = &mut policy["keys"]["ada"];
    ada["quotas"] = json!([{ "limit": 3, "per": "365d", "on": "docs/counted" }]);
    ada["budget"] = json!({ "limit": 3, "per": "month" });
    ada["loops"] = json!({ "identicalCalls": 40, "per": "1h" });
    policy
}

#[test]
fn quotas_budgets_loops_and_breakers_outlive_reloads() {
    for release in Release::ALL {
        run(outlive(release));
    }
}

async fn outlive(release: Release) {
    let upstream = Upstream::start(mcp_server(json!([]))).await;
    upstream.answer("\"failing\"", |_| Answer::new(500));
    let options = Options {
        release,
        concurrency: 3,
    };
    let watched = Watched::start(options, governed("first"), upstream).await;
    // One call per round of what has three, two rounds of failures, a tenth of the identical calls.
    for round in 0..3 {
        for tool in ["counted", "priced"] {
            assert_eq!(
                decision(&watched, tool, round).await,
                "allowed",
                "{release:?} {round}"
            );
        }
        let expected = if round < 2 { "allowed" } else { "breaker" };
        assert_eq!(
            decision(&watched, "failing", round).await,
            expected,
            "{release:?} {round}"
        );
        for _ in 0..13 {
            assert_eq!(
                decision(&watched, "same", -1).await,
                "allowed",
                "{release:?} {round}"
            );
        }
        let marker = format!("round-{round}");
        watched.put(&governed(&marker)).expect("rendered");
        // Other arguments each time, so that waiting is no loop.
        let mut alike = 0;
        let mut asked = 0;
        while alike < 12 {
            asked += 1;
            assert!(asked < 10_000, "{release:?}: {marker} is not in force");
            let allowed = decision(&watched, &marker, asked).await == "allowed";
            alike = if allowed { alike + 1 } else { 0 };
        }
    }
    assert_eq!(decision(&watched, "counted", 99).await, "quota", "{release:?}");
    assert_eq!(decision(&watched, "priced", 99).await, "budget", "{release:?}");
    assert_eq!(decision(&watched, "failing", 99).await, "breaker", "{release:?}");
    assert_eq!(
        decision(&watched, "same", -1).await,
        "allowed",
        "{release:?}: the fortieth"
    );
    assert_eq!(decision(&watched, "same", -1).await, "loop", "{release:?}");
}

async fn decision(watched: &Watched, tool: &str, number: i64) -> String {
    let request = Era::Modern
        .call(PATH, tool, &json!({ "number": number }))
        .key(KEY);
    watched
        .envoy
        .send(&request, Transport::Length)
        .await
        .header("x-toolgate-decision")
}
