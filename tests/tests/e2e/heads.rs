//! Odd heads: paths, repeated and unreadable header lines, other verbs. What is forwarded is governed.

use serde_json::json;
use toolgate_tests::client::{Connection, Http2, Request, Response, Transport};
use toolgate_tests::run;

use crate::gates::{self, Before, Held, KEY, PATH, call, post};

/// Both versions of HTTP, each in one piece.
const BOTH: [Transport; 2] = [Transport::Length, Transport::Http2];

/// Targets, and whether Envoy normalises them to the path of the server.
const TARGETS: [(&str, bool); 24] = [
    ("/docs/mcp?x=1", true),
    ("/docs/mcp?name=delete_all&/../..", true),
    ("/docs/mcp?", true),
    ("//docs/mcp", true),
    ("/docs//mcp", true),
    ("/docs/./mcp", true),
    ("/docs/x/../mcp", true),
    ("/docs/%2e/mcp", true),
    ("/docs/x/%2E%2e/mcp", true),
    ("/%64ocs/mcp", true),
    ("/docs%2Fmcp", false),
    ("/docs%2fmcp", false),
    ("/docs%5Cmcp", false),
    ("/docs/mcp/", false),
    ("/docs/mcp//", false),
    ("/docs/mcp/.", false),
    ("/docs/mcp;x", false),
    ("/docs;x/mcp", false),
    ("/docs/mcp%00", false),
    ("/docs/mcp%20", false),
    ("/docs/mcp%3Fx", false),
    ("/DOCS/mcp", false),
    ("/docs/MCP", false),
    ("/", false),
];

#[test]
fn no_spelling_of_a_path_leads_past_the_policy() {
    run(async {
        for held in gates::all().await {
            for (number, (target, known)) in TARGETS.into_iter().enumerate() {
                for transport in BOTH {
                    let at = |request: Request| Request {
                        target: target.to_owned(),
                        ..request
                    };
                    let label = |kind: &str| format!("path-{number}-{kind}-{transport:?}.");
                    for (kind, request) in [
                        ("hidden", post(&label("hidden"), call("delete_all"))),
                        (
                            "keyless",
                            post(&label("keyless"), call("search")).without("authorization"),
                        ),
                    ] {
                        let answer = held.gate.send(&at(request), transport).await;
                        assert_ne!(answer.header("x-toolgate-decision"), "allowed", "{target} {kind}");
                        held.must_not_arrive(&label(kind), Before::Verdict);
                    }
                    let allowed = at(post(&label("allowed"), call("search")));
                    if known {
                        let received = held.allow(&label("allowed"), &allowed, transport).await;
                        let arrived = received.target.split('?').next();
                        assert_eq!(arrived, Some(PATH), "{target}");
                    } else {
                        let answer = held.gate.send(&allowed, transport).await;
                        assert!(matches!(answer.status, 400 | 404), "{target}: {answer:?}");
                        held.must_not_arrive(&label("allowed"), Before::Body);
                    }
                }
            }
            held.settle().await;
        }
    });
}

#[test]
fn a_repeated_header_is_refused_or_means_one_thing() {
    run(async {
        for held in gates::all().await {
            for transport in BOTH {
                repeat(held, transport).await;
            }
            held.settle().await;
        }
    });
}

