//! Agreement with `serde_json`, on documents and on damaged documents.

use super::*;
use proptest::prelude::*;
use serde_json::Value as Tree;
use std::collections::BTreeMap;

const LIMITS: Limits = Limits {
    depth: 64,
    members: 4096,
};

/// Whether the gate's verdict on `bytes` is compatible with that of `serde_json`.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let theirs = serde_json::from_slice::<Tree>(bytes);
    let ours = parse(bytes, &LIMITS);
    prop_assert_eq!(
        ours.map(|value| value.raw()),
        parse_message(bytes, &LIMITS).map(|message| message.root.raw())
    );
    match (ours, theirs) {
        (Ok(value), Ok(tree)) => {
            prop_assert_eq!(&rebuild(value), &tree);
            prop_assert_eq!(value.to_json().unwrap(), tree);
            // Must not loop or fail, whatever the numbers.
            let _ = (unsafe_number(value, false), unsafe_number(value, true));
        }
        // RFC 8259 sets no range; this is the caller's to judge.
        (Ok(value), Err(error)) => {
            prop_assert!(
                error.to_string().starts_with("number out of range"),
                "{}: {error}",
                value.raw()
            );
            prop_assert!(unsafe_number(value, true).is_some());
        }
        (Err(error), Ok(_)) => prop_assert!(error.kind.is_ambiguity() || error.kind.is_limit(), "{error}"),
        (Err(_), Err(_)) => {}
    }
    Ok(())
}

/// The tree as seen through the views.
fn rebuild(value: Value<'_>) -> Tree {
    match value.kind() {
        Kind::Null => Tree::Null,
        Kind::Bool => Tree::Bool(value.as_bool().unwrap()),
        Kind::Number => value
            .raw()
            .parse::<serde_json::Number>()
            .map(Tree::Number)
            .unwrap(),
        Kind::String => Tree::String(value.as_str().unwrap().into_owned()),
        Kind::Array => Tree::Array(value.as_array().unwrap().elements().map(rebuild).collect()),
        Kind::Object => {
            let object = value.as_object().unwrap();
            for (key, member) in object.members() {
                assert_eq!(object.get(&key), Some(member));
            }
            Tree::Object(
                object
                    .members()
                    .map(|(key, member)| (key.into_owned(), rebuild(member)))
                    .collect(),
            )
        }
    }
}

/// The text of a document, in all spellings that JSON has for the same thing.
fn document() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?",
        string(),
    ];
    scalar.prop_recursive(6, 60, 12, |inner| {
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..12), white()).prop_map(|(all, white)| format!(
                "[{white}{}{white}]",
                all.join(&format!("{white},{white}"))
            )),
            (prop::collection::btree_map(key(), inner, 0..12), white())
                .prop_map(|(all, white)| object(&all, &white)),
        ]
    })
}

fn object(all: &BTreeMap<String, String>, white: &str) -> String {
    let members: Vec<String> = all
        .iter()
        .map(|(key, value)| format!("{key}{white}:{white}{value}"))
        .collect();
    format!("{{{white}{}{white}}}", members.join(&format!("{white},{white}")))
}

fn white() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,2}"
}

fn string() -> impl Strategy<Value = String> {
    r#""([ -!#-\[\]-~]|é|€|😀|\\["\\/bfnrt]|\\u[0-9a-cefA-CEF][0-9a-fA-F]{3}|\\ud83d\\ude0[0-9a-f]|[a-z]{8}){0,12}""#
}

/// Few enough characters that two spellings of one key turn up.
fn key() -> impl Strategy<Value = String> {
    r#""([ab]|\\u006[12]|\\/|/|\\u0000|é|\\u00e9){0,3}""#
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn documents(text in document()) {
        check(text.as_bytes())?;
    }

    #[test]
    fn damaged_documents(
        text in document(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, any::<u8>()), 1..4),
    ) {
        let mut bytes = text.into_bytes();
        for (index, how, byte) in damage {
            let at = index.index(bytes.len() + 1);
            match (how, bytes.get_mut(at)) {
                (0, Some(place)) => *place = byte,
                (1, Some(_)) => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        check(&bytes)?;
    }

    #[test]
    fn json_like_noise(text in r#"[\[\]{}",:0-9eE+.\\utrfalsn \n-]{0,24}"#) {
        check(text.as_bytes())?;
    }

    #[test]
    fn truncated_documents(text in document(), at in any::<prop::sample::Index>()) {
        check(&text.as_bytes()[..at.index(text.len() + 1)])?;
    }

    #[test]
    fn strings_survive_writing(text in any::<String>()) {
        let mut out = Vec::new();
        write_str(&mut out, &text);
        prop_assert_eq!(parse(&out, &LIMITS).unwrap().as_str().unwrap(), text);
    }
}
