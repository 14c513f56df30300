use super::*;

/// An [`Item`] that outlives the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owned {
    Event {
        raw: Vec<u8>,
        name: Option<String>,
        data: Vec<u8>,
        id: Option<Vec<u8>>,
    },
    Other(Vec<u8>),
    TooLarge,
}

impl From<Item<'_>> for Owned {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Event(event) => Owned::Event {
                raw: event.raw.to_vec(),
                name: event.name.map(Cow::into_owned),
                data: event.data.into_owned(),
                id: event.id.map(<[u8]>::to_vec),
            },
            Item::Other(raw) => Owned::Other(raw.to_vec()),
            Item::TooLarge => Owned::TooLarge,
        }
    }
}

impl Owned {
    pub(super) fn raw(&self) -> &[u8] {
        match self {
            Owned::Event { raw, .. } | Owned::Other(raw) => raw,
            Owned::TooLarge => b"",
        }
    }
}

pub(super) fn decode<'a>(windows: impl IntoIterator<Item = &'a [u8]>, max: usize) -> Vec<Owned> {
    let mut decoder = Decoder::new(max);
    let mut items = Vec::new();
    for window in windows {
        decoder.push(window, &mut |item| items.push(item.into()));
        assert!(decoder.pending() <= max.max(2));
    }
    items
}

/// What a client dispatches: name and data.
fn dispatched(stream: &[u8]) -> Vec<(String, String)> {
    let event = |item| match item {
        Owned::Event { name, data, .. } => Some((name.unwrap_or_default(), String::from_utf8(data).unwrap())),
        _ => None,
    };
    let whole: Vec<_> = decode([stream], 1000).into_iter().filter_map(event).collect();
    let single: Vec<_> = decode(stream.chunks(1), 1000)
        .into_iter()
        .filter_map(event)
        .collect();
    assert_eq!(whole, single);
    whole
}

fn data_of(stream: &[u8]) -> Vec<String> {
    dispatched(stream).into_iter().map(|(_, data)| data).collect()
}

/// The items' raw bytes; events are marked.
fn pieces(stream: &[u8]) -> Vec<(bool, String)> {
    let piece = |item: &Owned| {
        (
            matches!(item, Owned::Event { .. }),
            String::from_utf8_lossy(item.raw()).into_owned(),
        )
    };
    decode([stream], 1000).iter().map(piece).collect()
}

fn rewritten(stream: &str, data: &str) -> String {
    let mut out = Vec::new();
    Decoder::new(1000).push(stream.as_bytes(), &mut |item| match item {
        Item::Event(event) => rewrite(&event, data.as_bytes(), &mut out),
        other => panic!("{other:?}"),
    });
    String::from_utf8(out).unwrap()
}

