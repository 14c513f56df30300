//! What came of a request, for every kind of request, answer and end.

mod blame;
mod ends;
#[cfg(not(target_arch = "wasm32"))]
mod properties;
mod told;
mod world;

use serde_json::Value;

use super::Cause;
use crate::outcome::Outcome;
use crate::policy::Hold;
use crate::reason::Reason;

use world::{Answer, Asked, Came, ERAS, Era, FORMS, Form, HOLDS, LIMIT, answered, engine, event};

/// What a server says, and what came of the request by it.
const ANSWERS: [(&str, Outcome); 16] = [
    (r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#, Outcome::Ok),
    (
        r#"{"result":{"isError":false},"id":7,"jsonrpc":"2.0"}"#,
        Outcome::Ok,
    ),
    // The same id.
    (r#"{"jsonrpc":"2.0","id":7.0,"result":{}}"#, Outcome::Ok),
    (
        r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"isError":true}],"_meta":{"isError":true}}}"#,
        Outcome::Ok,
    ),
    (
        r#"{"jsonrpc":"2.0","id":7,"result":{"isError":true}}"#,
        Outcome::ToolError,
    ),
    (
        r#"{"jsonrpc":"2.0","id":7,"result":{"\u0069sError":true}}"#,
        Outcome::ToolError,
    ),
    (
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"x"}}"#,
        Outcome::RpcError(-32603),
    ),
    (
        r#"{"error":{"message":"x","code":17},"id":7}"#,
        Outcome::RpcError(17),
    ),
    (
        r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","requestState":"s"}}"#,
        Outcome::InputRequired,
    ),
    (
        r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"task","taskId":"t","status":"working"}}"#,
        Outcome::Task,
    ),
    (
        r#"{"jsonrpc":"2.0","id":7,"result":{"task":{"taskId":"t","status":"working"}}}"#,
        Outcome::Task,
    ),
    (r#"{"jsonrpc":"2.0","id":7,"result":[]}"#, Outcome::Malformed),
    (
        r#"{"jsonrpc":"2.0","id":7,"result":{},"error":{"code":1}}"#,
        Outcome::Malformed,
    ),
    (
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":"1"}}"#,
        Outcome::Malformed,
    ),
    (
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}"#,
        Outcome::Malformed,
    ),
    (r#"{"jsonrpc":"2.0","id":7,"error":null}"#, Outcome::Malformed),
];

/// What is no answer to the request, whatever the form.
const NO_ANSWERS: [&str; 7] = [
    "this is no JSON",
    r#"{"jsonrpc":"2.0","id":8,"result":{}}"#,
    r#"{"jsonrpc":"2.0","id":"7","result":{}}"#,
    r#"{"jsonrpc":"2.0","result":{}}"#,
    r#"{"jsonrpc":"2.0","id":7}"#,
    r#"{"jsonrpc":"2.0","id":7,"result":{}"#,
    r#"{"jsonrpc":"2.0","id":7,"result":{}}}"#,
];

#[test]
fn an_answer_has_one_outcome_in_every_form() {
    for_each_way(
        &[Asked::Call, Asked::Unnamed, Asked::Read],
        |what, hold, era, asked, form| {
            for (message, expected) in ANSWERS {
                let came = answered(&engine(hold), era, asked, &Answer::of(form, message), &[5, 1, 60]);
                assert_eq!(came.outcome(), Some(expected), "{what}: {message}");
                assert_eq!(came.streamed, form != Form::Chunked, "{what}");
            }
        },
    );
}

#[test]
fn calls_that_may_make_a_task_are_held_and_have_the_same_outcomes() {
    for hold in HOLDS {
        for form in FORMS {
            for (message, expected) in ANSWERS {
                let answer = Answer::of(form, message);
                let came = answered(&engine(hold), Era::Legacy, Asked::Tasked, &answer, &[usize::MAX]);
                assert_eq!(came.outcome(), Some(expected), "{hold:?} {form:?}: {message}");
                assert_eq!(came.streamed, form == Form::Events);
            }
        }
    }
}

