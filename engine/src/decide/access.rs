//! What a key can see and use: one definition for lists and for calls.

use std::fmt;

use crate::identity::Caller;
use crate::mcp::method::List;
use crate::mcp::names::{is_canonical_template, is_canonical_uri, is_valid_name};
use crate::policy::{GlobSet, Mode, Policy, Role, Server, UnlistedTools};

/// Whether a key may see and use an item, and through what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Access<'p> {
    /// An allow pattern of a role matches, and nothing speaks against it.
    Granted {
        /// The role.
        role: &'p str,
        /// The pattern as written.
        pattern: &'p str,
    },
    /// Refused.
    Refused {
        /// Why.
        why: Why<'p>,
        /// Whether the refusal is carried out.
        mode: Mode,
    },
}

/// Why an item is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why<'p> {
    /// No role allows it.
    NoAllow,
    /// A deny pattern matches.
    Deny {
        /// The role.
        role: &'p str,
        /// The pattern as written.
        pattern: &'p str,
    },
    /// `unlistedTools` is `"deny"` and the tool has no entry.
    Unlisted,
    /// Not a name at all: control characters, white space at an end, empty.
    NotAName,
    /// A URI with several readings.
    NotCanonical,
}

impl Access<'_> {
    /// Whether the item stays in a list: it does unless its refusal is carried out.
    pub fn is_listed(&self) -> bool {
        match self {
            Access::Granted { .. } => true,
            Access::Refused { mode, .. } => *mode == Mode::Shadow,
        }
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::NoAllow => write!(f, "no role of the key allows it"),
            Why::Deny { role, pattern } => write!(f, "denied by {pattern:?} of role {role:?}"),
            Why::Unlisted => write!(
                f,
                "unlistedTools is \"deny\" and the server's tools do not list it"
            ),
            Why::NotAName => write!(
                f,
                "not a name: empty, control characters, or white space at an end"
            ),
            Why::NotCanonical => write!(
                f,
                "the URI is not in its canonical form, so patterns cannot judge it"
            ),
        }
    }
}

/// An item of a list, or the object of a call, by kind.
pub fn item_access<'p>(
    policy: &'p Policy,
    caller: &Caller,
    server: &'p Server,
    list: List,
    name: &str,
) -> Access<'p> {
    match list {
        List::Tools => tool_access(policy, caller, server, name),
        List::Prompts if !is_valid_name(name) => refused(Why::NotAName, caller),
        List::Prompts => granted(policy, caller, server, name, |role| (&role.prompts, None)),
        List::Resources if !is_canonical_uri(name) => refused(Why::NotCanonical, caller),
        List::Templates if !is_canonical_template(name) => refused(Why::NotCanonical, caller),
        List::Resources | List::Templates => {
            granted(policy, caller, server, name, |role| (&role.resources, None))
        }
    }
}

/// The role through which the key has anything on this server at all.
pub fn reaching_role<'p>(policy: &'p Policy, caller: &Caller, server: &Server) -> Option<&'p Role> {
    caller.roles.iter().map(|id| policy.role(*id)).find(|role| {
        [&role.allow, &role.resources, &role.prompts]
            .into_iter()
            .any(|set| set.reaches(&server.name))
    })
}

fn tool_access<'p>(policy: &'p Policy, caller: &Caller, server: &'p Server, name: &str) -> Access<'p> {
    if !is_valid_name(name) {
        return refused(Why::NotAName, caller);
    }
    match granted(policy, caller, server, name, |role| {
        (&role.allow, Some(&role.deny))
    }) {
        // A deny that is only noted lets nothing through that would be refused without it.
        Access::Granted { .. }
        | Access::Refused {
            why: Why::Deny { .. },
            mode: Mode::Shadow,
        } if server.unlisted_tools == UnlistedTools::Deny && server.tool(name).is_none() => {
            refused(Why::Unlisted, caller)
        }
        access => access,
    }
}

/// Deny beats allow; no matching allow refuses.
fn granted<'p>(
    policy: &'p Policy,
    caller: &Caller,
    server: &Server,
    name: &str,
    sets: impl Fn(&'p Role) -> (&'p GlobSet, Option<&'p GlobSet>),
) -> Access<'p> {
    let mut allowed: Option<Access<'p>> = None;
    let mut denied: Option<Access<'p>> = None;
    for role in caller.roles.iter().map(|id| policy.role(*id)) {
        let (allow, deny) = sets(role);
        if let Some(pattern) = deny.and_then(|deny| deny.first_match(&server.name, name)) {
            let why = Why::Deny {
                role: &role.name,
                pattern,
            };
            let mode = mode_of_deny(role, caller);
            if mode == Mode::Enforce {
                return Access::Refused { why, mode };
            }
            denied.get_or_insert(Access::Refused { why, mode });
        }
        if allowed.is_none() {
            allowed = allow
                .first_match(&server.name, name)
                .map(|pattern| Access::Granted {
                    role: &role.name,
                    pattern,
                });
        }
    }
    // A missing allow is the key's own lack, and may be enforced where a role's deny is not.
    match allowed {
        None => refused(Why::NoAllow, caller),
        Some(access) => denied.unwrap_or(access),
    }
}

/// A role in shadow mode only notes what its denies refuse; otherwise the key's own mode counts,
/// then the role's, then the document's.
fn mode_of_deny(role: &Role, caller: &Caller) -> Mode {
    match (role.mode, caller.mode_is_own) {
        (Some(Mode::Shadow), _) => Mode::Shadow,
        (Some(Mode::Enforce), false) => Mode::Enforce,
        (Some(Mode::Enforce) | None, _) => caller.mode,
    }
}

fn refused<'p>(why: Why<'p>, caller: &Caller) -> Access<'p> {
    Access::Refused {
        why,
        mode: caller.mode,
    }
}