// The examples of the standard, section 9.2.6.
#[test]
fn examples_of_the_standard() {
    assert_eq!(data_of(b"data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
    let stream =
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
    assert_eq!(data_of(stream), ["first event", "second event", " third event"]);
    let ids: Vec<_> = decode([&stream[..]], 1000)
        .into_iter()
        .filter_map(|item| {
            if let Owned::Event { id, .. } = item {
                Some(id)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(ids, [Some(b"1".to_vec()), Some(Vec::new()), None]);
    assert_eq!(data_of(b"data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
    assert_eq!(data_of(b"data:test\n\ndata: test\n\n"), ["test", "test"]);
}

#[test]
fn all_line_ends_count() {
    for stream in [
        &b"data: a\ndata: b\n\ndata: c\n\n"[..],
        b"data: a\rdata: b\r\rdata: c\r\r",
        b"data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n",
        b"data: a\rdata: b\n\rdata: c\r\n\n",
        b"data: a\ndata: b\r\rdata: c\n\r\n",
    ] {
        assert_eq!(
            data_of(stream),
            ["a\nb", "c"],
            "{:?}",
            String::from_utf8_lossy(stream)
        );
    }
    assert_eq!(data_of(b"data: a\r\ndata: b\r\n"), [""; 0]);
}

#[test]
fn an_event_is_handed_out_at_once_even_if_a_line_feed_may_follow() {
    let items = decode(
        [&b"data: a\r\n\r"[..], b"\ndata: b\r", b"\n\r", b"", b"\n\n"],
        1000,
    );
    let raw: Vec<&[u8]> = items.iter().map(Owned::raw).collect();
    assert_eq!(
        raw,
        [&b"data: a\r\n\r"[..], b"\n", b"data: b\r\n\r", b"\n", b"\n"]
    );
    assert!(matches!(&items[2], Owned::Event { data, .. } if data == b"b"));
}

#[test]
fn only_the_first_mark_of_the_stream_is_skipped() {
    assert_eq!(data_of("\u{feff}data: a\n\n".as_bytes()), ["a"]);
    assert_eq!(
        data_of("\u{feff}\u{feff}data: a\n\ndata: b\n\n".as_bytes()),
        ["b"]
    );
    assert_eq!(data_of("data: a\n\n\u{feff}data: b\n\n".as_bytes()), ["a"]);
    assert_eq!(data_of(b"\xef\xbbdata: a\n\ndata: b\n\n"), ["b"]);
    assert_eq!(
        pieces("\u{feff}data: a\n\n".as_bytes()),
        [(false, "\u{feff}".into()), (true, "data: a\n\n".into())]
    );
    let mut decoder = Decoder::new(10);
    decoder.push(b"\xef", &mut |item| panic!("{item:?}"));
    decoder.push(b"\xbb", &mut |item| panic!("{item:?}"));
    assert_eq!(decoder.pending(), 2);
}

#[test]
fn fields_are_read_to_the_letter() {
    let stream = b"event: x\nevent: y\ndata : no\nDATA: no\n data: no\ndatab: no\n: data: no\nretry: 5\nfoo\ndata: \t:a: \n\n";
    assert_eq!(dispatched(stream), [("y".to_owned(), "\t:a: ".to_owned())]);
    assert_eq!(
        dispatched(b"event: x\nevent:\ndata: 1\n\n"),
        [(String::new(), "1".to_owned())]
    );
    assert_eq!(
        dispatched(b"event: x\n\ndata: 1\n\n"),
        [(String::new(), "1".to_owned())],
        "names do not carry over"
    );
    assert_eq!(
        dispatched(b"event: \xff\ndata:\n\n"),
        [("\u{fffd}".to_owned(), String::new())]
    );
}

#[test]
fn ids_with_nul_are_ignored() {
    let id = |stream: &[u8]| match decode([stream], 100).remove(0) {
        Owned::Event { id, .. } => id,
        other => panic!("{other:?}"),
    };
    assert_eq!(id(b"id: 1\nid: 2\0\ndata: a\n\n"), Some(b"1".to_vec()));
    assert_eq!(id(b"id: \0\ndata: a\n\n"), None);
    assert_eq!(id(b"id: 1\nid:\ndata: a\n\n"), Some(Vec::new()));
}

#[test]
fn what_is_no_event_travels_as_it_is() {
    assert_eq!(
        pieces(b"id: 1\ndata:\n\n"),
        [(true, "id: 1\ndata:\n\n".into())],
        "a priming event has (empty) data"
    );
    for block in [
        ": ping\n\n",
        "id: 1\n\n",
        "retry: 3000\r\n\r\n",
        "\n",
        "\r\n",
        "event: x\n\n",
        "?\n\n",
    ] {
        assert_eq!(pieces(block.as_bytes()), [(false, block.into())]);
    }
    let stream = b": c\n\nretry: 1\n\n\n\r\n: d\ndata: x\n: e\n\nid: 3\n\ndata: unfinished\n";
    let raw: Vec<String> = pieces(stream).into_iter().map(|(_, raw)| raw).collect();
    assert_eq!(
        raw,
        [
            ": c\n\n",
            "retry: 1\n\n",
            "\n",
            "\r\n",
            ": d\ndata: x\n: e\n\n",
            "id: 3\n\n"
        ]
    );
}

#[test]
fn oversized_blocks_are_skipped_and_decoding_resumes() {
    let stream = b"data: 1\n\ndata: 0123456789\r\n\r\ndata: 2\n\n: 0123456789abcdef\n\ndata: 3456\n\n";
    for chunk in 1..=stream.len() {
        let items = decode(stream.chunks(chunk), 11);
        let raw: Vec<&[u8]> = items.iter().map(Owned::raw).collect();
        assert_eq!(
            raw,
            [&b"data: 1\n\n"[..], b"", b"data: 2\n\n", b"", b"data: 3456\n\n"],
            "{chunk}"
        );
        assert_eq!(items.iter().filter(|item| **item == Owned::TooLarge).count(), 2);
    }
    // Exactly at the bound and one over it; the blank line does not count.
    for chunk in 1..=14 {
        assert_eq!(
            decode(b"data: 34567\r\n\r\n".chunks(chunk), 13)[0].raw().get(..7),
            Some(&b"data: 3"[..])
        );
        assert_eq!(
            decode(b"data: 34567\r\n\r\n".chunks(chunk), 12),
            [Owned::TooLarge]
        );
    }
}

#[test]
fn memory_is_bounded_and_given_back() {
    let mut decoder = Decoder::new(1 << 20);
    let mut count = 0;
    decoder.push(b"data: ", &mut |_| count += 1);
    for _ in 0..300 {
        decoder.push(&[b'x'; 4096], &mut |_| count += 1);
        assert!(decoder.held.capacity() <= 2 << 20);
    }
    assert_eq!((count, decoder.pending(), decoder.held.capacity()), (1, 0, 0));
    decoder.push(b"\n\ndata: y", &mut |_| count += 1);
    decoder.push(&vec![b'z'; 100_000], &mut |_| count += 1);
    decoder.push(b"\n\n", &mut |_| count += 1);
    assert_eq!((count, decoder.pending(), decoder.held.capacity()), (2, 0, 0));
}

#[test]
fn what_was_held_can_be_taken() {
    let mut decoder = Decoder::new(100);
    for (window, spent) in [
        (&b"\xef"[..], &b""[..]),
        (b"\xbb\xbfda", b"\xef"),
        (b"ta: 1\n", b""),
        (b"\ndata: 2\n\ndata", b"data: 1\n\n"),
        (b"\r", b""),
        (b"\n", b""),
        (b"\r\n\n", b"data\r\n\r\n"),
        (b"data\n\n", b""),
    ] {
        decoder.push(window, &mut |_| ());
        assert_eq!(
            decoder.take_spent(),
            spent,
            "{:?}",
            String::from_utf8_lossy(window)
        );
    }
}

#[test]
fn rewriting_replaces_the_data_only() {
    assert_eq!(rewritten("data: old\n\n", "new"), "data: new\n\n");
    assert_eq!(
        rewritten(
            ": c\r\nevent:x\r\ndata: a\r\nid: 7\r\ndata: b\r\nretry: 1\r\nfoo\r\n\r\n",
            "n"
        ),
        ": c\r\nevent:x\r\ndata: n\r\nid: 7\r\nretry: 1\r\nfoo\r\n\r\n"
    );
    assert_eq!(rewritten("data\rid\r\r", "{}"), "data: {}\rid\r\r");
    assert_eq!(
        rewritten("data: a\r\n\n", "b\nc\rd\r\ne"),
        "data: b\r\ndata: c\r\ndata: d\r\ndata: e\r\n\n"
    );
    assert_eq!(rewritten("data: a\n\n", ""), "data:\n\n");
    assert_eq!(rewritten("data: a\n\n", "\nb\n"), "data: \ndata: b\ndata:\n\n");
    assert_eq!(rewritten("data: a\n\n", " b"), "data:  b\n\n");
}

#[test]
fn dropped_lines_do_not_join_line_ends() {
    assert_eq!(rewritten("data: a\rdata: b\n\n", "n"), "data: n\r\n\n");
    assert_eq!(
        rewritten("data: a\nid: 1\rdata: b\n\n", "n"),
        "data: n\nid: 1\r\n\n"
    );
    let mut out = b"\r".to_vec();
    Decoder::new(100).push(b"data: a\n\n", &mut |item| {
        let Item::Event(event) = item else { panic!() };
        rewrite(&event, b"x", &mut out);
    });
    assert_eq!(out, b"\rdata: x\n\n");
}
