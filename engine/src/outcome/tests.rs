use super::*;
use crate::json;
use crate::list::LIMITS;

/// What both readers make of a text; they must agree.
fn read(text: &str, id: Option<&str>) -> Outcome {
    let mut reader = JsonReader::new(id);
    reader.push(text.as_bytes());
    let whole = reader.finish();
    let mut reader = JsonReader::new(id);
    for byte in text.as_bytes() {
        reader.push(std::slice::from_ref(byte));
    }
    assert_eq!(reader.finish(), whole, "byte by byte: {text}");
    if let Ok(message) = json::parse_answer(text.as_bytes(), &LIMITS) {
        let viewed = of_answer(message, id).unwrap_or(Outcome::Malformed);
        assert_eq!(viewed, whole, "as a view: {text}");
    }
    whole
}

/// With the id 1.
fn outcome(members: &str) -> Outcome {
    read(&format!(r#"{{"jsonrpc":"2.0","id":1,{members}}}"#), Some("1"))
}

fn result(members: &str) -> Outcome {
    outcome(&format!(r#""result":{{{members}}}"#))
}

#[test]
fn results() {
    for (members, expected) in [
        ("", Outcome::Ok),
        (
            r#""content":[{"type":"text","text":"isError"}],"isError":false"#,
            Outcome::Ok,
        ),
        (r#""content":[],"isError":true"#, Outcome::ToolError),
        (r#""is\u0045rror":true"#, Outcome::ToolError),
        (r#""isError":"true""#, Outcome::Ok),
        (r#""isError":1"#, Outcome::Ok),
        (r#""isError":{"isError":true}"#, Outcome::Ok),
        (r#""iserror":true"#, Outcome::Ok),
        (r#""structuredContent":{"isError":true}"#, Outcome::Ok),
        (r#""content":[{"isError":true}]"#, Outcome::Ok),
        (r#""resultType":"complete","content":[]"#, Outcome::Ok),
        (r#""resultType":"complete","isError":true"#, Outcome::ToolError),
        (r#""resultType":"novel","isError":true"#, Outcome::ToolError),
        (
            r#""resultType":"input_required","inputRequests":{}"#,
            Outcome::InputRequired,
        ),
        (r#""resultType":"input\u005frequired""#, Outcome::InputRequired),
        (
            r#""resultType":"task","taskId":"x","status":"working""#,
            Outcome::Task,
        ),
        (r#""task":{"taskId":"x","status":"working"}"#, Outcome::Task),
        (r#""task":{"taskId":7}"#, Outcome::Ok),
        (r#""task":"x","taskId":"y""#, Outcome::Ok),
        (r#""resultType":"complete","task":{"taskId":"x"}"#, Outcome::Ok),
    ] {
        assert_eq!(result(members), expected, "{members}");
    }
}

#[test]
fn states_of_tasks() {
    for (members, expected) in [
        (r#""status":"working""#, Outcome::Task),
        (r#""status":"cancelled""#, Outcome::Task),
        (
            r#""status":"input_required","inputRequests":{}"#,
            Outcome::InputRequired,
        ),
        (r#""status":"completed","result":{"content":[]}"#, Outcome::Ok),
        (
            r#""status":"completed","result":{"content":[],"isError":true}"#,
            Outcome::ToolError,
        ),
        (
            r#""result":{"isError":true,"content":[]},"status":"completed""#,
            Outcome::ToolError,
        ),
        (
            r#""status":"completed","result":{"content":[{"isError":true}]}"#,
            Outcome::Ok,
        ),
        (r#""status":"completed""#, Outcome::Task),
        (r#""status":"completed","result":null"#, Outcome::Task),
        (
            r#""status":"failed","error":{"code":-32603,"message":"x"}"#,
            Outcome::RpcError(-32603),
        ),
        (r#""status":"failed","error":{"message":"x"}"#, Outcome::Task),
        (r#""status":"failed""#, Outcome::Task),
        (r#""status":"odd","isError":true"#, Outcome::ToolError),
    ] {
        let task = r#""resultType":"complete","taskId":"t","#;
        assert_eq!(result(&format!("{task}{members}")), expected, "{members}");
    }
    assert_eq!(result(r#""status":"working""#), Outcome::Ok, "no task");
    assert_eq!(result(r#""taskId":7,"status":"working""#), Outcome::Ok, "no task");
}

#[test]
fn errors() {
    for (code, expected) in [
        ("-32603", Outcome::RpcError(-32603)),
        ("0", Outcome::RpcError(0)),
        ("-32603.0", Outcome::RpcError(-32603)),
        ("-3.2603e4", Outcome::RpcError(-32603)),
        ("-32603.5", Outcome::Malformed),
        (r#""-32603""#, Outcome::Malformed),
        ("null", Outcome::Malformed),
        ("1e400", Outcome::Malformed),
        ("99999999999999999999", Outcome::Malformed),
        (
            "100000000000000000000000000000000000000000000000000",
            Outcome::Malformed,
        ),
    ] {
        assert_eq!(
            outcome(&format!(
                r#""error":{{"message":"m","code":{code},"data":{{"code":5}}}}"#
            )),
            expected,
            "{code}"
        );
    }
    assert_eq!(outcome(r#""error":{}"#), Outcome::Malformed);
    assert_eq!(outcome(r#""error":null"#), Outcome::Malformed);
    assert_eq!(outcome(r#""error":-32603"#), Outcome::Malformed);
}

#[test]
fn shapes_that_strict_clients_refuse() {
    for members in [
        r#""result":{},"error":{"code":1,"message":""}"#,
        r#""result":null,"error":{"code":1,"message":""}"#,
        r#""result":{},"error":null"#,
        r#""result":{},"method":"ping""#,
        r#""result":[]"#,
        r#""result":true"#,
        r#""result":"x""#,
        r#""method":"ping""#,
        r#""params":{}"#,
    ] {
        assert_eq!(outcome(members), Outcome::Malformed, "{members}");
    }
}

#[test]
fn ids() {
    let with = |id: &str, expected: &str| read(&format!(r#"{{"id":{id},"result":{{}}}}"#), Some(expected));
    for (id, expected) in [
        ("1", "1"),
        ("1.0", "1"),
        ("1e0", "1"),
        ("-0", "0"),
        ("9007199254740991", "9007199254740991"),
        (r#""a""#, r#""a""#),
        (r#""\u0061\ud83d\ude00\n""#, r#""a😀\n""#),
        (r#""a😀""#, r#""a\ud83d\uDE00""#),
        (r#""""#, r#""""#),
    ] {
        assert_eq!(with(id, expected), Outcome::Ok, "{id} for {expected}");
    }
    for (id, expected) in [
        ("1", r#""1""#),
        (r#""1""#, "1"),
        ("2", "1"),
        ("1.5", "1"),
        ("null", "1"),
        ("[1]", "1"),
        (r#"{"id":1}"#, "1"),
        ("true", "1"),
        (r#""ab""#, r#""a""#),
        (r#""a""#, r#""ab""#),
        (r#""\ud83d""#, r#""a""#),
        (r#""""#, r#""a""#),
        ("9007199254740993", "9007199254740992"),
    ] {
        assert_eq!(with(id, expected), Outcome::Malformed, "{id} for {expected}");
    }
    assert_eq!(read(r#"{"result":{}}"#, Some("1")), Outcome::Malformed);
    assert_eq!(read(r#"{"result":{}}"#, None), Outcome::Ok);
    assert_eq!(read(r#"{"id":null,"result":{}}"#, None), Outcome::Ok);
    let long = format!("\"{}\"", "x".repeat(1022));
    assert_eq!(with(&long, &long), Outcome::Ok);
    let other = format!("\"{}y\"", "x".repeat(1021));
    assert_eq!(with(&other, &long), Outcome::Malformed);
}

#[test]
fn what_is_no_json_is_malformed() {
    for text in [
        "x",
        "1",
        "\"a\"",
        "null",
        "[]",
        "[{\"id\":1,\"result\":{}}]",
        "\u{feff}{\"id\":1,\"result\":{}}",
        "{,}",
        "{\"id\":1,\"result\":{},}",
        "{\"id\":1,\"result\":{}}x",
        "{\"id\":1,\"result\":{}}{}",
        "{\"id\":1,\"result\":{}},",
        "{\"id\" 1,\"result\":{}}",
        "{\"id\":1 \"result\":{}}",
        "{'id':1,\"result\":{}}",
        "{id:1,\"result\":{}}",
        "{\"id\":1,\"result\":{\"a\":01}}",
        "{\"id\":1,\"result\":{\"a\":-}}",
        "{\"id\":1,\"result\":{\"a\":1.}}",
        "{\"id\":1,\"result\":{\"a\":.1}}",
        "{\"id\":1,\"result\":{\"a\":1e}}",
        "{\"id\":1,\"result\":{\"a\":+1}}",
        "{\"id\":1,\"result\":{\"a\":NaN}}",
        "{\"id\":1,\"result\":{\"a\":nul}}",
        "{\"id\":1,\"result\":{\"a\":truE}}",
        "{\"id\":1,\"result\":{\"a\":[1,]}}",
        "{\"id\":1,\"result\":{\"a\":[1}}",
        "{\"id\":1,\"result\":{\"a\":[1}]}",
        "{\"id\":1,\"result\":{\"a\"}}",
        "{\"id\":1,\"result\":{\"a\":}}",
        "{\"id\":1,\"result\":{\"a\\\n\":1}}",
        "{\"id\":1,\"result\":{\"status\":\"\\x\"}}",
        "{\"id\":1,\"result\":{\"status\":\"\\u12g4\"}}",
        "{\"id\":1,\"result\":{\"status\":\"\n\"}}",
        "{\"id\":1,\"result\":{\"a\":1 2}}",
        "{\"id\":1,\"result\":{]}",
        "{\"id\":1,\"result\":{}}\0",
    ] {
        assert_eq!(read(text, Some("1")), Outcome::Malformed, "{text:?}");
        assert!(
            json::parse_answer(text.as_bytes(), &LIMITS).is_err() || !text.starts_with('{'),
            "{text:?}"
        );
    }
}

#[test]
fn strings_that_nobody_wants_end_where_they_end() {
    for text in [
        "",
        "\\\\",
        "\\\"",
        "\\\\\\\"",
        "a\\\"b\\\\",
        "\\u0022",
        "\\\"isError\\\":false,\\\\\\\"",
        "0123456789abcde",
        "0123456789abcdef",
        "0123456789abcde\\\"0123456789abcdef0123456789abcdef\\\\",
        "0123456789abcdef\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\",
    ] {
        assert_eq!(
            result(&format!(r#""a":"{text}","isError":true"#)),
            Outcome::ToolError,
            "{text}"
        );
        assert_eq!(
            result(&format!(r#""a":{{"{text}":"{text}"}},"isError":true"#)),
            Outcome::ToolError,
            "{text}"
        );
    }
    // Nobody looks into them.
    let mut reader = JsonReader::new(None);
    reader.push(b"{\"result\":{\"a\":\"\n\\x\xff\",\"isError\":true}}");
    assert_eq!(reader.finish(), Outcome::ToolError);
}

#[test]
fn members_that_decide_come_once() {
    for members in [
        r#""result":{},"result":{}"#,
        r#""result":{},"r\u0065sult":{}"#,
        r#""id":1,"result":{}"#,
        r#""error":{"code":1,"code":1}"#,
        r#""result":{"isError":false,"isError":true}"#,
        r#""result":{"isError":true,"is\u0045rror":false}"#,
        r#""result":{"resultType":"task","resultType":"complete"}"#,
        r#""result":{"taskId":"a","status":"failed","error":{"code":1,"code":2}}"#,
    ] {
        assert_eq!(outcome(members), Outcome::Malformed, "{members}");
    }
    // Two objects may have the same member each.
    assert_eq!(
        outcome(r#""result":{"content":[{"isError":true},{"isError":false}],"isError":false}"#),
        Outcome::Ok
    );
}

#[test]
fn what_ends_early_is_truncated() {
    let text =
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"text":"\u00e9\n","n":-1.5e3}],"isError":true}}"#;
    for end in 0..text.len() {
        assert_eq!(read(&text[..end], Some("1")), Outcome::Truncated, "{end}");
    }
    assert_eq!(read(text, Some("1")), Outcome::ToolError);
    assert_eq!(read(&format!(" \r\n\t{text} \n"), Some("1")), Outcome::ToolError);
    assert_eq!(read(" ", Some("1")), Outcome::Truncated);
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 2), "]".repeat(depth - 2));
        let mut reader = JsonReader::new(Some("1"));
        reader.push(format!(r#"{{"id":1,"result":{{"a":{open}{close},"isError":true}}}}"#).as_bytes());
        reader.finish()
    };
    assert_eq!(nested(1024), Outcome::ToolError);
    assert_eq!(nested(1025), Outcome::Malformed);
    // Nothing but opening brackets: a bomb for readers that recurse.
    let mut reader = JsonReader::new(None);
    reader.push(b"{\"result\":");
    for _ in 0..10_000 {
        reader.push(&[b'['; 1000]);
    }
    assert_eq!(reader.finish(), Outcome::Malformed);
}

#[test]
fn objects_and_arrays_are_told_apart_at_every_depth() {
    let brackets = |i: usize| {
        if i.is_multiple_of(3) {
            ("[", "]")
        } else {
            ("{\"k\":", "}")
        }
    };
    for depth in [62, 63, 64, 65, 127, 128, 700] {
        let open: String = (0..depth).map(|i| brackets(i).0).collect();
        let close: String = (0..depth).rev().map(|i| brackets(i).1).collect();
        let of = |close: &str| {
            let mut reader = JsonReader::new(None);
            reader.push(format!(r#"{{"result":{{"a":{open}1{close},"isError":true}}}}"#).as_bytes());
            reader.finish()
        };
        assert_eq!(of(&close), Outcome::ToolError, "{depth}");
        for at in 0..depth {
            let mut wrong = close.clone().into_bytes();
            if let Some(bracket) = wrong.get_mut(at) {
                *bracket = if *bracket == b']' { b'}' } else { b']' };
            }
            let wrong = String::from_utf8(wrong).unwrap();
            assert_eq!(of(&wrong), Outcome::Malformed, "{depth}, {at}");
        }
    }
}

#[test]
fn memory_is_constant() {
    assert!(size_of::<JsonReader>() <= 512, "{}", size_of::<JsonReader>());
    let mut reader = JsonReader::new(Some("1"));
    let start = r#"{"content":[{"type":"text","text":""#;
    reader.push(format!(r#"{{"id":1,"result":{start}"#).as_bytes());
    let window = vec![b'x'; 65536];
    for _ in 0..512 {
        reader.push(&window);
    }
    assert_eq!(reader.finish(), Outcome::Truncated);
    let end = r#""}],"isError":true}"#;
    reader.push(format!("{end}}}").as_bytes());
    assert_eq!(reader.finish(), Outcome::ToolError);
    assert_eq!(
        reader.result_bytes(),
        (start.len() + 512 * window.len() + end.len()) as u64
    );
}

#[test]
fn the_size_of_the_result() {
    let bytes = |text: &str| {
        let mut reader = JsonReader::new(None);
        reader.push(text.as_bytes());
        let whole = reader.result_bytes();
        let mut reader = JsonReader::new(None);
        for byte in text.as_bytes() {
            reader.push(std::slice::from_ref(byte));
        }
        assert_eq!(reader.result_bytes(), whole, "{text}");
        whole
    };
    assert_eq!(bytes(r#"{"id":1,"result": {"a":{}} ,"b":[{}]}"#), 8);
    assert_eq!(bytes(r#"{"id":1,"result":{"a":"#), 5);
    assert_eq!(bytes(r#"{"id":1,"error":{"code":1}}"#), 0);
    assert_eq!(bytes(""), 0);
}

#[test]
fn messages_are_told_apart() {
    let of = |text: &str| reply(json::parse_answer(text.as_bytes(), &LIMITS).unwrap(), Some("1"));
    assert_eq!(of(r#"{"id":1,"result":{}}"#), Reply::Own(Outcome::Ok));
    assert_eq!(of(r#"{"id":2,"result":{}}"#), Reply::Foreign);
    assert_eq!(of(r#"{"error":{"code":1}}"#), Reply::Foreign);
    assert_eq!(of(r#"{"id":null,"error":{"code":1}}"#), Reply::Foreign);
    assert_eq!(of(r#"{"id":1,"method":"ping"}"#), Reply::None);
    assert_eq!(
        of(r#"{"method":"notifications/message","params":{"result":{}}}"#),
        Reply::None
    );
    assert_eq!(of(r#"[{"id":1,"result":{}}]"#), Reply::None);
    assert_eq!(of("1"), Reply::None);
    assert_eq!(
        of(r#"{"id":1,"method":"x","result":{}}"#),
        Reply::Own(Outcome::Malformed)
    );
}
