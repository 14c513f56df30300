//! Servers by path and host.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::ServerId;

/// Servers by exact path, then by host.
#[derive(Debug, Default)]
pub(super) struct Places {
    paths: HashMap<Box<[u8]>, Hosts>,
}

#[derive(Debug, Default)]
struct Hosts {
    any: Option<ServerId>,
    /// Sorted by host once [`Places::finish`] has run.
    named: Vec<(Box<str>, ServerId)>,
}

impl Places {
    /// Adds a server; returns the one that is there already, if any.
    pub(super) fn insert(&mut self, path: &str, host: Option<&str>, server: ServerId) -> Option<ServerId> {
        let hosts = self.paths.entry(path.as_bytes().into()).or_default();
        let Some(host) = host else {
            let there = hosts.any;
            hosts.any = there.or(Some(server));
            return there;
        };
        let there = hosts
            .named
            .iter()
            .find(|(name, _)| **name == *host)
            .map(|(_, server)| *server);
        if there.is_none() {
            hosts.named.push((host.into(), server));
        }
        there
    }

    /// Prepares for look-ups.
    pub(super) fn finish(&mut self) {
        for hosts in self.paths.values_mut() {
            hosts.named.sort_unstable();
        }
    }

    /// The server at a path (without query): one that names the host beats one that does not.
    pub(super) fn find(&self, host: Option<&[u8]>, path: &[u8]) -> Option<ServerId> {
        let hosts = self.paths.get(path)?;
        let named = host.and_then(|host| {
            let host = bare(host);
            let found = hosts
                .named
                .binary_search_by(|(name, _)| compare(name.as_bytes(), host));
            found
                .ok()
                .and_then(|index| hosts.named.get(index))
                .map(|(_, server)| *server)
        });
        named.or(hosts.any)
    }

    /// Whether which server is at this path depends on the host, and the host can be read in two ways.
    pub(super) fn is_ambiguous(&self, host: &[u8], path: &[u8]) -> bool {
        let hosts = self.paths.get(path);
        hosts.is_some_and(|hosts| !hosts.named.is_empty()) && !is_plain(host)
    }
}

/// A host without its port, whatever stands for one: Envoy's `ignore_port_in_host_matching` cuts at
/// the last colon that is not part of an IPv6 address.
fn bare(host: &[u8]) -> &[u8] {
    let colon = host.iter().rposition(|b| *b == b':');
    let bracket = host.iter().rposition(|b| *b == b']');
    let colon = colon.filter(|colon| bracket.is_none_or(|bracket| bracket < *colon));
    colon.and_then(|colon| host.get(..colon)).unwrap_or(host)
}

/// Whether every router takes this authority for the same host: a name, an IPv4 or a bracketed IPv6
/// address, and a port of digits ([RFC 3986 §3.2.2](https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2)).
/// A dot at the end, a port like `x` or a user name are part of the host to one and not to another.
fn is_plain(authority: &[u8]) -> bool {
    let host = bare(authority);
    let port = authority.get(host.len() + 1..).unwrap_or_default();
    let inside = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let host_is_plain = match inside {
        Some(address) => address.iter().all(|b| b.is_ascii_hexdigit() || b".:".contains(b)),
        None => {
            host.iter()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(b))
                && !host.ends_with(b".")
        }
    };
    host_is_plain && port.iter().all(u8::is_ascii_digit)
}

/// Compares a name in lower case with one in any case, without a copy.
fn compare(lower: &[u8], any: &[u8]) -> Ordering {
    lower.iter().copied().cmp(any.iter().map(u8::to_ascii_lowercase))
}
