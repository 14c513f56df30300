//! What a call waits for when a rate limit service on loopback counts it, beside one whose limits are counted here.

use std::time::Duration;

use serde_json::{Value, json};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::load;
use toolgate_tests::measure::{cpu, median};
use toolgate_tests::rate_limit::{Durability, RateLimitService, Redis, Settings};
use toolgate_tests::toolgate::{Render, key_digest};

use super::{call, per_call, policy};

/// Few enough that a call waits for its answer and not for other calls.
const CONNECTIONS: usize = 2;

/// A key and what came of its calls.
struct Caller {
    name: &'static str,
    key: &'static str,
    took: Vec<Duration>,
    /// Of Envoy and of the service, per call, one for each round.
    micros: (Vec<f64>, Vec<f64>),
}

/// Measures and prints.
pub(crate) async fn measure(smoke: bool) {
    let (rounds, requests) = if smoke { (1, 100) } else { (7, 2_000) };
    let upstream = load::answering_envoy().await;
    let redis = Redis::start(Durability::Memory).await;
    let service = RateLimitService::start(&redis, Some("domain: toolgate\n"), Settings::default()).await;
    let envoy = start(&upstream, &service).await;
    let mut callers = [
        ("no limit", "free"),
        ("1 local quota", "local"),
        ("1 global quota", "one"),
        ("8 global quotas", "eight"),
    ]
    .map(|(name, key)| Caller {
        name,
        key,
        took: Vec::new(),
        micros: (Vec::new(), Vec::new()),
    });
    for round in 0..=rounds {
        for caller in &mut callers {
            let request = load::call("/docs/mcp", &format!("{}-key", caller.key), "search", &call());
            let before = (cpu(envoy.id()), cpu(service.id()));
            let tally = load::run(envoy.address(), &[request], CONNECTIONS, requests).await;
            let (of_envoy, of_service) = (cpu(envoy.id()), cpu(service.id()));
            assert_eq!(tally.of("allowed"), requests, "{}: {}", caller.name, tally.last);
            // The first round opens connections and fills caches.
            if round > 0 {
                caller.took.extend(tally.took);
                let spent = |after: Duration, before| per_call(after.saturating_sub(before), requests);
                caller.micros.0.push(spent(of_envoy, before.0));
                caller.micros.1.push(spent(of_service, before.1));
            }
        }
    }
    report(&mut callers);
}

fn report(callers: &mut [Caller]) {
    println!(
        "{:<22} {:>10} {:>10} {:>10} {:>12}",
        "", "p50 µs", "p99 µs", "Envoy's µs", "service's µs"
    );
    for caller in callers {
        caller.took.sort_unstable();
        let at = |hundredths: usize| {
            let last = caller.took.len().saturating_sub(1);
            let took = caller.took.get(last * hundredths / 100).copied();
            took.unwrap_or_default().as_micros()
        };
        let (envoy, service) = (median(&caller.micros.0), median(&caller.micros.1));
        println!(
            "{:<22} {:>10} {:>10} {envoy:>10.1} {service:>12.1}",
            caller.name,
            at(50),
            at(99)
        );
    }
}

/// One Envoy with one worker, in which each caller has a key.
async fn start(upstream: &Envoy, service: &RateLimitService) -> Envoy {
    let mut policy = policy(&json!({}));
    let quota =
        |index: u32, scope: &str| json!({ "limit": 1_000_000 + index, "per": "hour", "scope": scope });
    let quotas = |count, scope| {
        (0..count)
            .map(|index| quota(index, scope))
            .collect::<Vec<Value>>()
    };
    for (key, quotas) in [
        ("free", quotas(0, "local")),
        ("local", quotas(1, "local")),
        ("one", quotas(1, "global")),
        ("eight", quotas(8, "global")),
    ] {
        policy["keys"][key] = json!({
            "sha256": [key_digest(&format!("{key}-key"))], "roles": ["reader"], "quotas": quotas,
        });
    }
    policy["rateLimitService"] = json!({ "cluster": "ratelimit", "timeout": "10s" });
    let directory = tempfile::tempdir().expect("a temporary directory");
    let render = Render::new(policy)
        .upstream("docs", &upstream.url("/docs/mcp"))
        .arg("--rate-limit-service")
        .arg(service.address().to_string());
    let options = Options {
        release: Release::V1_40,
        concurrency: 1,
    };
    Envoy::start(options, |listener, admin| {
        let bootstrap = render.run(directory.path(), listener, admin);
        bootstrap.expect("the policy renders")
    })
    .await
}
