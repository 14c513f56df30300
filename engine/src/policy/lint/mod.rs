//! What is allowed in a policy and yet probably not meant.

mod reach;
mod resilience;
mod telemetry;
mod usage;

use std::collections::HashSet;

use super::error::{At, quoted};
use super::{Key, KeyId, Policy, Role, RoleId, Schemas, Server, TeamId, UnlistedTools};
use crate::mcp::method;

/// Something that is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// Where, as a JSON Pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)).
    pub pointer: String,
    /// What, and what follows from it.
    pub message: String,
}

/// Looks for what is probably not meant, at a time in Unix seconds. For people who are about to
/// ship a policy, not for the path of a request.
pub fn lint(policy: &Policy, now: u64) -> Vec<Warning> {
    let mut lint = Lint {
        policy,
        now,
        warnings: Vec::new(),
    };
    lint.identity();
    lint.sessions();
    lint.telemetry();
    for (_, server) in policy.servers() {
        lint.server(server);
        lint.breakers(server);
    }
    let used: HashSet<RoleId> = policy
        .keys()
        .flat_map(|(_, key)| key.roles.iter().copied())
        .collect();
    for (id, role) in policy.roles() {
        lint.role(role, used.contains(&id));
    }
    lint.teams();
    for (_, key) in policy.keys() {
        lint.key(key);
        lint.loops(key);
    }
    lint.overlaps();
    lint.usage();
    lint.warnings
}

struct Lint<'a> {
    policy: &'a Policy,
    now: u64,
    warnings: Vec<Warning>,
}

impl Lint<'_> {
    fn warn(&mut self, at: &At<'_>, message: impl Into<String>) {
        self.warnings.push(Warning {
            pointer: at.pointer(),
            message: message.into(),
        });
    }

    fn identity(&mut self) {
        let nobody = self.policy.keys().all(|(_, key)| key.subjects.is_empty());
        if self.policy.identity().jwt.is_some() && nobody {
            self.warn(
                &At::Root.member("identity").member("jwt"),
                "no key has subjects, so a JWT presents none",
            );
        }
    }

    fn server(&mut self, server: &Server) {
        let servers = At::Root.member("servers");
        let at = servers.member(&server.name);
        let reached = |role: &Role| {
            [&role.allow, &role.resources, &role.prompts]
                .iter()
                .any(|set| set.reaches(&server.name))
        };
        if !self.policy.roles().any(|(_, role)| reached(role)) {
            self.warn(&at, "no role grants anything on this server");
        }
        if server.schemas == Schemas::Advertised {
            let message = "until a tools/list has passed through, only the schemas written here apply";
            self.warn(&at.member("schemas"), message);
        }
        for (index, pattern) in server
            .methods
            .iter()
            .flat_map(super::GlobSet::patterns)
            .enumerate()
        {
            let glob = super::Glob::new(pattern);
            if !method::all().any(|method| glob.matches(method.name)) {
                let message = format!("{} matches no method that MCP defines", quoted(pattern));
                self.warn(&at.member("methods").element(index), message);
            }
        }
    }

    fn role(&mut self, role: &Role, used: bool) {
        let roles = At::Root.member("roles");
        let at = roles.member(&role.name);
        if !used && !self.roles_from_claim() {
            self.warn(&at, "no key has this role");
        }
        if [&role.allow, &role.deny, &role.resources, &role.prompts]
            .iter()
            .all(|set| set.is_empty())
        {
            self.warn(&at, "the role grants nothing");
        }
        for (field, set) in [("allow", &role.allow), ("deny", &role.deny)] {
            let at = at.member(field);
            for (index, pattern) in set.patterns().enumerate() {
                if pattern.contains(['?', '[', '{']) {
                    let message = format!(
                        "only * is special in patterns: {} is taken literally",
                        quoted(pattern)
                    );
                    self.warn(&at.element(index), message);
                }
            }
        }
        for (index, pattern) in role.allow.patterns().enumerate() {
            if let Some(message) = self.in_vain(role, pattern) {
                self.warn(&at.member("allow").element(index), message);
            }
        }
    }

    /// Why a pattern under `allow` grants nothing.
    fn in_vain(&self, role: &Role, pattern: &str) -> Option<String> {
        if role.deny.patterns().any(|deny| deny == pattern) {
            return Some(format!(
                "the role also denies {}, and deny beats allow",
                quoted(pattern)
            ));
        }
        let (server, tool) = pattern.split_once('/').filter(|_| !pattern.contains('*'))?;
        if let Some(deny) = role.deny.first_match(server, tool) {
            return Some(format!(
                "the role also denies {}, and deny beats allow",
                quoted(deny)
            ));
        }
        let server = self.policy.server(self.policy.server_by_name(server)?);
        let missing = server.unlisted_tools == UnlistedTools::Deny && server.tool(tool).is_none();
        missing.then(|| {
            format!(
                "{} has unlistedTools: \"deny\" and no entry for {}",
                quoted(&server.name),
                quoted(tool)
            )
        })
    }

    fn teams(&mut self) {
        let policy = self.policy;
        let used: HashSet<TeamId> = policy
            .keys()
            .flat_map(|(key, _)| policy.teams_of(key))
            .map(|(id, _)| id)
            .collect();
        for (_, team) in policy.teams().filter(|(id, _)| !used.contains(id)) {
            self.warn(
                &At::Root.member("teams").member(&team.name),
                "no key belongs to this team",
            );
        }
    }

    fn key(&mut self, key: &Key) {
        let keys = At::Root.member("keys");
        let at = keys.member(&key.name);
        if key.expired(self.now) {
            self.warn(&at.member("expires"), "the key has expired");
        }
        let claimed = self.roles_from_claim() && !key.subjects.is_empty();
        if key.roles.is_empty() && !claimed {
            self.warn(&at, "the key has no roles, so everything is refused to it");
        }
        if !key.digests.is_empty() && self.policy.identity().headers.is_empty() {
            self.warn(
                &at.member("sha256"),
                "identity.headers is empty, so nobody can present this key",
            );
        }
        for (index, subject) in key.subjects.iter().enumerate() {
            if subject.bytes().all(|b| b == b'*') {
                self.warn(
                    &at.member("subjects").element(index),
                    "every verified JWT presents this key",
                );
            }
        }
    }

    fn overlaps(&mut self) {
        let overlaps = self.policy.subjects.overlaps();
        let keys = At::Root.member("keys");
        for (first, second) in &overlaps.pairs {
            let policy = self.policy;
            let [first, second] = [first, second].map(|index| &policy.key(KeyId::new(*index as usize)).name);
            let message = format!(
                "some subjects also present {}: such a JWT is refused with 401",
                quoted(first)
            );
            self.warn(&keys.member(second).member("subjects"), message);
        }
        if !overlaps.complete {
            self.warn(
                &keys,
                "too many subjects overlap or could: not all of them were compared",
            );
        }
    }

    fn roles_from_claim(&self) -> bool {
        self.policy
            .identity()
            .jwt
            .as_ref()
            .is_some_and(|jwt| jwt.roles_claim.is_some())
    }
}
