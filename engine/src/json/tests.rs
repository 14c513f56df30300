//! Every way in which a body could be read differently by two parsers, by name; then the views.

use super::*;

const LIMITS: Limits = Limits {
    depth: 64,
    members: 100,
};

fn refusal(text: impl AsRef<[u8]>) -> ErrorKind {
    let bytes = text.as_ref();
    match parse(bytes, &LIMITS) {
        Err(error) => {
            assert!(error.offset <= bytes.len());
            assert_eq!(parse_message(bytes, &LIMITS).unwrap_err(), error);
            error.kind
        }
        Ok(value) => panic!("accepted: {}", value.raw()),
    }
}

fn accepted(text: &str) -> Value<'_> {
    parse(text.as_bytes(), &LIMITS).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn is_syntax(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Syntax(_))
}

/// `{"k00":0,"k01":1,…}` with `count` members.
fn object_of(count: usize) -> String {
    let members: Vec<String> = (0..count).map(|n| format!(r#""k{n:02}":{n}"#)).collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn duplicate_keys_are_refused_at_any_depth() {
    for text in [
        r#"{"name":1,"name":1}"#,
        r#"{"method":"a","params":{},"method":"b"}"#,
        r#"{"params":{"_meta":{},"_meta":{}}}"#,
        r#"{"params":{"arguments":{"a":[0,[{"x":1,"y":2,"x":3}]]}}}"#,
        r#"[[[{"":1,"":2}]]]"#,
        r#"{"a":{"b":1},"c":{"b":1},"a":null}"#,
    ] {
        assert_eq!(refusal(text), ErrorKind::DuplicateKey, "{text}");
    }
    accepted(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}],"aa":"a","":0," ":0}"#);
}

