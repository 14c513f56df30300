//! `limits.resultBytes`: what is above it is told, what is not passes byte by byte, and no connection suffers.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use toolgate_tests::client::Response;
use toolgate_tests::run;
use toolgate_tests::upstream::{Action, Answer};

use super::stand::{
    DEFAULT_RESULT_BYTES, RESULT_BYTES, Stand, Went, all, event, number, ok, sized, start_wide,
};
use super::{chunked, events, json_of, note};

type Form = (&'static str, fn(u64, usize) -> Answer);

/// Answers of a size: of JSON, all of it counts, of an event everything but its blank line.
const FORMS: [Form; 4] = [
    ("length", |id, size| json_of(sized(id, size))),
    ("chunked", |id, size| chunked(sized(id, size))),
    ("pieces", |id, size| {
        let text = sized(id, size);
        let pieces: Vec<Vec<u8>> = text.as_bytes().chunks(1000).map(<[u8]>::to_vec).collect();
        Answer::new(200)
            .header("content-type", "application/json")
            .chunked(pieces)
    }),
    ("event", |id, size| {
        events(note() + &event(sized(id, size - 22)) + &note())
    }),
];

#[test]
fn what_is_too_large_is_told_on_a_connection_that_serves_on() {
    run(async {
        for stand in all().await {
            let mut connection = stand.connect().await;
            for (name, form) in FORMS {
                let what = format!("{name}, {}", stand.name);
                let before = stand.gate.upstream.connections();
                for round in 0..3 {
                    let went = stand
                        .went_on(&mut connection, "tools/call", |id| {
                            form(id, RESULT_BYTES + 1 + round * 5000)
                        })
                        .await;
                    assert_eq!(went.outcome(), ("too_large", ""), "{what}: {}", went.line);
                    assert_told(&went, &what);
                    // Exactly at the limit, on the same connection.
                    let went = stand
                        .went_on(&mut connection, "tools/call", |id| form(id, RESULT_BYTES))
                        .await;
                    assert_eq!(went.outcome(), ("ok", ""), "{what}: {}", went.line);
                    let id = went.line["jsonrpc.request.id"]
                        .as_str()
                        .and_then(|id| id.parse().ok());
                    assert_eq!(
                        went.answer.text(),
                        text(name, id.unwrap_or(0), RESULT_BYTES),
                        "{what}"
                    );
                }
                // At most one for each that was cut off, and one to begin with.
                let opened = stand.gate.upstream.connections() - before;
                assert!(opened <= 4, "{what}: {opened} connections");
            }
            stand.alive().await;
        }
    });
}

#[test]
fn other_requests_get_an_error_with_a_status_where_there_is_still_one() {
    run(async {
        for stand in all().await {
            let mut connection = stand.connect().await;
            for method in ["tools/list", "resources/read"] {
                for (name, form) in FORMS {
                    let what = format!("{method}, {name}, {}", stand.name);
                    let went = stand
                        .went_on(&mut connection, method, |id| form(id, RESULT_BYTES + 1))
                        .await;
                    assert_eq!(went.outcome(), ("too_large", ""), "{what}: {}", went.line);
                    let gone = name == "event" || (name != "length" && stand.hold == "body");
                    assert_eq!(went.answer.status, if gone { 200 } else { 502 }, "{what}");
                    let message = last(&went.answer);
                    assert_eq!(message["error"]["code"], -31_502, "{what}: {message}");
                    assert_eq!(
                        message["id"].to_string(),
                        went.line["jsonrpc.request.id"],
                        "{what}"
                    );
                }
            }
            stand.alive().await;
        }
    });
}

/// The answer to a call, for the model.
fn assert_told(went: &Went, what: &str) {
    assert_eq!((went.answer.status, went.answer.complete), (200, true), "{what}");
    let message = last(&went.answer);
    assert_eq!(
        message["id"].to_string(),
        went.line["jsonrpc.request.id"],
        "{what}"
    );
    assert_eq!(message["result"]["isError"], true, "{what}: {message}");
    let text = message["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_default();
    assert!(
        text.contains("too large") && text.contains("Ask for less"),
        "{what}: {text}"
    );
    assert_eq!(went.line["decision"], "upstream", "{what}");
    assert_eq!(number(&went.line, "result_tokens"), None, "{what}: {}", went.line);
}

fn last(answer: &Response) -> Value {
    if answer.header("content-type") == "text/event-stream" {
        answer.messages().pop().unwrap_or_default()
    } else {
        answer.json()
    }
}

fn text(name: &str, id: u64, size: usize) -> String {
    match name {
        "event" => note() + &event(sized(id, size - 22)) + &note(),
        _ => sized(id, size),
    }
}

#[test]
fn what_passes_is_the_same_byte_for_byte() {
    run(async {
        let stand = wide().await;
        let noise: String = (0..200_000u32)
            .map(|n| char::from_u32(n.wrapping_mul(2_654_435_761) % 0x3000 + 0x20).unwrap_or('x'))
            .collect();
        let mut connection = stand.connect().await;
        for (name, form) in FORMS {
            for size in [1 << 20, DEFAULT_RESULT_BYTES] {
                let went = stand
                    .went_on(&mut connection, "tools/call", |id| form(id, size))
                    .await;
                let id = went.line["jsonrpc.request.id"]
                    .as_str()
                    .and_then(|id| id.parse().ok());
                assert_same(
                    &went,
                    &text(name, id.unwrap_or(0), size),
                    &format!("{name}, {size}"),
                );
            }
            let message =
                |id: u64| json!({ "jsonrpc": "2.0", "id": id, "result": { "x": noise } }).to_string();
            let went = stand
                .went_on(&mut connection, "tools/call", |id| match name {
                    "event" => events(event(message(id))),
                    "length" => json_of(message(id)),
                    _ => chunked(message(id)),
                })
                .await;
            let id = went.line["jsonrpc.request.id"]
                .as_str()
                .and_then(|id| id.parse().ok());
            let message = message(id.unwrap_or(0));
            let expected = if name == "event" { event(message) } else { message };
            assert_same(&went, &expected, name);
        }
        // A stream as a whole has no limit.
        let note = event(json!({ "method": "notifications/message", "params": { "data": noise } }));
        let times = 24_000_000 / note.len();
        let went = stand
            .went_on(&mut connection, "tools/call", |id| {
                Answer::sse::<&str>([])
                    .then(Action::Repeat(note.clone().into(), times))
                    .then(Action::Send(event(ok(id)).into()))
            })
            .await;
        let id = went.line["jsonrpc.request.id"]
            .as_str()
            .and_then(|id| id.parse().ok());
        assert_same(
            &went,
            &(note.repeat(times) + &event(ok(id.unwrap_or(0)))),
            "many events",
        );
    });
}

fn assert_same(went: &Went, expected: &str, what: &str) {
    assert_eq!(went.outcome(), ("ok", ""), "{what}: {}", went.line);
    assert!(
        went.answer.body == expected.as_bytes(),
        "{what}: {} bytes for {}",
        went.answer.body.len(),
        expected.len()
    );
    assert_eq!(
        number(&went.line, "result_bytes"),
        Some(expected.len() as u64),
        "{what}"
    );
}

#[test]
fn an_event_of_100_megabytes_becomes_an_error() {
    const EVENT: usize = 100 << 20;
    run(async {
        // Its memory is looked at.
        let stand = start_wide().await;
        let mut connection = stand.connect().await;
        for form in FORMS {
            stand
                .went_on(&mut connection, "tools/call", |id| form.1(id, 1 << 20))
                .await;
        }
        let rest = status(&stand, "VmRSS");
        fs::write(format!("/proc/{}/clear_refs", stand.gate.envoy.id()), "5").expect("the peak is reset");
        let went = stand
            .went_on(&mut connection, "tools/call", |id| {
                let piece = "y".repeat(1 << 20);
                events(note() + &format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"x\":\""))
                    .then(Action::Repeat(piece.into(), EVENT >> 20))
                    .then(Action::Send("\"}}\n\n".into()))
                    .then(Action::Send(event(ok(id)).into()))
            })
            .await;
        let grown = status(&stand, "VmHWM").saturating_sub(rest);
        assert_eq!(went.outcome(), ("too_large", ""), "{}", went.line);
        assert_told(&went, "100 MB");
        assert_eq!(
            went.answer.messages().len(),
            2,
            "what was before it, and the error"
        );
        assert!(
            number(&went.line, "result_bytes") > Some(EVENT as u64),
            "{}",
            went.line
        );
        // What may be held of it, twice over: while it grows and in Envoy's buffers.
        assert!(grown < 48 << 10, "Envoy grew by {grown} kB");
        let went = stand
            .went_on(&mut connection, "tools/call", |id| Answer::json(&ok(id)))
            .await;
        assert_eq!(went.outcome(), ("ok", ""), "{}", went.line);
    });
}

#[test]
fn bombs_in_results_pass_or_are_refused_and_harm_nobody() {
    run(async {
        let stand = wide().await;
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let members: Vec<_> = (0..300_000).map(|n| format!("\"{n}\":{n}")).collect();
        let members = members.join(",");
        let same = "\"a\":{},".repeat(500_000);
        for (name, value, expected) in [
            ("flat", deep(900), "ok"),
            ("deep", deep(100_000), "malformed"),
            ("deeper", deep(2_000_000), "malformed"),
            ("never closed", "{\"a\":".repeat(500_000), "malformed"),
            ("members", format!("{{{members}}}"), "ok"),
            ("same member", format!("{{{same}\"x\":0}}"), "ok"),
            ("number", "9".repeat(2_000_000), "ok"),
            ("escapes", format!("\"{}\"", "\\ud83d".repeat(300_000)), "ok"),
        ] {
            let message = |id: u64| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"x":{value}}}}}"#);
            let began = std::time::Instant::now();
            // Read along, it passes whatever it is.
            let went = stand.went("docs", "tools/call", |id| json_of(message(id))).await;
            let id = went.line["jsonrpc.request.id"]
                .as_str()
                .and_then(|id| id.parse().ok());
            assert_eq!(went.outcome(), (expected, ""), "{name}: {}", went.line);
            assert!(went.answer.body == message(id.unwrap_or(0)).as_bytes(), "{name}");
            // Held, or as an event, it is refused if it is nothing that can be used.
            let held = stand.went("docs", "tools/call", |id| chunked(message(id))).await;
            let streamed = stand
                .went("docs", "tools/call", |id| events(event(message(id))))
                .await;
            for went in [held, streamed] {
                assert!(
                    ["ok", "malformed"].contains(&went.outcome().0),
                    "{name}: {}",
                    went.line
                );
                let refused = went.answer.text().contains("\"isError\":true");
                assert_eq!(refused, went.outcome().0 == "malformed", "{name}: {}", went.line);
                assert!(expected == "ok" || refused, "{name}: {}", went.line);
            }
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{name}: {:?}",
                began.elapsed()
            );
        }
        stand.alive().await;
    });
}

/// A field of the process's status, in kilobytes.
fn status(stand: &Stand, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", stand.gate.envoy.id())).expect("Envoy runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let value = line.and_then(|value| value.split_whitespace().next()?.parse().ok());
    value.unwrap_or_else(|| panic!("no {field} in {status}"))
}

async fn wide() -> &'static Stand {
    static STAND: OnceCell<Stand> = OnceCell::const_new();
    STAND.get_or_init(start_wide).await
}