#[test]
fn lists_have_outcomes_too() {
    for_each_way(&[Asked::List], |what, hold, era, asked, form| {
        let outcome = |message: &str| {
            let came = answered(&engine(hold), era, asked, &Answer::of(form, message), &[9]);
            came.outcome()
        };
        for (message, expected) in [
            (r#"{"id":7,"result":{"tools":[]}}"#, Outcome::Ok),
            (r#"{"id":7,"error":{"code":-32601}}"#, Outcome::RpcError(-32601)),
            (
                r#"{"id":7,"result":{"resultType":"input_required"}}"#,
                Outcome::InputRequired,
            ),
        ] {
            assert_eq!(outcome(message), Some(expected), "{what}: {message}");
        }
        if form != Form::Events {
            for message in [r#"{"id":7,"result":{"tools":{}}}"#, r#"{"id":7,"result":[]}"#] {
                assert_eq!(outcome(message), Some(Outcome::Malformed), "{what}: {message}");
            }
        }
    });
}

#[test]
fn what_answers_nothing_is_malformed_or_the_stream_ends_without() {
    for_each_way(&Asked::REQUESTS, |what, hold, era, asked, form| {
        for message in NO_ANSWERS {
            let came = answered(&engine(hold), era, asked, &Answer::of(form, message), &[3, 40]);
            let passes = matches!(message, m if m.ends_with('}') && serde_json::from_str::<Value>(m).is_ok());
            let expected = match form {
                Form::Events if passes => Outcome::Truncated,
                // What has begun and is not complete.
                Form::Length if message.ends_with("{}") && asked != Asked::List => Outcome::Truncated,
                _ => Outcome::Malformed,
            };
            assert_eq!(came.outcome(), Some(expected), "{what}: {message}");
            if form == Form::Events && !passes {
                assert_told(&came, asked, era, "not valid JSON", &what);
            }
        }
    });
}

#[test]
fn an_array_is_no_answer_in_json() {
    for_each_way(&Asked::REQUESTS, |what, hold, era, asked, form| {
        if form != Form::Events {
            let answer = Answer::of(form, r#"[{"jsonrpc":"2.0","id":7,"result":{}}]"#);
            let came = answered(&engine(hold), era, asked, &answer, &[usize::MAX]);
            assert_eq!(came.outcome(), Some(Outcome::Malformed), "{what}");
        }
    });
}

#[test]
fn of_two_responses_in_a_stream_the_first_counts_and_arrives() {
    let first = r#"{"jsonrpc":"2.0","id":7,"result":{"isError":true}}"#;
    let second = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
    let foreign = r#"{"jsonrpc":"2.0","id":8,"result":{}}"#;
    for hold in HOLDS {
        for era in ERAS {
            for asked in Asked::REQUESTS {
                let stream = event(foreign) + &event(first) + &event(second) + &event(foreign);
                let came = answered(&engine(hold), era, asked, &Answer::events(&stream), &[11]);
                assert_eq!(came.outcome(), Some(Outcome::ToolError), "{era:?} {asked:?}");
                let expected = event(foreign) + &event(first) + ":\n\n:\n\n";
                assert_eq!(came.text(), expected, "{era:?} {asked:?}");
            }
        }
    }
}

#[test]
fn statuses_are_outcomes() {
    let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"x"}}"#;
    for hold in HOLDS {
        for era in ERAS {
            for asked in Asked::REQUESTS {
                let outcome = |answer: Answer| {
                    let came = answered(&engine(hold), era, asked, &answer, &[4]);
                    (came.outcome(), came.client.map(|(status, _)| status))
                };
                for status in [300, 304, 400, 404, 405, 429, 500, 503] {
                    let http = Some(Outcome::HttpError(status));
                    for answer in [
                        Answer::new(status),
                        Answer::new(status)
                            .header("content-type", "text/html")
                            .body("<h1>No</h1>"),
                        Answer::json("no").status(status),
                        // It answers nothing here.
                        Answer::json(r#"{"id":7,"result":{}}"#).status(status),
                        Answer::json(r#"{"id":null,"error":{"code":1}}"#).status(status),
                        Answer::json(error)
                            .header("content-encoding", "gzip")
                            .status(status),
                        Answer::events(&event(error)).status(status),
                    ] {
                        assert_eq!(outcome(answer.clone()), (http, Some(status)), "{answer:?}");
                    }
                    let expected = if status < 500 {
                        Some(Outcome::RpcError(-32601))
                    } else {
                        http
                    };
                    for form in [Form::Length, Form::Chunked] {
                        let answer = Answer::of(form, error).status(status);
                        assert_eq!(outcome(answer), (expected, Some(status)), "{asked:?} {form:?}");
                    }
                }
                let refused = if asked.is_call() { 200 } else { 502 };
                let unusable = |outcome| (Some(outcome), Some(refused));
                assert_eq!(outcome(Answer::new(202)), unusable(Outcome::Accepted));
                for answer in [
                    Answer::new(200),
                    Answer::new(204),
                    Answer::new(200).header("content-type", "text/html").body("<p>"),
                    Answer::json(""),
                    Answer::events(""),
                    Answer::json("{}").header("content-encoding", "gzip"),
                    Answer::events("data: {}\n\n").header("content-encoding", "br"),
                ] {
                    assert_eq!(
                        outcome(answer.clone()),
                        unusable(Outcome::Malformed),
                        "{answer:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn notifications_are_accepted_or_not() {
    for hold in HOLDS {
        let asked = [
            (Era::Legacy, Asked::Notification),
            (Era::Modern, Asked::Notification),
            (Era::Legacy, Asked::Response),
        ];
        for (era, asked) in asked {
            for (answer, expected) in [
                (Answer::new(202), Outcome::Accepted),
                (Answer::new(204), Outcome::Accepted),
                (Answer::json("{}"), Outcome::Accepted),
                (
                    Answer::new(200).header("content-type", "text/html").body("<p>"),
                    Outcome::Accepted,
                ),
                (Answer::events(&event("{}")), Outcome::Accepted),
                (Answer::new(400), Outcome::HttpError(400)),
                (
                    Answer::json(r#"{"error":{"code":1}}"#).status(400),
                    Outcome::HttpError(400),
                ),
                (Answer::new(503), Outcome::HttpError(503)),
                (Answer::none(Cause::Reset), Outcome::Reset),
                (Answer::new(503).ends(Cause::Reset), Outcome::Reset),
                (Answer::none(Cause::Timeout), Outcome::Timeout),
                (Answer::none(Cause::ClientGone), Outcome::ClientGone),
            ] {
                let came = answered(&engine(hold), era, asked, &answer, &[usize::MAX]);
                assert_eq!(came.outcome(), Some(expected), "{era:?} {asked:?}: {answer:?}");
                assert_eq!(came.lines(), [""; 0], "metrics are of calls");
            }
        }
    }
}

#[test]
fn streams_of_server_messages_and_ends_of_sessions_have_no_outcome() {
    for hold in HOLDS {
        for asked in [Asked::Get, Asked::Delete] {
            for answer in [
                Answer::events(&event(ANSWERS[0].0)),
                Answer::events("data: not JSON\n\n"),
                Answer::new(200),
                Answer::new(405),
                Answer::new(503).ends(Cause::Reset),
                Answer::none(Cause::Timeout),
                Answer::none(Cause::ClientGone),
            ] {
                let came = answered(&engine(hold), Era::Legacy, asked, &answer, &[7]);
                let record = &came.record;
                assert_eq!(
                    (
                        record.outcome,
                        record.result_bytes,
                        record.result_tokens,
                        record.duration_ms
                    ),
                    (None, None, None, None),
                    "{asked:?}: {answer:?}"
                );
                assert_eq!(came.lines(), [""; 0]);
            }
        }
    }
}

#[test]
fn what_is_too_large_is_told_and_what_just_fits_arrives() {
    let sized = |size: usize| {
        let frame = r#"{"jsonrpc":"2.0","id":7,"result":{"x":""}}"#;
        frame.replace(
            "\"x\":\"\"",
            &format!("\"x\":\"{}\"", "y".repeat(size - frame.len())),
        )
    };
    for_each_way(&Asked::REQUESTS, |what, hold, era, asked, form| {
        // Of an event, its lines count, without the blank one.
        let around = if form == Form::Events {
            event("").len() - 1
        } else {
            0
        };
        for sizes in [&[usize::MAX][..], &[1000], &[1]] {
            let fits = Answer::of(form, &sized(LIMIT - around));
            let came = answered(&engine(hold), era, asked, &fits, sizes);
            assert_eq!(came.outcome(), Some(Outcome::Ok), "{what}");
            assert_eq!(came.text(), fits.text(), "{what}");
            let above = Answer::of(form, &sized(LIMIT - around + 1));
            let came = answered(&engine(hold), era, asked, &above, sizes);
            assert_eq!(came.outcome(), Some(Outcome::TooLarge), "{what}");
            assert_eq!(came.record.decision, Some(Reason::Upstream), "{what}");
            assert_told(&came, asked, era, "too large", &what);
            // What went ahead cannot be taken back.
            let went = form == Form::Events || (form == Form::Chunked && hold == Hold::Body);
            let expected = if asked.is_call() || went { 200 } else { 502 };
            assert_eq!(
                came.client.as_ref().map(|(status, _)| *status),
                Some(expected),
                "{what}"
            );
        }
    });
}

/// Every way of holding, era and form.
fn for_each_way(asked: &[Asked], mut test: impl FnMut(String, Hold, Era, Asked, Form)) {
    for hold in HOLDS {
        for era in ERAS {
            for asked in asked {
                for form in FORMS {
                    test(
                        format!("{hold:?} {era:?} {asked:?} {form:?}"),
                        hold,
                        era,
                        *asked,
                        form,
                    );
                }
            }
        }
    }
}

/// The client got one message, which says so: for a model if it was a call.
fn assert_told(came: &Came, asked: Asked, era: Era, part: &str, what: &str) {
    let text = came.text();
    let json = text.strip_prefix("event: message\ndata: ").unwrap_or(&text);
    let message: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{what}: {e} in {text}"));
    assert_eq!(
        (&message["jsonrpc"], &message["id"]),
        (&"2.0".into(), &7.into()),
        "{what}"
    );
    let text = if asked.is_call() {
        assert_eq!(message["result"]["isError"], true, "{what}: {message}");
        assert_eq!(
            message["result"].get("resultType").is_some(),
            era == Era::Modern,
            "{what}"
        );
        &message["result"]["content"][0]["text"]
    } else {
        assert_eq!(message["error"]["code"], -31_502, "{what}: {message}");
        &message["error"]["message"]
    };
    assert!(
        text.as_str().is_some_and(|text| text.contains(part)),
        "{what}: {message}"
    );
}
