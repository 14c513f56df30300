//! What upstreams answer when they are broken or hostile: each has a defined answer, none a hang or a dead worker.

mod setup;

use serde_json::{Value, json};
use toolgate_tests::client::{Connection, Request, Transport};
use toolgate_tests::gate::Gate;
use toolgate_tests::upstream::{Action, Answer, Upstream, Version};
use toolgate_tests::{SOON, run};

use self::setup::{
    HOLDS, Hold, ONE_WORKER, RESULT_BYTES, alive, assert_fault, compressed, exchange, filtered, gate, list,
    policy, replaced, request, speak_http2,
};

#[test]
fn an_answer_that_its_head_gives_away_is_replaced() {
    let with_type = |media_type: &str| Answer::new(200).header("content-type", media_type).body("{}");
    let list = list().to_string();
    let cases = [
        ("type-missing", Answer::new(200).body(list.clone())),
        ("type-html", with_type("text/html")),
        ("type-text", with_type("text/plain; charset=utf-8")),
        ("type-like-json", with_type("application/json-rpc")),
        ("type-not-text", with_type("\u{fe}\u{ff}")),
        (
            "type-twice",
            with_type("application/json").header("content-type", "application/json"),
        ),
        ("accepted", Answer::new(202)),
        ("no-content", Answer::new(204)),
        (
            "empty-json",
            Answer::new(200).header("content-type", "application/json"),
        ),
        ("gzip-json", compressed("application/json")),
        ("gzip-events", compressed("text/event-stream")),
        (
            "brotli",
            with_type("application/json").header("content-encoding", "br"),
        ),
    ];
    run(async {
        for hold in HOLDS {
            for (label, answer) in &cases {
                replaced(hold, "tools/list", label, answer).await;
                replaced(hold, "tools/call", label, answer).await;
                replaced(hold, "resources/read", label, answer).await;
            }
            let declared = Answer::new(200)
                .header("content-type", "application/json")
                .declared(RESULT_BYTES + 1, "{");
            replaced(hold, "tools/list", "declared-too-large", &declared).await;
            alive(hold).await;
        }
    });
}

