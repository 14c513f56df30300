//! Roles: patterns over servers and what they offer.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use super::names;
use crate::policy::error::{At, Errors, PolicyError, listed, quoted};
use crate::policy::glob::{Glob, GlobSet};
use crate::policy::{Role, raw};

pub(super) fn compile(
    raw: BTreeMap<String, raw::Role>,
    servers: &HashSet<&str>,
    errors: &mut Errors,
) -> Vec<Role> {
    let root = At::Root;
    let at = root.member("roles");
    raw.into_iter()
        .map(|(name, raw)| {
            let at = at.member(&name);
            names::check(&name, "role", &at, errors);
            let mut grants = |field: &str, what: &str, patterns: Vec<String>| {
                let at = at.member(field);
                for (index, pattern) in patterns.iter().enumerate() {
                    check(pattern, what, servers, &at.element(index), errors);
                }
                GlobSet::new(patterns.into_iter().map(Rc::from))
            };
            let allow = grants("allow", "tool", raw.allow);
            let deny = grants("deny", "tool", raw.deny);
            let resources = grants("resources", "resource", raw.resources);
            let prompts = grants("prompts", "prompt", raw.prompts);
            Role {
                name: Rc::from(name),
                allow,
                deny,
                resources,
                prompts,
                mode: raw.mode.0,
            }
        })
        .collect()
}

/// Reports a pattern that reaches no server.
pub(super) fn check(pattern: &str, what: &str, servers: &HashSet<&str>, at: &At<'_>, errors: &mut Errors) {
    if !names::check_pattern(pattern, at, errors) {
        return;
    }
    let allowed = format!("\"server/{what}\", where * stands for any run of characters");
    let Some((server, name)) = pattern.split_once('/') else {
        let error = PolicyError::new(at, "the pattern has no /")
            .found(quoted(pattern))
            .allowed(allowed);
        let meant = match pattern {
            pattern if pattern.trim_matches('*').is_empty() => "*/*".to_owned(),
            server if servers.contains(server) => format!("{server}/*"),
            name => format!("*/{name}"),
        };
        errors.add(error.hint(format!("did you mean {}?", quoted(&meant))));
        return;
    };
    if name.is_empty() {
        let error = PolicyError::new(at, "the pattern has nothing after the /")
            .found(quoted(pattern))
            .allowed(allowed);
        errors.add(error.hint(format!("did you mean {}?", quoted(&format!("{pattern}*")))));
        return;
    }
    let glob = Glob::new(server);
    let reached = if glob.is_exact() {
        servers.contains(server)
    } else {
        servers.iter().any(|name| glob.matches(name))
    };
    if !reached {
        let problem = if glob.is_exact() {
            "unknown server"
        } else {
            "no server matches the pattern"
        };
        let mut names: Vec<&str> = servers.iter().copied().collect();
        names.sort_unstable();
        let error = PolicyError::new(at, problem)
            .found(quoted(pattern))
            .allowed(match listed(&names) {
                none if none.is_empty() => "the policy defines no servers".to_owned(),
                names => format!("the servers {names}"),
            });
        errors.add(error.nearest(server, names));
    }
}
