//! Every limit of a policy, ready to be asked, and which of them apply to a call.

use std::cell::LazyCell;
use std::rc::Rc;

use super::gcra::Limiter;
use super::identity::{self, OwnerKind};
use crate::policy::{
    Allowance, Budget, Cost, Each, KeyId, OnError, Policy, Quota, RateLimitService, Scope, Server, TeamId,
};

/// Every limit of a policy.
#[derive(Debug)]
pub struct Book {
    owners: Vec<Owner>,
    /// By key: the owners of the limits that apply to it, itself first, then its team and that one's parents.
    chains: Vec<Box<[u32]>>,
    pub(super) service: Option<RateLimitService>,
}

/// A key or a team that has limits.
#[derive(Debug)]
pub struct Owner {
    /// Which of the two.
    pub kind: OwnerKind,
    /// Its name in the policy.
    pub name: Rc<str>,
    /// Its limits: quotas in the order of the policy, then the budget.
    pub limits: Vec<Limit>,
    /// The slot of its record in the store.
    pub(super) slot: u16,
}

/// One limit of an owner.
#[derive(Debug)]
pub struct Limit {
    /// The same across reloads as long as owner, kind, `on`, `each`, window and scope stay; the amounts may change.
    pub id: u64,
    /// Who shares the count.
    pub scope: Scope,
    /// What is limited.
    pub what: What,
    /// Its place among the owner's limits: `quotas/0` or `budget`.
    pub place: String,
}

/// What is limited.
#[derive(Debug)]
pub enum What {
    /// Calls per window.
    Quota(Rc<Quota>, Limiter),
    /// What may be spent in a period.
    Budget(Budget),
}

/// A limit of this book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimitRef {
    owner: u32,
    limit: u32,
}

/// A call that is about to be made.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who calls.
    pub key: KeyId,
    /// The verified JWT subject.
    pub subject: Option<&'a str>,
    /// The server.
    pub server: &'a Server,
    /// The tool's name on the server.
    pub tool: &'a str,
}

/// The limits that apply to one call, and what it takes from each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// In the order in which they apply: quotas before budgets, key before teams.
    pub lines: Vec<Line>,
    /// What the call costs.
    pub cost: Cost,
}

/// What a call takes from one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The limit.
    pub limit: LimitRef,
    /// Who shares the count.
    pub scope: Scope,
    /// Whether it is a budget.
    pub budget: bool,
    /// Which of the limit's counts.
    pub part: Part,
    /// Calls of a quota (1), micros of a budget.
    pub amount: u64,
}

/// Which of a limit's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its only one.
    Whole,
    /// That of a tool, by hash.
    Tool(u64),
    /// That of a subject, by hash, and the slot of the subject's record.
    Subject(u64, u16),
}

impl Part {
    /// The number that tells the counts of one limit apart; 0 for the whole.
    pub fn number(self) -> u64 {
        match self {
            Part::Whole => 0,
            Part::Tool(hash) | Part::Subject(hash, _) => hash,
        }
    }
}

impl Bill {
    /// What the call costs with a result of this size, in micros; `None` if nothing.
    pub fn cost_with(&self, result_bytes: u64) -> Option<u64> {
        Some(
            self.cost
                .per_call
                .0
                .saturating_add(self.result_cost(result_bytes)),
        )
        .filter(|cost| *cost > 0)
    }

    /// Whether it can cost something.
    pub fn costs(&self) -> bool {
        self.cost != Cost::default()
    }

    /// What a result of this size costs, in micros, rounded up.
    pub fn result_cost(&self, result_bytes: u64) -> u64 {
        let cost = u128::from(result_bytes) * u128::from(self.cost.per_kib.0);
        u64::try_from(cost.div_ceil(1024)).unwrap_or(u64::MAX)
    }

    /// Whether the lines of a scope are budgets only.
    pub fn only_budgets(&self, scope: Scope) -> bool {
        self.lines
            .iter()
            .filter(|line| line.scope == scope)
            .all(|line| line.budget)
    }
}

impl Book {
    /// The book of a policy.
    pub fn new(policy: &Policy) -> Book {
        let mut owners = Owners::default();
        let teams: Vec<Option<u32>> = policy
            .teams()
            .map(|(_, team)| owners.add(OwnerKind::Team, &team.name, &team.allowance))
            .collect();
        let chains = policy
            .keys()
            .map(|(id, key)| {
                let own = owners.add(OwnerKind::Key, &key.name, &key.allowance);
                let team = |team: TeamId| teams.get(team.index()).copied().flatten();
                own.into_iter()
                    .chain(policy.teams_of(id).filter_map(|(id, _)| team(id)))
                    .collect()
            })
            .collect();
        Book {
            owners: owners.list,
            chains,
            service: policy.rate_limit_service().cloned(),
        }
    }

