//! Lists, filtered for one key: by the shape of the message, whatever stream it comes on.

use crate::json::{self, Array, Kind, Value, write_str};
use crate::mcp::method::List;

/// Bounds for what servers send: their schemas nest deeper than calls do.
pub const LIMITS: json::Limits = json::Limits {
    depth: 128,
    members: 65_536,
};

/// Longest time a filtered page may be kept by a client, in milliseconds: what a change of policy
/// takes to be seen at worst.
const MAX_TTL_MS: u64 = 60_000;

/// What happened to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Filtered {
    /// It goes on as it is.
    Unchanged,
    /// It becomes this.
    Changed(Vec<u8>),
    /// It does not go on.
    Dropped,
}

/// What a list is filtered with.
pub trait Keep {
    /// Whether an item stays.
    fn keeps(&self, list: List, name: &str) -> bool;
    /// Sees the items of a list before it is filtered.
    fn sees(&self, list: List, items: Value<'_>);
}

/// Filters every list in a response-shaped message, and with `restamp` makes it private to the
/// key. Messages of other shapes are unchanged. A batch is filtered message by message.
/// <https://modelcontextprotocol.io/specification/2026-07-28/server/utilities/caching>
pub fn filter(message: Value<'_>, keep: &dyn Keep, restamp: bool) -> Filtered {
    match message.as_array() {
        Some(batch) => filter_batch(batch, keep, restamp),
        None => filter_one(message, keep, restamp),
    }
}

/// Servers of revision 2025-03-26 may send batches, and some clients of later ones read them.
/// <https://modelcontextprotocol.io/specification/2025-03-26/basic/transports#sending-messages-to-the-server>
fn filter_batch(batch: Array<'_>, keep: &dyn Keep, restamp: bool) -> Filtered {
    let mut out = b"[".to_vec();
    let mut changed = false;
    for (i, message) in batch.elements().enumerate() {
        out.extend_from_slice(if i == 0 { b"" } else { b"," });
        match filter_one(message, keep, restamp) {
            Filtered::Unchanged | Filtered::Dropped => out.extend_from_slice(message.raw().as_bytes()),
            Filtered::Changed(message) => {
                changed = true;
                out.extend_from_slice(&message);
            }
        }
    }
    out.push(b']');
    if changed {
        Filtered::Changed(out)
    } else {
        Filtered::Unchanged
    }
}

fn filter_one(message: Value<'_>, keep: &dyn Keep, restamp: bool) -> Filtered {
    let Some(result) = message.get("result").filter(|r| r.kind() == Kind::Object) else {
        return Filtered::Unchanged;
    };
    let mut edited = Edited {
        any: false,
        list: false,
    };
    let Some(new_result) = filter_result(result, keep, restamp, &mut edited) else {
        return Filtered::Unchanged;
    };
    if !edited.any {
        return Filtered::Unchanged;
    }
    Filtered::Changed(rebuild(message, "result", &new_result))
}

struct Edited {
    any: bool,
    list: bool,
}

fn filter_result(result: Value<'_>, keep: &dyn Keep, restamp: bool, edited: &mut Edited) -> Option<Vec<u8>> {
    let mut out = b"{".to_vec();
    let mut stamps = Stamps::default();
    for (key, value) in result.as_object()?.members() {
        let list = List::ALL.into_iter().find(|list| list.member() == key);
        match (list, &*key) {
            (Some(list), _) if value.kind() == Kind::Array => {
                keep.sees(list, value);
                open_member(&mut out, &key);
                edited.list = true;
                edited.any |= filter_items(list, value, keep, &mut out);
            }
            (_, "cacheScope") if restamp => stamps.private = value.as_str().as_deref() == Some("private"),
            (_, "ttlMs") if restamp => stamps.ttl = value.raw().parse().ok(),
            _ => {
                open_member(&mut out, &key);
                out.extend_from_slice(value.raw().as_bytes());
            }
        }
    }
    if !edited.list {
        return None;
    }
    if restamp {
        edited.any |= stamps.write(&mut out);
    }
    out.push(b'}');
    Some(out)
}

/// Whether an item was left out.
fn filter_items(list: List, items: Value<'_>, keep: &dyn Keep, out: &mut Vec<u8>) -> bool {
    let mut dropped = false;
    let mut first = true;
    out.push(b'[');
    for item in items.as_array().into_iter().flat_map(|items| items.elements()) {
        let name = item.get(list.item_name()).and_then(|name| name.as_str());
        if !name.is_some_and(|name| keep.keeps(list, &name)) {
            dropped = true;
            continue;
        }
        out.extend_from_slice(if first { b"" } else { b"," });
        out.extend_from_slice(item.raw().as_bytes());
        first = false;
    }
    out.push(b']');
    dropped
}

#[derive(Default)]
struct Stamps {
    private: bool,
    ttl: Option<u64>,
}

impl Stamps {
    /// Writes both stamps; whether they say something else than before.
    fn write(&self, out: &mut Vec<u8>) -> bool {
        // Absent, negative or fractional: the specification reads it as 0.
        let ttl = self.ttl.unwrap_or(0).min(MAX_TTL_MS);
        open_member(out, "cacheScope");
        out.extend_from_slice(b"\"private\"");
        open_member(out, "ttlMs");
        out.extend_from_slice(ttl.to_string().as_bytes());
        !self.private || self.ttl != Some(ttl)
    }
}

/// `object` with one member's value replaced; everything else byte for byte.
fn rebuild(object: Value<'_>, key: &str, new_value: &[u8]) -> Vec<u8> {
    let mut out = b"{".to_vec();
    for (name, value) in object.as_object().into_iter().flat_map(|o| o.members()) {
        open_member(&mut out, &name);
        out.extend_from_slice(if name == key {
            new_value
        } else {
            value.raw().as_bytes()
        });
    }
    out.push(b'}');
    out
}

fn open_member(out: &mut Vec<u8>, key: &str) {
    if out.len() > 1 {
        out.push(b',');
    }
    write_str(out, key);
    out.push(b':');
}
