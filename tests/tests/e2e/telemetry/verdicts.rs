//! Counts of verdicts: over four workers, exactly as many as were sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use toolgate_tests::client::Transport;
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::messages::Era;
use toolgate_tests::upstream::{Answer, mcp_server};
use toolgate_tests::{load, run};

use crate::quotas::{PATH, call, policy};

const CONNECTIONS: usize = 32;

/// Alice is enforced, Bob in shadow.
fn two_keys() -> Value {
    let quota = json!([{ "limit": 700, "per": "365d" }]);
    let mut policy = policy(
        &json!({ "alice": { "team": "eng", "quotas": quota }, "bob": { "mode": "shadow", "quotas": quota } }),
        &json!({ "eng": {} }),
    );
    policy["roles"]["all"]["deny"] = json!(["docs/secret"]);
    policy["servers"]["docs"]["tools"] = json!({ "search": { "cost": 0.002 }, "free": {} });
    policy
}

fn options(release: Release) -> Options {
    Options {
        release,
        concurrency: 4,
    }
}

/// The values of a family's series, by labels.
async fn series(gate: &Gate, family: &str) -> BTreeMap<String, u64> {
    let page = gate.envoy.admin("/stats/prometheus").await;
    let lines = page
        .lines()
        .filter_map(|line| line.strip_prefix(family)?.strip_prefix('{'));
    let pairs = lines.map(|line| {
        let (labels, value) = line.rsplit_once("} ").expect("labels and a value");
        (in_order(labels), value.parse().expect("a whole number"))
    });
    pairs.collect()
}

/// Until the ends of all calls are counted, too.
async fn settled(gate: &Gate, family: &str, expected: &BTreeMap<String, u64>) {
    for _ in 0..300 {
        if series(gate, family).await == *expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(series(gate, family).await, *expected, "{family}");
}

/// Envoy shows labels in an order of its own.
fn in_order(labels: &str) -> String {
    let mut labels: Vec<&str> = labels.split(',').collect();
    labels.sort_unstable();
    labels.join(",")
}

fn counts<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, u64> {
    expected
        .map(|(labels, count)| (in_order(labels), count as u64))
        .into()
}

fn body(tool: &str) -> Value {
    json!({
        "jsonrpc": "2.0", "id": 17, "method": "tools/call",
        "params": { "name": tool, "arguments": {}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        } },
    })
}

