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
}

/// A host without its port, and without the dot that marks it as absolute: both spellings reach
/// the same server ([RFC 3986 §3.2.2](https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2)).
fn bare(host: &[u8]) -> &[u8] {
    let digits = host.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let host = host
        .get(..host.len() - digits)
        .and_then(|rest| rest.strip_suffix(b":"))
        .unwrap_or(host);
    host.strip_suffix(b".").unwrap_or(host)
}

/// Compares a name in lower case with one in any case, without a copy.
fn compare(lower: &[u8], any: &[u8]) -> Ordering {
    lower.iter().copied().cmp(any.iter().map(u8::to_ascii_lowercase))
}
