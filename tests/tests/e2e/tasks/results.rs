//! What came of a task counts for its tool, and costs what a result costs.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::messages::Era;
use toolgate_tests::run;

use super::server::{self, Form};
use super::{Client, policy};

#[test]
fn the_result_of_a_task_counts_for_the_tool_that_made_it() {
    run(async {
        let log = tempfile::NamedTempFile::new().expect("a temporary file");
        let gate = start("headers", policy("headers"), log.path()).await;
        for era in Era::ALL {
            for form in Form::ALL {
                let alice = Client {
                    gate: &gate,
                    era,
                    key: "alice",
                    form,
                };
                let label = format!("counted-{era:?}-{}", form.name());
                let good = alice.make("search", &format!("{label}-good"), &label).await;
                let bad = alice.make("export", &format!("{label}-fails"), &label).await;
                let fetch = if era == Era::Legacy {
                    "tasks/result"
                } else {
                    "tasks/get"
                };
                for task in [&good, &bad] {
                    if era == Era::Legacy {
                        // Only the state, not the result.
                        alice
                            .exchange("tasks/get", json!({ "taskId": task }), &label)
                            .await;
                    }
                    alice.exchange(fetch, json!({ "taskId": task }), &label).await;
                }
            }
        }
        let page = settled(&gate).await;
        let results: BTreeSet<BTreeSet<&str>> = page
            .lines()
            .filter_map(|line| line.strip_prefix("toolgate_results_total"))
            .map(labels)
            .collect();
        let line = |tool: &str, outcome: &str| {
            format!("{{server=\"docs\",tool=\"{tool}\",outcome=\"{outcome}\"}} 6")
        };
        let expected = [
            line("export", "task"),
            line("export", "tool_error"),
            line("search", "ok"),
            line("search", "task"),
        ];
        assert_eq!(results, expected.iter().map(|line| labels(line)).collect());
        for tool in ["search", "export"] {
            let count = |family: &str, count: u32| {
                let name = format!("{family}_count");
                let line = format!("{{server=\"docs\",tool=\"{tool}\"}} {count}");
                let mut lines = page.lines().filter_map(|line| line.strip_prefix(&*name));
                assert!(
                    lines.any(|other| labels(other) == labels(&line)),
                    "{name}{line}: {page}"
                );
            };
            count("toolgate_result_bytes", 12);
            // How long a call took that ended in a task is known; how long the task took is not.
            count("toolgate_call_duration_ms", 6);
        }
        gate.envoy.terminate();
        let lines = read(log.path());
        let outcomes = |method: &str| {
            let these = lines.iter().filter(|line| line["mcp.method.name"] == method);
            let tool_and_outcome =
                these.map(|line| (line["gen_ai.tool.name"].clone(), line["outcome"].clone()));
            let mut all: Vec<String> = tool_and_outcome.map(|pair| format!("{pair:?}")).collect();
            all.sort();
            all.dedup();
            all
        };
        let pair = |tool: &str, outcome: &str| format!("{:?}", (json!(tool), json!(outcome)));
        assert_eq!(
            outcomes("tools/call"),
            [pair("export", "task"), pair("search", "task")]
        );
        assert_eq!(
            outcomes("tasks/result"),
            [pair("export", "tool_error"), pair("search", "ok")]
        );
    });
}

#[test]
fn a_result_of_a_task_is_paid_for_when_it_is_fetched() {
    run(paid("headers"));
}

#[test]
fn a_result_of_a_task_is_paid_for_when_it_is_fetched_with_a_held_body() {
    run(paid("body"));
}

