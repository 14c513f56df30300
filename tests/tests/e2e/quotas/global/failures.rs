//! A service that fails, in every way a service can: what `onError` says happens, to this call and to no other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use toolgate_tests::envoy::Release;
use toolgate_tests::rate_limit::{Answer, Code, FakeService, Request, Response, Status, Unit};
use toolgate_tests::toolgate::Render;
use toolgate_tests::{ports, run};

use super::scripted::{self, Scripted};
use super::{NOBODY_KNOWS, World, governed, quota};

/// How long a call waits where silence is allowed to cost it.
const SHORT: &str = "700ms";

type Way = (&'static str, fn(&Request) -> Answer);

/// Each with something of what the access log says about it. All of them are about two limits.
const WAYS: [Way; 16] = [
    ("no RateLimitResponse", |_| Answer::garbage()),
    ("0 statuses for 2 limits", |_| Answer::statuses([])),
    ("1 statuses for 2 limits", |request| {
        changed(request, |statuses| drop(statuses.pop()))
    }),
    ("3 statuses for 2 limits", |request| {
        changed(request, |statuses| statuses.push(Status::unlimited()))
    }),
    ("no limit was applied", Answer::unlimited),
    ("no limit was applied", |request| {
        changed(request, |statuses| statuses[1].current_limit = None)
    }),
    (
        "another limit was applied (1000 per unit 6, not 3 per unit 6)",
        |request| {
            changed(request, |statuses| {
                statuses[0] = Status::new(Code::Ok, 1000, Unit::Year, 0);
            })
        },
    ),
    ("another limit was applied", |request| {
        changed(request, |statuses| {
            statuses[0] = Status::new(Code::Ok, 3, Unit::Second, 0);
        })
    }),
    ("status code 0", |request| Answer::each(request, Code::Unknown)),
    ("overall code 0", |request| {
        let Answer::Statuses(response) = Answer::ok(request) else {
            return Answer::Never;
        };
        Answer::Statuses(Response {
            overall_code: Code::Unknown.into(),
            ..response
        })
    }),
    ("UNAVAILABLE", |_| Answer::unavailable()),
    ("UNKNOWN", |_| {
        Answer::Error(2, "response returned from Conn: EOF".to_owned())
    }),
    ("no known status", |_| Answer::Error(99, "what?".to_owned())),
    ("from cluster", |_| Answer::Http(503)),
    ("from cluster", |_| {
        Answer::Body(Bytes::from_static(b"\0\0\0\0\x09short"))
    }),
    ("from cluster", |_| Answer::Reset),
];

/// Takes everything along that is under way on its connection, so no test may use it beside others.
const CLOSE: Way = ("from cluster", |_| Answer::Close);

fn changed(request: &Request, change: impl FnOnce(&mut Vec<Status>)) -> Answer {
    match Answer::ok(request) {
        Answer::Statuses(mut response) => {
            change(&mut response.statuses);
            Answer::Statuses(response)
        }
        other => other,
    }
}

/// The keys of these tests where Envoys are shared.
pub(super) fn keys() -> Value {
    let mut keys = limited("deny-");
    keys["old-ada"] = keys["deny-ada"].clone();
    keys
}

/// Their teams.
pub(super) fn teams() -> Value {
    json!({ "deny-team": { "budget": { "limit": 2, "per": "total" } } })
}

/// `ada` has a quota and a budget of the service and a quota here; `bob` a budget of the service, and his team one
/// here; `eve` one call.
fn limited(prefix: &str) -> Value {
    let here = json!({ "limit": 2, "per": "365d" });
    let budget = json!({ "limit": 1, "per": "month", "scope": "global" });
    json!({
        format!("{prefix}ada"): { "quotas": [quota(3), here], "budget": budget },
        format!("{prefix}bob"): { "team": format!("{prefix}team"), "budget": budget },
        format!("{prefix}eve"): { "quotas": [{ "limit": 1, "per": "365d" }, quota(1000)] },
    })
}

fn policy(on_error: &str, timeout: &str) -> Value {
    let teams = json!({ "team": { "budget": { "limit": 2, "per": "total" } } });
    governed(&limited(""), &teams, on_error, timeout)
}

#[test]
fn what_is_no_answer_is_denied_and_charges_nothing() {
    run(async {
        let shared = scripted::shared().await;
        let [world, ..] = &shared.worlds;
        denied_in_every_way(shared, world, "deny-ada").await;
        let silence = format!("within {}", scripted::TIMEOUT);
        shared.script("deny-bob", |_| Answer::Never);
        let begun = Instant::now();
        let outcome = world.call("deny-bob", "quarter", "denied-silence").await;
        outcome.refused("budget", NOBODY_KNOWS, None).said(&silence);
        let waited = begun.elapsed();
        let wanted = Duration::from_secs(3)..Duration::from_secs(8);
        assert!(wanted.contains(&waited), "{waited:?}");
        // Of the team's budget here nothing is gone: eight quarters.
        shared.script("deny-bob", Answer::ok);
        for number in 0..8 {
            let outcome = world
                .call("deny-bob", "quarter", &format!("spent-{number}."))
                .await;
            outcome.allowed("within");
        }
        let outcome = world.call("deny-bob", "quarter", "spent-all").await;
        outcome
            .refused("budget", "2 in total", Some("/teams/deny-team/budget"))
            .said("");
        world.settle();
    });
}

#[test]
fn the_older_release_sees_the_same_failures() {
    run(async {
        let shared = scripted::shared().await;
        let [_, _, world] = &shared.worlds;
        denied_in_every_way(shared, world, "old-ada").await;
    });
}

async fn denied_in_every_way(shared: &Scripted, world: &World, key: &str) {
    for (number, (said, way)) in WAYS.into_iter().enumerate() {
        shared.script(key, way);
        let outcome = world.call(key, "quarter", &format!("{key}-{number}.")).await;
        outcome.refused("quota", NOBODY_KNOWS, None).said(said);
        assert_eq!(outcome.retry(), Some(1000), "{}", outcome.what);
        assert_eq!(shared.asked(key).len(), number + 1, "asked once");
    }
    // Of the local quota nothing is gone.
    shared.script(key, Answer::ok);
    for label in ["again-1", "again-2"] {
        world
            .call(key, "quarter", &format!("{key}-{label}"))
            .await
            .allowed("within");
    }
    let outcome = world.call(key, "quarter", &format!("{key}-again-3")).await;
    let limit = format!("/keys/{key}/quotas/1");
    outcome
        .refused("quota", "2 calls per 365 days", Some(&limit))
        .said("");
    world.settle();
}

#[test]
fn what_is_no_answer_is_allowed_if_the_policy_says_so() {
    run(async {
        let service = FakeService::start(Answer::ok).await;
        let mut policy = policy("allow", SHORT);
        policy["keys"]["ada"]["quotas"][1]["limit"] = json!(1000);
        let world = World::start(policy, service.address()).await;
        for (number, (said, way)) in WAYS.into_iter().chain([CLOSE]).enumerate() {
            service.script(way);
            let outcome = world.call("ada", "quarter", &format!("allowed-{number}.")).await;
            outcome.allowed(said);
            assert_eq!(outcome.line["cost_micros"], "250000", "{}", outcome.what);
        }
        service.script(|_| Answer::Never);
        world
            .call("ada", "quarter", "allowed-silence")
            .await
            .allowed("within 700ms");
        // Its own limits hold, and a no is a no.
        world
            .call("eve", "quarter", "eve-1")
            .await
            .allowed("within 700ms");
        let outcome = world.call("eve", "quarter", "eve-2").await;
        outcome
            .refused("quota", "1 call per 365 days", Some("/keys/eve/quotas/0"))
            .said("");
        service.script(|request| Answer::over(request, 0));
        let outcome = world.call("ada", "quarter", "allowed-over").await;
        outcome
            .refused("quota", "3 calls per 365 days", Some("/keys/ada/quotas/0"))
            .said("over");
        world.settle();
    });
}

#[test]
fn what_is_no_answer_is_counted_here_if_the_policy_says_so() {
    run(async {
        let service = FakeService::start(Answer::ok).await;
        let world = World::start(policy("local", SHORT), service.address()).await;
        // The service has its own count, and this one begins with the failure.
        world.call("ada", "quarter", "local-0.").await.allowed("within");
        service.script(|_| Answer::unavailable());
        // One local call is left, and three of the service's quota.
        world
            .call("ada", "quarter", "local-1.")
            .await
            .allowed("UNAVAILABLE");
        let outcome = world.call("ada", "quarter", "local-2.").await;
        outcome
            .refused("quota", "2 calls per 365 days", Some("/keys/ada/quotas/1"))
            .said("");
        // Four quarters of one.
        let (ways, _) = WAYS.split_at(4);
        for (number, (said, way)) in ways.iter().enumerate() {
            service.script(*way);
            let said = said
                .replace("for 2 limits", "for 1 limit")
                .replace("1 statuses", "0 statuses");
            let said = said
                .split(" for")
                .next()
                .unwrap_or_default()
                .trim_start_matches("3 ");
            let outcome = world.call("bob", "quarter", &format!("budget-{number}.")).await;
            outcome.allowed(said);
        }
        service.script(|_| Answer::Never);
        for label in ["over-1.", "over-2."] {
            let outcome = world.call("bob", "quarter", label).await;
            outcome
                .refused(
                    "budget",
                    "This key may spend 1 per month",
                    Some("/keys/bob/budget"),
                )
                .said("within 700ms");
        }
        // It is back, with its own count; the team's budget was charged four times and given back twice.
        service.script(Answer::ok);
        for label in ["back-1.", "back-2.", "back-3.", "back-4."] {
            world.call("bob", "quarter", label).await.allowed("within");
        }
        let outcome = world.call("bob", "quarter", "back-5.").await;
        outcome
            .refused("budget", "2 in total", Some("/teams/team/budget"))
            .said("");
        world.settle();
    });
}

#[test]
fn without_the_cluster_nothing_is_waited_for() {
    run(async {
        for (on_error, release) in [("deny", Release::V1_40), ("local", Release::V1_36)] {
            let policy = policy(on_error, "30s");
            let world = World::start_with(release, policy, ports::free(), |bootstrap| {
                let mut bootstrap: Value = serde_json::from_str(&bootstrap).expect("the bootstrap is JSON");
                let clusters = bootstrap["static_resources"]["clusters"]
                    .as_array_mut()
                    .expect("clusters");
                clusters.retain(|cluster| cluster["name"] != "ratelimit");
                bootstrap.to_string()
            })
            .await;
            let begun = Instant::now();
            let said = "is there a cluster \"ratelimit\"?";
            if on_error == "deny" {
                for label in ["none-1", "none-2", "none-3"] {
                    let outcome = world.call("ada", "quarter", label).await;
                    outcome.refused("quota", NOBODY_KNOWS, None).said(said);
                }
            } else {
                for label in ["none-1", "none-2", "none-3", "none-4"] {
                    world.call("bob", "quarter", label).await.allowed(said);
                }
            }
            if on_error == "local" {
                let outcome = world.call("bob", "quarter", "none-5").await;
                outcome
                    .refused(
                        "budget",
                        "This key may spend 1 per month",
                        Some("/keys/bob/budget"),
                    )
                    .said(said);
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
            world.settle();
        }
    });
}

#[test]
fn the_tool_renders_no_bootstrap_without_the_service() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let render = Render::new(policy("deny", SHORT))
        .upstream("docs", "http://127.0.0.1:1/mcp")
        .upstream("dead", "http://127.0.0.1:1/mcp");
    let refused = render
        .run(directory.path(), address, address)
        .expect_err("refused");
    assert!(refused.contains("--rate-limit-service HOST:PORT"), "{refused}");
}
