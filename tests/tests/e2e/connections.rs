//! Many requests on one connection, many connections at once: each gets its own verdict.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use toolgate_tests::client::{Connection, Http2, Request, Response, Transport};
use toolgate_tests::upstream::Received;
use toolgate_tests::{SOON, run};

use crate::gates::{self, Before, Held, call, post};

/// How many callers call at once.
const CALLERS: usize = 64;

/// How many requests each of them sends, one after the other.
const ROUNDS: usize = 9;

/// After 400 and the like Envoy closes, and says so.
#[test]
fn a_connection_serves_on_after_policy_has_refused() {
    run(async {
        for held in gates::all().await {
            for transport in [Transport::Length, Transport::LateBody, Transport::ChunkedTrailers] {
                let mut connection = open(held).await;
                for round in 0..3 {
                    let label = |kind: &str| format!("on-{kind}-{transport:?}-{round}.");
                    for (kind, body, before) in [
                        ("hidden", call("delete_all"), Before::Verdict),
                        (
                            "arguments",
                            call("search").replace("\"words\"", "7"),
                            Before::Verdict,
                        ),
                    ] {
                        let request = post(&label(kind), body);
                        let answer = connection.exchange(&request, transport).await.expect("an answer");
                        assert_ne!(answer.header("x-toolgate-decision"), "allowed", "{}", label(kind));
                        assert_eq!(answer.header("connection"), "", "{}", label(kind));
                        held.must_not_arrive(&label(kind), before);
                    }
                    let request = post(&label("allowed"), call("search"));
                    let answer = connection.exchange(&request, transport).await.expect("an answer");
                    assert_eq!(answer.header("x-toolgate-decision"), "allowed");
                    held.arrived_once(&label("allowed"), &request, &held.name);
                }
            }
            held.settle().await;
        }
    });
}

/// All in one write: neither is one judged by another's body, nor does one arrive with another.
#[test]
fn pipelined_requests_are_judged_one_by_one() {
    run(async {
        for held in gates::all().await {
            // Envoy cuts a connection on which more than two answers wait to be written, as they may on a busy machine,
            // and counts that. What it leaves unanswered has not arrived either.
            let tools = ["delete_all", "search", "search", "delete_all"];
            let mut cut = floods(held).await;
            let mut attempt = 0;
            while pipeline(held, &format!("pipeline-{attempt}"), &tools).await < tools.len() {
                attempt += 1;
                assert!(attempt < 10, "{}: never all of them", held.name);
                cut += 1;
                assert_eq!(floods(held).await, cut, "{}: why were some left out?", held.name);
            }
            let tools = ["search", "delete_all", "delete_all", "delete_all", "search"];
            let answered = pipeline(held, "flood", &tools).await;
            assert!(answered >= 2, "{}: {answered} answers", held.name);
            let counted = floods(held).await - cut;
            assert_eq!(
                counted == 1,
                answered < tools.len(),
                "{}: {answered} answers",
                held.name
            );
            held.settle().await;
        }
    });
}

/// How many connections Envoy has cut because of answers that wait.
async fn floods(held: &Held) -> u64 {
    held.gate.envoy.stat("http1.response_flood").await
}

/// Returns how many requests were answered.
async fn pipeline(held: &Held, prefix: &str, tools: &[&str]) -> usize {
    let label = |number: usize| format!("{prefix}-{number}.");
    let request = |number: usize| post(&label(number), call(tools[number]));
    let mut connection = open(held).await;
    let bytes: Vec<u8> = (0..tools.len())
        .flat_map(|number| written(&request(number)))
        .collect();
    connection.write(&bytes).await.expect("written");
    let mut answered = 0;
    for (number, tool) in tools.iter().enumerate() {
        let answer = tokio::time::timeout(SOON, connection.response()).await;
        let Ok(answer) = answer.expect("an answer or the end") else {
            break;
        };
        answered += 1;
        if *tool == "search" {
            assert_eq!(
                answer.header("x-toolgate-decision"),
                "allowed",
                "{}",
                label(number)
            );
            held.arrived_once(&label(number), &request(number), &held.name);
        } else {
            assert_eq!(
                answer.header("x-toolgate-decision"),
                "hidden",
                "{}",
                label(number)
            );
            held.must_not_arrive(&label(number), Before::Verdict);
        }
    }
    for number in answered..tools.len() {
        held.must_not_arrive(&label(number), Before::Verdict);
    }
    answered
}

