//! One document has one hash, however it is written; another has another.

use super::compiled;

fn hash(text: &str) -> String {
    compiled(text).hash().to_string()
}

const POLICY: &str = r#"{"version":1,"limits":{"bigIntegers":true},"servers":{"docs":{"path":"/mcp","cost":0.000001,
    "tools":{"find":{"inputSchema":{"type":"object","properties":{"é/":{"maximum":1e300,"minimum":-0.5},"b":{"enum":[null,true,"x"]}},"title":"ü\n"}}}}},
    "teams":{"t":{"quotas":[{"limit":5000,"per":"day"},{"limit":7,"per":"5m","on":"docs/find"}]}},
    "keys":{"k":{"sha256":["0000000000000000000000000000000000000000000000000000000000000001"],"team":"t"}}}"#;

/// The digest can be found with other tools: these are those of a canonical form written by hand.
#[test]
fn it_is_the_sha_256_of_the_canonical_form() {
    use sha2::{Digest, Sha256};
    let by_hand = |text: &str| {
        let digest: Vec<String> = Sha256::digest(text)[..8]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        digest.concat()
    };
    assert_eq!(hash(r#"{ "version": 1 }"#), by_hand(r#"{"version":1}"#));
    let text = r#"{"version":1.0e0, "teams":{"b":{"quotas":[{"per":"day","limit":5e3}]},"a":{}}, "hold":"body", "$schema":"x"}"#;
    let text = text.replace("1.0e0", "1");
    let canonical = r#"{"teams":{"a":{},"b":{"quotas":[{"limit":5000,"per":"day"}]}},"version":1}"#;
    assert_eq!(hash(&text), by_hand(canonical));
}

#[test]
fn spelling_makes_no_difference() {
    let expected = hash(POLICY);
    assert_eq!(expected.len(), 16);
    assert!(expected.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    for (one, other) in [
        ("5000", "5000.0"),
        ("5000", "5e3"),
        ("5000", "0.5E+4"),
        ("0.000001", "1e-6"),
        ("0.000001", "0.00000100"),
        ("-0.5", "-5e-1"),
        ("é/", "\\u00e9\\/"),
        ("ü\\n", "\\u00FC\\u000A"),
        (":", " :\n\t"),
        (
            r#"{"version":1,"#,
            r#"{"$schema":"policy.schema.json","version":1,"#,
        ),
        (r#"{"version":1,"#, r#"{"hold":"body","version":1,"#),
        (r#"{"version":1,"#, r#"{"version":1,"hold":"headers","#),
        (r#""limit":5000,"per":"day""#, r#""per":"day","limit":5000"#),
    ] {
        assert!(POLICY.contains(one), "{one}");
        assert_eq!(hash(&POLICY.replace(one, other)), expected, "{other}");
    }
    // serde_json sorts members and writes numbers in its own way, as other programs do.
    let value: serde_json::Value = serde_json::from_str(POLICY).unwrap();
    assert_eq!(hash(&serde_json::to_string_pretty(&value).unwrap()), expected);
}

/// What Istio does: the document becomes a Struct, in which every number is a double.
#[test]
fn numbers_are_doubles() {
    let schema = |number: &str| {
        let tools = format!(r#"{{"t":{{"inputSchema":{{"maximum":{number}}}}}}}"#);
        hash(&format!(
            r#"{{"version":1,"servers":{{"d":{{"path":"/d","tools":{tools}}}}}}}"#
        ))
    };
    for (written, rounded) in [
        ("9007199254740993", "9007199254740992"),
        ("123456789012345678901", "1.2345678901234568e20"),
        ("0.1000000000000000055511151231257827", "0.1"),
        ("-0", "0"),
        ("-0.0", "0"),
    ] {
        assert_eq!(schema(written), schema(rounded), "{written}");
    }
    assert_ne!(schema("9007199254740992"), schema("9007199254740990"));
}

#[test]
fn everything_else_makes_a_difference() {
    let mut seen = std::collections::HashSet::from([hash(POLICY)]);
    for (one, other) in [
        ("5000", "5001"),
        ("0.000001", "0.000002"),
        ("/mcp", "/mcp/"),
        (r#""per":"day""#, r#""per":"hour""#),
        (r#"{"version":1,"#, r#"{"version":1,"mode":"enforce","#),
        (r#"{"version":1,"#, r#"{"version":1,"mode":"shadow","#),
        (r#"{"version":1,"#, r#"{"version":1,"contextHeaders":true,"#),
        (r#"[null,true,"x"]"#, r#"[true,null,"x"]"#),
        (r#"[null,true,"x"]"#, r#"[null,true,"X"]"#),
        (r#"[null,true,"x"]"#, r#"[null,true,"x",null]"#),
        (r#"0001"]"#, r#"0002"]"#),
        (r#""b":"#, r#""hold":"#),
        (r#""b":"#, r#""$schema":"#),
        ("é", "e\u{301}"),
        (
            r#"{"limit":7,"per":"5m","on":"docs/find"}"#,
            r#"{"limit":7,"per":"5m"}"#,
        ),
    ] {
        assert!(POLICY.contains(one), "{one}");
        let changed = POLICY.replacen(one, other, 1);
        assert!(seen.insert(hash(&changed)), "{changed}");
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::hash;

    /// JSON values as they can stand in a schema's `enum`.
    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<f64>()
                .prop_filter("finite", |f| f.is_finite())
                .prop_map(Value::from),
            "\\PC{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("\\PC{0,4}", inner), 0..5)
                    .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    /// The value, spelled as another program might.
    fn respelled(value: &Value, out: &mut String) {
        match value {
            Value::Array(items) => {
                out.push_str("[ ");
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "\n, " });
                    respelled(item, out);
                }
                out.push(']');
            }
            Value::Object(members) => {
                out.push('{');
                for (index, (name, item)) in members.iter().rev().enumerate() {
                    out.push_str(if index == 0 { "\t" } else { " ," });
                    respelled(&Value::from(name.as_str()), out);
                    out.push_str(" :");
                    respelled(item, out);
                }
                out.push('}');
            }
            Value::String(text) => {
                out.push('"');
                for unit in text.encode_utf16() {
                    write!(out, "\\u{unit:04X}").unwrap();
                }
                out.push('"');
            }
            Value::Number(number) => write!(out, "{:e}", number.as_f64().unwrap()).unwrap(),
            Value::Null | Value::Bool(_) => out.push_str(&value.to_string()),
        }
    }

    fn policy(value: &str) -> String {
        format!(
            r#"{{"version":1,"servers":{{"d":{{"path":"/d","tools":{{"t":{{"inputSchema":{{"x-any":{value}}}}}}}}}}}}}"#
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn a_document_has_one_hash_and_another_has_another(a in values(), b in values()) {
            let mut again = String::new();
            respelled(&a, &mut again);
            let of_a = hash(&policy(&a.to_string()));
            prop_assert_eq!(&of_a, &hash(&policy(&again)));
            let same = json!(a) == json!(b) || as_doubles(&a) == as_doubles(&b);
            prop_assert_eq!(of_a == hash(&policy(&b.to_string())), same);
        }
    }

    fn as_doubles(value: &Value) -> Value {
        match value {
            // -0 is 0 to RFC 8785.
            Value::Number(number) => json!(number.as_f64().unwrap() + 0.0),
            Value::Array(items) => items.iter().map(as_doubles).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, item)| (name.clone(), as_doubles(item)))
                .collect(),
            other => other.clone(),
        }
    }
}
