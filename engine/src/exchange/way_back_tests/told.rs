//! What the record and the metrics say of an outcome.

use super::super::Cause;
use super::world::{Answer, Asked, Came, ERAS, Era, Form, HOLDS, LIMIT, answered, engine, event};
use crate::outcome::Outcome;

const OK: &str =
    r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"x":"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"}}"#;

fn fields(came: &Came) -> Vec<String> {
    let ours = [
        "outcome",
        "outcome_code",
        "result_bytes",
        "result_tokens",
        "first_byte_ms",
        "duration_ms",
    ];
    let fields = came.record.fields().filter_map(|(field, value)| {
        let name = field.state.strip_prefix("toolgate.")?;
        ours.contains(&name).then(|| format!("{name}={value}"))
    });
    let mut fields: Vec<String> = fields.collect();
    fields.sort();
    fields
}

#[test]
fn the_record_says_how_much_and_when() {
    assert_eq!(OK.len(), 93);
    for hold in HOLDS {
        for era in ERAS {
            // The head after 20 ms, then four windows, one each 10 ms, then 100 ms to the end.
            for (form, bytes, took) in [
                (Form::Length, 93, 60),
                (Form::Chunked, 93, 60),
                (Form::Events, 116, 60),
            ] {
                let came = answered(&engine(hold), era, Asked::Call, &Answer::of(form, OK), &[30]);
                assert_eq!(
                    fields(&came),
                    [
                        &format!("duration_ms={took}"),
                        "first_byte_ms=20",
                        "outcome=ok",
                        &format!("result_bytes={bytes}"),
                        // A quarter of the message, rounded up, whatever carries it.
                        "result_tokens=24",
                    ],
                    "{hold:?} {era:?} {form:?}"
                );
            }
        }
    }
}

#[test]
fn errors_have_codes_and_tokens_and_what_never_came_has_neither() {
    let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"x"}}"#;
    for (answer, expected) in [
        (
            Answer::of(Form::Length, error),
            "duration_ms=30 first_byte_ms=20 outcome=rpc_error outcome_code=-32602 result_bytes=62 result_tokens=16",
        ),
        (
            Answer::of(Form::Events, error),
            "duration_ms=30 first_byte_ms=20 outcome=rpc_error outcome_code=-32602 result_bytes=85 result_tokens=16",
        ),
        (
            Answer::of(Form::Length, error).status(404),
            "duration_ms=30 first_byte_ms=20 outcome=rpc_error outcome_code=-32602 result_bytes=62 result_tokens=16",
        ),
        (
            Answer::new(503)
                .header("content-type", "text/html")
                .body("<p>no</p>"),
            "duration_ms=120 first_byte_ms=20 outcome=http_error outcome_code=503 result_bytes=9",
        ),
        (
            Answer::none(Cause::Reset),
            "duration_ms=100 outcome=reset result_bytes=0",
        ),
        (
            Answer::none(Cause::Timeout),
            "duration_ms=100 outcome=timeout result_bytes=0",
        ),
        (
            Answer::events("id: 1\ndata:\n\n"),
            "duration_ms=130 first_byte_ms=20 outcome=accepted result_bytes=13",
        ),
        (
            Answer::new(202),
            "duration_ms=120 first_byte_ms=20 outcome=accepted result_bytes=0",
        ),
    ] {
        for asked in [Asked::Call, Asked::Unnamed, Asked::Read] {
            let came = answered(&engine(HOLDS[0]), Era::Legacy, asked, &answer, &[usize::MAX]);
            assert_eq!(fields(&came).join(" "), expected, "{asked:?}: {answer:?}");
        }
    }
}

#[test]
fn a_stream_that_stays_open_took_as_long_as_its_answer() {
    let note = event(r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#);
    let stream = note.clone() + &event(OK) + &note.repeat(50);
    // A window is an event or more; the answer comes with the second.
    let size = note.len().max(event(OK).len());
    for cause in [Cause::Complete, Cause::Timeout, Cause::ClientGone] {
        let came = answered(
            &engine(HOLDS[0]),
            Era::Legacy,
            Asked::Call,
            &Answer::events(&stream).ends(cause),
            &[size],
        );
        let record = &came.record;
        assert_eq!(
            (record.outcome, record.first_byte_ms, record.duration_ms),
            (Some(Outcome::Ok), Some(20), Some(40)),
            "{cause:?}"
        );
        assert!(
            came.lines()
                .contains(&"call_duration_ms{server=docs,tool=search} 40".to_owned())
        );
    }
}

#[test]
fn calls_are_measured_and_nothing_else_is() {
    let tool_error = r#"{"jsonrpc":"2.0","id":7,"result":{"isError":true}}"#;
    for (answer, outcome, bytes, took) in [
        (Answer::of(Form::Length, OK), "ok", 93, 30),
        (Answer::of(Form::Chunked, OK), "ok", 93, 30),
        (Answer::of(Form::Events, tool_error), "tool_error", 73, 30),
        (
            Answer::of(Form::Length, &"x".repeat(LIMIT + 1)),
            "too_large",
            4097,
            120,
        ),
        (Answer::new(500), "http_error", 0, 120),
        (Answer::none(Cause::Reset), "reset", 0, 100),
        (Answer::none(Cause::ClientGone), "client_gone", 0, 100),
    ] {
        for era in ERAS {
            for (asked, tool) in [(Asked::Call, "search"), (Asked::Unnamed, "other")] {
                let came = answered(&engine(HOLDS[0]), era, asked, &answer, &[usize::MAX]);
                assert_eq!(
                    came.lines(),
                    [
                        format!("results_total{{server=docs,tool={tool},outcome={outcome}}} 1"),
                        format!("result_bytes{{server=docs,tool={tool}}} {bytes}"),
                        format!("call_duration_ms{{server=docs,tool={tool}}} {took}"),
                    ],
                    "{answer:?}"
                );
            }
            for asked in [Asked::List, Asked::Read] {
                let came = answered(&engine(HOLDS[0]), era, asked, &answer, &[usize::MAX]);
                assert_eq!(came.lines(), [""; 0], "{asked:?}: {answer:?}");
                assert!(came.outcome().is_some());
            }
        }
    }
}
