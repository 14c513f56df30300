//! Any cut into windows; and the incremental reader against the one that sees a parsed message.

use super::*;
use crate::json;
use crate::list::LIMITS;
use proptest::prelude::*;
use proptest::sample::Index;

/// Texts that are often answers, often with something wrong.
fn text() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(vec![
        "1",
        "1.0",
        "-32603",
        "0.5e1",
        "2",
        "true",
        "false",
        "null",
        r#""""#,
        r#""x""#,
        r#""task""#,
        r#""input_required""#,
        r#""working""#,
        r#""completed""#,
        r#""failed""#,
        r#""a\ud83d\ude00\n""#,
        r#""\ud83d""#,
        r#""\ud83d\n""#,
        r#""\udc00\ud83d\ud83d\ude00""#,
        r#""tas\u006b""#,
        "{}",
        "[]",
        " ",
        "01",
        "\"",
    ])
    .prop_map(str::to_owned);
    let key = prop::sample::select(vec![
        "id",
        "result",
        "error",
        "method",
        "code",
        "isError",
        r"is\u0045rror",
        "resultType",
        "task",
        "taskId",
        "status",
        "jsonrpc",
        "content",
        "_meta",
        "\\u0069d",
        "a\\\"b",
    ]);
    let value = scalar.prop_recursive(4, 24, 6, move |inner| {
        let member = (key.clone(), inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
        prop_oneof![
            5 => prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
            1 => prop::collection::vec(inner, 0..3).prop_map(|elements| format!("[{}]", elements.join(", "))),
        ]
    });
    let status = prop::sample::select(vec![
        "working",
        "completed",
        "failed",
        "cancelled",
        "input_required",
    ]);
    prop_oneof![
        2 => value.clone(),
        3 => value.clone().prop_map(|result| format!(r#"{{"id":1,"result":{result}}}"#)),
        1 => value.clone().prop_map(|error| format!(r#"{{"error":{error},"id":1}}"#)),
        1 => (value.clone(), value.clone()).prop_map(|(id, result)| format!(r#"{{"id":{id},"result":{result}}}"#)),
        2 => (value.clone(), value, status).prop_map(|(result, error, status)| format!(
            r#"{{"id":1,"result":{{"taskId":"t","status":"{status}","result":{result},"error":{error}}}}}"#
        )),
    ]
}

fn windows(text: &[u8], cuts: &[Index]) -> Outcome {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    let mut reader = JsonReader::new(Some("1"));
    for pair in places.windows(2) {
        reader.push(&text[pair[0]..pair[1]]);
    }
    reader.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn windows_do_not_matter(
        text in text(),
        noise in prop::collection::vec((any::<Index>(), any::<u8>()), 0..3),
        cuts in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        let mut bytes = text.into_bytes();
        for (at, byte) in noise {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let whole = windows(&bytes, &[]);
        prop_assert_eq!(windows(&bytes, &cuts), whole);
        let mut reader = JsonReader::new(Some("1"));
        for byte in bytes.chunks(1) {
            reader.push(byte);
        }
        prop_assert_eq!(reader.finish(), whole);
    }

    #[test]
    fn both_readers_agree(text in text()) {
        let streamed = windows(text.as_bytes(), &[]);
        match json::parse_answer(text.as_bytes(), &LIMITS) {
            Ok(message) => {
                prop_assert_eq!(streamed, of_answer(message, Some("1")).unwrap_or(Outcome::Malformed), "{}", text);
            }
            // A member that decides nothing may come twice.
            Err(error) if error.kind == json::ErrorKind::DuplicateKey => {}
            Err(_) => prop_assert!(matches!(streamed, Outcome::Malformed | Outcome::Truncated), "{}", text),
        }
    }
}
