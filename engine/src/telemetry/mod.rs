//! What an exchange has to say to metrics: plain data, which the host turns into its own metrics.
//!
//! Families and labels are a closed set, and a label's value is a word of this program or a name of the policy. What a
//! caller sends never becomes one, so there are never more series than the policy allows for.

mod family;
mod series;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

pub use family::{Family, Kind};
pub use series::Series;
pub(crate) use series::{At, Text};

use family::MAX_LABELS;

use crate::breaker::State;
use crate::outcome;
use crate::policy::Mode;
use crate::quota::{Book, LimitRef, What};
use crate::reason::Reason;
use crate::store::{Expect, Store, StoreError, Versioned};

/// More than one exchange ever has to say: a key and sixteen teams have a budget each, which is charged, told by the
/// service, and settled or refunded.
const MAX_MEASURES: usize = 128;

/// What came of a question to the rate limit service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every limit has room.
    Within,
    /// A limit is used up.
    Over,
    /// There was no usable answer.
    Error,
}

/// One value for one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    series: Series,
    value: u64,
}

impl Measure {
    /// Whether the policy with this hash is in force, or was before.
    pub fn policy_info(hash: &str, in_force: bool) -> Measure {
        let values = [
            Text::Name(Rc::from(hash)),
            Text::Nothing,
            Text::Nothing,
            Text::Nothing,
        ];
        Measure {
            series: Series::new(Family::PolicyInfo, values),
            value: u64::from(in_force),
        }
    }

    /// So many policies were refused.
    pub fn policy_rejected(count: u64) -> Measure {
        Measure {
            series: Series::new(Family::PolicyRejected, Default::default()),
            value: count,
        }
    }

    /// What it is a value of.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// Its family.
    pub fn family(&self) -> Family {
        self.series.family()
    }

    /// The series' labels: names, and values that are not empty.
    pub fn labels(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.series.labels()
    }

    /// The increment of a counter, the value of a gauge, one value of a histogram.
    pub fn value(&self) -> u64 {
        self.value
    }
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Outcome::Within => "within",
            Outcome::Over => "over",
            Outcome::Error => "error",
        }
    }
}

/// What was decided, about whom.
#[derive(Debug)]
pub(crate) struct Verdict<'a> {
    /// The server, if the request is for one.
    pub(crate) server: Option<&'a Rc<str>>,
    /// The tool, if it is a call.
    pub(crate) tool: &'a Text,
    /// The key, if there is one and there are metrics with keys.
    pub(crate) key: Option<&'a Rc<str>>,
    /// Its team.
    pub(crate) team: Option<&'a Rc<str>>,
    /// What enforcement says.
    pub(crate) reason: Reason,
    /// Whether it is enforced.
    pub(crate) mode: Mode,
}

/// What has to be said and was not fetched yet. Takes no memory while that is nothing.
#[derive(Debug, Default)]
pub(crate) struct Measures(Vec<Measure>);

/// Budgets whose limit was said since the policy came into force: it does not change, and need not be said again.
#[derive(Debug, Default)]
pub(crate) struct LimitsSaid(RefCell<HashSet<LimitRef>>);

impl Measures {
    /// Everything that was not taken yet.
    pub(crate) fn take(&mut self) -> Vec<Measure> {
        std::mem::take(&mut self.0)
    }

    /// A budget has spent so many micros; says what its limit is, too, if that was not said.
    pub(crate) fn spent(&mut self, book: &Book, limit: LimitRef, micros: u64, said: &LimitsSaid) {
        self.limit(book, limit, said);
        if let Some((values, _)) = budget(book, limit) {
            self.push(Family::BudgetSpent, values, micros);
        }
    }

    /// What a budget's limit is, if that was not said.
    pub(crate) fn limit(&mut self, book: &Book, limit: LimitRef, said: &LimitsSaid) {
        if said.knows(limit) {
            return;
        }
        if let Some((values, micros)) = budget(book, limit) {
            self.push(Family::BudgetLimit, values, micros);
            said.learn(limit);
        }
    }

    /// So many compare-and-swaps met another worker's.
    pub(crate) fn store_conflicts(&mut self, conflicts: u64) {
        if conflicts > 0 {
            self.push(Family::StoreConflicts, Default::default(), conflicts);
        }
    }