#[test]
fn a_list_that_cannot_be_read_is_replaced() {
    let json = |body: &str| Answer::json(&Value::Null).body(body.to_owned());
    let half = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"search"},{"na"#;
    let large = format!(
        r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[],"x":"{}"}}}}"#,
        "x".repeat(RESULT_BYTES)
    );
    let chunked = Answer::new(200).header("content-type", "application/json");
    let cases = [
        ("not-json", json("this is not JSON")),
        (
            "not-utf-8",
            json("")
                .body(b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"tools\":[],\"x\":\"\xff\"}}".to_vec()),
        ),
        ("half-json", json(half)),
        ("half-until-close", json("").until_close(half)),
        ("two-documents", json(&format!("{}{}", list(), list()))),
        ("an-array", json(&json!([list()]).to_string())),
        ("a-number", json("7")),
        ("no-response", json(r#"{"jsonrpc":"2.0","id":7}"#)),
        (
            "no-list",
            json(r#"{"jsonrpc":"2.0","id":7,"result":{"tools":{"name":"delete_all"}}}"#),
        ),
        ("no-result", json(r#"{"jsonrpc":"2.0","id":7,"result":"tools"}"#)),
        (
            "duplicate-keys",
            json(
                r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[]},"result":{"tools":[{"name":"delete_all"}]}}"#,
            ),
        ),
        (
            "deep",
            json(&format!("{}{}", "[".repeat(30_000), "]".repeat(30_000))),
        ),
        ("too-large", chunked.clone().chunked([large.clone()])),
        (
            "too-large-pieces",
            chunked.chunked(large.as_bytes().chunks(1000).map(<[u8]>::to_vec)),
        ),
    ];
    run(async {
        for hold in HOLDS {
            for (label, answer) in &cases {
                let answer = exchange(hold, "tools/list", label, answer).await;
                // What went ahead cannot be taken back: the body says it all the same.
                let head = match hold {
                    Hold::Headers => (502, "upstream"),
                    Hold::Body => (200, "allowed"),
                };
                assert_eq!(
                    (answer.status, answer.header("x-toolgate-decision").as_str()),
                    head,
                    "{label} in {hold:?}: {answer:?}"
                );
                assert!(answer.complete, "{label} in {hold:?}: {answer:?}");
                assert_fault(&answer, label);
            }
            alive(hold).await;
        }
    });
}

#[test]
fn a_list_that_breaks_off_never_arrives_in_part() {
    let part = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"search"}"#;
    let json = Answer::new(200).header("content-type", "application/json");
    let cases = [
        ("cut", json.clone().declared(500, part)),
        ("cut-chunk", json.clone().chunked([part]).then(Action::Close)),
        ("reset", json.chunked([part]).then(Action::Reset)),
    ];
    run(async {
        let exchanges: Vec<_> = HOLDS
            .into_iter()
            .flat_map(|hold| cases.clone().map(|(label, answer)| (hold, label, answer)))
            .map(|(hold, label, answer)| tokio::spawn(broken_off(hold, label, answer)))
            .collect();
        for exchange in exchanges {
            exchange.await.expect("it is as expected");
        }
        for hold in HOLDS {
            alive(hold).await;
        }
    });
}

async fn broken_off(hold: Hold, label: &str, scripted: Answer) {
    let answer = exchange(hold, "tools/list", label, &scripted).await;
    // Either Envoy says so, or what has begun breaks off for the client too.
    let expected = match hold {
        Hold::Headers => (502, true),
        Hold::Body => (200, false),
    };
    assert_eq!(
        (answer.status, answer.complete),
        expected,
        "{label} in {hold:?}: {answer:?}"
    );
    assert!(
        !answer.text().contains("tools"),
        "{label} in {hold:?}: {answer:?}"
    );
}

#[test]
fn errors_of_the_upstream_pass_as_they_are() {
    run(async {
        for hold in HOLDS {
            for status in [301, 400, 401, 404, 405, 429, 500, 503] {
                for method in ["tools/list", "tools/call"] {
                    let label = format!("error-{status}");
                    let scripted = Answer::new(status)
                        .header("content-type", "text/html")
                        .header("www-authenticate", "Bearer realm=\"upstream\"")
                        .body(format!("<h1>{status}</h1>"));
                    let answer = exchange(hold, method, &label, &scripted).await;
                    let what = format!("{method}, {hold:?}: {answer:?}");
                    assert_eq!(answer.status, status, "{what}");
                    assert_eq!(answer.text(), format!("<h1>{status}</h1>"), "{what}");
                    assert_eq!(
                        answer.header("www-authenticate"),
                        "Bearer realm=\"upstream\"",
                        "{what}"
                    );
                    assert_eq!(answer.header("x-toolgate-decision"), "allowed", "{what}");
                }
            }
            // A JSON-RPC error is an answer to a list, too.
            let error =
                json!({ "jsonrpc": "2.0", "id": 7, "error": { "code": -32603, "message": "broken" } });
            let answer = exchange(hold, "tools/list", "json-rpc-error", &Answer::json(&error)).await;
            assert_eq!((answer.status, answer.json()), (200, error));
        }
    });
}

#[test]
fn an_upstream_that_does_not_speak_is_envoys_to_report() {
    let cases = [
        ("reset-at-once", Answer::reset(), 503),
        ("not-http", Answer::raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"), 502),
        (
            "long-header",
            Answer::new(200).header("x-long", "x".repeat(200_000)).body("{}"),
            502,
        ),
    ];
    run(async {
        for hold in HOLDS {
            for (label, answer, status) in &cases {
                for method in ["tools/list", "tools/call"] {
                    let answer = exchange(hold, method, label, answer).await;
                    assert_eq!(answer.status, *status, "{label} in {hold:?}: {answer:?}");
                }
            }
            let gate = gate(hold).await;
            let request = Request {
                target: "/gone/mcp".to_owned(),
                ..request("tools/list", "refused-connection")
            };
            let answer = gate.send(&request, Transport::Length).await;
            assert_eq!(answer.status, 503, "{hold:?}: {answer:?}");
            alive(hold).await;
        }
    });
}

#[test]
fn a_long_header_that_envoy_takes_passes() {
    run(async {
        for hold in HOLDS {
            let scripted = Answer::json(&list()).header("x-long", "x".repeat(50_000));
            let answer = exchange(hold, "tools/list", "header-50k", &scripted).await;
            assert_eq!((answer.status, answer.json()), (200, filtered()), "{hold:?}");
            assert_eq!(answer.header("x-long").len(), 50_000, "{hold:?}");
        }
    });
}

#[test]
fn what_answers_a_call_streams_through_as_it_is() {
    let large = format!(
        r#"{{"jsonrpc":"2.0","id":7,"result":{{"content":[],"x":"{}"}}}}"#,
        "x".repeat(RESULT_BYTES - 100)
    );
    run(async {
        for hold in HOLDS {
            for body in [large.as_str(), "this is not JSON", r#"[{"jsonrpc":"2.0"}]"#] {
                let scripted = Answer::json(&Value::Null).body(body.to_owned());
                let answer = exchange(hold, "tools/call", "streams-through", &scripted).await;
                assert_eq!((answer.status, answer.text().as_str()), (200, body), "{hold:?}");
                assert_eq!(
                    answer.header("content-length"),
                    body.len().to_string(),
                    "{hold:?}"
                );
            }
        }
    });
}

#[test]
fn a_decision_that_the_upstream_claims_is_replaced() {
    let claims = |answer: Answer| {
        answer
            .header("X-Toolgate-Decision", "quota")
            .header("x-toolgate-decision", "hidden")
    };
    run(async {
        for hold in HOLDS {
            for (method, scripted) in [
                ("tools/list", claims(Answer::json(&list()))),
                (
                    "tools/call",
                    claims(Answer::json(&json!({ "jsonrpc": "2.0", "id": 7, "result": {} }))),
                ),
                ("tools/call", claims(Answer::sse_messages([&list()]))),
                ("tools/call", claims(Answer::new(500).body("no"))),
            ] {
                let answer = exchange(hold, method, "claims", &scripted).await;
                let decisions = answer
                    .headers
                    .iter()
                    .filter(|(name, _)| name == "x-toolgate-decision");
                let decisions: Vec<_> = decisions.map(|(_, value)| value.as_slice()).collect();
                assert_eq!(
                    decisions,
                    [b"allowed".as_slice()],
                    "{method} in {hold:?}: {answer:?}"
                );
            }
        }
    });
}

#[test]
fn an_answer_before_the_request_has_arrived_serves_nobody() {
    run(async {
        // With the head held, no upstream has anything to answer before the body is here.
        let gate = gate(Hold::Body).await;
        let json = Answer::json(&list()).header("x-toolgate-decision", "forged");
        let cases = [
            ("early-json", json.clone(), 502, "upstream"),
            ("early-events", Answer::sse_messages([&list()]), 502, "upstream"),
            ("early-empty", Answer::new(202), 502, "upstream"),
            ("early-refusal", json.status(401), 401, ""),
        ];
        for (label, scripted, status, decision) in cases {
            gate.upstream.answer_early(label, move |_| scripted.clone());
            let request = request("tools/list", label);
            let mut connection = Connection::open(gate.envoy.address())
                .await
                .expect("Envoy accepts");
            // The head, and of the body one byte.
            let mut head = format!("POST {} HTTP/1.1\r\nhost: x\r\n", request.target).into_bytes();
            for (name, value) in &request.headers {
                head.extend_from_slice(&[name.as_slice(), b": ", value, b"\r\n"].concat());
            }
            head.extend_from_slice(b"content-length: 100\r\n\r\n{");
            connection.write(&head).await.expect("written");
            let answer = tokio::time::timeout(SOON, connection.response()).await;
            let answer = answer.expect("the client hangs").expect("an answer");
            assert_eq!(answer.status, status, "{label}: {answer:?}");
            assert_eq!(
                answer.header("x-toolgate-decision"),
                decision,
                "{label}: {answer:?}"
            );
            assert_eq!(
                answer.text().contains("tools"),
                status == 401,
                "{label}: {answer:?}"
            );
            let received = gate.upstream.received_for(label);
            assert!(
                received
                    .iter()
                    .all(|request| !request.complete && request.raw_body.is_empty()),
                "{received:?}"
            );
        }
        alive(Hold::Body).await;
    });
}

#[test]
fn trailers_end_a_held_list() {
    run(async {
        for hold in HOLDS {
            let upstream = Upstream::start_version(Version::Http2, |_| {
                Answer::json(&list()).trailer("x-outcome", "fine")
            })
            .await;
            upstream.answer("trailers-garbage", |_| {
                Answer::json(&Value::Null)
                    .body("half")
                    .trailer("x-outcome", "fine")
            });
            let gate =
                Gate::start_before(upstream, ONE_WORKER, policy(hold), |render| render, speak_http2).await;
            for transport in [Transport::Length, Transport::Http2, Transport::Http2Trailers] {
                let what = format!("{hold:?}, {transport:?}");
                let answer = gate.send(&request("tools/list", "trailers"), transport).await;
                assert_eq!(
                    (answer.status, answer.json(), answer.complete),
                    (200, filtered(), true),
                    "{what}"
                );
                if transport != Transport::Length {
                    assert_eq!(
                        answer.trailers,
                        [("x-outcome".to_owned(), b"fine".to_vec())],
                        "{what}"
                    );
                }
                let answer = gate
                    .send(&request("tools/list", "trailers-garbage"), transport)
                    .await;
                assert_eq!(
                    answer.status,
                    if hold == Hold::Headers { 502 } else { 200 },
                    "{what}"
                );
                assert_fault(&answer, &what);
            }
        }
    });
}
