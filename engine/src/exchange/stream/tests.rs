use super::*;
use crate::json;
use proptest::prelude::*;
use proptest::sample::Index;

const REPLACEMENT: &[u8] = br#"{"jsonrpc":"2.0","id":1,"result":{"isError":true}}"#;

/// What came of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Passed {
    out: String,
    answer: Option<(Outcome, u64)>,
    event_id: bool,
    failed: bool,
    /// Messages that the filter saw.
    seen: Vec<String>,
}

fn own() -> Stream {
    Stream::new(1000).of_request("1")
}

/// The filter takes `secret` out of every message.
fn pass<'w>(mut stream: Stream, windows: impl IntoIterator<Item = &'w [u8]>, answers: bool) -> Passed {
    let (mut out, mut seen) = (Vec::new(), Vec::new());
    for window in windows {
        let step = stream.push(window, answers.then_some(&|_| REPLACEMENT.to_vec()), |message| {
            let text = message.raw();
            seen.push(text.to_owned());
            if text.contains("secret") {
                Filtered::Changed(text.replace("secret", "").into_bytes())
            } else {
                Filtered::Unchanged
            }
        });
        match step {
            ChunkStep::Keep => out.extend_from_slice(window),
            ChunkStep::Rewrite(bytes) => out.extend_from_slice(&bytes),
            ChunkStep::Splice { front, keep } => {
                out.extend_from_slice(&front);
                out.extend_from_slice(&window[..keep]);
            }
        }
    }
    Passed {
        out: String::from_utf8_lossy(&out).into_owned(),
        answer: stream.answer(),
        event_id: stream.saw_event_id(),
        failed: stream.failed(),
        seen,
    }
}

/// As a whole and byte by byte.
fn all(stream: impl Fn() -> Stream, text: &str) -> Passed {
    let whole = pass(stream(), [text.as_bytes()], true);
    assert_eq!(pass(stream(), text.as_bytes().chunks(1), true), whole, "{text}");
    whole
}

fn data(messages: &[&str]) -> String {
    messages
        .iter()
        .fold(String::new(), |text, message| text + "data: " + message + "\n\n")
}

const OK: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
const NOTE: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"a"}}"#;

