//! Envoy's CPU per request: plain, governed, and with Envoy's own MCP filter, round by round in turn; then what a call
//! waits for when its limits are counted by a rate limit service (`--global` for this alone); then what records add
//! (`--records` for this alone).
//!
//! `tests/bench/README.md` says what is measured and how to read it.

mod global;
mod records;

use std::time::Duration;

use serde_json::{Value, json};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::measure::{cpu, median};
use toolgate_tests::toolgate::{Render, key_digest};
use toolgate_tests::{load, run_within};

const CONNECTIONS: usize = 16;

/// A slow machine needs minutes.
const LONGEST: Duration = Duration::from_mins(30);

/// One Envoy of the comparison.
struct Arrangement {
    name: &'static str,
    envoy: Envoy,
    micros: Vec<f64>,
}

fn main() {
    let given = |name: &str| std::env::args().any(|argument| argument == name);
    let smoke = given("--smoke");
    let alone = given("--global") || given("--records");
    run_within(LONGEST, async move {
        if !alone {
            compare(smoke).await;
            println!();
        }
        if !alone || given("--global") {
            global::measure(smoke).await;
            println!();
        }
        if !alone || given("--records") {
            records::measure(smoke).await;
        }
    });
}

async fn compare(smoke: bool) {
    let (rounds, requests) = if smoke { (1, 200) } else { (9, 16_000) };
    let upstream = load::answering_envoy().await;
    let mut arrangements = Vec::new();
    for (name, policy, change) in [
        ("plain", policy(&json!({})), plain as fn(&mut Value)),
        ("governed", policy(&json!({})), same),
        ("governed, 1 quota", limited(1, false), same),
        ("governed, 2 quotas", limited(2, false), same),
        ("governed, 4 quotas", limited(4, false), same),
        ("governed, 1 + team's", limited(1, true), same),
        ("Envoy's mcp filter", policy(&json!({})), native_mcp),
    ] {
        arrangements.push(Arrangement {
            name,
            envoy: start_proxy(&upstream, policy, change).await,
            micros: Vec::new(),
        });
    }
    let requests_sent = [load::call("/docs/mcp", "bench-key", "search", &call())];
    for Arrangement { name, envoy, .. } in &arrangements {
        let answered = load::run(envoy.address(), &requests_sent, CONNECTIONS, requests / 8).await;
        assert!(answered.last.contains("\"ok\""), "{name}: {}", answered.last);
    }
    for _ in 0..rounds {
        for Arrangement { envoy, micros, .. } in &mut arrangements {
            let before = cpu(envoy.id());
            load::run(envoy.address(), &requests_sent, CONNECTIONS, requests).await;
            micros.push(per_call(cpu(envoy.id()).saturating_sub(before), requests));
        }
    }
    report(&arrangements);
}

fn report(arrangements: &[Arrangement]) {
    let plain = arrangements
        .first()
        .map_or(f64::NAN, |first| median(&first.micros));
    println!(
        "{:<22} {:>10} {:>10} {:>10} {:>8}",
        "", "µs (median)", "least", "most", "ratio"
    );
    for Arrangement { name, micros, .. } in arrangements {
        let (least, most) = micros
            .iter()
            .fold((f64::MAX, 0.0_f64), |(l, m), v| (l.min(*v), m.max(*v)));
        let middle = median(micros);
        println!(
            "{name:<22} {middle:>10.1} {least:>10.1} {most:>10.1} {:>8.2}",
            middle / plain
        );
    }
}

/// Microseconds.
fn per_call(spent: Duration, calls: usize) -> f64 {
    spent.as_secs_f64() * 1e6 / f64::from(u32::try_from(calls).unwrap_or(u32::MAX))
}

/// About 1 KB, as agents send it.
fn call() -> Value {
    json!({
        "jsonrpc": "2.0", "id": 17, "method": "tools/call",
        "params": {
            "name": "search",
            "arguments": { "query": "select ".repeat(90), "limit": 50, "tags": ["one", "two", "three"] },
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {}
            }
        }
    })
}

/// A policy whose key has these further members.
fn policy(key: &Value) -> Value {
    let mut policy = json!({
        "version": 1,
        "servers": { "docs": { "path": "/docs/mcp", "tools": { "search": { "inputSchema": {
            "type": "object",
            "properties": {
                "query": { "type": "string", "maxLength": 5000 },
                "limit": { "type": "integer", "minimum": 1, "maximum": 1000 },
                "tags": { "type": "array", "items": { "type": "string" } }
            },
            "required": ["query"],
            "additionalProperties": false
        } } } } },
        "roles": { "reader": { "allow": ["docs/search", "docs/get_*"] } },
        "teams": { "bench": {} },
        "keys": { "bench": { "sha256": [key_digest("bench-key")], "roles": ["reader"], "team": "bench" } }
    });
    for (name, value) in key.as_object().into_iter().flatten() {
        policy["keys"]["bench"][name] = value.clone();
    }
    policy
}

/// A policy with so many quotas that are never used up, and one of the team's.
fn limited(quotas: u32, team: bool) -> Value {
    let quota = |limit: u32| json!({ "limit": limit, "per": "hour" });
    let quotas: Vec<Value> = (0..quotas).map(|index| quota(1_000_000_000 + index)).collect();
    let mut policy = policy(&json!({ "quotas": quotas }));
    if team {
        policy["teams"]["bench"]["quotas"] = json!([quota(1_000_000_000)]);
    }
    policy
}

fn same(_: &mut Value) {}

async fn start_proxy(upstream: &Envoy, policy: Value, change: fn(&mut Value)) -> Envoy {
    let options = Options {
        release: Release::V1_40,
        concurrency: 1,
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let render = Render::new(policy).upstream("docs", &upstream.url("/docs/mcp"));
    Envoy::start(options, |listener, admin| {
        let text = render
            .run(directory.path(), listener, admin)
            .expect("the policy renders");
        let mut bootstrap: Value = serde_json::from_str(&text).expect("the bootstrap is JSON");
        change(filters(&mut bootstrap));
        bootstrap.to_string()
    })
    .await
}

fn filters(bootstrap: &mut Value) -> &mut Value {
    &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
}

/// The same bootstrap without the filter.
fn plain(filters: &mut Value) {
    if let Some(filters) = filters.as_array_mut() {
        filters.retain(|filter| filter["name"] != "toolgate");
    }
}

/// The same bootstrap with Envoy's own parser in the filter's place.
fn native_mcp(filters: &mut Value) {
    plain(filters);
    if let Some(filters) = filters.as_array_mut() {
        filters.insert(
            0,
            json!({ "name": "envoy.filters.http.mcp", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.mcp.v3.Mcp", "traffic_mode": "PASS_THROUGH"
            } }),
        );
    }
}
