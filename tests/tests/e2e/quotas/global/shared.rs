//! One limit over several Envoys, counted by the real service.

use serde_json::{Value, json};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::toolgate::Render;
use toolgate_tests::{load, run};

use super::{Counting, PATH, PATIENT, World, governed, quota};

/// An Envoy for load: it writes no access log.
async fn proxy(policy: Value, upstream: &Envoy, release: Release) -> Envoy {
    let service = Counting::shared().await.address();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let render = Render::new(policy)
        .upstream("docs", &upstream.url(PATH))
        .arg("--rate-limit-service")
        .arg(service.to_string());
    let options = Options {
        release,
        concurrency: 2,
    };
    Envoy::start(options, |listener, admin| {
        let bootstrap = render.run(directory.path(), listener, admin);
        bootstrap.expect("the policy renders")
    })
    .await
}

async fn load(proxy: &Envoy, key: &str, connections: usize, count: usize) -> load::Tally {
    let body = json!({
        "jsonrpc": "2.0", "id": 17, "method": "tools/call",
        "params": { "name": "search", "arguments": {}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        } },
    });
    let request = load::call(PATH, &format!("{key}-key"), "search", &body);
    load::run(proxy.address(), &[request], connections, count).await
}

#[test]
fn two_envoys_share_a_quota_to_the_last_call() {
    run(async {
        let upstream = load::answering_envoy().await;
        let keys = json!({ "two-ada": { "quotas": [quota(300)] } });
        let policy = governed(&keys, &json!({}), "deny", PATIENT);
        let (first, second) = tokio::join!(
            proxy(policy.clone(), &upstream, Release::V1_40),
            proxy(policy, &upstream, Release::V1_36)
        );
        let (one, other) = tokio::join!(
            load(&first, "two-ada", 16, 500),
            load(&second, "two-ada", 16, 500)
        );
        assert_eq!(one.of("allowed") + other.of("allowed"), 300, "{one:?} {other:?}");
        assert_eq!(one.of("quota") + other.of("quota"), 700, "{one:?} {other:?}");
        assert!(
            one.of("allowed") > 0 && other.of("allowed") > 0,
            "{one:?} {other:?}"
        );
        // A third one has a newer policy. The service is told nothing about it, and counts its new key at once.
        let keys = json!({ "two-ada": { "quotas": [quota(300)] }, "two-bob": { "quotas": [quota(40)] } });
        let third = proxy(
            governed(&keys, &json!({}), "deny", PATIENT),
            &upstream,
            Release::V1_40,
        )
        .await;
        let (ada, bob) = tokio::join!(load(&third, "two-ada", 2, 20), load(&third, "two-bob", 8, 100));
        assert_eq!((ada.of("quota"), ada.of("allowed")), (20, 0), "{ada:?}");
        assert_eq!((bob.of("quota"), bob.of("allowed")), (60, 40), "{bob:?}");
        assert_eq!(upstream.stat("http.upstream.downstream_rq_completed").await, 340);
    });
}

#[test]
fn the_limits_of_a_key_its_team_and_the_parent() {
    run(async {
        let service = Counting::shared().await.address();
        let keys = json!({
            "kin-ada": { "team": "kin-web", "quotas": [quota(3)] },
            "kin-bob": { "team": "kin-web" },
            "kin-cyd": { "team": "kin-all" },
        });
        let teams = json!({
            "kin-all": { "quotas": [quota(8)] },
            "kin-web": { "parent": "kin-all", "quotas": [quota(5)] },
        });
        let policy = governed(&keys, &teams, "deny", PATIENT);
        let (a, b) = tokio::join!(
            World::start(policy.clone(), service),
            World::start(policy, service)
        );
        let over = |limit, text| ("quota", text, Some(limit));
        for (envoy, key, number, (reason, sentence, limit)) in [
            (
                &a,
                "kin-ada",
                3,
                over("/keys/kin-ada/quotas/0", "This key may make 3 calls per 365 days"),
            ),
            // What ada was refused is not counted for her team.
            (
                &b,
                "kin-bob",
                2,
                over(
                    "/teams/kin-web/quotas/0",
                    "The team of this key may make 5 calls per 365 days",
                ),
            ),
            (
                &a,
                "kin-cyd",
                3,
                over(
                    "/teams/kin-all/quotas/0",
                    "The team of this key may make 8 calls per 365 days",
                ),
            ),
        ] {
            for call in 0..number {
                envoy
                    .call(key, "search", &format!("{key}-{call}"))
                    .await
                    .allowed("within");
            }
            for other in [&a, &b] {
                let refused = other.call(key, "search", &format!("{key}-over")).await;
                refused.refused(reason, sentence, limit).said("over");
                let retry = refused.retry().expect("a time");
                assert!((1..=365 * 86_400_000).contains(&retry), "{}", refused.what);
            }
        }
        a.settle().await;
        b.settle().await;
    });
}

#[test]
fn each_tool_by_itself() {
    run(async {
        let service = Counting::shared().await.address();
        let mut each = quota(2);
        each["each"] = json!("tool");
        each["on"] = json!("docs/get_*");
        let keys = json!({ "each-ada": { "quotas": [each] } });
        let policy = governed(&keys, &json!({}), "deny", PATIENT);
        let (a, b) = tokio::join!(
            World::start(policy.clone(), service),
            World::start(policy, service)
        );
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
        a.settle().await;
        b.settle().await;
    });
}

#[test]
fn local_limits_keep_what_the_service_refuses() {
    run(async {
        let service = Counting::shared().await.address();
        let mut searches = quota(2);
        searches["on"] = json!("docs/search");
        let keys = json!({ "both-ada": { "quotas": [{ "limit": 3, "per": "365d" }, searches] } });
        let world = World::start(governed(&keys, &json!({}), "deny", PATIENT), service).await;
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
        world.settle().await;
    });
}