#[test]
fn every_call_is_counted_once_over_four_workers() {
    for release in Release::ALL {
        run(async {
            let gate = Gate::start(options(release), two_keys(), mcp_server(json!([]))).await;
            // Of each 1,400 calls that the quota counts, twice what it allows, and 600 of a tool that is hidden.
            let mut sent = Vec::new();
            for key in ["alice-key", "bob-key"] {
                for (tool, weight) in [("search", 5), ("secret", 3), ("unknown", 2)] {
                    let request = load::call(PATH, key, tool, &body(tool));
                    sent.extend(vec![request; weight]);
                }
            }
            let tally = load::run(gate.envoy.address(), &sent, CONNECTIONS, 4_000).await;
            let calls: u64 = series(&gate, "toolgate_calls_total").await.values().sum();
            assert_eq!(calls, 4_000, "{tally:?}");
            let by = series(&gate, "toolgate_calls_total").await;
            let mode = |mode: &str, reason: &str| -> u64 {
                let of = |labels: &&String| {
                    labels.contains(&format!(r#"mode="{mode}""#))
                        && labels.contains(&format!(r#"reason="{reason}""#))
                };
                by.iter()
                    .filter(|(labels, _)| of(labels))
                    .map(|(_, count)| count)
                    .sum()
            };
            // What was refused is what enforcement refused, and what it let through is alice's and all of bob's.
            assert_eq!(mode("enforce", "hidden"), tally.of("hidden") as u64, "{by:?}");
            assert_eq!(mode("enforce", "quota"), tally.of("quota") as u64, "{by:?}");
            assert_eq!(mode("enforce", "allowed"), 700, "{by:?}");
            assert_eq!(mode("shadow", "allowed"), 700, "{by:?}");
            let shadow = mode("shadow", "hidden") + mode("shadow", "quota") + 700;
            assert_eq!(shadow + 700, tally.of("allowed") as u64, "{by:?}");
            let keys = series(&gate, "toolgate_key_calls_total").await;
            assert_eq!(keys.values().sum::<u64>(), 4_000, "{keys:?}");
            assert_eq!(
                keys[&in_order(r#"key="alice",team="eng",reason="allowed""#)],
                700,
                "{keys:?}"
            );
            assert_eq!(
                keys[&in_order(r#"key="bob",reason="quota""#)],
                mode("shadow", "quota"),
                "{keys:?}"
            );
            let paid = |mode: &str| {
                let labels = format!(r#"server="docs",tool="search",reason="allowed",mode="{mode}""#);
                2_000 * usize::try_from(by[&in_order(&labels)]).expect("not that many")
            };
            let costs = counts([
                (
                    r#"team="eng",key="alice",server="docs",tool="search""#,
                    paid("enforce"),
                ),
                (r#"key="bob",server="docs",tool="search""#, paid("shadow")),
            ]);
            settled(&gate, "toolgate_cost_micros_total", &costs).await;
        });
    }
}

#[test]
fn refusals_of_every_kind_are_counted_under_their_reason() {
    run(async {
        let mut policy = two_keys();
        policy["keys"]["gone"] = json!({
            "sha256": [toolgate_tests::toolgate::key_digest("gone-key")], "roles": ["all"], "expires": "2020-01-01T00:00:00Z",
        });
        let gate = Gate::start(options(Release::V1_40), policy, |request| {
            if request.mentions("broken") {
                return Answer::new(200).header("content-type", "text/html").body("no");
            }
            mcp_server(json!([]))(request)
        })
        .await;
        let send = async |request: &toolgate_tests::client::Request| {
            gate.send(request, Transport::Length).await.status
        };
        assert_eq!(send(&call("nobody", "search", "x")).await, 401);
        assert_eq!(send(&call("gone", "search", "x")).await, 401);
        let mut elsewhere = call("alice", "search", "x");
        elsewhere.target = "/nowhere".to_owned();
        assert_eq!(send(&elsewhere).await, 404);
        let mut text = call("alice", "search", "x").without("content-type");
        text = text.header("content-type", "text/plain");
        assert_eq!(send(&text).await, 415);
        let mut large = call("alice", "search", "x");
        large.body = Some(vec![b' '; 1_100_000].into());
        assert_eq!(send(&large).await, 413);
        let mut broken = call("alice", "search", "x");
        broken.body = Some(b"{".to_vec().into());
        assert_eq!(send(&broken).await, 400);
        // A call that was let go stays allowed, whatever its server made of it.
        assert_eq!(send(&call("alice", "free", "broken")).await, 200);
        settled(
            &gate,
            "toolgate_calls_total",
            &counts([
                (r#"server="docs",reason="bad_key",mode="enforce""#, 1),
                (r#"server="docs",reason="expired_key",mode="enforce""#, 1),
                (r#"reason="hidden",mode="enforce""#, 1),
                (r#"server="docs",reason="media_type",mode="enforce""#, 1),
                (r#"server="docs",reason="too_large",mode="enforce""#, 1),
                (r#"server="docs",reason="malformed",mode="enforce""#, 1),
                (r#"server="docs",tool="free",reason="allowed",mode="enforce""#, 1),
            ]),
        )
        .await;
        settled(
            &gate,
            "toolgate_key_calls_total",
            &counts([
                (r#"key="alice",team="eng",reason="media_type""#, 1),
                (r#"key="alice",team="eng",reason="too_large""#, 1),
                (r#"key="alice",team="eng",reason="malformed""#, 1),
                (r#"key="alice",team="eng",reason="allowed""#, 1),
            ]),
        )
        .await;
    });
}

/// However many names callers make up, and whatever is in them.
#[test]
fn names_that_callers_make_up_are_no_labels() {
    run(async {
        let mut policy = two_keys();
        policy["telemetry"] = json!({ "perKey": false });
        let gate = Gate::start(options(Release::V1_40), policy, mcp_server(json!([]))).await;
        let names = async || -> BTreeSet<String> {
            let page = gate.envoy.admin("/stats?format=text").await;
            let ours = page.lines().filter(|line| line.contains("toolgate_"));
            ours.map(|line| line.split(": ").next().unwrap_or_default().to_owned())
                .collect()
        };
        let odd = [
            "a;reason=allowed",
            "a.b.c",
            "\" } evil 1",
            "x{y=\"z\"}",
            "toolgate_calls_total",
            "<script>",
            "$(id)",
            "ü",
            "wasmcustom.toolgate_calls_total;tool=search",
            "..",
            "*",
            "search ",
            "Search",
        ];
        for name in odd {
            let call = Era::Legacy.call(PATH, name, &json!({})).key("alice-key");
            gate.send(&call, Transport::Length).await;
        }
        let before = names().await;
        for number in 0..500 {
            gate.send(
                &call("alice", &format!("made-up-{number}"), "odd"),
                Transport::Length,
            )
            .await;
        }
        // Those of histograms come with the next flush.
        let after: BTreeSet<String> = names()
            .await
            .into_iter()
            .filter(|name| !before.contains(name))
            .collect();
        let new = after.iter().filter(|name| {
            !name.contains("toolgate_call_duration") && !name.contains("toolgate_result_bytes")
        });
        assert_eq!(new.collect::<Vec<_>>(), [""; 0]);
        assert!(!before.iter().any(|name| name.contains("key=")), "{before:?}");
        let other = series(&gate, "toolgate_calls_total").await;
        let calls = other[&in_order(r#"server="docs",tool="other",reason="allowed",mode="enforce""#)];
        assert!((500..=513).contains(&calls), "{other:?}");
        for labels in other.keys() {
            assert!(
                !labels.contains("made-up") && !labels.contains("evil"),
                "{labels}"
            );
        }
    });
}
