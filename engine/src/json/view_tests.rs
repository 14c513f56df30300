//! The views into an accepted text.

use super::tests::{LIMITS, accepted};
use super::*;

#[test]
fn a_message_lists_the_members_of_root_and_params() {
    let text = r#" { "jsonrpc" : "2.0", "par\u0061ms": {"n\u0061me":"x", "arguments" : {"name":{"params":{}}},
        "_meta":[ ]} , "id":1.0 } "#;
    let message = parse_message(text.as_bytes(), &LIMITS).unwrap();
    let list = |members: &[Member<'_>]| -> Vec<(String, String)> {
        members
            .iter()
            .map(|member| (member.key.to_string(), member.value.raw().to_owned()))
            .collect()
    };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let members = list(&message.members);
    assert_eq!(members[0], pair("jsonrpc", "\"2.0\""));
    assert_eq!(
        (members[1].0.as_str(), members[1].1.chars().last()),
        ("params", Some('}'))
    );
    assert_eq!(members[2..], [pair("id", "1.0")]);
    let params = list(message.params.as_ref().unwrap());
    let arguments = pair("arguments", r#"{"name":{"params":{}}}"#);
    assert_eq!(params, [pair("name", "\"x\""), arguments, pair("_meta", "[ ]")]);
    assert_eq!(message.root.raw(), text.trim());
}

