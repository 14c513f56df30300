//! The whole body in time, or 408: in both modes, for every kind of slowness, and never a silent hang.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use toolgate_tests::client::{Connection, Http2, Request, Response, Transport, read_answer};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::upstream::mcp_server;
use toolgate_tests::{SOON, run};

use crate::gates::{call, policy, post};

/// `limits.bodyTimeout` here.
const TIMEOUT: Duration = Duration::from_millis(600);

/// An answer may be so much later.
const LATE: Duration = Duration::from_secs(1);

/// How a body fails to arrive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Slow {
    /// HTTP/1.1, announced, nothing follows.
    Nothing,
    /// HTTP/1.1, announced, the last byte is missing.
    LastByte,
    /// HTTP/1.1, chunked, complete but for the last chunk.
    LastChunk,
    /// HTTP/1.1, chunked, a byte now and then: the connection is never idle.
    Drip,
    /// HTTP/2, the stream is not ended.
    Http2,
}

const ALL: [Slow; 5] = [
    Slow::Nothing,
    Slow::LastByte,
    Slow::LastChunk,
    Slow::Drip,
    Slow::Http2,
];

#[test]
fn a_slow_body_is_refused_in_time_with_held_headers() {
    run(async {
        let gate = held_headers().await;
        expire_all(gate, "slow-headers").await;
        let arrived = gate.upstream.labelled("slow-headers-");
        assert!(arrived.is_empty(), "{arrived:?}");
    });
}

#[test]
fn a_slow_body_is_refused_in_time_with_a_held_body() {
    run(async {
        let gate = held_body().await;
        expire_all(gate, "slow-body").await;
        let log = gate.envoy.log();
        assert!(
            !log.contains("allow_on_headers_stop_iteration"),
            "no flag is missing: {log}"
        );
        let arrived = gate.upstream.labelled("slow-body-");
        assert_eq!(arrived.len(), ALL.len(), "the heads have gone ahead: {arrived:?}");
        assert!(
            arrived
                .iter()
                .all(|request| !request.complete && request.raw_body.is_empty()),
            "{arrived:?}"
        );
    });
}

/// Heads cannot be held without the flag, and no body callback comes to be judged: the log names what is missing.
#[test]
fn a_missing_flag_is_a_408_that_names_it() {
    run(async {
        let release = |release| async move {
            let options = Options {
                release,
                concurrency: 1,
            };
            let gate = start(options, "headers", |bootstrap| without_flag(&bootstrap)).await;
            let begun = Instant::now();
            let answer = gate
                .send(&post("flagless.", call("search")), Transport::Length)
                .await;
            assert_timeout(&answer, begun, "flagless");
            let arrived = gate.upstream.received();
            assert!(arrived.is_empty(), "{release:?}: {arrived:?}");
            let log = gate.envoy.log();
            assert!(
                log.contains("allow_on_headers_stop_iteration: true"),
                "{release:?}: {log}"
            );
        };
        tokio::join!(release(Release::V1_36), release(Release::V1_40));
    });
}

#[test]
fn the_worker_serves_others_while_bodies_are_late() {
    run(async {
        for gate in [held_headers().await, held_body().await] {
            let begun = Instant::now();
            let late = async {
                expire(gate, "meanwhile-late.", Slow::LastByte).await;
                begun.elapsed()
            };
            let others = async {
                for number in 0..20 {
                    let label = format!("meanwhile-{number}.");
                    let answer = gate.send(&post(&label, call("search")), Transport::Length).await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                    assert_eq!(gate.upstream.labelled(&label).len(), 1);
                }
                begun.elapsed()
            };
            let (late, others) = tokio::join!(late, others);
            assert!(
                others < late,
                "twenty calls took {others:?}: they waited for the late one"
            );
        }
    });
}

/// A client that comes back in time is not cut off, however it pauses.
#[test]
fn a_body_that_makes_it_in_time_passes() {
    run(async {
        for gate in [held_headers().await, held_body().await] {
            let (head, body) = written("in-time.", true);
            let mut connection = Connection::open(gate.envoy.address()).await.expect("connects");
            connection.write(&head).await.expect("written");
            for piece in body.chunks(body.len() / 4 + 1) {
                tokio::time::sleep(TIMEOUT / 10).await;
                connection.write(piece).await.expect("written");
            }
            let answer = connection.response().await.expect("an answer");
            assert_eq!(answer.status, 200, "{answer:?}");
            let arrived = gate.upstream.labelled("in-time.");
            assert!(
                arrived.len() == 1 && arrived[0].complete && arrived[0].body == body,
                "{arrived:?}"
            );
        }
    });
}