async fn paid(hold: &str) {
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut policy = policy(hold);
    policy["servers"]["docs"]["tools"] =
        json!({ "export": { "cost": 0.01, "costPerKiB": 0.1 }, "search": {} });
    policy["keys"]["alice"]["budget"] = json!({ "limit": 1, "per": "total" });
    let gate = start(hold, policy, log.path()).await;
    for (number, form) in Form::ALL.into_iter().enumerate() {
        let alice = Client {
            gate: &gate,
            era: Era::Legacy,
            key: "alice",
            form,
        };
        let label = format!("paid-{number}");
        let task = alice.make("export", &format!("{label}-task"), &label).await;
        alice
            .exchange("tasks/get", json!({ "taskId": task }), &label)
            .await;
        alice
            .exchange(
                "tasks/result",
                json!({ "taskId": task, "_meta": { "size": 3 * 1024 } }),
                &label,
            )
            .await;
    }
    // A task of a tool that costs nothing stays free.
    let alice = Client {
        gate: &gate,
        era: Era::Legacy,
        key: "alice",
        form: Form::Length,
    };
    let free = alice.make("search", "free-task", "free").await;
    alice
        .exchange(
            "tasks/result",
            json!({ "taskId": free, "_meta": { "size": 3 * 1024 } }),
            "free",
        )
        .await;
    // The budget is used up: no call of the tool starts, but what runs already can be fetched.
    let request = alice.request(
        "tools/call",
        json!({ "name": "export", "arguments": {} }),
        "too-much",
    );
    let answer = gate
        .send(&request, toolgate_tests::client::Transport::Length)
        .await;
    assert_eq!(answer.header("x-toolgate-decision"), "budget", "{answer:?}");

    gate.envoy.terminate();
    let lines = read(log.path());
    let costs = |method: &str, tool: &str| -> Vec<u64> {
        let these = lines.iter().filter(|line| {
            line["mcp.method.name"] == method
                && line["gen_ai.tool.name"] == tool
                && line["decision"] == "allowed"
        });
        let cost = |line: &Value| {
            line["cost_micros"]
                .as_str()
                .and_then(|cost| cost.parse().ok())
                .unwrap_or(0)
        };
        these.map(cost).collect()
    };
    // Named as the server knows it, whose tag is for the client alone.
    let named: Vec<&Value> = lines
        .iter()
        .map(|line| &line["object"])
        .filter(|object| object.is_string())
        .collect();
    assert_eq!(named.len(), 7, "{lines:?}");
    assert!(
        named.iter().all(|name| name
            .as_str()
            .is_some_and(|name| name.ends_with("-task") && !name.starts_with("t1."))),
        "{named:?}"
    );
    let fetched = costs("tasks/result", "export");
    assert_eq!(fetched.len(), 3, "{lines:?}");
    for cost in fetched {
        // A little over 3 KiB; as events, with the news before it.
        assert!((300_000..500_000).contains(&cost), "{lines:?}");
    }
    // The making of a task is an answer too, of some hundred bytes.
    for cost in costs("tools/call", "export") {
        assert!((10_000..150_000).contains(&cost), "{lines:?}");
    }
    assert_eq!(costs("tasks/get", "export"), [0, 0, 0], "{lines:?}");
    assert_eq!(costs("tasks/result", "search"), [0], "{lines:?}");
}

/// The metrics, as soon as histograms are among them: Envoy adds them up every few seconds.
async fn settled(gate: &Gate) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let page = gate.envoy.admin("/stats/prometheus").await;
        let empty = |line: &str| line.starts_with("toolgate_result_bytes_count") && line.ends_with(" 0");
        if page.contains("toolgate_result_bytes_count") && !page.lines().any(empty) {
            return page;
        }
        assert!(Instant::now() < deadline, "{page}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Labels and value of a line, in no order.
fn labels(line: &str) -> BTreeSet<&str> {
    line.split(['{', ',', '}']).map(str::trim).collect()
}

async fn start(hold: &str, policy: Value, log: &Path) -> Gate {
    let options = Options {
        release: if hold == "headers" {
            Release::V1_40
        } else {
            Release::V1_36
        },
        ..Options::default()
    };
    Gate::start_with(
        options,
        policy,
        server::tasks(),
        |render| render.arg("--access-log").arg(log.display().to_string()),
        |bootstrap| bootstrap,
    )
    .await
}

fn read(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).expect("the access log");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}
