//! A policy that is replaced while calls are counted, and while they wait for the rate limit service.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use toolgate_tests::client::Transport;
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::rate_limit::{Answer, FakeService};
use toolgate_tests::run;
use toolgate_tests::toolgate::Render;
use toolgate_tests::upstream::{Upstream, mcp_server};

use super::{PATH, call, policy};
use crate::policy_in_force::Ecds;

const CALLS: usize = 100;

#[test]
fn calls_that_wait_for_the_service_outlive_their_policy() {
    for release in Release::ALL {
        // Answered after the update, or never: then the calls end at the service's timeout.
        for answered in [true, false] {
            run(outlive(release, answered));
        }
    }
}

async fn outlive(release: Release, answered: bool) {
    let service = FakeService::start(move |request| {
        if answered {
            Answer::ok(request).after(Duration::from_secs(3))
        } else {
            Answer::Never
        }
    })
    .await;
    let upstream = Upstream::start(mcp_server(json!([]))).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let render = Render::new(governed(60))
        .upstream("docs", &upstream.url(PATH))
        .arg("--rate-limit-service")
        .arg(service.address().to_string());
    let ecds = Ecds::of(directory.path(), render);
    ecds.put(&governed(60).to_string());
    let envoy = Arc::new(start(release, &ecds).await);
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let envoy = Arc::clone(&envoy);
        calls.spawn(async move {
            let transport = [Transport::Length, Transport::Http2][number % 2];
            decision(&envoy, &format!("waits-{number}."), transport).await
        });
    }
    until("the questions are out", || async { service.asked().len() >= 60 }).await;
    // The old policy's root context goes as soon as nothing needs it.
    ecds.put(&without_service(70).to_string());
    until("the new policy is in force", || async {
        updates(&envoy).await == 2
    })
    .await;
    assert_eq!(calls.len(), CALLS);
    let decisions = calls.join_all().await;
    let (first, second) = if answered {
        ("allowed", "quota")
    } else {
        ("quota", "quota")
    };
    let of = |decision: &str| decisions.iter().filter(|it| *it == decision).count();
    if answered {
        assert_eq!((of(first), of(second)), (60, 40), "{release:?} {decisions:?}");
    } else {
        assert_eq!(of(second), CALLS, "{release:?} {decisions:?}");
    }
    // The new policy goes on with the old one's counts. What was not let through was given back; all of it but what a
    // quota that refills gives back by itself while a call waits.
    let mut passed = 0;
    while decision(&envoy, &format!("then-{passed}."), Transport::Length).await == "allowed" {
        passed += 1;
    }
    let expected = if answered { 10..=10 } else { 69..=70 };
    assert!(expected.contains(&passed), "{release:?} {passed}");
    assert_eq!(envoy.stat("http.mcp.downstream_rq_active").await, 0);
    assert_eq!(envoy.stat("cluster.ratelimit.upstream_rq_active").await, 0);
    let log = envoy.log();
    assert!(!log.contains("panicked") && !log.contains("[critical]"), "{log}");
}

fn without_service(limit: u32) -> Value {
    policy(
        &json!({ "ada": { "quotas": [{ "limit": limit, "per": "365d" }] } }),
        &json!({}),
    )
}

fn governed(limit: u32) -> Value {
    let quotas =
        json!([{ "limit": limit, "per": "365d" }, { "limit": 1000, "per": "365d", "scope": "global" }]);
    let mut policy = policy(&json!({ "ada": { "quotas": quotas } }), &json!({}));
    policy["rateLimitService"] = json!({ "cluster": "ratelimit", "timeout": "6s" });
    policy
}

async fn start(release: Release, ecds: &Ecds<'_>) -> Envoy {
    let options = Options {
        release,
        ..Options::default()
    };
    Envoy::start(options, |listener, admin| ecds.bootstrap(listener, admin)).await
}

async fn updates(envoy: &Envoy) -> u64 {
    let stats = envoy
        .admin("/stats?filter=extension_config_discovery.*config_reload$")
        .await;
    stats
        .lines()
        .filter_map(|line| line.rsplit(": ").next()?.trim().parse::<u64>().ok())
        .sum()
}

async fn decision(envoy: &Envoy, label: &str, transport: Transport) -> String {
    let answer = envoy.send(&call("ada", "search", label), transport).await;
    answer.header("x-toolgate-decision")
}

async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
