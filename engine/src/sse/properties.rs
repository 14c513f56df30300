//! Any cut into windows, against a decoder that sees the whole stream and is written for clarity.

use super::tests::{Owned, decode};
use super::*;
use proptest::prelude::*;
use proptest::sample::Index;

/// Streams that are dense in line ends and fields.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => Just(&b"\n"[..]),
        4 => Just(&b"\r"[..]),
        4 => Just(&b"\r\n"[..]),
        4 => Just(&b"data: x"[..]),
        1 => Just(&b"data:"[..]),
        1 => Just(&b"data"[..]),
        1 => Just(&b"id: 1"[..]),
        1 => Just(&b"id: \0"[..]),
        1 => Just(&b"event: e"[..]),
        1 => Just(&b": c"[..]),
        1 => Just(&b"retry: 1"[..]),
        1 => Just(&b"\xef\xbb\xbf"[..]),
        1 => Just(&b"\xef\xbb"[..]),
        1 => Just(&b"\xff: "[..]),
        1 => Just(&b" 0123456789abcdef"[..]),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

fn cut<'a>(stream: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}

/// A line feed that came in a later window than its carriage return goes back to the block before.
fn join_line_feeds(items: Vec<Owned>) -> Vec<Owned> {
    let mut out: Vec<Owned> = Vec::new();
    for item in items {
        match out.last_mut() {
            Some(Owned::Event { raw, .. } | Owned::Other(raw))
                if raw.ends_with(b"\r") && item.raw() == b"\n" =>
            {
                raw.push(b'\n');
            }
            _ => out.push(item),
        }
    }
    out
}

/// The dispatched events of a whole stream: name, data.
fn reference(stream: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut lines = vec![Vec::new()];
    let mut previous = 0;
    for &byte in stream {
        match (previous, byte) {
            (b'\r', b'\n') => {}
            (_, b'\r' | b'\n') => lines.push(Vec::new()),
            _ => lines.last_mut().unwrap().push(byte),
        }
        previous = byte;
    }
    lines.pop();
    let (mut events, mut name, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        if line.is_empty() {
            if data.pop().is_some() {
                events.push((name, data));
            }
            (name, data) = (Vec::new(), Vec::new());
            continue;
        }
        let mut halves = line.splitn(2, |&byte| byte == b':');
        let field = halves.next().unwrap();
        let value = halves.next().unwrap_or(b"");
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = String::from_utf8_lossy(value).into_owned().into_bytes(),
            b"data" => data.extend(value.iter().chain(b"\n")),
            _ => {}
        }
    }
    events
}

fn dispatched(items: &[Owned]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let event = |item: &Owned| match item {
        Owned::Event { name, data, .. } => {
            Some((name.clone().unwrap_or_default().into_bytes(), data.clone()))
        }
        _ => None,
    };
    items.iter().filter_map(event).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn windows_do_not_matter(
        stream in stream(),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
        max in prop_oneof![Just(1000_usize), 0..40_usize],
    ) {
        let whole = decode([&stream[..]], max);
        prop_assert_eq!(&join_line_feeds(decode(cut(&stream, &cuts), max)), &whole);
        prop_assert_eq!(&join_line_feeds(decode(stream.chunks(1), max)), &whole);
    }

    #[test]
    fn events_are_those_of_the_standard(stream in stream()) {
        prop_assert_eq!(dispatched(&decode([&stream[..]], 1000)), reference(&stream));
    }

    #[test]
    fn nothing_is_lost_or_added(stream in stream(), cuts in prop::collection::vec(any::<Index>(), 0..12)) {
        let mut decoder = Decoder::new(1000);
        let mut raw = Vec::new();
        for window in cut(&stream, &cuts) {
            decoder.push(window, &mut |item| raw.extend_from_slice(Owned::from(item).raw()));
        }
        prop_assert!(stream.starts_with(&raw));
        prop_assert_eq!(stream.len() - raw.len(), decoder.pending());
        prop_assert!(reference(&stream[raw.len()..]).is_empty());
    }

    #[test]
    fn rewriting_changes_the_data_only(
        stream in stream(),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
        data in "[a \r\n:]{0,12}",
    ) {
        let mut decoder = Decoder::new(1000);
        let mut out = Vec::new();
        for window in cut(&stream, &cuts) {
            decoder.push(window, &mut |item| match item {
                Item::Event(event) => rewrite(&event, data.as_bytes(), &mut out),
                other => out.extend_from_slice(Owned::from(other).raw()),
            });
        }
        let mut expected = reference(&stream);
        let new = data.replace("\r\n", "\n").replace('\r', "\n").into_bytes();
        for event in &mut expected {
            event.1.clone_from(&new);
        }
        prop_assert_eq!(reference(&out), expected);
    }
}
