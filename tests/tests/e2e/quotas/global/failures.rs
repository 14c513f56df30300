//! A service that fails, in every way a service can: what `onError` says happens, to this call and to no other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use toolgate_tests::envoy::Release;
use toolgate_tests::rate_limit::{Answer, Code, FakeService, Request, Response, Status, Unit};
use toolgate_tests::toolgate::Render;
use toolgate_tests::{ports, run};

use super::{NOBODY_KNOWS, World, governed, quota};

/// How long a call waits in these tests. A service that answers is patiently waited for: only silence costs this much.
const TIMEOUT: &str = "400ms";

type Way = (&'static str, fn(&Request) -> Answer);

/// Each with something of what the access log says about it. All of them are about two limits.
const WAYS: [Way; 17] = [
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
                statuses[0] = Status::new(Code::Ok, 1000, Unit::Year, 0)
            })
        },
    ),
    ("another limit was applied", |request| {
        changed(request, |statuses| {
            statuses[0] = Status::new(Code::Ok, 3, Unit::Second, 0)
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
    ("from cluster", |_| Answer::Close),
];

fn changed(request: &Request, change: impl FnOnce(&mut Vec<Status>)) -> Answer {
    match Answer::ok(request) {
        Answer::Statuses(mut response) => {
            change(&mut response.statuses);
            Answer::Statuses(response)
        }
        other => other,
    }
}

/// `ada` has a quota of the service and one here; `bob` a budget of the service and of his own; `eve` one call.
fn limited(on_error: &str, timeout: &str) -> Value {
    let here = json!({ "limit": 2, "per": "365d" });
    let budget = json!({ "limit": 1, "per": "month", "scope": "global" });
    let mut policy = governed(
        &json!({
            "ada": { "quotas": [quota(3), here], "budget": budget },
            "bob": { "team": "team", "budget": budget },
            "eve": { "quotas": [{ "limit": 1, "per": "365d" }, quota(1000)] },
        }),
        &json!({ "team": { "budget": { "limit": 2, "per": "total" } } }),
        on_error,
        timeout,
    );
    policy["servers"]["docs"]["cost"] = json!(0.25);
    policy
}

#[test]
fn what_is_no_answer_is_denied_and_charges_nothing() {
    run(async {
        let service = FakeService::start(Answer::ok).await;
        let world = World::start(limited("deny", TIMEOUT), service.address()).await;
        for (number, (said, way)) in WAYS.into_iter().enumerate() {
            service.script(way);
            let outcome = world.call("ada", "search", &format!("denied-{number}.")).await;
            outcome.refused("quota", NOBODY_KNOWS, None).said(said);
            assert_eq!(outcome.retry(), Some(1000), "{}", outcome.what);
            assert_eq!(service.asked().len(), number + 1, "asked once");
        }
        service.script(|_| Answer::Never);
        let begun = Instant::now();
        let outcome = world.call("bob", "search", "denied-silence").await;
        outcome.refused("budget", NOBODY_KNOWS, None).said("within 400ms");
        let waited = begun.elapsed();
        assert!(
            (Duration::from_millis(400)..Duration::from_secs(3)).contains(&waited),
            "{waited:?}"
        );
        // Of the local limits nothing is gone: two calls, and eight quarters.
        service.script(Answer::ok);
        for label in ["again-1", "again-2"] {
            world.call("ada", "search", label).await.allowed("within");
        }
        let outcome = world.call("ada", "search", "again-3").await;
        outcome
            .refused("quota", "2 calls per 365 days", Some("/keys/ada/quotas/1"))
            .said("");
        for number in 0..8 {
            let outcome = world.call("bob", "search", &format!("spent-{number}.")).await;
            outcome.allowed("within");
        }
        let outcome = world.call("bob", "search", "spent-all").await;
        outcome
            .refused("budget", "2 in total", Some("/teams/team/budget"))
            .said("");
        world.settle().await;
    });
}

#[test]
fn what_is_no_answer_is_allowed_if_the_policy_says_so() {
    run(async {
        let service = FakeService::start(Answer::ok).await;
        let mut policy = limited("allow", TIMEOUT);
        policy["keys"]["ada"]["quotas"][1]["limit"] = json!(1000);
        let world = World::start(policy, service.address()).await;
        for (number, (said, way)) in WAYS.into_iter().enumerate() {
            service.script(way);
            let outcome = world.call("ada", "search", &format!("allowed-{number}.")).await;
            outcome.allowed(said);
            assert_eq!(outcome.line["cost_micros"], "250000", "{}", outcome.what);
        }
        service.script(|_| Answer::Never);
        world
            .call("ada", "search", "allowed-silence")
            .await
            .allowed("within 400ms");
        // Its own limits hold, and a no is a no.
        world.call("eve", "search", "eve-1").await.allowed("within 400ms");
        let outcome = world.call("eve", "search", "eve-2").await;
        outcome
            .refused("quota", "1 call per 365 days", Some("/keys/eve/quotas/0"))
            .said("");
        service.script(|request| Answer::over(request, 0));
        let outcome = world.call("ada", "search", "allowed-over").await;
        outcome
            .refused("quota", "3 calls per 365 days", Some("/keys/ada/quotas/0"))
            .said("over");
        world.settle().await;
    });
}

#[test]
fn what_is_no_answer_is_counted_here_if_the_policy_says_so() {
    run(async {
        let service = FakeService::start(Answer::ok).await;
        let world = World::start(limited("local", TIMEOUT), service.address()).await;
        // The service has its own count, and this one begins with the failure.
        world.call("ada", "search", "local-0.").await.allowed("within");
        service.script(|_| Answer::unavailable());
        // One local call is left, and three of the service's quota.
        world
            .call("ada", "search", "local-1.")
            .await
            .allowed("UNAVAILABLE");
        let outcome = world.call("ada", "search", "local-2.").await;
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
            let outcome = world.call("bob", "search", &format!("budget-{number}.")).await;
            outcome.allowed(said);
        }
        service.script(|_| Answer::Never);
        for label in ["over-1.", "over-2."] {
            let outcome = world.call("bob", "search", label).await;
            outcome
                .refused(
                    "budget",
                    "This key may spend 1 per month",
                    Some("/keys/bob/budget"),
                )
                .said("within 400ms");
        }
        // It is back, with its own count; the team's budget was charged four times and given back twice.
        service.script(Answer::ok);
        for label in ["back-1.", "back-2.", "back-3.", "back-4."] {
            world.call("bob", "search", label).await.allowed("within");
        }
        let outcome = world.call("bob", "search", "back-5.").await;
        outcome
            .refused("budget", "2 in total", Some("/teams/team/budget"))
            .said("");
        world.settle().await;
    });
}

#[test]
fn the_older_release_sees_the_same_failures() {
    run(async {
        let service = FakeService::start(Answer::ok).await;
        for hold in ["headers", "body"] {
            let mut policy = limited("deny", TIMEOUT);
            policy["hold"] = json!(hold);
            let world =
                World::start_with(Release::V1_36, policy, service.address(), |bootstrap| bootstrap).await;
            let ways = WAYS.iter().enumerate().filter(|(number, _)| number % 3 == 1);
            for (number, (said, way)) in ways {
                service.script(*way);
                let outcome = world.call("ada", "search", &format!("old-{number}.")).await;
                outcome.refused("quota", NOBODY_KNOWS, None).said(said);
            }
            service.script(|_| Answer::Never);
            let outcome = world.call("ada", "search", "old-silence").await;
            outcome.refused("quota", NOBODY_KNOWS, None).said("within 400ms");
            service.script(Answer::ok);
            for label in ["old-again-1", "old-again-2"] {
                world.call("ada", "search", label).await.allowed("within");
            }
            let outcome = world.call("ada", "search", "old-again-3").await;
            outcome.refused("quota", "2 calls per 365 days", Some("/keys/ada/quotas/1"));
            world.settle().await;
        }
    });
}

#[test]
fn without_the_cluster_nothing_is_waited_for() {
    run(async {
        for (on_error, release) in [
            ("deny", Release::V1_40),
            ("deny", Release::V1_36),
            ("allow", Release::V1_40),
            ("local", Release::V1_40),
        ] {
            let policy = limited(on_error, "30s");
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
                    let outcome = world.call("ada", "search", label).await;
                    outcome.refused("quota", NOBODY_KNOWS, None).said(said);
                }
            } else {
                for label in ["none-1", "none-2", "none-3", "none-4"] {
                    world.call("bob", "search", label).await.allowed(said);
                }
            }
            if on_error == "local" {
                let outcome = world.call("bob", "search", "none-5").await;
                outcome
                    .refused(
                        "budget",
                        "This key may spend 1 per month",
                        Some("/keys/bob/budget"),
                    )
                    .said(said);
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
            world.settle().await;
        }
    });
}

#[test]
fn the_tool_renders_no_bootstrap_without_the_service() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let render = Render::new(limited("deny", TIMEOUT)).upstream("docs", "http://127.0.0.1:1/mcp");
    let refused = render
        .run(directory.path(), address, address)
        .expect_err("refused");
    assert!(refused.contains("--rate-limit-service HOST:PORT"), "{refused}");
}