    /// The limits that apply to a call, and what it costs; `None` when there are none and it costs nothing.
    pub fn bill(&self, call: &Call<'_>) -> Option<Bill> {
        let chain = self.chains.get(call.key.index())?;
        let cost = call.server.cost_of(call.tool);
        if chain.is_empty() && cost == Cost::default() {
            return None;
        }
        let tool = LazyCell::new(|| identity::tool(&call.server.name, call.tool));
        let mut quotas = Vec::new();
        let mut budgets = Vec::new();
        for (index, owner) in chain
            .iter()
            .filter_map(|i| Some((*i, self.owners.get(*i as usize)?)))
        {
            let subject = LazyCell::new(|| {
                identity::subject(owner.kind, &owner.name, call.subject.unwrap_or_default())
            });
            for (place, limit) in (0..).zip(&owner.limits) {
                let line = Line {
                    limit: LimitRef {
                        owner: index,
                        limit: place,
                    },
                    scope: limit.scope,
                    budget: false,
                    part: Part::Whole,
                    amount: 1,
                };
                match &limit.what {
                    What::Quota(quota, _) if quota.counts(call) => {
                        let part = match quota.each {
                            None => Part::Whole,
                            Some(Each::Tool) => Part::Tool(*tool),
                            Some(Each::Subject) => Part::Subject(subject.0, subject.1),
                        };
                        quotas.push(Line { part, ..line });
                    }
                    What::Budget(_) if cost != Cost::default() => budgets.push(Line {
                        budget: true,
                        amount: cost.per_call.0,
                        ..line
                    }),
                    What::Quota(..) | What::Budget(_) => {}
                }
            }
        }
        quotas.append(&mut budgets);
        let bill = Bill { lines: quotas, cost };
        (!bill.lines.is_empty() || bill.costs()).then_some(bill)
    }

    /// Every key and team that has limits.
    pub fn owners(&self) -> &[Owner] {
        &self.owners
    }

    /// The limit that a reference names, and its owner.
    pub fn limit(&self, at: LimitRef) -> Option<(&Owner, &Limit)> {
        let owner = self.owners.get(at.owner as usize)?;
        Some((owner, owner.limits.get(at.limit as usize)?))
    }

    /// Whether a limit is counted by this process alone.
    pub fn is_local(&self, at: LimitRef) -> bool {
        self.limit(at)
            .is_some_and(|(_, limit)| limit.scope == Scope::Local)
    }

    /// A limit's place in the policy, as a JSON Pointer.
    pub fn pointer(&self, at: LimitRef) -> Option<String> {
        self.limit(at).map(|(owner, limit)| owner.pointer(limit))
    }

    /// Where global limits are counted.
    pub fn service(&self) -> Option<&RateLimitService> {
        self.service.as_ref()
    }

    /// What happens to a call while the service gives no usable answer.
    pub fn on_error(&self) -> OnError {
        self.service
            .as_ref()
            .map_or(OnError::Deny, |service| service.on_error)
    }
}

impl Quota {
    fn counts(&self, call: &Call<'_>) -> bool {
        let on = self.on.as_ref();
        on.is_none_or(|on| on.matches(&call.server.name, call.tool))
    }
}

impl Owner {
    /// The JSON Pointer of one of its limits: `/keys/eng-staging/quotas/0`.
    pub fn pointer(&self, limit: &Limit) -> String {
        let name = self.name.replace('~', "~0").replace('/', "~1");
        format!("/{}/{name}/{}", self.kind.section(), limit.place)
    }
}

#[derive(Default)]
struct Owners {
    list: Vec<Owner>,
}

impl Owners {
    /// Adds an owner if it has limits at all.
    fn add(&mut self, kind: OwnerKind, name: &Rc<str>, allowance: &Allowance) -> Option<u32> {
        let mut limits: Vec<Limit> = Vec::new();
        for (index, quota) in allowance.quotas.iter().enumerate() {
            let id = unused(&limits, |ordinal| identity::quota(kind, name, quota, ordinal));
            limits.push(Limit {
                id,
                scope: quota.scope,
                what: What::Quota(Rc::clone(quota), Limiter::new(quota)),
                place: format!("quotas/{index}"),
            });
        }
        limits.extend(allowance.budget.iter().map(|budget| Limit {
            id: identity::budget(kind, name, budget),
            scope: budget.scope,
            what: What::Budget(budget.clone()),
            place: "budget".to_owned(),
        }));
        if limits.is_empty() {
            return None;
        }
        let index = u32::try_from(self.list.len()).ok()?;
        self.list.push(Owner {
            kind,
            name: Rc::clone(name),
            limits,
            slot: identity::owner(kind, name),
        });
        Some(index)
    }
}

/// The first id that no limit has yet: quotas that differ in their amounts only are told apart by their order.
fn unused(limits: &[Limit], id: impl Fn(u64) -> u64) -> u64 {
    (0..=limits.len() as u64)
        .map(id)
        .find(|id| limits.iter().all(|limit| limit.id != *id))
        .unwrap_or_default()
}
