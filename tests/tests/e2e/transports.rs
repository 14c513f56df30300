//! A verdict does not depend on how a request travels, nor on its size.

use bytes::Bytes;
use toolgate_tests::client::{Http2, Request, Transport, read_answer, send_all};
use toolgate_tests::run;

use crate::gates::{self, Before, Held, call, call_of_size, post};

/// `limits.requestBytes` unless the policy says otherwise.
const LIMIT: usize = 1 << 20;

#[test]
fn an_allowed_call_arrives_byte_for_byte_over_every_transport() {
    run(async {
        let body = call("search")
            .replace(',', " ,\t")
            .replace("words", "w\\u00f6rds \u{1f600}");
        for held in gates::all().await {
            for transport in Transport::ALL {
                let label = format!("passes-{transport:?}.");
                held.allow(&label, &post(&label, body.clone()), transport).await;
            }
        }
    });
}

#[test]
fn a_refused_request_never_arrives_over_any_transport() {
    run(async {
        for held in gates::all().await {
            for transport in Transport::ALL {
                refuse_each(held, transport).await;
            }
            held.settle().await;
        }
    });
}

async fn refuse_each(held: &Held, transport: Transport) {
    let labelled = |kind: &str| format!("refused-{kind}-{transport:?}.");

    let label = labelled("hidden");
    let wanted = (200, "hidden", Before::Verdict);
    let answer = held
        .refuse(&label, &post(&label, call("delete_all")), transport, wanted)
        .await;
    assert_eq!(answer.json()["error"]["code"], -32602, "{label}");

    let label = labelled("arguments");
    let wanted = (200, "schema", Before::Verdict);
    let body = call("search").replace("\"words\"", "7");
    let answer = held.refuse(&label, &post(&label, body), transport, wanted).await;
    assert_eq!(answer.json()["result"]["isError"], true, "{label}");

    let label = labelled("key");
    let wanted = (401, "no_key", Before::Body);
    let request = post(&label, call("search")).without("authorization");
    held.refuse(&label, &request, transport, wanted).await;

    let label = labelled("json");
    let wanted = (400, "malformed", Before::Verdict);
    let body = call("search") + "}";
    let answer = held.refuse(&label, &post(&label, body), transport, wanted).await;
    assert_eq!(answer.json()["error"]["code"], -32700, "{label}");

    let label = labelled("keys");
    let wanted = (400, "ambiguous", Before::Verdict);
    let body = call("search").replace("\"params\"", "\"params\":{\"name\":\"delete_all\"},\"params\"");
    let answer = held.refuse(&label, &post(&label, body), transport, wanted).await;
    assert_eq!(answer.json()["error"]["code"], -32600, "{label}");

    let label = labelled("gzip");
    let wanted = (415, "media_type", Before::Body);
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\x03KLJ\x06\x00\xc2A$5\x03\x00\x00\x00";
    let request = post(&label, *gzip).header("content-encoding", "gzip");
    held.refuse(&label, &request, transport, wanted).await;

    let label = labelled("empty");
    let wanted = (400, "malformed", Before::Verdict);
    held.refuse(&label, &post(&label, ""), transport, wanted).await;
}

#[test]
fn a_request_without_any_body_is_refused() {
    run(async {
        for held in gates::all().await {
            for transport in [Transport::Length, Transport::Http2, Transport::Http2Trailers] {
                let label = format!("bodiless-{transport:?}.");
                let request = Request {
                    body: None,
                    ..post(&label, "")
                };
                let wanted = (400, "malformed", Before::Verdict);
                held.refuse(&label, &request, transport, wanted).await;
            }
            held.settle().await;
        }
    });
}

#[test]
fn large_bodies_arrive_byte_for_byte() {
    run(async {
        let (large, largest) = (call_of_size(100_000), call_of_size(LIMIT));
        assert_eq!((large.len(), largest.len()), (100_000, LIMIT));
        for held in gates::all().await {
            for transport in Transport::ALL {
                let label = format!("large-{transport:?}.");
                held.allow(&label, &post(&label, large.clone()), transport).await;
            }
            for transport in WHOLE {
                let label = format!("largest-{transport:?}.");
                held.allow(&label, &post(&label, largest.clone()), transport)
                    .await;
            }
        }
    });
}

/// The transports that do not take a write for each few bytes.
const WHOLE: [Transport; 5] = [
    Transport::Length,
    Transport::LateBody,
    Transport::ChunkedTrailers,
    Transport::Http2,
    Transport::Http2Trailers,
];

#[test]
fn one_byte_more_than_the_limit_is_refused() {
    run(async {
        let body = call_of_size(LIMIT + 1);
        for held in gates::all().await {
            for transport in WHOLE {
                let label = format!("larger-{transport:?}.");
                let announced = matches!(transport, Transport::Length | Transport::LateBody);
                let before = if announced { Before::Body } else { Before::Verdict };
                let wanted = (413, "too_large", before);
                let answer = held
                    .refuse(&label, &post(&label, body.clone()), transport, wanted)
                    .await;
                assert!(answer.text().contains("1048576"), "{label}: {}", answer.text());
            }
            held.settle().await;
        }
    });
}

/// The limit counts while the body arrives: nobody has to wait for the end of one that never ends.
#[test]
fn a_body_without_end_is_refused_as_soon_as_it_is_too_large() {
    run(async {
        for held in gates::all().await {
            let label = "endless.";
            let connection = Http2::connect(held.gate.envoy.address()).await.expect("connects");
            let (mut stream, answer) = connection.begin(&post(label, ""), true).await.expect("begins");
            send_all(&mut stream, Bytes::from(vec![b' '; LIMIT + 1]))
                .await
                .expect("sent");
            let answer = read_answer(answer.await.expect("an answer"))
                .await
                .expect("readable");
            assert_eq!(
                (answer.status, answer.header("x-toolgate-decision").as_str()),
                (413, "too_large")
            );
            held.must_not_arrive(label, Before::Verdict);
            held.settle().await;
        }
    });
}
