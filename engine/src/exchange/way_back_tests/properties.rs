//! Whatever the server sends, and however it is cut: the same outcome, and the same bytes for the client.

use std::borrow::Cow;

use proptest::prelude::*;

use super::super::Cause;
use super::world::{Answer, Asked, Came, ERAS, FORMS, Form, HOLDS, answered, engine, event};
use crate::outcome::Outcome;

/// Parts of which answers are made, good ones and bad ones.
fn message() -> impl Strategy<Value = String> {
    let id = prop::sample::select(vec!["7", "7.0", "8", "\"7\"", "null"]);
    let result = prop::sample::select(vec![
        r#""result":{}"#,
        r#""result":{"tools":[{"name":"search"},{"name":"a"}]}"#,
        r#""result":{"isError":true,"content":[{"type":"text","text":"\ud83d\ude00 \ud83d"}]}"#,
        r#""result":{"resultType":"input_required"}"#,
        r#""result":{"task":{"taskId":"t","status":"working"}}"#,
        r#""result":[[[[[]]]]]"#,
        r#""error":{"code":-32603,"message":"a\r\nb"}"#,
        r#""method":"notifications/message","params":{}"#,
        r#""method":"ping""#,
        r#""x":"#,
    ]);
    let ordinary = (id, result, any::<bool>()).prop_map(|(id, result, first)| {
        if first {
            format!(r#"{{"id":{id},{result}}}"#)
        } else {
            format!(r#"{{{result},"id":{id}}}"#)
        }
    });
    let odd = prop::sample::select(vec![
        "",
        "1",
        "[]",
        "{}",
        "no",
        "[{\"id\":7,\"result\":{}}]",
        "\u{feff}{}",
    ]);
    let large =
        (1usize..300).prop_map(|n| format!(r#"{{"id":7,"result":{{"x":"{}"}}}}"#, "y".repeat(n * 20)));
    prop_oneof![6 => ordinary, 1 => odd.prop_map(str::to_owned), 1 => large]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let block = prop_oneof![
        5 => message().prop_map(|message| event(&message)),
        1 => message().prop_map(|message| format!("id: 3\ndata:{message}\n\n")),
        1 => prop::sample::select(vec![":\n\n", "id: 1\ndata:\n\n", "id:\ndata:\n\n", "retry: 5\n\n", "\n", "data: {", "data\n\n"])
            .prop_map(str::to_owned),
    ];
    let line_end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    let mark = prop::sample::select(vec!["", "\u{feff}"]);
    (prop::collection::vec(block, 0..6), line_end, mark)
        .prop_map(|(blocks, end, mark)| (mark.to_owned() + &blocks.concat().replace('\n', end)).into_bytes())
}

fn answer() -> impl Strategy<Value = Answer> {
    let body = prop_oneof![
        (Just(Form::Length), message().prop_map(String::into_bytes)),
        (Just(Form::Chunked), message().prop_map(String::into_bytes)),
        (Just(Form::Events), stream()),
    ];
    let cause = prop::sample::select(vec![
        Cause::Complete,
        Cause::Reset,
        Cause::Timeout,
        Cause::ClientGone,
    ]);
    let status = prop::sample::select(vec![200, 200, 200, 200, 404, 500]);
    (body, cause, status, any::<prop::sample::Index>()).prop_map(|((form, body), cause, status, cut)| {
        let mut answer = Answer::of(form, "").status(status).ends(cause);
        if form == Form::Length {
            answer = answer.header("content-length", &body.len().to_string());
        }
        let length = match cause {
            Cause::Complete => body.len(),
            _ => cut.index(body.len() + 1),
        };
        answer.body(&body[..length])
    })
}

/// What must not depend on the cuts. Of a stream, what replaces an event that is not complete comes when that is known.
fn essence(came: &Came) -> (Option<Outcome>, Cow<'_, str>, Option<u64>, Option<u64>) {
    let record = &came.record;
    (
        record.outcome,
        came.text(),
        record.result_bytes,
        record.result_tokens,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cuts_do_not_matter(
        answer in answer(),
        asked in prop::sample::select(vec![Asked::Call, Asked::Tasked, Asked::List, Asked::Read, Asked::Notification]),
        hold in prop::sample::select(HOLDS.to_vec()),
        era in prop::sample::select(ERAS.to_vec()),
        sizes in prop::collection::vec(1usize..200, 1..8),
    ) {
        let engine = engine(hold);
        let whole = answered(&engine, era, asked, &answer, &[usize::MAX]);
        for sizes in [&sizes[..], &[1]] {
            let cut = answered(&engine, era, asked, &answer, sizes);
            prop_assert_eq!(essence(&cut), essence(&whole), "{:?}", sizes);
        }
        prop_assert!(whole.record.outcome.is_some());
    }

    /// What goes on as it is, goes on as it is: nothing of a stream or of a body is lost, doubled or moved.
    #[test]
    fn what_passes_is_what_came(
        messages in prop::collection::vec(message(), 0..5),
        form in prop::sample::select(FORMS.to_vec()),
        sizes in prop::collection::vec(1usize..99, 1..8),
    ) {
        let own = r#"{"id":7,"result":{"tools":[]}}"#;
        let notes = messages.iter().filter(|message| message.contains("notifications/"));
        let mut answer = Answer::of(form, own);
        if form == Form::Events {
            let notes: String = notes.map(|message| event(&message.replace("\"id\":", "\"x\":"))).collect();
            answer = answer.body(notes.clone() + &event(own) + &notes);
        }
        for asked in [Asked::Call, Asked::List, Asked::Read] {
            let came = answered(&engine(HOLDS[0]), ERAS[0], asked, &answer, &sizes);
            prop_assert_eq!(came.outcome(), Some(Outcome::Ok));
            prop_assert_eq!(came.text(), answer.text());
        }
    }
}