#[test]
fn the_first_response_answers_and_later_ones_are_left_out() {
    let foreign = r#"{"jsonrpc":"2.0","id":2,"result":{"isError":true}}"#;
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":""}}"#;
    let passed = all(own, &data(&[NOTE, foreign, error, OK, NOTE, foreign]));
    let expected = data(&[NOTE, foreign, error]) + ":\n\n" + &data(&[NOTE]) + ":\n\n";
    assert_eq!(passed.out, expected);
    assert_eq!(
        passed.answer,
        Some((Outcome::RpcError(-32603), error.len() as u64))
    );
    assert!(!passed.failed);
    // A foreign id is filtered all the same.
    let passed = all(own, &data(&[r#"{"id":2,"result":{"tools":"secret"}}"#]));
    assert_eq!(passed.out, data(&[r#"{"id":2,"result":{"tools":""}}"#]));
    assert_eq!(passed.answer, None);
}

#[test]
fn a_stream_of_no_request_has_no_answer() {
    let text = data(&[OK, OK, NOTE, OK]);
    let passed = all(|| Stream::new(1000), &text);
    assert_eq!((passed.out, passed.answer), (text, None));
}

#[test]
fn notifications_and_requests_answer_nothing() {
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"result":{}}}"#;
    let text = data(&[NOTE, request, r#"[{"method":"x"}]"#, "1", "\"x\""]);
    let passed = all(own, &text);
    assert_eq!((passed.out, passed.answer), (text, None));
}

#[test]
fn events_under_another_name_are_no_answer() {
    let text = format!("event: other\ndata: {OK}\n\nevent:\ndata: {OK}\n\nevent: other\ndata: {OK}\n\n");
    let passed = all(own, &text);
    let expected = format!("event: other\ndata: {OK}\n\nevent:\ndata: {OK}\n\n:\n\n");
    assert_eq!(passed.out, expected);
    assert_eq!(passed.answer, Some((Outcome::Ok, OK.len() as u64)));
}

#[test]
fn arrays_pass_or_go_as_a_whole() {
    let both = format!("[{NOTE},{OK}]");
    let passed = all(own, &data(&[&both, &both, &format!("[{NOTE}]")]));
    assert_eq!(
        passed.out,
        data(&[&both]) + ":\n\n" + &data(&[&format!("[{NOTE}]")])
    );
    assert_eq!(passed.answer, Some((Outcome::Ok, both.len() as u64)));
    // Two answers in one.
    let passed = all(own, &data(&[&format!("[{OK},{OK}]"), NOTE]));
    assert_eq!(passed.answer, Some((Outcome::Malformed, 0)));
    assert!(passed.out.starts_with("event: message\ndata: {") && !passed.out.contains("content"));
}

#[test]
fn what_cannot_be_used_ends_a_stream_that_has_no_answer_yet() {
    for (bad, outcome) in [
        (data(&["{oops"]), Outcome::Malformed),
        (data(&[r#"{"id":1,"result":{"a":1,"a":2}}"#]), Outcome::Malformed),
        (data(&[r#"{"method":"a","result":{"#]), Outcome::Malformed),
        (data(&["x".repeat(1000).as_str()]), Outcome::TooLarge),
    ] {
        let passed = all(own, &(data(&[NOTE]) + &bad + &data(&[OK])));
        let answer = format!(
            "event: message\ndata: {}\n\n",
            String::from_utf8_lossy(REPLACEMENT)
        );
        assert_eq!(passed.out, data(&[NOTE]) + &answer);
        assert_eq!(passed.answer, Some((outcome, 0)));
        assert!(passed.failed);
        // A second answer would be one too many.
        let passed = all(own, &(data(&[OK]) + &bad + &data(&[NOTE])));
        assert_eq!(passed.out, data(&[OK]) + ":\n\n" + &data(&[NOTE]));
        assert_eq!(passed.answer, Some((Outcome::Ok, OK.len() as u64)));
        // And so would any, where nothing was asked.
        let windows = data(&[NOTE]) + &bad + &data(&[OK]);
        let passed = pass(Stream::new(1000), [windows.as_bytes()], false);
        assert_eq!(passed.out, data(&[NOTE]) + ":\n\n" + &data(&[OK]));
        assert!(passed.failed);
    }
}

#[test]
fn requests_of_the_server_are_left_out_where_the_policy_says_so() {
    let strict = || own().without(["sampling/createMessage", "roots/list"].into_iter());
    let request =
        |method: &str, id: &str| format!(r#"{{"jsonrpc":"2.0",{id}"method":"{method}","params":{{}}}}"#);
    let (sampling, escaped) = (
        request("sampling/createMessage", "\"id\":\"s\","),
        request("s\\u0061mpling\\/createMessage", "\"id\":1,"),
    );
    let (elicitation, unasked) = (
        request("elicitation/create", "\"id\":4,"),
        request("roots/list", ""),
    );
    let passed = all(
        strict,
        &data(&[
            &sampling,
            &escaped,
            &elicitation,
            &unasked,
            &format!("[{sampling}]"),
            OK,
        ]),
    );
    let kept = data(&[&elicitation, &unasked]);
    assert_eq!(passed.out, format!(":\n\n:\n\n{kept}:\n\n{}", data(&[OK])));
    assert_eq!(passed.answer, Some((Outcome::Ok, OK.len() as u64)));
    assert_eq!(all(own, &data(&[&sampling])).out, data(&[&sampling]));
}

#[test]
fn the_filter_sees_whatever_is_not_plainly_a_notification() {
    let hidden = [
        r#"{"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"secret"}}"#,
        r#"{"method":"notifications/subscriptions/acknowledged","params":{"notifications":{"taskIds":["secret"]}}}"#,
        r#"{"method":"notifications/t\u0061sks/status","params":{"taskId":"secret"}}"#,
        r#"{"method":"x","params":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"secret"}}}}"#,
        r#"{"method":"x","params":{"_m\u0065ta":{"x":"secret"}}}"#,
        r#"{"method":"x","r\u0065sult":{"tools":["secret"]}}"#,
        r#"{"method":"x","result":{"tools":["secret"]}}"#,
        r#"{"method":"x","error":{"data":["secret"]}}"#,
        r#"{"method":"x","id":null,"params":["secret"]}"#,
        r#"{"method":7,"params":["secret"]}"#,
        r#"{"params":["secret"]}"#,
        r#"["secret"]"#,
        r#"{"é":"secret","method":"x"}"#,
    ];
    for message in hidden {
        let passed = all(own, &data(&[message]));
        assert_eq!(passed.out, data(&[&message.replace("secret", "")]), "{message}");
    }
    let plain =
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":{"id":1,"result":"secret"}}}"#;
    assert_eq!(all(own, &data(&[plain])).seen, [""; 0]);
    // Nobody reads this as anything but a notification, but they read it differently.
    for twice in [
        r#"{"method":"x","method":"y"}"#,
        r#"{"method":"x","params":{"_meta":{}},"params":{}}"#,
        r#"{"method":"x","params":{"_meta":{},"_meta":{}}}"#,
    ] {
        assert!(all(own, &data(&[twice])).failed, "{twice}");
    }
}

#[test]
fn the_filter_sees_responses_that_depend_on_who_asked() {
    for result in [
        r#""tools":[]"#,
        r#""prompts":[]"#,
        r#""resources":[]"#,
        r#""resourceTemplates":[]"#,
        r#""t\u006fols":[]"#,
        r#""tasks":[]"#,
        r#""task":{}"#,
        r#""taskId":"a""#,
        r#""_meta":{}"#,
        r#""result":{}"#,
        r#""tools":[],"prompts":[],"_meta":{}"#,
    ] {
        let message = format!(r#"{{"id":1,"result":{{"content":"secret",{result}}}}}"#);
        let passed = all(own, &data(&[&message]));
        assert_eq!(passed.out, data(&[&message.replace("secret", "")]), "{message}");
        assert_eq!(all(|| Stream::new(1000), &data(&[&message])).seen, [message]);
    }
    for plain in [
        r#"{"id":1,"result":{"content":[{"tools":["secret"]}],"structuredContent":{"_meta":1},"isError":true}}"#,
        r#"{"id":1,"error":{"code":1,"message":"secret","data":{"tools":[]}}}"#,
    ] {
        assert_eq!(all(own, &data(&[plain])).seen, [""; 0]);
    }
}

#[test]
fn ids_of_events() {
    let seen = |text: &str| all(own, text).event_id;
    assert!(seen("id: 1\ndata:\n\n"), "a priming event");
    assert!(seen(&format!("id: 1\ndata: {NOTE}\n\ndata: {NOTE}\n\n")));
    assert!(!seen(&data(&[NOTE])));
    assert!(!seen("id: 1\ndata:\n\nid:\ndata:\n\n"), "taken back");
    assert!(!seen("id: 1\ndata:\n"), "incomplete");
}

#[test]
fn a_window_that_stays_as_it_is_is_not_copied() {
    let text = data(&[NOTE, NOTE]);
    let mut stream = own();
    let mut step = |window: &str| stream.push(window.as_bytes(), None, |_| Filtered::Unchanged);
    assert_eq!(step(&text), ChunkStep::Keep);
    let splice = |front: &str, keep: usize| ChunkStep::Splice {
        front: front.as_bytes().to_vec(),
        keep,
    };
    assert_eq!(step(":\r"), splice("", 0));
    assert_eq!(step("\n\r"), splice(":\r", 2));
    assert_eq!(step("\n"), ChunkStep::Keep);
    assert_eq!(step("\n\n"), ChunkStep::Keep);
    let (start, end) = NOTE.split_at(20);
    assert_eq!(step(&format!("{text}data: {start}")), splice("", text.len()));
    let tail = format!("{end}\n\n{text}");
    assert_eq!(
        step(&format!("{tail}da")),
        splice(&format!("data: {start}"), tail.len())
    );
    assert_eq!(step("ta:\n\n"), splice("da", 5));
    // An event that is left out is not, nor is what follows it.
    assert_eq!(step("data: [1"), splice("", 0));
    assert_eq!(
        step(&format!("2,\n\n{text}")),
        ChunkStep::Rewrite(format!(":\n\n{text}").into_bytes())
    );
    assert_eq!(step(&text), ChunkStep::Keep);
    let mut stream = own();
    let marked = format!("\u{feff}{text}");
    assert_eq!(
        stream.push(marked.as_bytes(), None, |_| Filtered::Unchanged),
        ChunkStep::Keep
    );
}

#[test]
fn an_event_of_any_size_is_held_up_to_the_bound() {
    let mut stream = Stream::new(1 << 16).of_request("1");
    let window = [b'x'; 1 << 14];
    let mut out = Vec::new();
    let mut push = |window: &[u8]| {
        let step = stream.push(window, Some(&|_| REPLACEMENT.to_vec()), |_| Filtered::Unchanged);
        if let ChunkStep::Rewrite(bytes) = step {
            out.extend_from_slice(&bytes);
        }
        assert!(stream.decoder.pending() <= 1 << 16);
    };
    push(b"data: ");
    for _ in 0..(100 << 20) / window.len() {
        push(&window);
    }
    assert_eq!(stream.answer(), Some((Outcome::TooLarge, 0)));
    assert_eq!(out.len(), REPLACEMENT.len() + 23);
}

/// Messages and what else is on streams, with all line ends.
fn stream_text() -> impl Strategy<Value = String> {
    let message = prop::sample::select(vec![
        OK,
        NOTE,
        r#"{"id":2,"result":{"tools":["secret"]}}"#,
        r#"{"id":1,"error":{"code":-1}}"#,
        r#"{"id":1,"method":"roots/list"}"#,
        r#"{"method":"notifications/tasks","params":"secret"}"#,
        r#"{"id":1,"result":{"a":1,"a":2}}"#,
        "{oops",
        "[{\"id\":1,\"result\":{}}]",
        "\u{feff}{}",
        "x\u{e9}\u{1f600}",
        "",
    ]);
    let end = prop::sample::select(vec!["\n", "\r", "\r\n"]);
    let line = prop_oneof![
        6 => message.prop_map(|message| format!("data: {message}")),
        1 => Just("event: message".to_owned()),
        1 => Just("event: other".to_owned()),
        1 => Just("id: 7".to_owned()),
        1 => Just(": c".to_owned()),
        1 => Just("data: {\"id\":1,".to_owned()),
        1 => Just("data: \"result\":{}}".to_owned()),
        3 => Just(String::new()),
    ];
    let lines = prop::collection::vec((line, end, 0..3_u8), 0..12);
    (any::<bool>(), lines).prop_map(|(mark, lines)| {
        let mut text = if mark {
            "\u{feff}".to_owned()
        } else {
            String::new()
        };
        for (line, end, blank) in lines {
            text += &line;
            text += end;
            if blank > 0 {
                text += end;
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn windows_do_not_matter(
        text in stream_text(),
        cuts in prop::collection::vec(any::<Index>(), 0..8),
        max in prop_oneof![3 => Just(1000_usize), 1 => 0..100_usize],
        answers: bool,
    ) {
        let stream = || {
            let stream = Stream::new(max).without(["roots/list"].into_iter());
            if answers { stream.of_request("1") } else { stream }
        };
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        places.extend([0, text.len()]);
        places.sort_unstable();
        let windows = || places.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]);
        let whole = pass(stream(), [text.as_bytes()], answers);
        prop_assert_eq!(&pass(stream(), windows(), answers), &whole);
        prop_assert_eq!(&pass(stream(), text.as_bytes().chunks(1), answers), &whole);
        // Whoever reads what goes out finds one answer at most, and it is the one that was told.
        let (mut responses, mut shown) = (Vec::new(), false);
        Decoder::new(usize::MAX).push(whole.out.as_bytes(), &mut |item| {
            if let Item::Event(event) = item
                && let Ok(message) = json::parse_answer(&event.data, &list::LIMITS)
            {
                // What is no JSON is shown under another name only, and is no message.
                shown |= message.raw().contains("secret");
                let single = message.as_array().and_then(|batch| batch.elements().next()).unwrap_or(message);
                if let Some(outcome) = crate::outcome::of_answer(single, Some("1"))
                    && event.name.is_none_or(|name| name == "message")
                {
                    responses.push(outcome);
                }
            }
        });
        if answers && !whole.failed {
            prop_assert_eq!(responses, whole.answer.map(|(outcome, _)| outcome).into_iter().collect::<Vec<_>>());
        } else if answers {
            prop_assert!(responses.len() <= 1);
        }
        prop_assert!(!shown);
    }
}