async fn repeat(held: &Held, transport: Transport) {
    let search = |label: &str| post(label, call("search"));
    let label = |kind: &str| format!("twice-{kind}-{transport:?}.");

    // The same key twice, two keys, a key after a foreign credential: who calls is not clear.
    for (kind, second) in [
        ("same", "Bearer reader-key"),
        ("other", "Bearer x"),
        ("basic", "Basic eDp5"),
    ] {
        let label = label(kind);
        let request = search(&label).header("authorization", second);
        let answer = held.gate.send(&request, transport).await;
        assert_eq!(answer.status, 401, "{label}: {answer:?}");
        held.must_not_arrive(&label, Before::Body);
    }
    let other = label("virtual");
    let request = search(&other).header("x-virtual-key", "x");
    held.refuse(&other, &request, transport, (401, "ambiguous", Before::Body))
        .await;

    for (kind, value) in [("type", "application/json"), ("text", "text/plain")] {
        let label = label(kind);
        let request = search(&label).header("content-type", value);
        held.refuse(&label, &request, transport, (415, "media_type", Before::Body))
            .await;
    }

    let session = label("session");
    let request = search(&session)
        .header("mcp-session-id", "a")
        .header("mcp-session-id", "b");
    let answer = held.gate.send(&request, transport).await;
    assert_eq!(
        (answer.status, answer.header("x-toolgate-decision").as_str()),
        (400, "ambiguous"),
        "{session}"
    );
    held.must_not_arrive(&session, Before::Body);

    for (kind, first, second) in [
        ("names", "search", "delete_all"),
        ("names-turned", "delete_all", "search"),
        ("names-same", "search", "search"),
    ] {
        let label = label(kind);
        let request = modern(&label)
            .header("mcp-name", first)
            .header("mcp-name", second);
        let answer = held.gate.send(&request, transport).await;
        assert_eq!(answer.status, 400, "{label}: {answer:?}");
        held.must_not_arrive(&label, Before::Verdict);
    }
    let label = label("name");
    held.allow(&label, &modern(&label).header("mcp-name", "search"), transport)
        .await;
}

