//! Nothing that only passes through waits, and however a stream is cut, it is the same stream.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use toolgate_tests::client::Transport;
use toolgate_tests::upstream::{Action, Answer};
use toolgate_tests::{SOON, run};

use super::stand::{all, body, event, headers, next_id, number, ok, outcome, sized};
use super::{json_of, note, rpc_error, tool_error};

#[test]
fn the_first_bytes_of_a_json_answer_arrive_before_the_last_are_sent() {
    run(async {
        for stand in all().await {
            for server in ["docs", "frames"] {
                for method in ["tools/call", "resources/read"] {
                    let id = next_id();
                    let text = sized(id, 20_000);
                    let go = Arc::new(Notify::new());
                    let (first, second) = text.split_at(7_000);
                    let answer = json_of("")
                        .declared(text.len(), first.to_owned())
                        .before_the_end(Action::Until(Arc::clone(&go)))
                        .before_the_end(Action::Send(second.to_owned().into()));
                    // HTTP/2 frames need no length; a reader along needs one.
                    let answer = match server {
                        "frames" => answer.header("content-length", text.len().to_string()).complete(),
                        _ => answer,
                    };
                    let request = stand.prepare(server, method, id, answer);
                    let mut client = stand.connect().await;
                    client.request(&request, Transport::Length).await.expect("sent");
                    let mut here = Vec::new();
                    let begin = async {
                        client.head().await.expect("a head");
                        while here.len() < first.len() {
                            here.extend(client.piece().await.expect("readable").expect("not the end"));
                        }
                    };
                    let what = format!("{server}, {method}, {}", stand.name);
                    tokio::time::timeout(SOON, begin)
                        .await
                        .unwrap_or_else(|_| panic!("{what}: the first bytes wait"));
                    assert!(here == first.as_bytes(), "{what}");
                    go.notify_one();
                    while let Some(piece) = client.piece().await.expect("readable") {
                        here.extend(piece);
                    }
                    assert!(here == text.as_bytes(), "{what}: {} bytes", here.len());
                    let line = stand.log.of_request(id).await;
                    assert_eq!(outcome(&line), ("ok", ""), "{what}: {line}");
                    assert_eq!(number(&line, "result_bytes"), Some(20_000), "{what}");
                }
            }
        }
    });
}

#[test]
fn events_arrive_when_they_are_sent() {
    run(async {
        for stand in all().await {
            for server in ["docs", "frames"] {
                let id = next_id();
                let go = Arc::new(Notify::new());
                let texts = [note(), note(), event(tool_error(id)), note()];
                let mut answer = Answer::sse::<String>([]);
                for text in &texts {
                    answer = answer
                        .then(Action::Send(text.clone().into()))
                        .then(Action::Until(Arc::clone(&go)));
                }
                let request = stand.prepare(server, "tools/call", id, answer);
                let mut client = stand.connect().await;
                client.request(&request, Transport::Length).await.expect("sent");
                tokio::time::timeout(SOON, client.head())
                    .await
                    .expect("soon")
                    .expect("a head");
                for text in texts {
                    let piece = tokio::time::timeout(SOON, client.piece()).await;
                    let piece = piece.expect("the event comes at once").expect("readable");
                    assert_eq!(piece, Some(text.into_bytes()), "{server}, {}", stand.name);
                    go.notify_one();
                }
                assert_eq!(client.piece().await.expect("readable"), None);
                let line = stand.log.of_request(id).await;
                assert_eq!(
                    outcome(&line),
                    ("tool_error", ""),
                    "{server}, {}: {line}",
                    stand.name
                );
            }
        }
    });
}

/// Every cut in two, and one byte after the other.
#[test]
fn no_cut_changes_what_came() {
    run(async {
        for stand in [headers().await, body().await] {
            for (end, mark) in [("\n", ""), ("\r\n", ""), ("\r", "\u{feff}")] {
                let mut running = tokio::task::JoinSet::new();
                let length = stream(1000, end, mark).0.len();
                for cut in 0..=length {
                    running.spawn(async move {
                        let (pieces, expected) = cut_stream(cut, end, mark);
                        let id = pieces.0;
                        let request = stand.prepare("docs", "tools/call", id, Answer::sse(pieces.1));
                        let answer = stand.gate.send(&request, Transport::Length).await;
                        let line = stand.log.of_request(id).await;
                        let what = format!("{end:?}, {cut}, {}: {line}", stand.name);
                        assert_eq!(outcome(&line), ("rpc_error", "-32603"), "{what}");
                        assert_eq!(answer.text(), expected, "{what}");
                    });
                    // A few at a time.
                    if running.len() == 32 {
                        running
                            .join_next()
                            .await
                            .expect("one runs")
                            .expect("it is as expected");
                    }
                }
                while let Some(done) = running.join_next().await {
                    done.expect("it is as expected");
                }
            }
            stand.alive().await;
        }
    });
}

type Pieces = (u64, Vec<(Duration, Vec<u8>)>);

/// A stream in two pieces; cut at its end, in bytes. And what of it arrives.
fn cut_stream(cut: usize, end: &str, mark: &str) -> (Pieces, String) {
    let id = next_id();
    let (text, expected) = stream(id, end, mark);
    let bytes = text.into_bytes();
    let pause = Duration::from_millis(3);
    let pieces = if cut < bytes.len() {
        let (first, second) = bytes.split_at(cut);
        vec![(Duration::ZERO, first.to_vec()), (pause, second.to_vec())]
    } else {
        bytes
            .iter()
            .map(|byte| (Duration::from_micros(300), vec![*byte]))
            .collect()
    };
    ((id, pieces), expected)
}

/// A stream with every kind of block, and what of it arrives: all but the second response.
fn stream(id: u64, end: &str, mark: &str) -> (String, String) {
    let rest = rpc_error(id).to_string().replacen('{', "", 1);
    let many_lines = format!("id: 4\nevent:message\ndata: {{\ndata: {rest}");
    let blocks = [
        ":hi\n\nid: 1\ndata:\n\nretry: 5\n\n",
        &note(),
        &(many_lines + "\n\n"),
    ]
    .concat();
    let (second, after) = (event(ok(id)), ":over\n\n");
    let spelled = |text: String| mark.to_owned() + &text.replace('\n', end);
    (
        spelled(format!("{blocks}{second}{after}")),
        // What takes the place of an event is an empty comment.
        spelled(blocks) + ":\n\n" + &after.replace('\n', end),
    )
}