/// All kinds at once: what one waits for must not delay the others.
async fn expire_all(gate: &'static Gate, prefix: &str) {
    let mut slow_ones = tokio::task::JoinSet::new();
    for slow in ALL {
        let label = format!("{prefix}-{slow:?}.");
        slow_ones.spawn(async move { expire(gate, &label, slow).await });
    }
    slow_ones.join_all().await;
    let log = gate.envoy.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("the request body did not arrive in 600ms"));
    assert!(lines.clone().count() >= ALL.len(), "{log}");
    // And the worker is well.
    let answer = gate
        .send(&post("after-the-slow.", call("search")), Transport::Length)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn expire(gate: &Gate, label: &str, slow: Slow) {
    let begun = Instant::now();
    let answer = match slow {
        Slow::Http2 => over_http2(gate, label).await,
        _ => over_http1(gate, label, slow).await,
    };
    assert_timeout(&answer, begun, label);
}

async fn over_http1(gate: &Gate, label: &str, slow: Slow) -> Response {
    let (head, body) = written(label, matches!(slow, Slow::Nothing | Slow::LastByte));
    let mut connection = Connection::open(gate.envoy.address()).await.expect("connects");
    connection.write(&head).await.expect("written");
    let chunk = |piece: &[u8]| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
    match slow {
        Slow::LastByte => connection.write(&body[..body.len() - 1]).await.expect("written"),
        Slow::LastChunk => connection.write(&chunk(&body)).await.expect("written"),
        _ => {}
    }
    if slow == Slow::Drip {
        let begun = Instant::now();
        for byte in &body {
            if begun.elapsed() > TIMEOUT * 3 / 4 {
                break;
            }
            connection.write(&chunk(&[*byte])).await.expect("written");
            tokio::time::sleep(TIMEOUT / 12).await;
        }
    }
    within(connection.response()).await
}

async fn over_http2(gate: &Gate, label: &str) -> Response {
    let connection = Http2::connect(gate.envoy.address()).await.expect("connects");
    let (mut stream, answer) = connection.begin(&post(label, ""), false).await.expect("begins");
    stream
        .send_data(Bytes::from(call("search")), false)
        .expect("sent");
    within(async { read_answer(answer.await.map_err(std::io::Error::other)?).await }).await
}

async fn within(answer: impl Future<Output = std::io::Result<Response>>) -> Response {
    let answer = tokio::time::timeout(SOON, answer).await;
    answer.expect("an answer soon").expect("an answer")
}

fn assert_timeout(answer: &Response, begun: Instant, what: &str) {
    let elapsed = begun.elapsed();
    assert_eq!(answer.status, 408, "{what}: {answer:?}");
    assert_eq!(answer.header("x-toolgate-decision"), "timeout", "{what}");
    assert_eq!(answer.header("content-type"), "application/json", "{what}");
    assert!(
        answer.json()["error"]["code"].is_i64(),
        "{what}: {}",
        answer.text()
    );
    assert!(
        elapsed >= TIMEOUT && elapsed < TIMEOUT + LATE,
        "{what}: after {elapsed:?}"
    );
}

/// Head and body of an allowed call.
fn written(label: &str, announced: bool) -> (Vec<u8>, Vec<u8>) {
    let body = call("search");
    let Request { headers, .. } = post(label, "");
    let mut head = format!("POST {} HTTP/1.1\r\nhost: localhost\r\n", crate::gates::PATH).into_bytes();
    for (name, value) in headers {
        head.extend_from_slice(&[&name, b": ".as_slice(), &value, b"\r\n"].concat());
    }
    let framing = if announced {
        format!("content-length: {}\r\n\r\n", body.len())
    } else {
        "transfer-encoding: chunked\r\n\r\n".to_owned()
    };
    head.extend_from_slice(framing.as_bytes());
    (head, body.into_bytes())
}

async fn held_headers() -> &'static Gate {
    static GATE: OnceCell<Gate> = OnceCell::const_new();
    let options = Options {
        release: Release::V1_40,
        concurrency: 1,
    };
    GATE.get_or_init(|| start(options, "headers", |bootstrap| bootstrap))
        .await
}

async fn held_body() -> &'static Gate {
    static GATE: OnceCell<Gate> = OnceCell::const_new();
    let options = Options {
        release: Release::V1_36,
        concurrency: 1,
    };
    GATE.get_or_init(|| start(options, "body", |bootstrap| bootstrap))
        .await
}

async fn start(options: Options, hold: &str, patch: impl Fn(String) -> String) -> Gate {
    let mut policy = policy(hold);
    policy["limits"] = json!({ "bodyTimeout": "0.6s" });
    let server = mcp_server(json!([{ "name": "search" }]));
    Gate::start_with(options, policy, server, |render| render, patch).await
}

fn without_flag(bootstrap: &str) -> String {
    let mut bootstrap: Value = serde_json::from_str(bootstrap).expect("JSON");
    let filters = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    let config = bootstrap
        .pointer_mut(&format!("{filters}/0/typed_config/config"))
        .expect("the filter");
    let flag = config
        .as_object_mut()
        .and_then(|config| config.remove("allow_on_headers_stop_iteration"));
    assert_eq!(flag, Some(Value::Bool(true)), "there was no flag to remove");
    bootstrap.to_string()
}
