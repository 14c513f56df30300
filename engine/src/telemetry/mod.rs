//! What an exchange has to say to metrics: plain data, which the host turns into its own metrics.
//!
//! Families and labels are a closed set, and a label's value is a word of this program or a name of the policy. What a
//! caller sends never becomes one, so there are never more series than the policy allows for.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

use crate::breaker::State;
use crate::outcome;
use crate::policy::Server;
use crate::quota::{Book, LimitRef, What};
use crate::store::{Expect, Store, StoreError, Versioned};

/// More than one exchange ever has to say: a key and sixteen teams have a budget each, which is charged, told by the
/// service, and settled or refunded.
const MAX_MEASURES: usize = 128;

/// The most labels of a family.
const MAX_LABELS: usize = 4;

/// A family of series: one name, one meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// What is spent of a budget in its running period, in millionths of a currency unit.
    BudgetSpent,
    /// What may be spent of it in a period, in millionths of a currency unit.
    BudgetLimit,
    /// Compare-and-swaps of quotas and budgets that met another worker's.
    StoreConflicts,
    /// Questions to the rate limit service, by what came of them.
    RateLimitService,
    /// Calls that went to a server, by what came of them.
    Results,
    /// Bytes of response body that a server sent for a call.
    ResultBytes,
    /// From the verdict on a call to the end of its answer, in milliseconds.
    CallDuration,
    /// Whether a breaker is closed (0), half open (1) or open (2).
    BreakerState,
    /// Changes of a breaker's state, by the new one.
    BreakerTransitions,
}

/// What a family's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// To be added to what was counted before.
    Counter,
    /// To take the place of the value before.
    Gauge,
    /// To be sorted into buckets.
    Histogram,
}

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
    family: Family,
    /// The values of the family's labels, in its order; the rest is empty.
    values: [Text; MAX_LABELS],
    value: u64,
}

/// A label's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Text {
    #[default]
    Nothing,
    Word(&'static str),
    Name(Rc<str>),
}

impl Family {
    /// Every family.
    pub const ALL: [Family; 9] = [
        Family::BudgetSpent,
        Family::BudgetLimit,
        Family::StoreConflicts,
        Family::RateLimitService,
        Family::Results,
        Family::ResultBytes,
        Family::CallDuration,
        Family::BreakerState,
        Family::BreakerTransitions,
    ];

    /// Its name, of lower case letters and `_`, with the unit where it has one and `_total` where it is a counter.
    pub fn name(self) -> &'static str {
        match self {
            Family::BudgetSpent => "toolgate_budget_spent_micros",
            Family::BudgetLimit => "toolgate_budget_limit_micros",
            Family::StoreConflicts => "toolgate_store_conflicts_total",
            Family::RateLimitService => "toolgate_rate_limit_service_total",
            Family::Results => "toolgate_results_total",
            Family::ResultBytes => "toolgate_result_bytes",
            Family::CallDuration => "toolgate_call_duration_ms",
            Family::BreakerState => "toolgate_breaker_state",
            Family::BreakerTransitions => "toolgate_breaker_transitions_total",
        }
    }

    /// What its values are.
    pub fn kind(self) -> Kind {
        match self {
            Family::BudgetSpent | Family::BudgetLimit | Family::BreakerState => Kind::Gauge,
            Family::StoreConflicts
            | Family::RateLimitService
            | Family::Results
            | Family::BreakerTransitions => Kind::Counter,
            Family::ResultBytes | Family::CallDuration => Kind::Histogram,
        }
    }

    /// The upper bounds that suit a histogram's buckets, ascending; empty for other kinds.
    pub fn buckets(self) -> &'static [u32] {
        match self {
            Family::ResultBytes => &[
                256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864,
            ],
            Family::CallDuration => &[
                1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000,
            ],
            Family::BudgetSpent
            | Family::BudgetLimit
            | Family::StoreConflicts
            | Family::RateLimitService
            | Family::Results
            | Family::BreakerState
            | Family::BreakerTransitions => &[],
        }
    }

    /// The names of its labels, of lower case letters and `_`.
    pub fn labels(self) -> &'static [&'static str] {
        match self {
            Family::BudgetSpent | Family::BudgetLimit => &["owner", "name", "per", "scope"],
            Family::StoreConflicts => &[],
            Family::RateLimitService => &["outcome"],
            Family::Results => &["server", "tool", "outcome"],
            Family::ResultBytes | Family::CallDuration | Family::BreakerState => &["server", "tool"],
            Family::BreakerTransitions => &["server", "tool", "to"],
        }
    }
}

impl Measure {
    /// Its family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The series' labels: names, and values that are not empty.
    pub fn labels(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let names = self.family.labels().iter().copied();
        names.zip(self.values.iter().map(Text::as_str))
    }

    /// The increment of a counter, the value of a gauge, one value of a histogram.
    pub fn value(&self) -> u64 {
        self.value
    }
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            Text::Nothing => "",
            Text::Word(word) => word,
            Text::Name(name) => name,
        }
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
                family,
                values,
                value,
            });
        }
    }
}

/// Tools whose names the policy does not write out.
const OTHER: &str = "other";

/// A server, and a tool of it or none.
pub(crate) struct At<'a> {
    pub(crate) server: &'a Server,
    pub(crate) tool: Option<&'a str>,
}

impl At<'_> {
    fn values(&self, word: Option<&'static str>) -> [Text; MAX_LABELS] {
        let tool = match self.tool {
            None => Text::Nothing,
            Some(tool) => match self.server.known_name(tool) {
                Some(name) => Text::Name(Rc::clone(name)),
                None => Text::Word(OTHER),
            },
        };
        let word = word.map_or(Text::Nothing, Text::Word);
        [
            Text::Name(Rc::clone(&self.server.name)),
            tool,
            word,
            Text::Nothing,
        ]
    }

    /// Whether it stands for more than one tool.
    fn is_many(&self) -> bool {
        self.tool
            .is_some_and(|tool| self.server.known_name(tool).is_none())
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