/// A modern call of `search`, without `mcp-name`.
fn modern(label: &str) -> Request {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": "search", "arguments": { "query": "words" }, "_meta": meta });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    post(label, body.to_string())
        .with("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
}

#[test]
fn a_header_that_is_not_text_harms_nobody() {
    const ODD: &[u8] = b"\xff\xfe\x80";
    run(async {
        for held in gates::all().await {
            for transport in BOTH {
                let label = |kind: &str| format!("bytes-{kind}-{transport:?}.");
                let passes = label("passes");
                let request = post(&passes, call("search"))
                    .header("x-odd", ODD)
                    .header("cookie", ODD);
                let received = held.allow(&passes, &request, transport).await;
                assert_eq!(received.header("x-odd"), Some(ODD));

                for (name, status) in [
                    ("authorization", 401),
                    ("content-type", 415),
                    ("content-encoding", 415),
                    ("mcp-session-id", 400),
                    ("mcp-protocol-version", 400),
                ] {
                    let label = label(name);
                    let request = post(&label, call("search")).with(name, ODD);
                    let answer = held.gate.send(&request, transport).await;
                    assert_eq!(answer.status, status, "{label}: {answer:?}");
                    held.must_not_arrive(&label, Before::Verdict);
                }
                for name in ["mcp-name", "mcp-method"] {
                    let label = label(name);
                    let request = modern(&label).header("mcp-name", "search").with(name, ODD);
                    let answer = held.gate.send(&request, transport).await;
                    assert_eq!(answer.status, 400, "{label}: {answer:?}");
                    held.must_not_arrive(&label, Before::Verdict);
                }
                // Whatever the verdict on these, it is one.
                for name in [
                    "accept",
                    "origin",
                    "last-event-id",
                    "user-agent",
                    "traceparent",
                    "x-request-id",
                ] {
                    let label = label(name);
                    let request = post(&label, call("delete_all")).with(name, ODD);
                    let answer = held.gate.send(&request, transport).await;
                    assert!(matches!(answer.status, 200 | 400), "{label}: {answer:?}");
                    assert_ne!(answer.header("x-toolgate-decision"), "allowed", "{label}");
                    held.must_not_arrive(&label, Before::Verdict);
                }
            }
            held.settle().await;
        }
    });
}

#[test]
fn no_header_changes_the_verb_behind_the_policy() {
    run(async {
        for held in gates::all().await {
            for transport in BOTH {
                let label = format!("override-{transport:?}.");
                let names = ["X-HTTP-Method-Override", "x-http-method", "X-Method-Override"];
                let request = names.iter().fold(post(&label, call("search")), |request, name| {
                    request.header(name, "DELETE").header(name, "GET")
                });
                let received = held.allow(&label, &request, transport).await;
                assert_eq!(received.method, "POST");
                for name in names {
                    assert_eq!(received.header(&name.to_lowercase()), None, "{name}");
                }
            }
        }
    });
}

#[test]
fn other_verbs_are_refused() {
    run(async {
        for held in gates::all().await {
            for verb in ["PUT", "PATCH", "OPTIONS", "HEAD", "TRACE", "post", "PURGE"] {
                for transport in BOTH {
                    let label = format!("verb-{verb}-{transport:?}.");
                    let request = Request {
                        method: verb.to_owned(),
                        ..post(&label, call("search"))
                    };
                    let answer = verb_answer(held, &request, transport).await;
                    assert!(matches!(answer.status, 400 | 405), "{label}: {answer:?}");
                    held.must_not_arrive(&label, Before::Body);
                }
            }
            held.settle().await;
        }
    });
}

/// The answer to HEAD announces a body that does not come.
async fn verb_answer(held: &Held, request: &Request, transport: Transport) -> Response {
    if transport == Transport::Http2 {
        return held.gate.send(request, transport).await;
    }
    let mut connection = Connection::open(held.gate.envoy.address())
        .await
        .expect("connects");
    connection.request(request, transport).await.expect("sent");
    connection.head().await.expect("an answer")
}

#[test]
fn nothing_is_upgraded_or_tunnelled() {
    run(async {
        for held in gates::all().await {
            for (kind, verb, upgrade) in [
                ("websocket", "GET", "websocket"),
                ("websocket-post", "POST", "websocket"),
                ("h2c", "POST", "h2c"),
                ("other", "POST", "TLS/1.0"),
            ] {
                let label = format!("upgrade-{kind}.");
                let head = format!(
                    "{verb} {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\nx-label: {label}\r\n\
                     connection: upgrade\r\nupgrade: {upgrade}\r\nsec-websocket-version: 13\r\n\
                     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                );
                let answer = raw(held, head.as_bytes()).await;
                assert!((400..500).contains(&answer.status), "{label}: {answer:?}");
                assert!(!answer.interim.contains(&101), "{label}: {answer:?}");
                held.must_not_arrive(&label, Before::Verdict);
            }
            let address = held.gate.upstream.address();
            let connect =
                format!("CONNECT {address} HTTP/1.1\r\nhost: {address}\r\nx-label: connect.\r\n\r\n");
            let answer = raw(held, connect.as_bytes()).await;
            assert!((400..500).contains(&answer.status), "{answer:?}");
            held.must_not_arrive("connect.", Before::Body);
            held.settle().await;
        }
    });
}

/// Some frameworks read both spellings as one header, so a request with the other one goes nowhere.
#[test]
fn names_with_underscores_are_refused() {
    run(async {
        for held in gates::all().await {
            let http2 = Http2::connect(held.gate.envoy.address()).await.expect("connects");
            for name in [
                "x_toolgate_key",
                "mcp_session_id",
                "x_envoy_max_retries",
                "x_harmless",
            ] {
                let label = |version: u8| format!("underscore-{name}-{version}.");
                let request = |version| post(&label(version), call("search")).header(name, "1");
                let answer = held.gate.send(&request(1), Transport::Length).await;
                assert_eq!(answer.status, 400, "{name}: {answer:?}");
                held.must_not_arrive(&label(1), Before::Body);
                // Envoy resets the stream.
                let answer = http2.exchange(&request(2), usize::MAX, false).await;
                assert!(answer.is_err(), "{name}: {answer:?}");
                held.must_not_arrive(&label(2), Before::Body);
            }
            // That stream, and not the connection.
            let hyphens = post("hyphens.", call("search")).header("x-harmless", "1");
            let answer = http2
                .exchange(&hyphens, usize::MAX, false)
                .await
                .expect("an answer");
            assert_eq!(answer.header("x-toolgate-decision"), "allowed", "{answer:?}");
            held.settle().await;
        }
    });
}

async fn raw(held: &Held, bytes: &[u8]) -> Response {
    let mut connection = Connection::open(held.gate.envoy.address())
        .await
        .expect("connects");
    connection.write(bytes).await.expect("written");
    let answer = tokio::time::timeout(toolgate_tests::SOON, connection.response()).await;
    answer.expect("an answer soon").expect("an answer")
}
