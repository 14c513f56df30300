//! Every way in which a body could be read differently by two parsers, by name.

use super::*;

pub(super) const LIMITS: Limits = Limits {
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

pub(super) fn accepted(text: &str) -> Value<'_> {
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
fn answers_may_hold_half_a_surrogate_pair() {
    for (text, read) in [
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""a\ude00b""#, "a\u{fffd}b"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
        (r#""\ud83dx\n""#, "\u{fffd}x\n"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
        (r#""\ud83d\ude00""#, "\u{1f600}"),
    ] {
        let value = super::parse_answer(text.as_bytes(), &LIMITS).unwrap();
        assert_eq!(value.as_str().as_deref(), Some(read), "{text}");
    }
    assert!(super::parse_answer(br#"{"a":1,"a":2}"#, &LIMITS).is_err());
    assert!(super::parse_answer(b"\"\xff\"", &LIMITS).is_err());
}
