//! The examples of RFC 8785, and what it leaves to us.

use super::*;
use crate::json::{Limits, parse};

fn canonical(text: &str) -> String {
    let limits = Limits::default();
    let value = parse(text.as_bytes(), &limits).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut out = Vec::new();
    write(value, &mut out);
    String::from_utf8(out).unwrap()
}

fn digest_of(text: &str) -> [u8; 32] {
    digest(Some(parse(text.as_bytes(), &Limits::default()).unwrap()), &[])
}

/// <https://www.rfc-editor.org/rfc/rfc8785#name-number-serialization-sample>
#[test]
fn numbers_of_appendix_b() {
    for (bits, text) in [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] {
        // With an exponent, so that it is no integer token.
        let written = format!("{:e}", f64::from_bits(bits));
        assert_eq!(canonical(&written), text, "{written}");
    }
}

#[test]
fn one_number_is_written_one_way() {
    for (text, expected) in [
        ("1", "1"),
        ("1.0", "1"),
        ("1e0", "1"),
        ("10e-1", "1"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0e9", "0"),
        ("4.50", "4.5"),
        ("2e-3", "0.002"),
        ("1E30", "1e+30"),
        ("0.000000000000000000000000001", "1e-27"),
        ("1e-400", "0"),
        ("-9007199254740991", "-9007199254740991"),
    ] {
        assert_eq!(canonical(text), expected, "{text}");
    }
}

#[test]
fn numbers_that_a_double_cannot_tell_apart_stay_apart() {
    for text in [
        "9007199254740992",
        "9007199254740993",
        "-9007199254740993",
        "18446744073709551615",
        "18446744073709551614",
        "9223372036854775807",
        "123456789012345678901234567890",
        "1e400",
        "1e401",
        "-1E400",
    ] {
        assert_eq!(canonical(text), text);
    }
    assert_ne!(
        digest_of(r#"{"id":9007199254740992}"#),
        digest_of(r#"{"id":9007199254740993}"#)
    );
}

/// <https://www.rfc-editor.org/rfc/rfc8785#name-sorting-of-object-properties>
#[test]
fn keys_are_in_utf16_order() {
    let text = r#"{
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\ud83d\ude00": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis"
    }"#;
    let keys = text.replace("\"\\r\": \"Carriage Return\",", "");
    let expected = "{\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\
                    \"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
    // A control character in a key never gets here: the gate refuses it.
    assert_eq!(canonical(&keys), expected);
    assert!(parse(text.as_bytes(), &Limits::default()).is_err());
}

#[test]
fn every_pair_of_keys_is_in_utf16_order() {
    let keys = [
        "",
        "a",
        "aa",
        "ab",
        "b",
        "\u{7f}",
        "\u{80}",
        "\u{7ff}",
        "\u{800}",
        "\u{d7ff}",
        "\u{e000}",
        "\u{efff}",
        "\u{f000}",
        "\u{fb33}",
        "\u{fffd}",
        "\u{ffff}",
        "\u{10000}",
        "\u{1f600}",
        "\u{10ffff}",
        "a\u{ffff}",
        "a\u{10000}",
        "\u{ffff}a",
        "\u{10000}a",
    ];
    for a in keys {
        for b in keys {
            let ordered = utf16_order(a.into()).cmp(&utf16_order(b.into()));
            assert_eq!(ordered, a.encode_utf16().cmp(b.encode_utf16()), "{a:?} {b:?}");
        }
    }
}

/// <https://www.rfc-editor.org/rfc/rfc8785#name-serialization-of-primitive->
#[test]
fn the_example_of_the_specification() {
    let text = r#"{
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    let expected = "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
                    \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
    assert_eq!(canonical(text), expected);
}

#[test]
fn strings_have_the_shortest_escapes() {
    assert_eq!(
        canonical(r#""\b\t\n\f\r\u0000\u001F\u007f\u2028\/\ud834\udd1e\u0008""#),
        "\"\\b\\t\\n\\f\\r\\u0000\\u001f\u{7f}\u{2028}/\u{1d11e}\\b\""
    );
    assert_eq!(canonical(r#"{"\u0061":1,"b":2}"#), canonical(r#"{"b":2,"a":1}"#));
}

#[test]
fn order_and_space_do_not_matter_and_everything_else_does() {
    let text = r#"{"b":[{"d":1,"c":{}},[]],"a":{"z":[{}],"y":"x"},"ab":null}"#;
    let expected = r#"{"a":{"y":"x","z":[{}]},"ab":null,"b":[{"c":{},"d":1},[]]}"#;
    assert_eq!(canonical(text), expected);
    assert_eq!(canonical(expected), expected);
    let spaced = text
        .replace(':', " :\t")
        .replace(',', "\r\n , ")
        .replace('{', "{ ")
        .replace('[', "[\n");
    assert_eq!(canonical(&format!(" {spaced} ")), expected);
    for other in [
        r#"{"a":{"y":"x","z":[{}]},"ab":null,"b":[{"c":{},"d":2},[]]}"#,
        r#"{"a":{"y":"x","z":[{}]},"ab":null,"b":[[],{"c":{},"d":1}]}"#,
        r#"{"a":{"y":"x","z":[{}]},"ab":null,"b":[{"c":[],"d":1},[]]}"#,
        r#"{"a":{"y":"x","z":[{}]},"ab":"null","b":[{"c":{},"d":1},[]]}"#,
        r#"{"a":{"y":"x","z":[{}]},"ab":null,"b":[{"c":{},"d":"1"},[]]}"#,
    ] {
        assert_ne!(digest_of(other), digest_of(text), "{other}");
    }
}

#[test]
fn a_digest_is_that_of_the_canonical_form() {
    // echo -n '{"limit":1,"query":"x"}' | sha256sum
    let digest = digest_of(r#"{"query": "x", "limit": 1.0}"#);
    assert_eq!(
        digest,
        <[u8; 32]>::from(Sha256::digest(br#"{"limit":1,"query":"x"}"#))
    );
    assert_eq!(super::digest(None, &[]), digest_of("{ }"));
}

#[test]
fn extras_tell_calls_apart() {
    let limits = Limits::default();
    let value = |text: &'static str| parse(text.as_bytes(), &limits).unwrap();
    let (one, two) = (value("{\"a\":1}"), value("{\"a\":2}"));
    let digests = [
        digest(None, &[]),
        digest(Some(one), &[]),
        digest(None, &[("inputResponses", one)]),
        digest(None, &[("requestState", one)]),
        digest(None, &[("inputResponses", two)]),
        digest(Some(one), &[("inputResponses", two)]),
        digest(Some(two), &[("inputResponses", one)]),
        digest(None, &[("inputResponses", one), ("requestState", two)]),
    ];
    for (at, digest) in digests.iter().enumerate() {
        assert!(!digests[..at].contains(digest), "{at}");
    }
}

#[test]
fn the_deepest_and_the_widest() {
    let deep = format!("{}1{}", "{\"b\":0,\"a\":".repeat(64), "}".repeat(64));
    let expected = format!("{}1{}", "{\"a\":".repeat(64), ",\"b\":0}".repeat(64));
    assert_eq!(canonical(&deep), expected);
    let members = |order: &mut dyn Iterator<Item = u32>| -> String {
        let members: Vec<String> = order.map(|number| format!("\"k{number:04}\":{number}")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(canonical(&members(&mut (0..4096).rev())), members(&mut (0..4096)));
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn documents() -> impl Strategy<Value = Value> {
        let key = prop_oneof!["[a-d]{0,3}", "[a-c\u{e000}\u{ffff}\u{10000}\u{10ffff}é]{0,3}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-(1_i64 << 53) + 1..1 << 53).prop_map(Value::from),
            prop::num::f64::NORMAL.prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(key.clone(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Writes members in an order of its own, with spaces and escapes.
    fn disguised(value: &Value, seed: u64, out: &mut String) {
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                let turn = usize::try_from(seed % 7).unwrap() % members.len().max(1);
                members.rotate_left(turn);
                if seed.is_multiple_of(2) {
                    members.reverse();
                }
                let mut separator = "{ ";
                for (key, value) in &members {
                    out.push_str(separator);
                    disguised(&Value::from(key.as_str()), seed, out);
                    out.push_str(" :\n");
                    disguised(value, seed / 3, out);
                    separator = "\t,";
                }
                out.push_str(if members.is_empty() { "{}" } else { "}" });
            }
            Value::Array(elements) => {
                let mut separator = "[";
                for element in elements {
                    out.push_str(separator);
                    disguised(element, seed / 5, out);
                    separator = " , ";
                }
                out.push_str(if elements.is_empty() { "[ ]" } else { "]" });
            }
            Value::String(text) if seed.is_multiple_of(3) => {
                out.push('"');
                for unit in text.encode_utf16() {
                    use std::fmt::Write;
                    write!(out, "\\u{unit:04X}").unwrap();
                }
                out.push('"');
            }
            other => out.push_str(&other.to_string()),
        }
    }

    proptest! {
        /// However a document is written, its canonical form is the same, and means the same.
        #[test]
        fn one_document_has_one_form(document in documents(), seed in any::<u64>()) {
            let plain = canonical(&document.to_string());
            let mut text = String::new();
            disguised(&document, seed, &mut text);
            prop_assert_eq!(canonical(&text), plain.as_str());
            prop_assert_eq!(canonical(&plain), plain.as_str());
            let parse = |text: &str| -> Vec<f64> {
                let mut numbers = Vec::new();
                numbers_of(&serde_json::from_str(text).unwrap(), &mut numbers);
                numbers
            };
            prop_assert_eq!(parse(&plain).len(), parse(&document.to_string()).len());
        }
    }

    fn numbers_of(value: &Value, out: &mut Vec<f64>) {
        match value {
            Value::Array(elements) => elements.iter().for_each(|element| numbers_of(element, out)),
            Value::Object(members) => members.values().for_each(|member| numbers_of(member, out)),
            Value::Number(number) => out.extend(number.as_f64()),
            _ => {}
        }
    }
}