/// The connection may end there, but what follows the head is never read as anything but its body.
#[test]
fn what_follows_a_head_that_is_refused_is_still_its_body() {
    run(async {
        for held in gates::all().await {
            let inner = written(&post("smuggled.", call("search")));
            let outer = post("refused-head.", inner).without("authorization");
            let mut connection = open(held).await;
            connection.write(&written(&outer)).await.expect("written");
            let answer = connection.response().await.expect("an answer");
            assert_eq!(
                (answer.status, answer.header("x-toolgate-decision").as_str()),
                (401, "no_key")
            );
            let next = tokio::time::timeout(Duration::from_millis(200), connection.response()).await;
            assert!(!matches!(next, Ok(Ok(_))), "a second answer: {next:?}");
            held.must_not_arrive("refused-head.", Before::Body);
            held.must_not_arrive("smuggled.", Before::Body);
            held.settle().await;
        }
    });
}

#[test]
fn two_lengths_are_no_length() {
    run(async {
        for held in gates::all().await {
            let body = call("search");
            let length = body.len();
            for (number, framing) in [
                format!("content-length: {length}\r\ntransfer-encoding: chunked"),
                format!("transfer-encoding: chunked\r\ncontent-length: {length}"),
                format!("content-length: {length}\r\ncontent-length: {}", length + 1),
                format!("content-length: {length}, {}", length + 1),
                "transfer-encoding: gzip, chunked".to_owned(),
                "transfer-encoding: identity".to_owned(),
                "transfer-encoding : chunked".to_owned(),
            ]
            .into_iter()
            .enumerate()
            {
                let label = format!("lengths-{number}.");
                let mut bytes = head(&post(&label, ""));
                bytes.extend_from_slice(format!("{framing}\r\n\r\n").as_bytes());
                bytes.extend_from_slice(format!("{length:x}\r\n{body}\r\n0\r\n\r\n").as_bytes());
                let mut connection = open(held).await;
                connection.write(&bytes).await.expect("written");
                let answer = connection.response().await.expect("an answer");
                assert!(matches!(answer.status, 400 | 501), "{framing}: {answer:?}");
                held.must_not_arrive(&label, Before::Verdict);
            }
            held.settle().await;
        }
    });
}

#[test]
fn a_client_that_waits_for_100_continue_gets_the_verdict() {
    run(async {
        for held in gates::all().await {
            let allowed = post("continue-allowed.", call("search")).header("expect", "100-continue");
            let answer = continued(held, &allowed).await;
            assert_eq!(
                (answer.status, answer.interim.as_slice()),
                (200, [100].as_slice()),
                "{answer:?}"
            );
            held.arrived_once("continue-allowed.", &allowed, &held.name);

            let hidden = post("continue-hidden.", call("delete_all")).header("expect", "100-continue");
            let answer = continued(held, &hidden).await;
            assert_eq!(answer.header("x-toolgate-decision"), "hidden", "{answer:?}");
            held.must_not_arrive("continue-hidden.", Before::Verdict);

            let keyless = hidden
                .without("authorization")
                .with("x-label", "continue-keyless.");
            let answer = continued(held, &keyless).await;
            assert_eq!(answer.status, 401, "{answer:?}");
            held.must_not_arrive("continue-keyless.", Before::Body);
            held.settle().await;
        }
    });
}

/// Sends the body only when the interim answer asks for it.
async fn continued(held: &Held, request: &Request) -> Response {
    let mut connection = open(held).await;
    let body = request.body.clone().unwrap_or_default();
    let head = [
        head(request),
        format!("content-length: {}\r\n\r\n", body.len()).into_bytes(),
    ]
    .concat();
    connection.write(&head).await.expect("written");
    // A final answer may come at once; an interim one is read together with the final one that follows the body.
    let _ = tokio::time::timeout(Duration::from_millis(30), connection.readable()).await;
    let _ = connection.write(&body).await;
    let answer = tokio::time::timeout(SOON, connection.response()).await;
    answer.expect("an answer soon").expect("an answer")
}

