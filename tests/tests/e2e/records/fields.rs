//! Policy, arguments and trace, of calls that pass and of calls that do not.

use serde_json::{Value, json};
use toolgate_tests::access_log::AccessLog;
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::run;
use toolgate_tests::upstream::mcp_server;

use super::{PATH, TRACE, legacy, modern, policy, traceparent};

/// `sha256sum` of `{"needed":[1,0.5],"q":"é"}`.
const DIGEST: &str = "sha256:e5d3306728a0cc667a99362118b093ba74d79de17e606b9c387be8908debc566";

async fn stand(telemetry: &Value, release: Release) -> (Gate, AccessLog) {
    let log = AccessLog::new();
    let options = Options {
        release,
        ..Options::default()
    };
    let script = mcp_server(json!([]));
    let gate = Gate::start_with(
        options,
        policy(telemetry),
        script,
        |render| log.written_by(render),
        |text| text,
    );
    (gate.await, log)
}

#[test]
fn calls_let_through_and_refused_say_the_same() {
    run(async {
        for release in Release::ALL {
            let (gate, log) = stand(&json!({}), release).await;
            let hash = hash(&gate).await;
            let spellings = [
                json!({ "q": "é", "needed": [1, 0.5] }).to_string(),
                "{ \"needed\": [1.0, 5e-1],\n \"q\": \"\\u00e9\" }".to_owned(),
            ];
            for (number, tool) in ["search", "strict", "delete_all"].into_iter().enumerate() {
                for (spelling, arguments) in spellings.iter().enumerate() {
                    let id = u64::try_from(number * 2 + spelling).unwrap();
                    let body = format!(
                        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
                    );
                    let request = Request::post(PATH, body)
                        .key("ada-key")
                        .header("mcp-protocol-version", "2025-11-25");
                    gate.send(&request, Transport::Length).await;
                    let record = log.of_request(id).await;
                    assert_eq!(record["arguments_digest"], DIGEST, "{record}");
                    assert_eq!(record["policy"], hash.as_str(), "{record}");
                    assert_eq!(record["arguments"], Value::Null, "{record}");
                    assert_eq!(record["trace_id"], Value::Null, "{record}");
                    assert_eq!(record["chain_id"], Value::Null, "{record}");
                }
            }
            // What is no call has no arguments, and still a policy.
            let listing = Request::json(
                PATH,
                &json!({ "jsonrpc": "2.0", "id": 90, "method": "tools/list" }),
            );
            gate.send(&listing.key("ada-key"), Transport::Length).await;
            let record = log.of_request(90).await;
            assert_eq!(record["policy"], hash.as_str(), "{record}");
            assert_eq!(record["arguments_digest"], Value::Null, "{record}");
        }
    });
}

#[test]
fn a_trace_is_that_of_the_header_or_else_of_the_message_if_it_is_one() {
    run(async {
        let (gate, log) = stand(&json!({}), Release::V1_40).await;
        let other = "0af7651916cd43dd8448eb211c80319c";
        let none = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let meta = json!({ "traceparent": traceparent(TRACE) });
        for (id, header, meta, expected) in [
            (1, Some(traceparent(other)), json!({}), json!(other)),
            (2, Some(traceparent(other)), meta.clone(), json!(other)),
            (3, None, meta.clone(), json!(TRACE)),
            (4, Some("garbage".to_owned()), meta.clone(), json!(TRACE)),
            (5, Some(none.to_owned()), json!({ "traceparent": 7 }), Value::Null),
            (6, None, json!({ "traceparent": "\n" }), Value::Null),
            (7, None, json!({}), Value::Null),
        ] {
            for (tool, id) in [("search", id), ("delete_all", 10 + id)] {
                let request = modern(id, tool, &json!({}), &meta);
                let request = match &header {
                    Some(header) => request.header("traceparent", header),
                    None => request,
                };
                gate.send(&request, Transport::Length).await;
                let record = log.of_request(id).await;
                assert_eq!(record["trace_id"], expected, "{record}");
                // The chain is the trace's.
                assert_eq!(record["chain_id"].is_string(), expected.is_string(), "{record}");
            }
        }
        // Whoever is refused at the door still is in a trace.
        let stranger = legacy(30, "search", &json!({})).without("authorization");
        let stranger = stranger.key("nobody").header("traceparent", traceparent(TRACE));
        gate.send(&stranger, Transport::Length).await;
        let refused = log.wait_for(1, |record| record["decision"] == "bad_key").await;
        assert_eq!(refused[0]["trace_id"], TRACE);
        assert_eq!(refused[0]["chain_id"], Value::Null);
    });
}

#[test]
fn values_are_recorded_on_request_and_masked() {
    run(async {
        let telemetry = json!({ "arguments": "values", "mask": [
            { "path": "/password" }, { "path": "/people/*/pin" }, { "on": "docs/delete_*", "path": "/q" },
        ] });
        let (gate, log) = stand(&telemetry, Release::V1_36).await;
        let arguments = json!({ "q": "a\"\n\u{2028}b", "password": "secret-1", "people": [{ "pin": "secret-2", "n": 1 }] });
        let shown = json!({ "q": "a\"\n\u{2028}b", "password": "***", "people": [{ "pin": "***", "n": 1 }] });
        let mut hidden = shown.clone();
        hidden["q"] = json!("***");
        for (id, tool, expected) in [(1, "search", shown), (2, "delete_all", hidden)] {
            gate.send(&legacy(id, tool, &arguments), Transport::Length).await;
            let record = log.of_request(id).await;
            let told = record["arguments"].as_str().expect("text");
            let told: Value = serde_json::from_str(told).expect("JSON");
            assert_eq!(told, expected, "{record}");
            assert!(
                record["arguments_digest"]
                    .as_str()
                    .is_some_and(|digest| digest.len() == 71)
            );
            assert!(!record.to_string().contains("secret-"), "{record}");
        }
        let long = json!({ "text": "x".repeat(16 * 1024) });
        gate.send(&legacy(3, "search", &long), Transport::Length).await;
        let record = log.of_request(3).await;
        assert_eq!(record["arguments"], Value::Null);
        assert!(record["arguments_digest"].is_string());
    });
}

#[test]
fn what_is_off_is_not_recorded() {
    run(async {
        let (gate, log) = stand(&json!({ "arguments": "off", "chains": false }), Release::V1_40).await;
        let request = legacy(1, "search", &json!({ "q": 1 })).header("traceparent", traceparent(TRACE));
        gate.send(&request, Transport::Length).await;
        let record = log.of_request(1).await;
        for field in [
            "arguments",
            "arguments_digest",
            "chain_id",
            "chain_seq",
            "chain_digest",
            "chain_at",
        ] {
            assert_eq!(record[field], Value::Null, "{field}: {record}");
        }
        assert_eq!(record["trace_id"], TRACE);
    });
}

/// As the metrics say it.
async fn hash(gate: &Gate) -> String {
    let stats = gate.envoy.admin("/stats?filter=toolgate_policy_info").await;
    let (_, rest) = stats.split_once(";hash=").unwrap_or_else(|| panic!("{stats}"));
    let hash: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    assert_eq!(hash.len(), 16, "{stats}");
    hash
}