    /// This came of a question to the rate limit service.
    pub(crate) fn rate_limit_service(&mut self, outcome: Outcome) {
        let mut values: [Text; MAX_LABELS] = Default::default();
        if let Some(first) = values.first_mut() {
            *first = Text::Word(outcome.as_str());
        }
        self.push(Family::RateLimitService, values, 1);
    }

    /// There is a verdict.
    pub(crate) fn verdict(&mut self, verdict: &Verdict<'_>) {
        let reason = Text::Word(verdict.reason.as_str());
        let mode = match verdict.mode {
            Mode::Enforce => "enforce",
            Mode::Shadow => "shadow",
        };
        let server = verdict.server.map_or(Text::Nothing, Text::name);
        let values = [server, verdict.tool.clone(), reason.clone(), Text::Word(mode)];
        self.push(Family::Calls, values, 1);
        if let Some(key) = verdict.key {
            let team = verdict.team.map_or(Text::Nothing, Text::name);
            self.push(
                Family::KeyCalls,
                [Text::name(key), team, reason, Text::Nothing],
                1,
            );
        }
    }

    /// A call of this key, or the result of its task, has cost so much.
    pub(crate) fn cost(&mut self, at: &At<'_>, key: &Rc<str>, team: Option<&Rc<str>>, micros: u64) {
        let team = team.map_or(Text::Nothing, Text::name);
        let [server, tool, ..] = at.values(None);
        self.push(Family::CostMicros, [team, Text::name(key), server, tool], micros);
    }

    /// This came of a call that went to a server, in so many bytes.
    pub(crate) fn result(&mut self, at: &At<'_>, outcome: outcome::Outcome, bytes: u64) {
        self.push(Family::Results, at.values(Some(outcome.as_str())), 1);
        self.push(Family::ResultBytes, at.values(None), bytes);
    }

    /// A call took so long.
    pub(crate) fn call_duration(&mut self, at: &At<'_>, millis: u64) {
        self.push(Family::CallDuration, at.values(None), millis);
    }

    /// A breaker has this state now.
    pub(crate) fn breaker(&mut self, at: &At<'_>, state: State) {
        self.push(Family::BreakerTransitions, at.values(Some(state.as_str())), 1);
        // The tools that the policy does not know share a label, but no state.
        if !at.is_many() {
            self.push(Family::BreakerState, at.values(None), state.number());
        }
    }

    /// A host that never takes them loses what comes last.
    fn push(&mut self, family: Family, values: [Text; MAX_LABELS], value: u64) {
        if self.0.len() < MAX_MEASURES {
            self.0.push(Measure {
                series: Series::new(family, values),
                value,
            });
        }
    }
}

impl LimitsSaid {
    fn knows(&self, limit: LimitRef) -> bool {
        self.0.try_borrow().is_ok_and(|said| said.contains(&limit))
    }

    fn learn(&self, limit: LimitRef) {
        if let Ok(mut said) = self.0.try_borrow_mut() {
            said.insert(limit);
        }
    }
}

/// A budget's labels, and its limit in micros; `None` if it is a quota.
fn budget(book: &Book, limit: LimitRef) -> Option<([Text; MAX_LABELS], u64)> {
    let (owner, limit) = book.limit(limit)?;
    let What::Budget(budget) = &limit.what else {
        return None;
    };
    let values = [
        Text::Word(owner.kind.as_str()),
        Text::Name(Rc::clone(&owner.name)),
        Text::Word(budget.per.as_str()),
        Text::Word(budget.scope.as_str()),
    ];
    Some((values, budget.limit.0))
}

/// A store that counts the conflicts of what is done with it.
pub(crate) struct Tally<'a> {
    store: &'a dyn Store,
    conflicts: Cell<u64>,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(store: &'a dyn Store) -> Self {
        Tally {
            store,
            conflicts: Cell::new(0),
        }
    }

    pub(crate) fn conflicts(&self) -> u64 {
        self.conflicts.get()
    }
}

impl Store for Tally<'_> {
    fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.store.get(key)
    }

    fn set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), StoreError> {
        let outcome = self.store.set(key, value, expect);
        if outcome == Err(StoreError::Conflict) {
            self.conflicts.set(self.conflicts.get().saturating_add(1));
        }
        outcome
    }
}
