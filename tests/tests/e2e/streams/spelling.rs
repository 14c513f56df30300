//! All ways to write the same stream.

use std::time::Duration;

use toolgate_tests::client::{Response, Transport};
use toolgate_tests::gate::Gate;
use toolgate_tests::run;
use toolgate_tests::upstream::Answer;

use super::{gate, get, list, ping, rest};

/// The three line ends of the format.
const LINE_ENDS: [&str; 3] = ["\n", "\r\n", "\r"];

#[test]
fn the_spelling_and_the_cuts_of_a_stream_do_not_matter() {
    run(async {
        let gate = gate("headers").await;
        let mut streams = Vec::new();
        for line_end in LINE_ENDS {
            for mark in ["", "\u{feff}"] {
                let label = format!("cuts-{}-x", streams.len());
                streams.push((label, format!("{mark}{}", spelled(line_end)), line_end));
            }
        }
        let exchanges: Vec<_> = streams
            .into_iter()
            .map(|(label, stream, line_end)| tokio::spawn(whole_and_in_bytes(gate, label, stream, line_end)))
            .collect();
        for exchange in exchanges {
            exchange.await.expect("it is as expected");
        }
    });
}

async fn whole_and_in_bytes(gate: &'static Gate, label: String, stream: String, line_end: &'static str) {
    let whole = Answer::sse([(Duration::ZERO, stream.clone())]);
    // A pause makes Envoy read each byte for itself.
    let pause = Duration::from_micros(500);
    let bytes = stream
        .clone()
        .into_bytes()
        .into_iter()
        .map(move |byte| (pause, vec![byte]));
    let bytes = Answer::sse(bytes);
    gate.upstream
        .answer(&label, move |received| match received.header("x-cut") {
            None => whole.clone(),
            Some(_) => bytes.clone(),
        });
    // A stream of no request: that of one would carry only one of the lists.
    let request = get(&label);
    let in_one = gate.send(&request, Transport::Length).await;
    let in_bytes = gate
        .send(&request.header("x-cut", "yes"), Transport::Length)
        .await;
    assert_eq!(in_one.text(), in_bytes.text(), "{line_end:?}");
    assert!(
        !in_one.text().contains("delete_all"),
        "{line_end:?}: {:?}",
        in_one.text()
    );
    let normal = Response {
        body: in_one.text().replace(line_end, "\n").into_bytes(),
        ..Response::default()
    };
    assert_eq!(
        normal.messages(),
        [ping(), rest(), rest()],
        "{line_end:?}: {:?}",
        in_one.text()
    );
    // What carries no list is as it was: mark, comments, ids, retry, priming event, odd fields.
    let begin = stream.find("event: message").expect("a list");
    assert_eq!(in_one.text().get(..begin), stream.get(..begin), "{line_end:?}");
    let end = stream.rfind(": over").expect("a comment");
    assert!(
        in_one.text().ends_with(&stream[end..]),
        "{line_end:?}: {:?}",
        in_one.text()
    );
}

/// A stream with everything that the format knows, two lists in it, one of them in several lines.
fn spelled(line_end: &str) -> String {
    let pretty = serde_json::to_string_pretty(&list()).expect("plain data");
    let many_lines: Vec<_> = pretty.lines().map(|line| format!("data: {line}")).collect();
    let lines = [
        ": a comment",
        "",
        "id: 1",
        "data:",
        "",
        "retry: 500",
        "",
        "id: 2",
        &format!("data:{}", ping()),
        "",
        "event: message",
        "id: 3",
        &format!("data: {}", list()),
        "unknown: field",
        "",
        &many_lines.join("\n"),
        "",
        "",
        ": over",
        "",
        "",
    ];
    lines.join("\n").replace('\n', line_end)
}
