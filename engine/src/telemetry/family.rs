//! The families of series: names, kinds, labels, buckets.

/// The most labels of a family.
pub(super) const MAX_LABELS: usize = 4;

/// A family of series: one name, one meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Calls, and refused requests of other kinds, by the verdict on them.
    Calls,
    /// The same by key.
    KeyCalls,
    /// What calls cost, in millionths of a currency unit.
    CostMicros,
    /// Whether a policy is in force (1) or was before (0).
    PolicyInfo,
    /// Policies that were refused.
    PolicyRejected,
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

impl Family {
    /// Every family.
    pub const ALL: [Family; 14] = [
        Family::Calls,
        Family::KeyCalls,
        Family::CostMicros,
        Family::PolicyInfo,
        Family::PolicyRejected,
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
            Family::Calls => "toolgate_calls_total",
            Family::KeyCalls => "toolgate_key_calls_total",
            Family::CostMicros => "toolgate_cost_micros_total",
            Family::PolicyInfo => "toolgate_policy_info",
            Family::PolicyRejected => "toolgate_policy_rejected_total",
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
            Family::PolicyInfo | Family::BudgetSpent | Family::BudgetLimit | Family::BreakerState => {
                Kind::Gauge
            }
            Family::Calls
            | Family::KeyCalls
            | Family::CostMicros
            | Family::PolicyRejected
            | Family::StoreConflicts
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
            _ => &[],
        }
    }

    /// The names of its labels, of lower case letters and `_`.
    pub fn labels(self) -> &'static [&'static str] {
        match self {
            Family::BudgetSpent | Family::BudgetLimit => &["owner", "name", "per", "scope"],
            Family::Calls => &["server", "tool", "reason", "mode"],
            Family::KeyCalls => &["key", "team", "reason"],
            Family::CostMicros => &["team", "key", "server", "tool"],
            Family::PolicyInfo => &["hash"],
            Family::PolicyRejected | Family::StoreConflicts => &[],
            Family::RateLimitService => &["outcome"],
            Family::Results => &["server", "tool", "outcome"],
            Family::ResultBytes | Family::CallDuration | Family::BreakerState => &["server", "tool"],
            Family::BreakerTransitions => &["server", "tool", "to"],
        }
    }
}
