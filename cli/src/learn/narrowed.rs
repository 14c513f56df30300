//! A policy with only the grants that were used. What roles refuse is refused to the same keys; everything else in it
//! stays, token by token.

use toolgate_engine::json;
use toolgate_engine::policy::{self, Key, Mode, Policy};

use super::node::Node;
use super::roles::{Needs, Role, by_key, roles};
use super::{Kind, Learned, Observed, Use};
use crate::policy_file::PolicyFile;

/// The policy, with what of it this traffic needs.
pub(crate) fn narrowed(file: &PolicyFile, observed: &Observed) -> Learned {
    let policy = &file.policy;
    let mut notes = strangers(policy, observed);
    let mut document = document(&file.document);
    let needs: Vec<_> = policy
        .keys()
        .map(|(_, key)| needs(policy, key, observed, &mut notes))
        .collect();
    let claims = claims(policy);
    // A token that names a role gets no other one for it, and by that name nothing that the role did not grant.
    let taken = policy.roles().filter(|_| claims);
    let taken = taken.map(|(_, role)| role.name.to_string()).collect();
    let known = |needs: &Needs<'_>, keys: &[&str]| {
        let role = role_of(policy, keys)?;
        let is_narrower = !claims || needs.uses.iter().all(|used| grants(role, used));
        is_narrower.then(|| role.name.to_string())
    };
    let mut roles = roles(needs.into_iter(), known, taken);
    let mut roles_of = by_key(&roles);
    for (name, key) in document.members_mut("keys") {
        key.set("roles", Node::list(roles_of.remove(name).unwrap_or_default()));
    }
    for (name, server) in document.members_mut("servers") {
        let methods = observed.servers.get(name).map(|called| &called.methods);
        let methods = methods.into_iter().flatten().map(String::as_str);
        server.set("methods", Node::list(methods));
    }
    // One that kept its name has what it refuses.
    for role in refusing(policy).filter(|_| claims) {
        if !roles.iter().any(|there| there.name == role.name) {
            roles.push(role);
        }
    }
    let written = roles.iter().map(|role| (role.name.clone(), role.node()));
    document.set("roles", Node::Object(written.collect()));
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

/// What a key used, and what its roles refuse. That is never granted, whether or not it went through.
fn needs<'o>(
    policy: &'o Policy,
    key: &'o Key,
    observed: &'o Observed,
    notes: &mut Vec<String>,
) -> (&'o str, Needs<'o>) {
    let roles = || key.roles.iter().map(|id| policy.role(*id));
    let mut needs = Needs::default();
    for role in roles().filter(|role| !role.deny.is_empty()) {
        let denies = needs.denies.entry(mode(role)).or_default();
        denies.extend(role.deny.patterns());
    }
    let uses = observed
        .keys
        .get(&*key.name)
        .into_iter()
        .flat_map(|seen| &seen.uses);
    let denied = |used: &&Use| {
        used.kind == Kind::Tool && roles().any(|role| role.deny.matches(&used.server, &used.name))
    };
    let (denied, uses): (Vec<&Use>, Vec<&Use>) = uses.partition(denied);
    notes.extend(denied.first().map(|first| {
        format!(
            "key {:?} used what its roles deny, {} in all, such as \"{}/{}\": that is not granted",
            key.name,
            denied.len(),
            first.server,
            first.name
        )
    }));
    needs.uses = uses.into_iter().collect();
    (&key.name, needs)
}

/// Whether tokens can name roles.
fn claims(policy: &Policy) -> bool {
    let jwt = policy.identity().jwt.as_ref();
    jwt.is_some_and(|jwt| jwt.roles_claim.is_some())
}

/// The roles with what they refuse, and nothing else.
fn refusing(policy: &Policy) -> impl Iterator<Item = Role<'_>> {
    let roles = policy.roles().map(|(_, role)| role);
    let roles = roles.filter(|role| !role.deny.is_empty());
    roles.map(|role| Role {
        name: role.name.to_string(),
        deny: role.deny.patterns().collect(),
        mode: mode(role),
        ..Role::default()
    })
}

/// As it is written.
fn mode(role: &policy::Role) -> Option<&'static str> {
    role.mode.map(|mode| match mode {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
    })
}

/// The role that these keys have, and no other key, and nothing else.
fn role_of<'p>(policy: &'p Policy, keys: &[&str]) -> Option<&'p policy::Role> {
    let roles_of = |name: &str| {
        let id = policy.key_by_name(name)?;
        Some(policy.key(id).roles.as_slice())
    };
    let [role] = roles_of(keys.first()?)? else {
        return None;
    };
    let everybody = policy.keys().filter(|(_, key)| key.roles.contains(role)).count();
    let same = keys.iter().all(|key| roles_of(key) == Some(&[*role]));
    (same && everybody == keys.len()).then(|| policy.role(*role))
}

/// Whether the role allows it.
fn grants(role: &policy::Role, used: &Use) -> bool {
    let set = match used.kind {
        Kind::Tool => &role.allow,
        Kind::Prompt => &role.prompts,
        Kind::Resource => &role.resources,
    };
    set.matches(&used.server, &used.name)
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