#[test]
fn a_message_without_object_params_has_none() {
    let message = |text: &'static str| parse_message(text.as_bytes(), &LIMITS).unwrap();
    assert!(
        message(r#"{"params":{}}"#)
            .params
            .is_some_and(|params| params.is_empty())
    );
    for text in [
        r#"{"params":[{"a":1}]}"#,
        r#"{"a":{"params":{"b":1}}}"#,
        r#"{"Params":{}}"#,
        "{}",
    ] {
        assert!(message(text).params.is_none(), "{text}");
    }
    for text in [r#"[{"params":{"a":1}}]"#, "1", r#""x""#, "null"] {
        assert!(
            message(text).params.is_none() && message(text).members.is_empty(),
            "{text}"
        );
    }
}

#[test]
fn views_read_what_the_text_says() {
    let text = r#"{"s":"a\"\u00e9\ud83d\ude00\/\n","e":"","n":null,"t":true,"f":false,"i":-12,
        "list":[1, "]}\"", [ ], {"x":[{}]} ,2.5],"k\u0065y":{"deep":{"er":"Y_y{[\\"}}}"#;
    let root = accepted(text);
    assert_eq!(root.kind(), Kind::Object);
    assert_eq!(root.get("s").unwrap().as_str().unwrap(), "a\"é😀/\n");
    assert!(matches!(root.get("e").unwrap().as_str(), Some(Cow::Borrowed(""))));
    assert!(root.get("n").unwrap().is_null());
    assert_eq!(
        (root.get("t").unwrap().as_bool(), root.get("f").unwrap().as_bool()),
        (Some(true), Some(false))
    );
    assert_eq!(root.get("i").unwrap().as_number().unwrap().as_i64(), Some(-12));
    let list: Vec<&str> = root
        .get("list")
        .unwrap()
        .as_array()
        .unwrap()
        .elements()
        .map(|e| e.raw())
        .collect();
    assert_eq!(list, ["1", r#""]}\"""#, "[ ]", r#"{"x":[{}]}"#, "2.5"]);
    assert_eq!(
        root.get("key")
            .unwrap()
            .get("deep")
            .unwrap()
            .get("er")
            .unwrap()
            .as_str()
            .unwrap(),
        "Y_y{[\\"
    );
    assert_eq!(root.as_object().unwrap().members().count(), 8);
    assert!(root.get("k").is_none() && root.get("list").unwrap().get("x").is_none());
    assert!(root.as_str().is_none() && root.as_array().is_none() && root.as_number().is_none());
    assert!(root.as_bool().is_none() && !root.is_null());
    assert_eq!(
        root.to_json().unwrap(),
        serde_json::from_str::<serde_json::Value>(text).unwrap()
    );
}

#[test]
fn number_tokens_keep_their_spelling() {
    let number = |text: &'static str| accepted(text).as_number().unwrap();
    for (text, integer, safe) in [
        ("1", true, true),
        ("-0", true, true),
        ("1.0", false, false),
        ("1e0", false, false),
        ("9007199254740991", true, true),
        ("-9007199254740991", true, true),
        ("9007199254740992", true, false),
        ("-9007199254740992", true, false),
        ("99999999999999999999999", true, false),
    ] {
        assert_eq!(number(text).is_integer_token(), integer, "{text}");
        assert_eq!(number(text).is_safe_integer(), safe, "{text}");
    }
    assert_eq!(number("1.0").as_i64(), None);
    assert_eq!(number("-0").as_i64(), Some(0));
    assert_eq!(number("9223372036854775808").as_i64(), None);
    assert_eq!(number("1e3").as_f64(), Some(1000.0));
    assert_eq!(number("-1e400").as_f64(), None);
}

#[test]
fn unsafe_numbers_are_found_with_their_place() {
    let find = |text: &str, big| unsafe_number(accepted(text), big).map(|found| (found.pointer, found.token));
    let at = |pointer: &str, token: &str| Some((pointer.to_owned(), token.to_owned()));
    let safe = r#"{"a":[1,-9007199254740991,0.1,1e300,1e-400,"9007199254740993","1e999"],"-1":null,"x":{"9e999":true}}"#;
    assert_eq!(find(safe, false), None);
    assert_eq!(find("9007199254740992", false), at("", "9007199254740992"));
    assert_eq!(find("-9007199254740993", false), at("", "-9007199254740993"));
    assert_eq!(
        find(r#"{"a":{"b":[]},"c":[[],["x",1e400]]}"#, false),
        at("/c/1/1", "1e400")
    );
    assert_eq!(
        find(r#"{"k":"v","a/b~c\u0041":{"x":"y","z":-1e999}}"#, true),
        at("/a~1b~0cA/z", "-1e999")
    );
    assert_eq!(
        find(r#"[{"a":"b","c":[1,2]},99999999999999999999]"#, true),
        at("/1", "99999999999999999999")
    );
    for text in ["9007199254740993", "18446744073709551615", "-9223372036854775808"] {
        assert!(
            find(text, false).is_some() && find(text, true).is_none(),
            "{text}"
        );
    }
    for text in [
        "18446744073709551616",
        "-9223372036854775809",
        "-18446744073709551615",
    ] {
        assert!(find(text, true).is_some(), "{text}");
    }
    assert_eq!(find(&"9".repeat(1000), false).unwrap().1.len(), 128);
}

#[test]
fn variants_of_reserved_keys_are_told_from_the_keys() {
    for (key, name) in [
        ("Method", "method"),
        ("METHOD", "method"),
        ("NAME", "name"),
        ("param\u{17f}", "params"),
        ("Param\u{17f}", "params"),
        ("tas\u{212a}", "task"),
        ("TASK", "task"),
        ("taskid", "taskId"),
        ("ta\u{17f}\u{212a}ID", "taskId"),
        ("_META", "_meta"),
        ("j\u{17f}onrpc", "jsonrpc"),
        ("protocolversion", "protocolVersion"),
        ("inputresponses", "inputResponses"),
    ] {
        assert_eq!(reserved::variant_of(key), Some(name), "{key}");
    }
    let exact = "jsonrpc id method params result error name uri arguments cursor ref taskId task inputResponses \
                 requestState notifications protocolVersion capabilities _meta";
    for key in exact.split(' ') {
        assert_eq!(reserved::variant_of(key), None, "{key}");
        assert_eq!(reserved::variant_of(&key.to_uppercase()), Some(key));
    }
    for key in [
        "", "methods", "metho", "method ", "mеthod", "names", "\u{131}d", "İd", "url", "meta", "ﬀ",
    ] {
        assert_eq!(reserved::variant_of(key), None, "{key}");
    }
}

#[test]
fn written_strings_read_back() {
    let all: String = (0..0x300_u32)
        .filter_map(char::from_u32)
        .chain(['\u{2028}', '\u{feff}', '😀'])
        .collect();
    let mut out = Vec::new();
    write_str(&mut out, &all);
    assert_eq!(parse(&out, &LIMITS).unwrap().as_str().unwrap(), all);
    assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), all);
    out.clear();
    write_str(&mut out, "a/\"b\"\\\u{7f}é\u{1}");
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "\"a/\\\"b\\\"\\\\\u{7f}é\\u0001\""
    );
}

#[test]
fn errors_are_short_sentences() {
    let error = parse(b"{\"a\":1,\"a\":2}", &LIMITS).unwrap_err();
    assert_eq!(error.to_string(), "an object has the same key twice (byte 8)");
    assert!(error.kind.is_ambiguity() && !ErrorKind::LoneSurrogate.is_ambiguity());
    assert!(ErrorKind::Depth.is_limit() && !error.kind.is_limit());
}
