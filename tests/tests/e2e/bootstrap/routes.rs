//! Where requests go: paths, hosts, replicas.

use std::collections::HashSet;

use serde_json::json;
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::envoy::{Envoy, Options};
use toolgate_tests::messages::Era;
use toolgate_tests::run;
use toolgate_tests::toolgate::{Render, key_digest};
use toolgate_tests::upstream::{Answer, Upstream};

use super::{KEY, QUERY, stands};

#[test]
fn a_path_is_rewritten_exactly_and_the_query_stays() {
    run(async {
        for stand in stands().await {
            let target = format!("/docs/mcp?{QUERY}");
            let request = Era::Modern.call(&target, "search", &json!({ "q": "rewritten" }));
            let answer = stand.send(&request.key(KEY)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let received = stand.parts.plain.wait_for("rewritten", 1).await;
            assert_eq!(received.len(), 1);
            assert_eq!(received[0].target, format!("/deep/er/mcp?{QUERY}"));
            for other in [
                "/docs/mcp/",
                "/docs/mcpx",
                "/docs/mcp/x",
                "/docs",
                "/Docs/mcp",
                "/x/docs/mcp",
                "/docs/mcp;a",
                "/deep/er/mcp",
            ] {
                let request = Era::Modern.call(other, "search", &json!({ "q": "elsewhere" }));
                let answer = stand.send(&request.key(KEY)).await;
                assert_eq!(answer.status, 404, "{other}: {answer:?}");
            }
            assert!(stand.parts.plain.received_for("elsewhere").is_empty());
        }
    });
}

#[test]
fn servers_on_one_path_are_told_apart_by_host() {
    run(async {
        for stand in stands().await {
            for (host, target) in [
                ("one.example", "/of-one"),
                ("one.example:8443", "/of-one"),
                ("ONE.Example", "/of-one"),
                ("two.example", "/of-two"),
                ("three.example", "/of-rest"),
                ("one.example.evil", "/of-rest"),
            ] {
                let label = format!("host-{host}.");
                let request = Era::Legacy.call("/mcp", "search", &json!({ "q": label }));
                let answer = stand.send(&request.key(KEY).authority(host)).await;
                assert_eq!(answer.status, 200, "{host}: {answer:?}");
                let targets: Vec<_> = stand
                    .parts
                    .plain
                    .wait_for(&label, 1)
                    .await
                    .into_iter()
                    .map(|r| r.target)
                    .collect();
                assert_eq!(targets, [target], "{host}");
            }
        }
    });
}

#[test]
fn replicas_share_the_load() {
    run(async {
        for stand in stands().await {
            for _ in 0..20 {
                let request = Era::Modern.call("/pool/mcp", "search", &json!({ "q": "shared-load" }));
                assert_eq!(stand.send(&request.key(KEY)).await.status, 200);
            }
            let shares = stand
                .parts
                .pool
                .each_ref()
                .map(|replica| replica.received_for("shared-load").len());
            assert_eq!(shares.iter().sum::<usize>(), 20);
            assert!(shares.iter().all(|share| *share >= 7), "{shares:?}");
        }
    });
}

#[test]
fn a_session_stays_with_the_replica_that_opened_it() {
    run(async {
        for stand in stands().await {
            let mut opened_by = HashSet::new();
            for number in 0..6 {
                let label = format!("sticky-{number}");
                let (session, home) = open_session(stand, &label).await;
                opened_by.insert(home);
                let theirs = format!("session-of-{home}");
                assert_ne!(session, theirs, "the client's id must carry the replica");
                let with_session = |request: Request| {
                    request
                        .key(KEY)
                        .header("x-label", &label)
                        .header("mcp-session-id", &session)
                };
                for _ in 0..4 {
                    let call = Era::Legacy.call("/pool/mcp", "search", &json!({}));
                    assert_eq!(stand.send(&with_session(call)).await.status, 200);
                }
                for method in ["GET", "DELETE"] {
                    let request = Request::new(method, "/pool/mcp")
                        .header("accept", "text/event-stream")
                        .header("mcp-protocol-version", "2025-11-25");
                    assert_eq!(stand.send(&with_session(request)).await.status, 200, "{method}");
                }
                let [own, other] = [home, 1 - home].map(|n| stand.parts.pool[n].received_for(&label));
                assert_eq!((own.len(), other.len()), (7, 0), "{label}");
                for request in own.iter().skip(1) {
                    assert_eq!(request.header("mcp-session-id"), Some(theirs.as_bytes()));
                }
            }
            assert_eq!(opened_by.len(), 2, "sessions are shared out too");
        }
    });
}

/// The session id that the client gets, and the number of the replica that opened the session.
async fn open_session(stand: &super::Stand, label: &str) -> (String, usize) {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let request = Request::json("/pool/mcp", &body)
        .key(KEY)
        .header("x-label", label);
    let answer = stand.send(&request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let home = stand
        .parts
        .pool
        .iter()
        .position(|replica| !replica.received_for(label).is_empty());
    (answer.header("mcp-session-id"), home.expect("one of them"))
}

#[test]
fn only_listed_origins_get_through() {
    run(async {
        for stand in stands().await {
            for (origin, status) in [
                (Some("https://agents.example"), 200),
                (None, 200),
                (Some("https://agents.example.evil"), 403),
                (Some("http://agents.example"), 403),
                (Some("null"), 403),
            ] {
                let label = format!("origin-{origin:?}.").replace('"', "'");
                let mut request = Era::Legacy
                    .call("/docs/mcp", "search", &json!({ "q": label }))
                    .key(KEY);
                if let Some(origin) = origin {
                    request = request.header("origin", origin);
                }
                let answer = stand.send(&request).await;
                assert_eq!(answer.status, status, "{origin:?}: {answer:?}");
                let decision = if status == 200 { "allowed" } else { "origin" };
                assert_eq!(answer.header("x-toolgate-decision"), decision, "{origin:?}");
                let arrived = stand.parts.plain.received_for(&label).len();
                assert_eq!(arrived, usize::from(status == 200), "{origin:?}");
            }
        }
    });
}

#[test]
fn without_the_decision_header_nothing_tells_whose_answer_it_is() {
    run(async {
        let upstream = Upstream::start(|received| {
            let id = received.json()["id"].clone();
            Answer::json(&json!({ "jsonrpc": "2.0", "id": id, "result": {} }))
                .header("x-toolgate-decision", "forged")
        })
        .await;
        let render = Render::new(json!({
            "version": 1,
            "decisionHeader": false,
            "servers": { "docs": { "path": "/mcp" } },
            "roles": { "r": { "allow": ["docs/search"] } },
            "keys": { "k": { "sha256": [key_digest(KEY)], "roles": ["r"] } },
        }))
        .upstream("docs", &upstream.url("/mcp"));
        let directory = tempfile::tempdir().expect("a directory");
        let envoy = Envoy::start(Options::default(), |listener, admin| {
            render.run(directory.path(), listener, admin).expect("rendered")
        })
        .await;
        for (tool, key, status) in [
            ("search", KEY, 200),
            ("delete", KEY, 200),
            ("search", "other", 401),
        ] {
            let label = format!("headerless-{tool}-{key}");
            let request = Era::Legacy.call("/mcp", tool, &json!({ "q": label })).key(key);
            let answer = envoy.send(&request, Transport::Length).await;
            assert_eq!(answer.status, status, "{answer:?}");
            assert!(!answer.has("x-toolgate-decision"), "{answer:?}");
            let allowed = (tool, key) == ("search", KEY);
            assert_eq!(upstream.received_for(&label).len(), usize::from(allowed));
        }
    });
}
