//! One limit over several Envoys, counted by the real service.

use serde_json::{Value, json};
use toolgate_tests::{load, run};

use super::{PATH, World, quota, real};

/// The keys of these tests.
pub(super) fn keys() -> Value {
    let mut each = quota(2);
    each["each"] = json!("tool");
    each["on"] = json!("docs/get_*");
    let mut searches = quota(2);
    searches["on"] = json!("docs/search");
    json!({
        "two-ada": { "quotas": [quota(300)] },
        "kin-ada": { "team": "kin-web", "quotas": [quota(3)] },
        "kin-bob": { "team": "kin-web" },
        "kin-cyd": { "team": "kin-all" },
        "each-ada": { "quotas": [each] },
        "both-ada": { "quotas": [{ "limit": 3, "per": "365d" }, searches] },
    })
}

/// Their teams.
pub(super) fn teams() -> Value {
    json!({
        "kin-all": { "quotas": [quota(8)] },
        "kin-web": { "parent": "kin-all", "quotas": [quota(5)] },
    })
}

/// Calls of the tool `<key>-load`.
pub(super) async fn load(world: &World, key: &str, connections: usize, count: usize) -> load::Tally {
    let tool = format!("{key}-load");
    let body = json!({
        "jsonrpc": "2.0", "id": 17, "method": "tools/call",
        "params": { "name": tool, "arguments": {}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        } },
    });
    let request = load::call(PATH, &format!("{key}-key"), &tool, &body);
    load::run(world.gate.envoy.address(), &[request], connections, count).await
}

#[test]
fn two_envoys_share_a_quota_to_the_last_call() {
    run(async {
        let [a, b] = real().await;
        let (one, other) = tokio::join!(load(a, "two-ada", 16, 500), load(b, "two-ada", 16, 500));
        assert_eq!(one.of("allowed") + other.of("allowed"), 300, "{one:?} {other:?}");
        assert_eq!(one.of("quota") + other.of("quota"), 700, "{one:?} {other:?}");
        for (world, tally) in [(a, one), (b, other)] {
            assert!(tally.of("allowed") > 0, "{tally:?}");
            let arrived = world.gate.upstream.received_for("two-ada-load");
            assert_eq!(arrived.len(), tally.of("allowed"));
        }
    });
}

#[test]
fn the_limits_of_a_key_its_team_and_the_parent() {
    run(async {
        let [a, b] = real().await;
        for (envoy, key, number, sentence, limit) in [
            (
                a,
                "kin-ada",
                3,
                "This key may make 3 calls per 365 days",
                "/keys/kin-ada/quotas/0",
            ),
            // What ada was refused is not counted for her team.
            (
                b,
                "kin-bob",
                2,
                "The team of this key may make 5 calls",
                "/teams/kin-web/quotas/0",
            ),
            (
                a,
                "kin-cyd",
                3,
                "The team of this key may make 8 calls",
                "/teams/kin-all/quotas/0",
            ),
        ] {
            for call in 0..number {
                envoy
                    .call(key, "search", &format!("{key}-{call}"))
                    .await
                    .allowed("within");
            }
            for other in [a, b] {
                let refused = other.call(key, "search", &format!("{key}-over")).await;
                refused.refused("quota", sentence, Some(limit)).said("over");
                let retry = refused.retry().expect("a time");
                assert!((1..=365 * 86_400_000).contains(&retry), "{}", refused.what);
            }
        }
        a.settle();
        b.settle();
    });
}

#[test]
fn each_tool_by_itself() {
    run(async {
        let [a, b] = real().await;
        for tool in ["get_page", "get_file"] {
            a.call("each-ada", tool, &format!("{tool}-1"))
                .await
                .allowed("within");
            b.call("each-ada", tool, &format!("{tool}-2"))
                .await
                .allowed("within");
            let refused = a.call("each-ada", tool, &format!("{tool}-3")).await;
            let sentence = "This key may make 2 calls per 365 days of this tool";
            refused
                .refused("quota", sentence, Some("/keys/each-ada/quotas/0"))
                .said("over");
        }
        a.call("each-ada", "search", "uncounted").await.allowed("");
    });
}

#[test]
fn local_limits_keep_what_the_service_refuses() {
    run(async {
        let [world, _] = real().await;
        for label in ["both-1", "both-2"] {
            world.call("both-ada", "search", label).await.allowed("within");
        }
        for label in ["both-3", "both-4", "both-5"] {
            let refused = world.call("both-ada", "search", label).await;
            refused
                .refused("quota", "2 calls per 365 days", Some("/keys/both-ada/quotas/1"))
                .said("over");
        }
        // The local quota has one left.
        world.call("both-ada", "other", "both-6").await.allowed("");
        for (tool, label) in [("other", "both-7"), ("search", "both-8")] {
            let refused = world.call("both-ada", tool, label).await;
            refused
                .refused("quota", "3 calls per 365 days", Some("/keys/both-ada/quotas/0"))
                .said("");
        }
        world.settle();
    });
}
