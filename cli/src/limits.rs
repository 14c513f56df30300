//! The quotas and budgets of a key, for people and for programs.

use serde_json::{Value, json};
use toolgate_engine::policy::{KeyId, Policy, Scope, Server};
use toolgate_engine::quota::{Bill, Book, Call, Limit, Line, Owner, OwnerKind, What, describe};

/// A quota or budget that counts what a key does.
pub(crate) struct Applied {
    pointer: String,
    owner: OwnerKind,
    name: String,
    budget: bool,
    scope: Scope,
    /// `100 calls per minute of key "alice" (local)`
    pub(crate) text: String,
    takes: Option<Takes>,
}

/// What one call takes from a limit.
enum Takes {
    /// A call of a quota.
    Call,
    /// Millionths of a budget: for the call, and for each KiB of its result.
    Micros { call: u64, kib: u64 },
}

/// The limits that count a call of this tool by this key, in the order in which they are asked.
pub(crate) fn of_call(book: &Book, key: KeyId, server: &Server, tool: &str) -> Vec<Applied> {
    let call = Call {
        key,
        subject: None,
        server,
        tool,
    };
    let applied = |bill: &Bill, line: &Line| {
        let (owner, limit) = book.limit(line.limit)?;
        let takes = if line.budget {
            Takes::Micros {
                call: line.amount,
                kib: bill.cost.per_kib.0,
            }
        } else {
            Takes::Call
        };
        Some(Applied::new(owner, limit, Some(takes)))
    };
    book.bill(&call)
        .iter()
        .flat_map(|bill| bill.lines.iter().filter_map(|line| applied(bill, line)))
        .collect()
}

/// The limits of a key, its team and that one's parents that can count a call on this server.
pub(crate) fn on_server(book: &Book, policy: &Policy, key: KeyId, server: &Server) -> Vec<Applied> {
    let teams = policy
        .teams_of(key)
        .map(|(_, team)| (OwnerKind::Team, &team.name));
    std::iter::once((OwnerKind::Key, &policy.key(key).name))
        .chain(teams)
        .filter_map(|(kind, name)| {
            let mut owners = book.owners().iter();
            owners.find(|owner| owner.kind == kind && owner.name == *name)
        })
        .flat_map(|owner| {
            let here = owner.limits.iter().filter(|limit| reaches(limit, server));
            here.map(|limit| Applied::new(owner, limit, None))
        })
        .collect()
}

fn reaches(limit: &Limit, server: &Server) -> bool {
    match &limit.what {
        What::Quota(quota, _) => quota.on.as_ref().is_none_or(|on| on.reaches(&server.name)),
        What::Budget(_) => true,
    }
}

impl Applied {
    fn new(owner: &Owner, limit: &Limit, takes: Option<Takes>) -> Self {
        Self {
            pointer: owner.pointer(limit),
            owner: owner.kind,
            name: owner.name.to_string(),
            budget: matches!(limit.what, What::Budget(_)),
            scope: limit.scope,
            text: describe(owner, limit),
            takes,
        }
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        let mut entry = json!({
            "pointer": self.pointer,
            "kind": if self.budget { "budget" } else { "quota" },
            "owner": self.owner.as_str(),
            "name": self.name,
            "scope": self.scope.as_str(),
            "text": self.text,
        });
        match self.takes {
            Some(Takes::Call) => entry["calls"] = json!(1),
            Some(Takes::Micros { call, kib }) => {
                entry["cost_micros"] = json!(call);
                entry["cost_micros_per_kib"] = json!(kib);
            }
            None => {}
        }
        entry
    }
}
