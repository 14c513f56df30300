//! Roles for what keys used: those that used the same share one.

use std::collections::{BTreeMap, BTreeSet};

use super::node::Node;
use super::{Kind, Use};

/// Longest name of a role, in bytes.
const NAME: usize = 128;

/// A role and the keys that have it.
pub(super) struct Role<'o> {
    pub(super) name: String,
    pub(super) uses: &'o BTreeSet<Use>,
    pub(super) keys: Vec<&'o str>,
}

/// The roles, by name. `known` gives a name to a set of keys that has one already.
pub(super) fn roles<'o>(
    keys: impl Iterator<Item = (&'o str, &'o BTreeSet<Use>)>,
    known: impl Fn(&[&str]) -> Option<String>,
) -> Vec<Role<'o>> {
    let mut groups: BTreeMap<&BTreeSet<Use>, Vec<&str>> = BTreeMap::new();
    for (key, uses) in keys.filter(|(_, uses)| !uses.is_empty()) {
        groups.entry(uses).or_default().push(key);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    for (_, keys) in &mut groups {
        keys.sort_unstable();
    }
    // The names do not depend on what was used.
    groups.sort_by(|a, b| a.1.cmp(&b.1));
    let mut taken = BTreeSet::new();
    let mut roles: Vec<Role<'_>> = groups
        .into_iter()
        .map(|(uses, keys)| Role {
            name: free(&known(&keys).unwrap_or_else(|| name(&keys)), &mut taken),
            uses,
            keys,
        })
        .collect();
    roles.sort_by(|a, b| a.name.cmp(&b.name));
    roles
}

/// After the keys, as many as fit.
fn name(keys: &[&str]) -> String {
    let all = keys.join("+");
    match keys {
        [first, rest @ ..] if keys.len() > 3 || all.len() > NAME => {
            let short = format!("{first}+{}", rest.len());
            if short.len() <= NAME {
                short
            } else {
                (*first).to_owned()
            }
        }
        _ => all,
    }
}

/// The name, or one like it that no other role has.
fn free(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut number = 1_usize;
    let mut candidate = name.to_owned();
    while !taken.insert(candidate.clone()) {
        number += 1;
        let end = format!("~{number}");
        let room = name.floor_char_boundary(NAME.saturating_sub(end.len()).min(name.len()));
        candidate = format!("{}{end}", name[..room].trim_end());
    }
    candidate
}

impl Role<'_> {
    /// As the policy has it.
    pub(super) fn node(&self) -> Node {
        let list = |kind: Kind| -> Vec<Node> {
            let of_kind = self.uses.iter().filter(|used| used.kind == kind);
            of_kind
                .map(|used| Node::text(&format!("{}/{}", used.server, used.name)))
                .collect()
        };
        let lists = [
            ("allow", Kind::Tool),
            ("resources", Kind::Resource),
            ("prompts", Kind::Prompt),
        ];
        let members = lists.into_iter().map(|(name, kind)| (name, list(kind)));
        Node::Object(
            members
                .filter(|(_, patterns)| !patterns.is_empty())
                .map(|(name, patterns)| (name.to_owned(), Node::List(patterns)))
                .collect(),
        )
    }
}
