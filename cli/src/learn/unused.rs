//! Grants of a policy that nobody used.

use std::collections::BTreeSet;

use serde::Serialize;
use toolgate_engine::policy::{GlobSet, Policy, Role, RoleId};

use super::{Kind, Observed, Use};

/// Something that can go, as far as the log can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub(crate) enum Unused {
    /// A key that is not in the log, or is and used nothing.
    Key { key: String, seen: bool },
    /// A role that no key has.
    Role { role: String },
    /// A pattern of a role, in one of its lists.
    Grant {
        role: String,
        list: &'static str,
        pattern: String,
    },
    /// A tool with an entry.
    Tool { server: String, tool: String },
}

/// Everything in the policy that grants what nobody used.
pub(crate) fn unused(policy: &Policy, observed: &Observed) -> Vec<Unused> {
    let mut found = keys(policy, observed);
    let claims = policy
        .identity()
        .jwt
        .as_ref()
        .is_some_and(|jwt| jwt.roles_claim.is_some());
    for (id, role) in policy.roles() {
        // Whose roles a claim added, no record says: then anybody's use counts for every role.
        let holders: Vec<&BTreeSet<Use>> = observed
            .keys
            .iter()
            .filter(|(key, _)| claims || has(policy, key, id))
            .map(|(_, seen)| &seen.uses)
            .collect();
        if !claims && !policy.keys().any(|(_, key)| key.roles.contains(&id)) {
            found.push(Unused::Role {
                role: role.name.to_string(),
            });
            continue;
        }
        grants(role, &holders, &mut found);
    }
    tools(policy, observed, &mut found);
    found
}

fn keys(policy: &Policy, observed: &Observed) -> Vec<Unused> {
    policy
        .keys()
        .filter_map(|(_, key)| {
            let seen = observed.keys.get(&*key.name);
            seen.is_none_or(|seen| seen.uses.is_empty()).then(|| Unused::Key {
                key: key.name.to_string(),
                seen: seen.is_some(),
            })
        })
        .collect()
}

fn has(policy: &Policy, key: &str, role: RoleId) -> bool {
    policy
        .key_by_name(key)
        .is_some_and(|id| policy.key(id).roles.contains(&role))
}

fn grants(role: &Role, holders: &[&BTreeSet<Use>], found: &mut Vec<Unused>) {
    for (list, set, kind) in [
        ("allow", &role.allow, Kind::Tool),
        ("resources", &role.resources, Kind::Resource),
        ("prompts", &role.prompts, Kind::Prompt),
    ] {
        for pattern in set.patterns() {
            let glob = GlobSet::new([pattern.into()]);
            let mut uses = holders.iter().flat_map(|uses| uses.iter());
            if !uses.any(|used| used.kind == kind && glob.matches(&used.server, &used.name)) {
                found.push(Unused::Grant {
                    role: role.name.to_string(),
                    list,
                    pattern: pattern.to_owned(),
                });
            }
        }
    }
}

fn tools(policy: &Policy, observed: &Observed, found: &mut Vec<Unused>) {
    let used: BTreeSet<(&str, &str)> = observed
        .keys
        .values()
        .flat_map(|seen| &seen.uses)
        .filter(|used| used.kind == Kind::Tool)
        .map(|used| (&*used.server, &*used.name))
        .collect();
    for (_, server) in policy.servers() {
        let mut tools: Vec<&str> = server.tools().map(|tool| &*tool.name).collect();
        tools.sort_unstable();
        found.extend(
            tools
                .into_iter()
                .filter(|tool| !used.contains(&(&*server.name, tool)))
                .map(|tool| Unused::Tool {
                    server: server.name.to_string(),
                    tool: tool.to_owned(),
                }),
        );
    }
}
