//! Exactly the limit, over all workers, whatever happens at once.
//!
//! `TOOLGATE_CALLS` says how many calls each case makes (`make soak` makes 100,000).

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::load::{self, Tally};
use toolgate_tests::run_within;
use toolgate_tests::toolgate::Render;

use super::{PATH, policy};

const WORKERS: u32 = 4;
const CONNECTIONS: usize = 32;

/// 100,000 calls take a while where other tests run beside them.
fn run(test: impl Future<Output = ()>) {
    run_within(Duration::from_mins(10), test);
}

/// How many calls each case makes.
fn calls() -> usize {
    let given = std::env::var("TOOLGATE_CALLS").ok();
    given.and_then(|calls| calls.parse().ok()).unwrap_or(4_000)
}

/// A governed Envoy with four workers before one that answers.
struct Arrangement {
    upstream: Envoy,
    envoy: Envoy,
    directory: tempfile::TempDir,
}

impl Arrangement {
    async fn start(policy: Value) -> Self {
        let upstream = load::answering_envoy().await;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let render = Render::new(policy)
            .upstream("docs", &upstream.url(PATH))
            .arg("--access-log")
            .arg(directory.path().join("access.log").display().to_string());
        let options = Options {
            release: Release::V1_40,
            concurrency: WORKERS,
        };
        let envoy = Envoy::start(options, |listener, admin| {
            render
                .run(directory.path(), listener, admin)
                .expect("the policy renders")
        })
        .await;
        Self {
            upstream,
            envoy,
            directory,
        }
    }

    /// Calls of these keys and tools in turn.
    async fn load(&self, callers: &[(&str, &str)], count: usize) -> Tally {
        let requests: Vec<Vec<u8>> = callers.iter().map(|(key, tool)| call(key, tool)).collect();
        load::run(self.envoy.address(), &requests, CONNECTIONS, count).await
    }

    async fn received(&self) -> usize {
        let received = self.upstream.stat("http.upstream.downstream_rq_completed").await;
        usize::try_from(received).expect("a count")
    }

    /// Ends Envoy and counts in its access log how often charging met another worker's write.
    fn conflicts(self) -> usize {
        self.envoy.terminate();
        let log = fs::read_to_string(self.directory.path().join("access.log")).expect("an access log");
        log.lines()
            .filter_map(|line| {
                let line: Value = serde_json::from_str(line).expect("a JSON line");
                line["store_conflicts"].as_str()?.parse::<usize>().ok()
            })
            .sum()
    }
}

fn call(key: &str, tool: &str) -> Vec<u8> {
    let body = json!({
        "jsonrpc": "2.0", "id": 17, "method": "tools/call",
        "params": { "name": tool, "arguments": {}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        } },
    });
    load::call(PATH, &format!("{key}-key"), tool, &body)
}

async fn admits_exactly(limit: usize) {
    let quota = json!([{ "limit": limit, "per": "365d" }]);
    let gate = Arrangement::start(policy(&json!({ "ada": { "quotas": quota } }), &json!({}))).await;
    let count = calls();
    let tally = gate.load(&[("ada", "search")], count).await;
    let admitted = limit.min(count);
    assert_eq!(tally.of("allowed"), admitted, "{tally:?}");
    assert_eq!(tally.of("quota"), count - admitted, "{tally:?}");
    assert_eq!(gate.received().await, admitted);
    let conflicts = gate.conflicts();
    println!(
        "limit {limit}: {admitted} of {count} calls, {conflicts} conflicts over {CONNECTIONS} connections"
    );
}

#[test]
fn one_call_of_many() {
    run(admits_exactly(1));
}

#[test]
fn fifty_calls_of_many() {
    run(admits_exactly(50));
}

#[test]
fn ten_thousand_calls_or_all() {
    run(admits_exactly(10_000));
}

#[test]
fn most_of_the_calls() {
    run(admits_exactly(calls() - calls() / 10));
}

#[test]
fn the_smallest_of_several_limits_and_the_others_as_they_were() {
    run(async {
        let per = "365d";
        let keys = json!({
            "ada": { "team": "web", "quotas": [{ "limit": 100, "per": per }, { "limit": 60, "per": "300d" }] },
            "bob": { "team": "web", "quotas": [{ "limit": 500, "per": per }] },
            "cyd": { "team": "all", "quotas": [{ "limit": 1_000, "per": per }] },
        });
        let teams = json!({
            "all": { "quotas": [{ "limit": 400, "per": per }] },
            "web": { "parent": "all", "quotas": [{ "limit": 200, "per": per }] },
        });
        let gate = Arrangement::start(policy(&keys, &teams)).await;
        // Her own smaller quota stops ada at 60; the refused calls leave the team's as it was, so bob gets 140.
        let ada = gate.load(&[("ada", "search")], 300).await;
        assert_eq!(ada.of("allowed"), 60, "{ada:?}");
        let bob = gate.load(&[("bob", "search")], 600).await;
        assert_eq!(bob.of("allowed"), 140, "{bob:?}");
        // The parent has given 200 to the team web.
        let cyd = gate
            .load(&[("cyd", "search"), ("bob", "search"), ("ada", "search")], 900)
            .await;
        assert_eq!(cyd.of("allowed"), 200, "{cyd:?}");
        assert_eq!(gate.received().await, 400);
    });
}

#[test]
fn limits_that_are_hit_at_once_by_two_keys() {
    run(async {
        let keys = json!({
            "ada": { "team": "web", "quotas": [{ "limit": 70, "per": "365d" }] },
            "bob": { "team": "web", "quotas": [{ "limit": 70, "per": "365d" }] },
        });
        let teams = json!({ "web": { "quotas": [{ "limit": 100, "per": "365d" }] } });
        let gate = Arrangement::start(policy(&keys, &teams)).await;
        let tally = gate.load(&[("ada", "search"), ("bob", "search")], calls()).await;
        assert_eq!(tally.of("allowed"), 100, "{tally:?}");
        assert_eq!(gate.received().await, 100);
    });
}

#[test]
fn every_tool_by_itself() {
    run(async {
        let quotas = json!([{ "limit": 30, "per": "365d", "each": "tool", "on": "docs/get_*" }]);
        let gate = Arrangement::start(policy(&json!({ "ada": { "quotas": quotas } }), &json!({}))).await;
        let tools = [("ada", "get_page"), ("ada", "get_file"), ("ada", "search")];
        let tally = gate.load(&tools, 600).await;
        // 200 calls of each: 30 and 30 of the counted ones, all of the other.
        assert_eq!(tally.of("allowed"), 260, "{tally:?}");
        assert_eq!(gate.received().await, 260);
    });
}

#[test]
fn a_budget_to_the_last_micro() {
    run(async {
        let budget = json!({ "limit": 1, "per": "total" });
        let mut policy = policy(&json!({ "ada": { "budget": budget } }), &json!({}));
        policy["servers"]["docs"]["tools"]["search"] = json!({ "cost": 0.006_993 });
        policy["servers"]["docs"]["tools"]["tiny"] = json!({ "cost": 0.000_001 });
        let gate = Arrangement::start(policy).await;
        let tally = gate.load(&[("ada", "search")], calls().min(2_000)).await;
        // 143 calls cost 0.999999; one micro is left.
        assert_eq!(tally.of("allowed"), 143, "{tally:?}");
        let tally = gate.load(&[("ada", "tiny")], 40).await;
        assert_eq!((tally.of("allowed"), tally.of("budget")), (1, 39), "{tally:?}");
        assert_eq!(gate.received().await, 144);
    });
}
