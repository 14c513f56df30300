//! What a key may do on a server, without a request.

use std::fmt;

use serde_json::{Value, json};
use toolgate_engine::decide::{Access, item_access};
use toolgate_engine::exchange::UnixNanos;
use toolgate_engine::identity::{Caller, as_key};
use toolgate_engine::mcp::method::{self, List};
use toolgate_engine::policy::{GlobSet, KeyId, Mode, Policy, Role, Server, ServerId, UnlistedTools};
use toolgate_engine::quota::Book;

use crate::limits::{self, Applied};

/// The patterns that reach a server, and how the policy's own tools fare under them.
pub(crate) struct Grants<'p> {
    tools: Vec<ToolGrant<'p>>,
    allow: Vec<Pattern<'p>>,
    deny: Vec<Pattern<'p>>,
    resources: Vec<Pattern<'p>>,
    prompts: Vec<Pattern<'p>>,
    methods: Vec<&'static str>,
    limits: Vec<Applied>,
    only_listed: bool,
    shadow: bool,
}

/// A tool that the policy has an entry for.
struct ToolGrant<'p> {
    name: &'p str,
    access: Access<'p>,
}

/// A pattern and its role.
#[derive(Clone, Copy)]
struct Pattern<'p> {
    role: &'p str,
    pattern: &'p str,
}

impl<'p> Grants<'p> {
    /// The grants of a key that may act at all.
    pub(crate) fn of(policy: &'p Policy, book: &Book, key: KeyId, server: ServerId, now: UnixNanos) -> Self {
        let roles: Vec<&Role> = policy
            .key(key)
            .roles
            .iter()
            .map(|role| policy.role(*role))
            .collect();
        let server = policy.server(server);
        let patterns = |set: fn(&Role) -> &GlobSet| reaching(&roles, &server.name, set);
        let caller = as_key(policy, key, now).ok();
        Self {
            tools: caller
                .as_ref()
                .map(|caller| tools(policy, caller, server))
                .unwrap_or_default(),
            allow: patterns(|role| &role.allow),
            deny: patterns(|role| &role.deny),
            resources: patterns(|role| &role.resources),
            prompts: patterns(|role| &role.prompts),
            methods: methods(server),
            limits: limits::on_server(book, policy, key, server),
            only_listed: server.unlisted_tools == UnlistedTools::Deny,
            shadow: caller.is_some_and(|caller| caller.mode == Mode::Shadow),
        }
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        let tools: Vec<Value> = self.tools.iter().map(ToolGrant::to_json).collect();
        json!({
            "tools": tools,
            "allow": to_json(&self.allow),
            "deny": to_json(&self.deny),
            "resources": to_json(&self.resources),
            "prompts": to_json(&self.prompts),
            "methods": self.methods,
            "limits": self.limits.iter().map(Applied::to_json).collect::<Vec<_>>(),
            "unlisted_tools": if self.only_listed { "deny" } else { "allow" },
            "shadow": self.shadow,
        })
    }
}

impl ToolGrant<'_> {
    fn to_json(&self) -> Value {
        match self.access {
            Access::Granted { role, pattern } => {
                json!({ "tool": self.name, "visible": true, "role": role, "pattern": pattern })
            }
            Access::Refused { why, .. } => {
                json!({ "tool": self.name, "visible": self.access.is_listed(), "why": why.to_string() })
            }
        }
    }
}

impl fmt::Display for Grants<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shadow {
            writeln!(f, "shadow mode: what is refused here is only recorded")?;
        }
        writeln!(f, "tools")?;
        section(f, "may call", &self.allow)?;
        section(f, "never", &self.deny)?;
        if self.only_listed {
            writeln!(
                f,
                "  and only those with an entry in the policy (unlistedTools: deny)"
            )?;
        }
        for tool in &self.tools {
            match tool.access {
                Access::Granted { role, pattern } => {
                    writeln!(f, "  ✓ {}  by {pattern:?} of role {role:?}", tool.name)?;
                }
                Access::Refused { why, .. } => writeln!(f, "  ✗ {}  {why}", tool.name)?,
            }
        }
        writeln!(f, "resources")?;
        section(f, "may read", &self.resources)?;
        writeln!(f, "prompts")?;
        section(f, "may get", &self.prompts)?;
        writeln!(f, "methods")?;
        for line in wrapped(&self.methods) {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "limits on tool calls")?;
        if self.limits.is_empty() {
            writeln!(f, "  none")?;
        }
        self.limits
            .iter()
            .try_for_each(|limit| writeln!(f, "  {}", limit.text))
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, patterns: &[Pattern<'_>]) -> fmt::Result {
    if patterns.is_empty() && title != "never" {
        return writeln!(f, "  none");
    }
    patterns
        .iter()
        .try_for_each(|at| writeln!(f, "  {title} {:?}  (role {:?})", at.pattern, at.role))
}

fn to_json(patterns: &[Pattern<'_>]) -> Vec<Value> {
    patterns
        .iter()
        .map(|at| json!({ "role": at.role, "pattern": at.pattern }))
        .collect()
}

fn reaching<'p>(roles: &[&'p Role], server: &str, set: fn(&Role) -> &GlobSet) -> Vec<Pattern<'p>> {
    let mut found = Vec::new();
    for role in roles {
        // One pattern at a time: a set only says that some pattern reaches.
        let reaches = |pattern: &&str| GlobSet::new([(*pattern).into()]).reaches(server);
        found.extend(set(role).patterns().filter(reaches).map(|pattern| Pattern {
            role: &role.name,
            pattern,
        }));
    }
    found
}

fn tools<'p>(policy: &'p Policy, caller: &Caller, server: &'p Server) -> Vec<ToolGrant<'p>> {
    let mut tools: Vec<ToolGrant<'p>> = server
        .tools()
        .map(|tool| ToolGrant {
            name: &tool.name,
            access: item_access(policy, caller, server, List::Tools, &tool.name),
        })
        .collect();
    tools.sort_by_key(|tool| tool.name);
    tools
}

/// Names in lines of at most 100 columns.
fn wrapped(names: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for name in names {
        match lines.last_mut() {
            Some(line) if line.len() + name.len() < 96 => {
                line.push_str(", ");
                line.push_str(name);
            }
            _ => lines.push((*name).to_owned()),
        }
    }
    lines
}

/// The methods of the catalogue that the server accepts.
fn methods(server: &Server) -> Vec<&'static str> {
    let granted = |method: &&method::Method| {
        method.always
            || server
                .methods
                .as_ref()
                .is_none_or(|globs| globs.matches_text(method.name))
    };
    method::all()
        .filter(|method| !method.notification)
        .filter(granted)
        .map(|method| method.name)
        .collect()
}
