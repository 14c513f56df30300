//! A policy with only the grants that were used. Everything else in it stays, token by token.

use std::collections::BTreeMap;

use toolgate_engine::json;
use toolgate_engine::policy::Policy;

use super::node::Node;
use super::roles::roles;
use super::{Learned, Observed};
use crate::policy_file::PolicyFile;

/// The policy, with what of it this traffic needs.
pub(crate) fn narrowed(file: &PolicyFile, observed: &Observed) -> Learned {
    let policy = &file.policy;
    let mut notes = strangers(policy, observed);
    let mut document = document(&file.document);
    let known = observed
        .keys
        .iter()
        .filter(|(key, _)| policy.key_by_name(key).is_some());
    let roles = roles(known.map(|(key, seen)| (key.as_str(), &seen.uses)), |keys| {
        name_of(policy, keys)
    });
    let role_of: BTreeMap<&str, &str> = roles
        .iter()
        .flat_map(|role| role.keys.iter().map(|key| (*key, role.name.as_str())))
        .collect();
    for (name, key) in document.members_mut("keys") {
        key.set("roles", Node::list(role_of.get(name).copied()));
    }
    for (name, server) in document.members_mut("servers") {
        let methods = observed.servers.get(name).map(|called| &called.methods);
        let methods = methods.into_iter().flatten().map(String::as_str);
        server.set("methods", Node::list(methods));
    }
    let patterns = roles.iter().map(|role| (role.name.clone(), role.node()));
    // What a role refused is not granted any more.
    document.set("roles", Node::Object(patterns.collect()));
    let claim = policy
        .identity()
        .jwt
        .as_ref()
        .and_then(|jwt| jwt.roles_claim.as_ref());
    notes.extend(claim.map(|claim| {
        format!(
            "the JWT claim {claim:?} adds roles by name: the roles here are new, so look at what it says before this is \
             used"
        )
    }));
    Learned {
        text: document.pretty(),
        fill_in: Vec::new(),
        notes,
    }
}

fn document(text: &str) -> Node {
    let limits = json::Limits {
        depth: 64,
        members: 100_000,
    };
    // It compiled, so the engine has read it with the same bounds.
    json::parse(text.as_bytes(), &limits).map_or_else(|_| Node::Object(Vec::new()), Node::of)
}

/// The role that these keys have, and no other key, and nothing else.
fn name_of(policy: &Policy, keys: &[&str]) -> Option<String> {
    let roles_of = |name: &str| {
        let id = policy.key_by_name(name)?;
        Some(policy.key(id).roles.as_slice())
    };
    let [role] = roles_of(keys.first()?)? else {
        return None;
    };
    let everybody = policy.keys().filter(|(_, key)| key.roles.contains(role)).count();
    let same = keys.iter().all(|key| roles_of(key) == Some(&[*role]));
    (same && everybody == keys.len()).then(|| policy.role(*role).name.to_string())
}

/// Keys and servers of the log that the policy does not have.
fn strangers(policy: &Policy, observed: &Observed) -> Vec<String> {
    let keys = observed
        .keys
        .keys()
        .filter(|key| policy.key_by_name(key).is_none());
    let servers = observed
        .servers
        .keys()
        .filter(|server| policy.server_by_name(server).is_none());
    let keys = keys.map(|key| format!("the log has a key {key:?}, which the policy has not"));
    let servers = servers.map(|server| format!("the log has a server {server:?}, which the policy has not"));
    keys.chain(servers).collect()
}