#[test]
fn duplicate_keys_are_compared_unescaped() {
    for text in [
        r#"{"name":1,"\u006eame":2}"#,
        r#"{"\u006eame":1,"na\u006de":2}"#,
        r#"{"a/b":1,"a\/b":2}"#,
        r#"{"\\":1,"\u005C":2}"#,
        r#"{"😀":1,"\ud83d\ude00":2}"#,
        r#"{"é":1,"\u00E9":2}"#,
        r#"{"\u0061":{"\u0062":1},"a":2}"#,
    ] {
        assert_eq!(refusal(text), ErrorKind::DuplicateKey, "{text}");
    }
    // Equal only after normalisation, or only if unescaped twice: different keys.
    accepted(r#"{"é":1,"e\u0301":2,"\\u006e":3,"n":4,"N":5}"#);
    accepted(r#"[{"\u0061":{"\u0062":{"\u0063":1}}},{"\u0061":1,"\u0062":2},{"a":1,"\u0062":2}]"#);
}

#[test]
fn duplicate_keys_are_found_in_large_objects() {
    for count in [8, 9, 30, 99] {
        let all = object_of(count);
        accepted(&all);
        for place in [0, count / 2, count - 1] {
            let text = all.replacen('{', &format!(r#"{{"\u006b{place:02}":0,"#), 1);
            assert_eq!(refusal(&text), ErrorKind::DuplicateKey, "{text}");
        }
    }
}

#[test]
fn the_offset_of_a_duplicate_is_that_of_the_later_key() {
    for text in [
        r#"{"a":1,"b":2,"a":3}"#.to_owned(),
        object_of(20).replace('}', r#","k03":1}"#),
    ] {
        let error = parse(text.as_bytes(), &LIMITS).unwrap_err();
        assert!(
            text[error.offset..].starts_with(if text.len() > 50 { "k03\":1}" } else { "a\":3" }),
            "{error}"
        );
    }
}

#[test]
fn control_characters_in_keys_are_refused() {
    for text in [
        r#"{"method\u0000":1}"#,
        r#"{"a":[{"\u0000":1}]}"#,
        r#"{"name\n":1}"#,
        r#"{"\tname":1}"#,
        r#"{"a\u001fb":1}"#,
        r#"{"a\b":1}"#,
        r#"{"a\f":1}"#,
        r#"{"a\r":1}"#,
    ] {
        assert_eq!(refusal(text), ErrorKind::ControlInKey, "{text}");
    }
    assert!(is_syntax(refusal("{\"a\0\":1}")));
    accepted(r#"{"a\u0020\u007f\"\\\/":"\u0000\b\f\n\r\t"}"#);
}

#[test]
fn raw_control_characters_in_strings_are_refused() {
    for control in 0_u8..0x20 {
        for pad in 0..9 {
            let text = format!("[\"{}{}abcdefghijk\"]", "x".repeat(pad), char::from(control));
            assert!(is_syntax(refusal(&text)), "{control:#x}");
        }
    }
    accepted("[\"\u{7f}\u{80}\u{9f}\u{2028}\"]");
}

#[test]
fn lone_surrogates_are_refused() {
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\uDBFF\uDBFF""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#""\ud800\u0041""#,
        r#""\ude00\ud83d""#,
        r#"{"\ud800":1}"#,
        r#"["\ud83d\ude00\ud83d"]"#,
    ] {
        assert_eq!(refusal(text), ErrorKind::LoneSurrogate, "{text}");
    }
    assert_eq!(
        refusal(b"\"\xed\xa0\x80\""),
        ErrorKind::NotUtf8,
        "a surrogate in UTF-8 bytes"
    );
    assert_eq!(accepted(r#""\ud83d\uDE00""#).as_str().unwrap(), "😀");
}

#[test]
fn byte_order_marks_are_refused() {
    assert_eq!(refusal("\u{feff}{}"), ErrorKind::ByteOrderMark);
    assert_eq!(refusal("\u{feff}"), ErrorKind::ByteOrderMark);
    assert!(is_syntax(refusal(" \u{feff}{}")));
    assert_eq!(refusal("{}\u{feff}"), ErrorKind::TrailingBytes);
}

#[test]
fn utf16_and_utf32_are_refused() {
    let text = r#"{"method":"tools/call"}"#;
    let wide = |to_bytes: fn(u16) -> [u8; 2], mark: bool| -> Vec<u8> {
        mark.then_some(0xfeff)
            .into_iter()
            .chain(text.encode_utf16())
            .flat_map(to_bytes)
            .collect()
    };
    let wider = |to_bytes: fn(u32) -> [u8; 4], mark: bool| -> Vec<u8> {
        mark.then_some(0xfeff)
            .into_iter()
            .chain(text.chars().map(u32::from))
            .flat_map(to_bytes)
            .collect()
    };
    for mark in [false, true] {
        for bytes in [
            wide(u16::to_le_bytes, mark),
            wide(u16::to_be_bytes, mark),
            wider(u32::to_le_bytes, mark),
            wider(u32::to_be_bytes, mark),
        ] {
            let kind = refusal(&bytes);
            assert!(kind == ErrorKind::NotUtf8 || is_syntax(kind), "{kind:?}");
        }
    }
}

#[test]
fn invalid_utf8_is_refused() {
    for bytes in [
        &b"{\"name\":\"a\xff\"}"[..],
        b"\"\xc0\xaf\"",
        b"\"\xe2\x82\"",
        b"\"\xf4\x90\x80\x80\"",
        b"\"caf\xe9\"",
        b"\"\x80\"",
        b"{}\xff",
    ] {
        assert_eq!(refusal(bytes), ErrorKind::NotUtf8);
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for text in [
        "{}{}",
        "{} {}",
        "{}\n{}\n",
        "1 2",
        "{},",
        "[]]",
        "{}\0",
        "null,",
        "{}//",
        "\"a\"\"b\"",
    ] {
        assert_eq!(refusal(text), ErrorKind::TrailingBytes, "{text}");
    }
    assert_eq!(accepted(" \t\r\n{ } \r\n\t ").raw(), "{ }");
}

#[test]
fn what_is_not_rfc_8259_is_refused() {
    for text in [
        "",
        " ",
        "\u{b}1",
        "\u{a0}1",
        "{",
        "[",
        "[1",
        "[1,",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "\"",
        "\"\\",
        "\"\\\"",
        "/* */{}",
        "{/**/}",
        "{// x\n}",
        "# x\n{}",
        "[1,]",
        "{\"a\":1,}",
        "[,1]",
        "{,}",
        "{'a':1}",
        "'a'",
        "{a:1}",
        "{1:1}",
        "{null:1}",
        "NaN",
        "Infinity",
        "-Infinity",
        "[NaN]",
        "undefined",
        "True",
        "nul",
        "nullx1",
        "tru",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "[1 2]",
        "{\"a\":}",
        "{\"a\"}",
        "[}",
        "{]",
        "[1}",
        "{\"a\":1]",
        r#""\x41""#,
        r#""\'""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\u+123""#,
        r#""\U0041""#,
        "\"\\\n\"",
    ] {
        let kind = refusal(text);
        assert!(
            is_syntax(kind) || (text == "nullx1" && kind == ErrorKind::TrailingBytes),
            "{text}: {kind:?}"
        );
    }
}

#[test]
fn numbers_follow_the_grammar() {
    for text in [
        "01", "-01", "00", "+1", ".5", "1.", "1.e1", "-", "-.5", "1e", "1e+", "--1", "-a", "0x10", "1_0", "١",
    ] {
        let kind = refusal(text);
        assert!(
            is_syntax(kind) || matches!(text, "0x10" | "1_0"),
            "{text}: {kind:?}"
        );
        let kind = refusal(format!("[{text}]"));
        assert!(is_syntax(kind), "{text}: {kind:?}");
    }
    for text in [
        "0",
        "-0",
        "10",
        "1.0",
        "0.5",
        "1e0",
        "1E+400",
        "-1.25e-7",
        "123456789012345678901234567890",
    ] {
        assert_eq!(accepted(text).as_number().unwrap().raw(), text);
    }
}

#[test]
fn depth_is_bounded() {
    let nested =
        |open: &str, close: &str, depth: usize| format!("{}{}", open.repeat(depth), close.repeat(depth));
    accepted(&nested("[", "]", 64));
    assert_eq!(refusal(nested("[", "]", 65)), ErrorKind::Depth);
    accepted(&nested("{\"a\":", "}", 63).replacen('}', "[]}", 1));
    assert_eq!(
        refusal(nested("{\"a\":", "}", 64).replacen('}', "{}}", 1)),
        ErrorKind::Depth
    );
    assert_eq!(refusal("[".repeat(1_000_000)), ErrorKind::Depth);
    assert_eq!(
        parse(b"[]", &Limits { depth: 0, members: 1 }).unwrap_err().kind,
        ErrorKind::Depth
    );
    assert!(parse(b"1", &Limits { depth: 0, members: 0 }).is_ok());
}

#[test]
fn members_are_bounded() {
    accepted(&object_of(100));
    assert_eq!(refusal(object_of(101)), ErrorKind::Members);
    accepted(&format!("[{}]", vec![object_of(100); 10].join(",")));
    // Four objects with 100 members each may be open at once, but not five.
    let chain = |links: usize| {
        (1..links).fold(object_of(100), |inner, _| {
            let all = object_of(99);
            format!("{},\"deeper\":{inner}}}", &all[..all.len() - 1])
        })
    };
    accepted(&chain(4));
    assert_eq!(refusal(chain(5)), ErrorKind::Members);
}

#[test]
fn escaped_key_text_is_bounded() {
    let key = |n: usize| format!(r#""\u0061{}":{n}"#, "b".repeat(100_000 + n));
    accepted(&format!("[{{{},{}}},{{{}}}]", key(1), key(2), key(3)));
    assert_eq!(
        refusal(format!("{{{},{},{}}}", key(1), key(2), key(3))),
        ErrorKind::Members
    );
}

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
