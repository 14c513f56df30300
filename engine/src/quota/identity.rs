//! What counts are found by: ids of limits and of their parts, and the slots of records.
//!
//! All of it is hashed from names, so that every worker and every Envoy finds the same count, after a reload too. It is
//! in the store, in the rate limit service's database and in Limitador's limits file: whatever changes here starts
//! every count anew.

use sha2::{Digest, Sha256};

use crate::policy::{Budget, Each, GlobSet, Quota};
use crate::slots::{self, slot};

/// Who owns a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerKind {
    /// A key.
    Key,
    /// A team, whose keys share it.
    Team,
}

impl OwnerKind {
    /// One of it: `key` or `team`.
    pub fn as_str(self) -> &'static str {
        match self {
            OwnerKind::Key => "key",
            OwnerKind::Team => "team",
        }
    }

    /// The section of the policy: `keys` or `teams`.
    pub fn section(self) -> &'static str {
        match self {
            OwnerKind::Key => "keys",
            OwnerKind::Team => "teams",
        }
    }
}

/// The id of a quota. Not of its amounts, which may change. `ordinal` tells those apart that differ in nothing else.
pub(super) fn quota(owner: OwnerKind, name: &str, quota: &Quota, ordinal: u64) -> u64 {
    let on: Vec<&str> = quota.on.iter().flat_map(GlobSet::patterns).collect();
    let each = match quota.each {
        None => "all",
        Some(Each::Tool) => "tool",
        Some(Each::Subject) => "subject",
    };
    number(&digest(&[
        b"quota",
        owner.section().as_bytes(),
        name.as_bytes(),
        if quota.on.is_some() { b"on" } else { b"all" },
        on.join("\n").as_bytes(),
        each.as_bytes(),
        &quota.per.length.as_nanos().to_le_bytes(),
        quota.scope.as_str().as_bytes(),
        &ordinal.to_le_bytes(),
    ]))
}

/// The id of a budget. Not of its amount, which may change.
pub(super) fn budget(owner: OwnerKind, name: &str, budget: &Budget) -> u64 {
    number(&digest(&[
        b"budget",
        owner.section().as_bytes(),
        name.as_bytes(),
        budget.per.as_str().as_bytes(),
        budget.scope.as_str().as_bytes(),
    ]))
}

/// The part of a limit that counts this tool.
pub(super) fn tool(server: &str, tool: &str) -> u64 {
    number(&digest(&[b"tool", server.as_bytes(), tool.as_bytes()]))
}

/// The part of this owner's limits that counts this subject, and the slot of its record.
pub(super) fn subject(owner: OwnerKind, name: &str, subject: &str) -> (u64, u16) {
    let digest = digest(&[
        b"subject",
        owner.section().as_bytes(),
        name.as_bytes(),
        subject.as_bytes(),
    ]);
    (number(&digest), slot(&digest))
}

/// The slot of an owner's record.
pub(super) fn owner(owner: OwnerKind, name: &str) -> u16 {
    slot(&digest(&[owner.section().as_bytes(), name.as_bytes()]))
}

/// SHA-256 over parts, each with its length, so that no two lists of parts read the same.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The first eight bytes; 0 and `u64::MAX` have meanings of their own.
fn number(digest: &[u8; 32]) -> u64 {
    slots::id(digest).clamp(1, u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::policy::{Micros, Period, Scope, Window};

    #[test]
    fn counts_are_found_again_by_every_later_build() {
        assert_eq!(tool("docs", "search"), 0xe1c5_7675_e0e5_c4ba);
        assert_eq!(owner(OwnerKind::Key, "alice"), 0xa65);
        assert_eq!(
            subject(OwnerKind::Team, "research", "repo:acme/a"),
            (0x1934_4a4c_82a7_eef5, 0x75a)
        );
        let total = Budget {
            limit: Micros(1),
            per: Period::Total,
            scope: Scope::Global,
        };
        assert_eq!(budget(OwnerKind::Team, "research", &total), 0x1d28_6080_08ca_1a19);
        let minute = Quota {
            limit: NonZeroU32::MIN,
            per: Window {
                length: Duration::from_mins(1),
                text: "minute".into(),
            },
            burst: NonZeroU32::MIN,
            on: Some(GlobSet::new(["docs/*".into()])),
            each: Some(Each::Tool),
            scope: Scope::Local,
        };
        assert_eq!(quota(OwnerKind::Key, "alice", &minute, 1), 0x61e5_4de6_8dd4_26f0);
    }

    #[test]
    fn names_do_not_run_into_each_other() {
        assert_ne!(tool("docs", "search"), tool("docss", "earch"));
        assert_ne!(owner(OwnerKind::Key, "alice"), owner(OwnerKind::Team, "alice"));
    }

    #[test]
    fn no_number_means_something_else() {
        assert_eq!(number(&[0; 32]), 1);
        assert_eq!(number(&[0xff; 32]), u64::MAX - 1);
        assert_eq!(slot(&[0xff; 32]), 0x0fff);
    }
}