#[test]
fn parallel_callers_get_their_own_verdicts() {
    run(async {
        for (number, held) in gates::all().await.into_iter().enumerate() {
            // The two gates with two workers.
            if matches!(number, 0 | 3) {
                crowd(held).await;
                held.settle().await;
            }
        }
    });
}

async fn crowd(held: &'static Held) {
    let answered = Arc::new(AtomicUsize::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let answered = Arc::clone(&answered);
        callers.spawn(async move {
            let address = held.gate.envoy.address();
            let http2 = if caller % 2 == 0 {
                None
            } else {
                Some(Http2::connect(address).await.expect("connects"))
            };
            let mut http1 = open(held).await;
            for round in 0..ROUNDS {
                let (label, request, expected) = order(caller, round);
                let answer = match &http2 {
                    Some(connection) => connection.exchange(&request, usize::MAX, round % 2 == 0).await,
                    None => http1.exchange(&request, Transport::Length).await,
                };
                let answer = answer.expect("an answer");
                assert_eq!(
                    answer.header("x-toolgate-decision"),
                    expected,
                    "{label}: {answer:?}"
                );
                // The answer is this caller's own: its id comes back.
                assert_eq!(answer.json()["id"], label, "{answer:?}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    callers.join_all().await;
    assert_eq!(answered.load(Ordering::Relaxed), CALLERS * ROUNDS);

    let mut arrived: HashMap<String, Vec<Received>> = HashMap::new();
    for received in held.gate.upstream.received() {
        let label = String::from_utf8_lossy(received.header("x-label").unwrap_or_default()).into_owned();
        arrived.entry(label).or_default().push(received);
    }
    for (caller, round) in (0..CALLERS).flat_map(|caller| (0..ROUNDS).map(move |round| (caller, round))) {
        let (label, request, expected) = order(caller, round);
        let received = arrived.remove(&label).unwrap_or_default();
        let complete = received.iter().filter(|request| request.complete).count();
        if expected == "allowed" {
            assert_eq!(
                (received.len(), complete),
                (1, 1),
                "{label} ({}): {received:?}",
                held.name
            );
            assert_eq!(
                Some(&received[0].body),
                request.body.as_deref().map(<[u8]>::to_vec).as_ref(),
                "{label}"
            );
        } else {
            let bytes: usize = received.iter().map(|request| request.raw_body.len()).sum();
            assert_eq!((complete, bytes), (0, 0), "{label} ({}): {received:?}", held.name);
        }
    }
}

/// What a caller sends in a round, and the verdict on it.
fn order(caller: usize, round: usize) -> (String, Request, &'static str) {
    let label = format!("crowd-{caller}-{round}.");
    let body = |tool: &str| call(tool).replace("\"id\":1", &format!("\"id\":\"{label}\""));
    let (body, expected) = match (caller + round) % 3 {
        0 => (body("delete_all"), "hidden"),
        1 => (body("search").replace("\"words\"", "7"), "schema"),
        _ => (body("search"), "allowed"),
    };
    let request = post(&label, body);
    (label, request, expected)
}

async fn open(held: &Held) -> Connection {
    Connection::open(held.gate.envoy.address())
        .await
        .expect("connects")
}

/// The head without framing and without its last empty line.
fn head(request: &Request) -> Vec<u8> {
    let mut head = format!(
        "{} {} HTTP/1.1\r\nhost: localhost\r\n",
        request.method, request.target
    )
    .into_bytes();
    for (name, value) in &request.headers {
        head.extend_from_slice(&[name, b": ".as_slice(), value, b"\r\n"].concat());
    }
    head
}

/// The whole request, its length announced.
fn written(request: &Request) -> Vec<u8> {
    let body = request.body.as_deref().unwrap_or_default();
    let framing = format!("content-length: {}\r\n\r\n", body.len());
    [&head(request), framing.as_bytes(), body].concat()
}
