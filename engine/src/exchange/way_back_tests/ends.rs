//! Exchanges that do not end with their answer.

use super::super::Cause;
use super::world::{Answer, Asked, ERAS, Era, Form, HOLDS, answered, engine, event};
use super::{ANSWERS, for_each_way};
use crate::outcome::Outcome;

/// Every end but the good one, and what it is before the head of an answer.
const ENDS: [(Cause, Outcome); 3] = [
    (Cause::Reset, Outcome::Reset),
    (Cause::Timeout, Outcome::Timeout),
    (Cause::ClientGone, Outcome::ClientGone),
];

const WHOLE: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"isError":true}}"#;

#[test]
fn before_the_head_the_end_says_it_all() {
    for hold in HOLDS {
        for era in ERAS {
            for asked in Asked::REQUESTS {
                for (cause, expected) in ENDS {
                    let came = answered(&engine(hold), era, asked, &Answer::none(cause), &[]);
                    assert_eq!(came.outcome(), Some(expected), "{era:?} {asked:?} {cause:?}");
                    assert_eq!(came.client, None);
                }
                // A proxy's own answer in place of the server's.
                for (status, cause, expected) in [
                    (503, Cause::Reset, Outcome::Reset),
                    (502, Cause::Reset, Outcome::Reset),
                    (504, Cause::Timeout, Outcome::Timeout),
                    (408, Cause::Timeout, Outcome::Timeout),
                ] {
                    let answer = Answer::new(status)
                        .header("content-type", "text/plain")
                        .body("upstream connect error")
                        .ends(cause);
                    let came = answered(&engine(hold), era, asked, &answer, &[usize::MAX]);
                    assert_eq!(came.outcome(), Some(expected), "{era:?} {asked:?} {status}");
                }
            }
        }
    }
}

#[test]
fn an_answer_that_breaks_off_is_truncated_if_the_server_did_it() {
    for_each_way(&Asked::REQUESTS, |what, hold, era, asked, form| {
        let whole = Answer::of(form, WHOLE);
        // Between the head and the body, in the middle, before the last byte.
        for length in [0, 1, whole.body.len() / 2, whole.body.len() - 1] {
            for (cause, expected) in ENDS {
                let expected = match cause {
                    Cause::Reset => Outcome::Truncated,
                    _ => expected,
                };
                let answer = whole.clone().body(&whole.body[..length]).ends(cause);
                for sizes in [&[usize::MAX][..], &[1]] {
                    let came = answered(&engine(hold), era, asked, &answer, sizes);
                    assert_eq!(
                        came.outcome(),
                        Some(expected),
                        "{what}: {length} bytes, {cause:?}"
                    );
                    assert_eq!(came.record.result_tokens, None, "{what}: no answer");
                    assert_eq!(came.record.result_bytes, Some(length as u64), "{what}");
                }
            }
        }
    });
}

#[test]
fn a_body_that_ends_before_its_length_is_truncated_however_much_of_it_came() {
    for hold in HOLDS {
        for era in ERAS {
            // The whole message is there, but more was promised: clients reject what they have.
            let answer = Answer::of(Form::Length, WHOLE)
                .header("content-length", "500")
                .ends(Cause::Reset);
            for asked in Asked::REQUESTS {
                let came = answered(&engine(hold), era, asked, &answer, &[usize::MAX]);
                assert_eq!(
                    came.outcome(),
                    Some(Outcome::Truncated),
                    "{hold:?} {era:?} {asked:?}"
                );
            }
        }
    }
}

#[test]
fn a_stream_that_can_be_resumed_is_accepted() {
    let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
    let primed = "id: 4\ndata:\n\n".to_owned();
    for hold in HOLDS {
        for asked in Asked::REQUESTS {
            for (stream, resumable) in [
                (primed.clone(), true),
                (primed.clone() + &event(note), true),
                (format!("id: 5\n{}", event(note)), true),
                // The latest one took it back.
                (primed.clone() + "id:\ndata:\n\n", false),
                (event(note), false),
                // A lone id dispatches nothing.
                (event(note) + "id: 9\n\n", false),
                ("id: 4".to_owned(), false),
            ] {
                for cause in [Cause::Complete, Cause::Reset] {
                    for era in ERAS {
                        let answer = Answer::events(&stream).ends(cause);
                        let came = answered(&engine(hold), era, asked, &answer, &[6]);
                        let expected = if resumable && era == Era::Legacy {
                            Outcome::Accepted
                        } else {
                            Outcome::Truncated
                        };
                        assert_eq!(came.outcome(), Some(expected), "{era:?} {cause:?} {stream:?}");
                    }
                }
                // Whoever leaves or waits in vain does so on such a stream too.
                for (cause, expected) in [ENDS[1], ENDS[2]] {
                    let answer = Answer::events(&stream).ends(cause);
                    let came = answered(&engine(hold), Era::Legacy, asked, &answer, &[6]);
                    assert_eq!(came.outcome(), Some(expected), "{cause:?} {stream:?}");
                }
            }
        }
    }
}

#[test]
fn after_the_answer_no_end_changes_it() {
    for hold in HOLDS {
        for era in ERAS {
            for asked in [Asked::Call, Asked::Read] {
                for (message, expected) in ANSWERS {
                    for (cause, _) in ENDS {
                        let note = event(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#);
                        let stream = note.clone() + &event(message) + &note + "data: hal";
                        let answer = Answer::events(&stream).ends(cause);
                        let came = answered(&engine(hold), era, asked, &answer, &[8]);
                        assert_eq!(came.outcome(), Some(expected), "{cause:?} {message}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_refusal_that_breaks_off_is_one_or_the_other() {
    for (form, cause, expected) in [
        (Form::Length, Cause::Complete, Outcome::HttpError(500)),
        (Form::Length, Cause::Reset, Outcome::Reset),
        (Form::Events, Cause::Reset, Outcome::Reset),
        (Form::Events, Cause::Timeout, Outcome::Timeout),
        (Form::Chunked, Cause::ClientGone, Outcome::ClientGone),
    ] {
        let whole = Answer::of(form, WHOLE).status(500);
        let answer = whole.clone().body(&whole.body[..20]).ends(cause);
        for asked in Asked::REQUESTS {
            let came = answered(&engine(HOLDS[0]), Era::Legacy, asked, &answer, &[6]);
            assert_eq!(came.outcome(), Some(expected), "{form:?} {cause:?}");
        }
    }
}

#[test]
fn an_answer_that_was_replaced_at_once_stays_what_it_was() {
    for (answer, expected) in [
        (
            Answer::json("{}").header("content-length", "5000"),
            Outcome::TooLarge,
        ),
        (Answer::new(202), Outcome::Accepted),
        (
            Answer::new(200).header("content-type", "text/html"),
            Outcome::Malformed,
        ),
    ] {
        for cause in [Cause::Complete, Cause::Reset, Cause::Timeout, Cause::ClientGone] {
            for asked in Asked::REQUESTS {
                let came = answered(
                    &engine(HOLDS[0]),
                    Era::Legacy,
                    asked,
                    &answer.clone().ends(cause),
                    &[],
                );
                assert_eq!(came.outcome(), Some(expected), "{cause:?} {answer:?}");
            }
        }
    }
}
