//! The names of tools that the policy writes out.

use std::collections::HashMap;
use std::rc::Rc;

use crate::policy::glob::GlobSet;
use crate::policy::{Allowance, Key, Role, Server, Team};

/// Gives each server the names of its tools that occur in the policy: under `tools`, and as `server/tool` without a `*`
/// in grants and quotas.
pub(super) fn fill(servers: &mut [Server], roles: &[Role], teams: &[Team], keys: &[Key]) {
    for server in &mut *servers {
        server.vocabulary = server.tools.keys().map(Rc::clone).collect();
    }
    let names: Vec<Rc<str>> = servers.iter().map(|server| Rc::clone(&server.name)).collect();
    let known: HashMap<&str, usize> = names
        .iter()
        .enumerate()
        .map(|(index, name)| (&**name, index))
        .collect();
    let granted = roles.iter().flat_map(|role| [&role.allow, &role.deny]);
    let allowances = teams.iter().map(|team| &team.allowance);
    let allowances = allowances.chain(keys.iter().map(|key| &key.allowance));
    for pattern in granted
        .chain(allowances.flat_map(counted))
        .flat_map(GlobSet::patterns)
    {
        // A server's name has no slash, a tool's may.
        if let Some((server, tool)) = pattern.split_once('/').filter(|_| !pattern.contains('*'))
            && let Some(server) = known.get(server).and_then(|index| servers.get_mut(*index))
            && !server.vocabulary.contains(tool)
        {
            server.vocabulary.insert(Rc::from(tool));
        }
    }
}

fn counted(allowance: &Allowance) -> impl Iterator<Item = &GlobSet> {
    allowance.quotas.iter().filter_map(|quota| quota.on.as_ref())
}
