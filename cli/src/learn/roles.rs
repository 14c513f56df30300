//! Roles for what keys used: those that used the same share one.

use std::collections::{BTreeMap, BTreeSet};

use super::node::Node;
use super::{Kind, Use};

/// Longest name of a role, in bytes.
const NAME: usize = 128;

/// What a key needs: keys with the same needs share their roles.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Needs<'o> {
    pub(super) uses: BTreeSet<&'o Use>,
    /// What is refused whatever is granted, by the mode of the roles that say so.
    pub(super) denies: BTreeMap<Option<&'static str>, BTreeSet<&'o str>>,
}

/// A role and the keys that have it.
#[derive(Debug, Default)]
pub(super) struct Role<'o> {
    pub(super) name: String,
    pub(super) uses: BTreeSet<&'o Use>,
    pub(super) deny: BTreeSet<&'o str>,
    pub(super) mode: Option<&'static str>,
    pub(super) keys: Vec<&'o str>,
}

/// The roles, by name: for each set of keys one, and more where what is refused has several modes. `known` gives a name
/// to needs of a set of keys that has one already; no other role gets a name that is `taken`.
pub(super) fn roles<'o>(
    keys: impl Iterator<Item = (&'o str, Needs<'o>)>,
    known: impl Fn(&Needs<'o>, &[&str]) -> Option<String>,
    mut taken: BTreeSet<String>,
) -> Vec<Role<'o>> {
    let mut groups: BTreeMap<Needs<'o>, Vec<&str>> = BTreeMap::new();
    for (key, needs) in keys.filter(|(_, needs)| *needs != Needs::default()) {
        groups.entry(needs).or_default().push(key);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    for (_, keys) in &mut groups {
        keys.sort_unstable();
    }
    // The names do not depend on what was used.
    groups.sort_by(|a, b| a.1.cmp(&b.1));
    let known = groups.iter().map(|(needs, keys)| known(needs, keys));
    let known: Vec<Option<String>> = known.collect();
    taken.extend(known.iter().flatten().cloned());
    let mut roles = Vec::new();
    for ((needs, keys), known) in groups.into_iter().zip(known) {
        let mut denies = needs.denies.into_iter();
        let (mode, deny) = denies.next().unwrap_or_default();
        let first = known.unwrap_or_else(|| free(&name(&keys), &mut taken));
        for (mode, deny) in denies {
            roles.push(Role {
                name: free(&first, &mut taken),
                deny,
                mode,
                keys: keys.clone(),
                ..Role::default()
            });
        }
        roles.push(Role {
            name: first,
            uses: needs.uses,
            deny,
            mode,
            keys,
        });
    }
    roles.sort_by(|a, b| a.name.cmp(&b.name));
    roles
}

/// Which roles each key has.
pub(super) fn by_key<'r>(roles: &'r [Role<'_>]) -> BTreeMap<&'r str, Vec<&'r str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for role in roles {
        for key in &role.keys {
            found.entry(key).or_default().push(&role.name);
        }
    }
    found
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
        let deny = self.deny.iter().map(|pattern| Node::text(pattern)).collect();
        let lists = [
            ("allow", list(Kind::Tool)),
            ("deny", deny),
            ("resources", list(Kind::Resource)),
            ("prompts", list(Kind::Prompt)),
        ];
        let lists = lists.into_iter().filter(|(_, patterns)| !patterns.is_empty());
        let mode = self.mode.map(|mode| ("mode", Node::text(mode)));
        let members = lists
            .map(|(name, patterns)| (name, Node::List(patterns)))
            .chain(mode);
        Node::Object(members.map(|(name, node)| (name.to_owned(), node)).collect())
    }
}
