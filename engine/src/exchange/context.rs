//! Headers that tell what was matched, for the filters and routes of Envoy that come after this one, and for servers.

use std::fmt::Write as _;

use super::{Asked, Forwarded, HeaderEdit, HeaderLines};
use crate::identity::Caller;
use crate::policy::{Hold, Policy, Server};

/// What names of ours begin with.
const OURS: &str = "x-toolgate-";
const SERVER: &str = "x-toolgate-server";
const KEY: &str = "x-toolgate-key";
const TEAM: &str = "x-toolgate-team";
const TOOL: &str = "x-toolgate-tool";

/// Most bytes of a header's value. Names in the policy are shorter, however they are encoded; a tool's is the caller's
/// choice, and a head that grew with it could be too large for a server.
const MAX_VALUE: usize = 1_024;

/// Whether only Toolgate may say this. The name is in lower case, with `-` for `_`: some frameworks read both as one.
pub(super) fn is_ours(folded: &str) -> bool {
    folded.starts_with(OURS)
}

/// Takes away what only Toolgate may say, of a request that is not judged here.
pub(super) fn unsaid(lines: &HeaderLines<'_>) -> Vec<HeaderEdit> {
    let names = lines
        .iter()
        .filter_map(|(name, _)| std::str::from_utf8(name).ok());
    let ours = names.filter(|name| {
        // The length comes first: hardly any name has it.
        name.len() >= OURS.len() && is_ours(&name.to_ascii_lowercase().replace('_', "-"))
    });
    ours.map(|name| HeaderEdit::Remove(name.to_ascii_lowercase()))
        .collect()
}

/// What the head says: the server, the key and its team.
pub(super) fn of_caller(policy: &Policy, server: &Server, caller: &Caller) -> Vec<HeaderEdit> {
    if !policy.context_headers() {
        return Vec::new();
    }
    let key = policy.key(caller.key);
    let named = [
        (SERVER, Some(&server.name)),
        (KEY, Some(&key.name)),
        (TEAM, key.team.as_ref()),
    ];
    let named = named
        .into_iter()
        .filter_map(|(header, name)| Some((header, name?)));
    named.filter_map(|(header, name)| set(header, name)).collect()
}

/// What the body adds, if the head is still here: the tool that is called.
pub(super) fn of_call(policy: &Policy, forwarded: &Forwarded) -> Vec<HeaderEdit> {
    let tells = policy.context_headers() && policy.hold() == Hold::Headers && forwarded.asked == Asked::Call;
    let tool = forwarded.tool.as_deref().filter(|_| tells);
    tool.and_then(|tool| set(TOOL, tool)).into_iter().collect()
}

/// Percent-encodes what is not visible ASCII, and the percent sign.
fn set(header: &str, name: &str) -> Option<HeaderEdit> {
    if name.len() > MAX_VALUE {
        return None;
    }
    let mut value = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            value.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(value, "%{byte:02X}");
        }
    }
    (value.len() <= MAX_VALUE).then(|| HeaderEdit::Set(header.to_owned(), value.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_visible_ascii_and_bounded() {
        let value = |name: &str| match set(TOOL, name) {
            Some(HeaderEdit::Set(_, value)) => Some(String::from_utf8(value).unwrap()),
            Some(HeaderEdit::Remove(_)) | None => None,
        };
        for (name, expected) in [
            ("search", "search"),
            ("a b", "a%20b"),
            ("100%", "100%25"),
            ("ü,x;y=\"z\"", "%C3%BC,x;y=\"z\""),
            ("a\r\nx: y\0\u{7f}", "a%0D%0Ax:%20y%00%7F"),
        ] {
            assert_eq!(value(name).as_deref(), Some(expected));
        }
        assert!(value(&"a".repeat(1_024)).is_some());
        assert_eq!(value(&"a".repeat(1_025)), None);
        assert!(value(&"ü".repeat(170)).is_some());
        assert_eq!(value(&"ü".repeat(171)), None);
    }
}
