//! What calls cost, when it is given back, and what a result costs afterwards.

use serde_json::{Value, json};
use toolgate_tests::client::Transport;
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::ports;
use toolgate_tests::run;
use toolgate_tests::upstream::{Answer, Received, mcp_server};

use super::{call, policy, text};

/// `ada` may spend one unit in all; every call of `docs` and of `dead` costs a quarter.
fn quarter_policy() -> Value {
    let mut policy = policy(
        &json!({ "ada": { "budget": { "limit": 1, "per": "total" } } }),
        &json!({}),
    );
    policy["servers"]["docs"]["cost"] = json!(0.25);
    policy["servers"]["dead"] = json!({ "path": "/dead/mcp", "cost": 0.25 });
    policy["roles"]["all"]["allow"] = json!(["docs/*", "dead/*"]);
    policy
}

async fn decision(gate: &Gate, request: &toolgate_tests::client::Request) -> (u16, String) {
    let answer = gate.send(request, Transport::Length).await;
    (answer.status, answer.header("x-toolgate-decision"))
}

#[test]
fn a_call_that_never_reached_the_server_costs_nothing() {
    for release in Release::ALL {
        run(async {
            let options = Options {
                release,
                concurrency: 2,
            };
            let nobody = format!("http://{}/mcp", ports::free());
            let gate = Gate::start_with(
                options,
                quarter_policy(),
                mcp_server(json!([])),
                |render| render.upstream_instead("dead", &nobody),
                |bootstrap| bootstrap,
            )
            .await;
            let mut dead = call("ada", "search", "dead");
            dead.target = "/dead/mcp".to_owned();
            for _ in 0..9 {
                assert_eq!(decision(&gate, &dead).await.0, 503, "{release:?}");
            }
            for label in ["1", "2", "3", "4"] {
                let answer = decision(&gate, &call("ada", "search", label)).await;
                assert_eq!(answer, (200, "allowed".to_owned()), "{release:?} {label}");
            }
            let answer = gate.send(&call("ada", "search", "5"), Transport::Length).await;
            let body = answer.json();
            assert_eq!(answer.header("x-toolgate-decision"), "budget", "{body}");
            assert_eq!(body["result"]["isError"], true, "{body}");
            assert!(!text(&body).is_empty(), "{body}");
            assert_eq!(body["result"].get("_meta"), None, "waiting does not help: {body}");
            assert!(gate.upstream.labelled("5").is_empty());
        });
    }
}

#[test]
fn a_call_that_reached_the_server_is_paid_for_whatever_it_answered() {
    run(async {
        let gate = Gate::start(
            Options::default(),
            {
                let mut policy = quarter_policy();
                policy["servers"].as_object_mut().expect("servers").remove("dead");
                policy["roles"]["all"]["allow"] = json!(["docs/*"]);
                policy
            },
            |received: &Received| match received.json()["params"]["name"].as_str() {
                Some("broken") => Answer::new(503),
                _ => mcp_server(json!([]))(received),
            },
        )
        .await;
        for label in ["1", "2", "3", "4"] {
            assert_eq!(decision(&gate, &call("ada", "broken", label)).await.0, 503);
        }
        assert_eq!(decision(&gate, &call("ada", "search", "5")).await.1, "budget");
    });
}

#[test]
fn a_result_is_paid_for_afterwards() {
    run(async {
        let mut policy = policy(
            &json!({ "ada": { "budget": { "limit": 1, "per": "total" } } }),
            &json!({}),
        );
        policy["servers"]["docs"]["tools"] = json!({ "export": { "costPerKiB": 0.1 }, "free": {} });
        let log = tempfile::NamedTempFile::new().expect("a temporary file");
        let gate = Gate::start_with(
            Options::default(),
            policy,
            |received: &Received| {
                let filler = "x".repeat(4096);
                let id = received.json()["id"].clone();
                let result =
                    json!({ "resultType": "complete", "content": [{ "type": "text", "text": filler }] });
                Answer::json(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
            },
            |render| render.arg("--access-log").arg(log.path().display().to_string()),
            |bootstrap| bootstrap,
        )
        .await;
        // Each answer is a little over 4 KiB: more than 0.4. The third call still starts, and ends beyond the limit.
        for label in ["1", "2", "3"] {
            assert_eq!(
                decision(&gate, &call("ada", "export", label)).await.1,
                "allowed",
                "{label}"
            );
        }
        assert_eq!(decision(&gate, &call("ada", "export", "4")).await.1, "budget");
        assert_eq!(decision(&gate, &call("ada", "free", "5")).await.1, "allowed");
        assert!(gate.upstream.labelled("4").is_empty());
        gate.envoy.terminate();
        let log = std::fs::read_to_string(log.path()).expect("the access log");
        let costs: Vec<Option<u64>> = log
            .lines()
            .map(|line| {
                let line: Value = serde_json::from_str(line).expect("JSON");
                line["cost_micros"].as_str().and_then(|cost| cost.parse().ok())
            })
            .collect();
        let paid = costs.first().copied().flatten();
        assert!(
            paid.is_some_and(|paid| (400_000..440_000).contains(&paid)),
            "{log}"
        );
        assert_eq!(costs, [paid, paid, paid, None, None], "{log}");
    });
}
