//! Which tools a key can reach, and what they cost.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::policy::{Glob, Key, Micros, Policy, Role, RoleId, UnlistedTools};

/// Comparisons of patterns beyond this number are left out: a warning less, but an answer in time.
const MAX_COMPARED: usize = 200_000;

/// Answers about reach. The same roles are looked at once.
pub(super) struct Reach<'a> {
    policy: &'a Policy,
    /// What costs something, dearest first.
    costly: Vec<Costly>,
    dearest: HashMap<&'a [RoleId], Option<usize>>,
    meets: HashMap<(RoleId, &'a str), bool>,
    compared: usize,
}

/// A tool, or the tools of a server that have no cost of their own.
pub(super) struct Costly {
    server: Box<str>,
    tool: Option<Box<str>>,
    /// What a call costs; nothing if only the result does.
    pub(super) per_call: Micros,
}

impl Costly {
    /// As in a pattern: `docs/run_sql` or `docs/*`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.server, self.tool.as_deref().unwrap_or("*"))
    }
}

impl<'a> Reach<'a> {
    pub(super) fn new(policy: &'a Policy) -> Self {
        let mut costly = Vec::new();
        for (_, server) in policy.servers() {
            let mut add = |tool: Option<&str>, cost: crate::policy::Cost| {
                if cost.per_call.0 > 0 || cost.per_kib.0 > 0 {
                    costly.push(Costly {
                        server: (&*server.name).into(),
                        tool: tool.map(Into::into),
                        per_call: cost.per_call,
                    });
                }
            };
            if server.unlisted_tools == UnlistedTools::Allow {
                add(None, server.cost);
            }
            for tool in server.tools() {
                add(Some(&tool.name), tool.cost);
            }
        }
        costly.sort_by_cached_key(|costly| (Reverse(costly.per_call), costly.name()));
        Reach {
            policy,
            costly,
            dearest: HashMap::new(),
            meets: HashMap::new(),
            compared: 0,
        }
    }

    /// The dearest of what the key's roles grant, if any of it costs something.
    pub(super) fn dearest(&mut self, key: &'a Key) -> Option<&Costly> {
        let (policy, costly) = (self.policy, &self.costly);
        let found = self.dearest.entry(&key.roles).or_insert_with(|| {
            let roles: Vec<&Role> = key.roles.iter().map(|id| policy.role(*id)).collect();
            costly.iter().position(|costly| match &costly.tool {
                Some(tool) => grants(&roles, &costly.server, tool),
                None => roles.iter().any(|role| role.allow.reaches(&costly.server)),
            })
        });
        found.and_then(|index| costly.get(index))
    }

    /// Whether the key's roles grant something that the pattern matches. In doubt they do.
    pub(super) fn meets(&mut self, key: &'a Key, pattern: &'a str) -> bool {
        let policy = self.policy;
        if let Some((server, tool)) = pattern.split_once('/').filter(|_| !pattern.contains('*')) {
            let roles: Vec<&Role> = key.roles.iter().map(|id| policy.role(*id)).collect();
            return grants(&roles, server, tool);
        }
        key.roles.iter().any(|id| {
            *self.meets.entry((*id, pattern)).or_insert_with(|| {
                let glob = Glob::new(pattern);
                policy.role(*id).allow.patterns().any(|allowed| {
                    self.compared = self.compared.saturating_add(1);
                    self.compared > MAX_COMPARED || glob.intersects(&Glob::new(allowed))
                })
            })
        })
    }
}

/// Whether the roles together grant a tool: deny beats allow.
fn grants(roles: &[&Role], server: &str, tool: &str) -> bool {
    roles.iter().any(|role| role.allow.matches(server, tool))
        && !roles.iter().any(|role| role.deny.matches(server, tool))
}
