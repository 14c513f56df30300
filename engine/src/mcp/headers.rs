//! Header lines: exactly one where one is expected, trimmed, and the value encoding of
//! `Mcp-Name` and `Mcp-Param-*`.
//! <https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#request-metadata>

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::http::HeaderLines;

/// The value of a header that must not be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Single<'a> {
    /// No line of that name.
    Absent,
    /// One line; spaces and tabs around the value are not part of it (RFC 9110 §5.5).
    One(&'a [u8]),
    /// Several lines: first-wins and last-wins readers would disagree.
    Repeated,
}

/// Looks a header up, case-insensitively, by lines and not by commas.
pub fn single<'a>(lines: &HeaderLines<'a>, name: &str) -> Single<'a> {
    let mut values = all(lines, name);
    match (values.next(), values.next()) {
        (None, _) => Single::Absent,
        (Some(value), None) => Single::One(value),
        (Some(_), Some(_)) => Single::Repeated,
    }
}

/// Every line of that name, trimmed.
pub fn all<'l, 'a>(
    lines: &'l HeaderLines<'a>,
    name: &'l str,
) -> impl Iterator<Item = &'a [u8]> + use<'l, 'a> {
    lines
        .iter()
        .filter(move |(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, v)| trim(v))
}

/// Whether there is such a line.
pub fn has(lines: &HeaderLines<'_>, name: &str) -> bool {
    all(lines, name).next().is_some()
}

/// Without spaces and tabs at either end.
pub fn trim(value: &[u8]) -> &[u8] {
    let is_ows = |b: &u8| *b == b' ' || *b == b'\t';
    let start = value.iter().position(|b| !is_ows(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !is_ows(b)).map_or(start, |i| i + 1);
    value.get(start..end).unwrap_or_default()
}

const PREFIX: &[u8] = b"=?base64?";
const SUFFIX: &[u8] = b"?=";

/// Decodes a mirrored value: plain visible ASCII (and tab, space), or `=?base64?…?=` with the
/// canonical standard alphabet over UTF-8. `None` is a value that no server should accept.
pub fn decode_mirror(value: &[u8]) -> Option<Cow<'_, str>> {
    if value.starts_with(PREFIX) && value.ends_with(SUFFIX) {
        // `=?base64?=` has both markers, overlapping: text to one reader, encoded to another.
        let encoded = value.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let bytes = STANDARD.decode(encoded).ok()?;
        return String::from_utf8(bytes).ok().map(Cow::Owned);
    }
    let plain = value.iter().all(|b| (0x20..=0x7e).contains(b) || *b == b'\t');
    if plain {
        std::str::from_utf8(value).ok().map(Cow::Borrowed)
    } else {
        None
    }
}

/// What [`decode_mirror`] reads as `text`: the text itself where that is possible, or else its base64. Tabs are encoded
/// too, because readers exist that refuse them.
pub fn encode_mirror(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let plain = bytes.iter().all(|b| (0x20..=0x7e).contains(b));
    // Spaces at either end would be cut off on the way.
    let marked = bytes.starts_with(PREFIX) && bytes.ends_with(SUFFIX);
    if plain && !marked && trim(bytes).len() == bytes.len() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("=?base64?{}?=", STANDARD.encode(text)))
}

/// Whether a `Content-Type` is `application/json`, alone or with `charset=utf-8`: nothing else is
/// read the same way by every server.
pub fn is_json_media_type(value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else {
        return false;
    };
    let mut parts = value.split(';').map(|p| p.trim_matches([' ', '\t']));
    let Some(essence) = parts.next() else { return false };
    essence.eq_ignore_ascii_case("application/json") && parts.all(is_utf8_charset)
}

fn is_utf8_charset(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    let value = value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .unwrap_or(value);
    name.eq_ignore_ascii_case("charset") && value.eq_ignore_ascii_case("utf-8")
}

/// The essence of a response's media type, lower-cased, without parameters.
pub fn essence(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let essence = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim_matches([' ', '\t']);
    Some(essence.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(value: &str) -> Option<String> {
        decode_mirror(value.as_bytes()).map(Cow::into_owned)
    }

    #[test]
    fn mirrors_decode_as_the_conformance_vectors_say() {
        assert_eq!(decoded("=?base64?SGVsbG8=?=").as_deref(), Some("Hello"));
        assert_eq!(
            decoded("=?base64?SGVsbG8sIOS4lueVjA==?=").as_deref(),
            Some("Hello, 世界")
        );
        assert_eq!(
            decoded("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=").as_deref(),
            Some("=?base64?literal?=")
        );
        assert_eq!(decoded("=?base64??=").as_deref(), Some(""));
        for literal in ["=?BASE64?SGVsbG8=?=", "SGVsbG8=", "=?base64?SGVsbG8=", "a\tb", ""] {
            assert_eq!(decoded(literal).as_deref(), Some(literal));
        }
        // Bad padding, bad alphabet, non-canonical trailing bits, not UTF-8, overlapping markers,
        // not ASCII.
        for bad in [
            "=?base64?SGVsbG8?=",
            "=?base64?SGVs!!!bG8=?=",
            "=?base64?SGVsbG9=?=",
            "=?base64?/w==?=",
            "=?base64?=",
            "é",
        ] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
        assert_eq!(decode_mirror(b"\xff"), None);
    }

    #[test]
    fn mirrors_are_encoded_where_they_must_be() {
        for plain in [
            "",
            "786512e2-9e0d",
            "two words, one comma",
            "=?base64?SGVsbG8=",
            "=?BASE64?x?=",
        ] {
            assert_eq!(encode_mirror(plain), plain);
        }
        assert_eq!(encode_mirror("Hello, 世界"), "=?base64?SGVsbG8sIOS4lueVjA==?=");
        assert_eq!(
            encode_mirror("=?base64?literal?="),
            "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="
        );
        for encoded in [" x", "x ", "a\tb", "a\r\nb: c", "\u{7f}", "=?base64?="] {
            assert!(encode_mirror(encoded).starts_with("=?base64?"), "{encoded:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_encoded_decodes(text in "(=\\?base64\\?|[ \t]|\\PC|\u{0}|[a-z=?]){0,8}(\\?=)?") {
            let encoded = encode_mirror(&text);
            proptest::prop_assert!(encoded.bytes().all(|b| (0x20..=0x7e).contains(&b)));
            proptest::prop_assert_eq!(trim(encoded.as_bytes()), encoded.as_bytes());
            let decoded = decode_mirror(encoded.as_bytes()).map(Cow::into_owned);
            proptest::prop_assert_eq!(decoded.as_ref(), Some(&text));
        }
    }

    #[test]
    fn lines_are_counted_not_commas() {
        let lines: [(&[u8], &[u8]); 2] = [(b"Mcp-Name", b" a, b\t"), (b"x", b"1")];
        assert_eq!(single(&lines, "mcp-name"), Single::One(b"a, b"));
        assert_eq!(single(&lines, "y"), Single::Absent);
        let twice: [(&[u8], &[u8]); 2] = [(b"x", b"1"), (b"X", b"1")];
        assert_eq!(single(&twice, "x"), Single::Repeated);
    }

    #[test]
    fn media_types() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(is_json_media_type(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "text/plain; a=application/json",
            "application/json, text/plain",
            "application/json-rpc",
            "application/json; charset=utf-16",
            "application/json;",
            "application/json; x=y",
        ] {
            assert!(!is_json_media_type(bad.as_bytes()), "{bad}");
        }
    }
}
