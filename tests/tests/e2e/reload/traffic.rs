//! No request is lost while policies come and go, and open streams go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;
use toolgate_tests::client::{Connection, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::run;
use toolgate_tests::upstream::{Action, Answer, Upstream, mcp_server};

use super::{Watched, call, policy};

const RELOADS: usize = 40;
const CALLERS: usize = 6;
const STREAMS: usize = 5;

#[test]
fn no_request_is_lost_and_streams_go_on() {
    for release in Release::ALL {
        run(reload_under_load(release));
    }
}

async fn reload_under_load(release: Release) {
    let upstream = Upstream::start(mcp_server(json!([]))).await;
    let finish = Arc::new(Notify::new());
    let last = Arc::clone(&finish);
    upstream.answer("\"stream\"", move |_| {
        let event =
            |text: &str| format!("event: message\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"{text}\"}}\n\n");
        Answer::sse([(Duration::ZERO, event("notifications/first"))])
            .then(Action::Until(Arc::clone(&last)))
            .then(Action::Send(event("notifications/last").into()))
    });
    let options = Options {
        release,
        concurrency: 2,
    };
    let watched = Arc::new(Watched::start(options, policy(&["work", "stream"]), upstream).await);
    let mut streams = JoinSet::new();
    for number in 0..STREAMS {
        let watched = Arc::clone(&watched);
        streams.spawn(async move {
            let mut connection = Connection::open(watched.envoy.address()).await.expect("connects");
            connection
                .request(
                    &call("stream").header("x-number", number.to_string()),
                    Transport::Length,
                )
                .await
                .expect("sent");
            connection.response().await.expect("an answer")
        });
    }
    watched.upstream.wait_for("\"stream\"", STREAMS).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (watched, stop) = (Arc::clone(&watched), Arc::clone(&stop));
        callers.spawn(async move {
            let transport = [Transport::Length, Transport::Http2][caller % 2];
            let mut answered = 0_usize;
            while !stop.load(Ordering::Relaxed) {
                let answer = watched.envoy.send(&call("work"), transport).await;
                assert!(
                    answer.status == 200
                        && answer.header("x-toolgate-decision") == "allowed"
                        && answer.complete,
                    "{answer:?}"
                );
                answered += 1;
            }
            answered
        });
    }
    for round in 0..RELOADS {
        let marker = format!("marker-{round}");
        let next = policy(&["work", "stream", &marker]);
        let tool = Arc::clone(&watched);
        tokio::task::spawn_blocking(move || tool.put(&next))
            .await
            .expect("no panic")
            .expect("rendered");
        // Half of them one right after the other.
        if round % 2 == 0 {
            watched.until(&marker, "allowed").await;
        } else {
            sleep(Duration::from_millis(20)).await;
        }
    }
    let last_marker = format!("marker-{}", RELOADS - 1);
    watched.until(&last_marker, "allowed").await;
    stop.store(true, Ordering::Relaxed);
    let answered: usize = callers.join_all().await.into_iter().sum();
    println!("{release:?}: {answered} calls during {RELOADS} reloads, none lost");
    assert!(answered > RELOADS, "{answered}");
    assert_eq!(watched.envoy.stat("http.mcp.downstream_rq_5xx").await, 0);
    // Streams of the first policy end as their server ends them.
    for _ in 0..STREAMS {
        finish.notify_one();
        sleep(Duration::from_millis(20)).await;
    }
    for answer in streams.join_all().await {
        let text = answer.text();
        assert!(answer.complete && answer.status == 200, "{answer:?}");
        assert!(
            text.contains("notifications/first") && text.ends_with("notifications/last\"}\n\n"),
            "{text}"
        );
    }
    assert_eq!(watched.counted("update_rejected").await, 0);
    let log = watched.envoy.log();
    assert!(!log.contains("panicked") && !log.contains("[critical]"), "{log}");
}
