//! Names of tools, prompts and resources: what is a name at all, and which URIs are canonical.

use fluent_uri::{Iri, Uri};

/// Whether a tool, prompt or task name can be judged: not empty, no control character, no white
/// space at either end. Everything else is compared byte for byte, without normalisation: the
/// specification defines none.
/// <https://modelcontextprotocol.io/specification/2026-07-28/server/tools#tool-names>
pub fn is_valid_name(name: &str) -> bool {
    !name.is_empty()
        && !name.chars().any(char::is_control)
        && !name.starts_with(char::is_whitespace)
        && !name.ends_with(char::is_whitespace)
}

/// Whether a resource URI has one reading only: equal to its own RFC 3986 normal form (case of
/// scheme and host, percent-encoding, dot segments, default ports), no empty path segment, no
/// backslash, no encoded slash, backslash or control character.
///
/// Patterns are compared byte for byte, so a URI that a server would read as another one
/// (`file:///srv/docs/../../etc/passwd`, `FILE:///etc`, `file:///%65tc`) must not be compared at
/// all: it is answered like a resource that does not exist.
pub fn is_canonical_uri(uri: &str) -> bool {
    if uri.bytes().any(|b| b == b'\\' || b < 0x20 || b == 0x7f) || has_encoded_separator(uri) {
        return false;
    }
    is_normal(uri)
        // `file:/x`, `file://host/x` and `file:///x` are one file to many servers.
        && (!uri.starts_with("file:") || uri.starts_with("file:///"))
}

/// A character beyond ASCII may be escaped (RFC 3986 knows no other spelling) or written as it is
/// (RFC 3987 prefers that), but not both in one URI.
fn is_normal(uri: &str) -> bool {
    if uri.is_ascii() {
        Uri::parse(uri).is_ok_and(|u| u.normalize().as_str() == uri && !u.path().as_str().contains("//"))
    } else {
        Iri::parse(uri).is_ok_and(|u| u.normalize().as_str() == uri && !u.path().as_str().contains("//"))
    }
}

/// The same for a URI template (RFC 6570): every expression counts as one ordinary character.
pub fn is_canonical_template(template: &str) -> bool {
    let mut plain = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, tail)) = after.split_once('}') else {
            return false;
        };
        plain.push_str(before);
        plain.push('x');
        rest = tail;
    }
    plain.push_str(rest);
    is_canonical_uri(&plain)
}

fn has_encoded_separator(uri: &str) -> bool {
    uri.as_bytes().windows(3).any(|w| {
        let &[b'%', high, low] = w else { return false };
        match (hex(high), hex(low)) {
            (Some(high), Some(low)) => matches!(high << 4 | low, b'/' | b'\\' | b'.' | 0..=0x1f | 0x7f),
            _ => false,
        }
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["search_docs", "a/b", "Ünïcode", "two words"] {
            assert!(is_valid_name(good), "{good}");
        }
        for bad in ["", " x", "x ", "x\u{0}", "x\ny", "\u{85}x", "x\u{a0}"] {
            assert!(!is_valid_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn canonical_uris() {
        for good in [
            "file:///srv/docs/a.txt",
            "demo://resource/static/document/a.md",
            "test://static-text",
            "https://example.com/a?b=c&d",
            "urn:isbn:0451450523",
            "note://日本",
            "str:hello",
            "file:///srv/docs/%C3%A9%20a",
        ] {
            assert!(is_canonical_uri(good), "{good}");
        }
        for bad in [
            "file:///srv/docs/../../etc/passwd",
            "file:///srv/docs/%2e%2e/etc",
            "file:///srv/docs/..%2fetc",
            "FILE:///etc/passwd",
            "file:///%65tc/passwd",
            "file:////etc/passwd",
            "file:/etc/passwd",
            "file://localhost/etc/passwd",
            "https://EXAMPLE.com/",
            "https://example.com/a%2fb",
            "https://example.com/a\\b",
            "file:///srv/docs/a\u{0}",
            "file:///srv/docs/%00",
            "file:///srv/docs/%c3%a9",
            "file:///srv/docs/\u{e9}%C3%A9",
            "file:///srv/docs/./a",
            "not a uri",
            "",
        ] {
            assert!(!is_canonical_uri(bad), "{bad}");
        }
        assert!(is_canonical_template("file:///srv/{name}") && is_canonical_template("db://{table}/{id}"));
        assert!(!is_canonical_template("file:///srv/{name") && !is_canonical_template("file:///a/../{x}"));
    }
}
