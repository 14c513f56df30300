//! Quotas, budgets and what calls cost, as compiled.

use std::fmt;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use super::choices::choices;
use super::glob::GlobSet;

choices! {
    /// Who shares one count.
    Scope {
        /// One Envoy process, exact over all its workers. Lost when it ends.
        #[default]
        Local,
        /// Everything that asks the same rate limit service.
        Global,
    }

    /// What is counted apart.
    Each {
        /// Every tool has its own count.
        #[default]
        Tool,
        /// Every JWT subject has its own count.
        Subject,
    }

    /// When a budget starts again.
    Period {
        /// At midnight UTC.
        #[default]
        Day,
        /// At midnight UTC on the first of the month.
        Month,
        /// Never.
        Total,
    }

    /// What happens to a call while the rate limit service gives no usable answer.
    OnError {
        /// It is refused.
        #[default]
        Deny,
        /// It passes uncounted.
        Allow,
        /// The global limits are counted by this Envoy process alone.
        Local,
    }

    /// The engine behind the rate limit service.
    ServiceEngine {
        /// `envoyproxy/ratelimit`: the limits travel in the descriptors.
        #[default]
        Envoyproxy,
        /// Limitador: the limits are in its limits file (`toolgate render ratelimit`).
        Limitador,
    }
}

impl Scope {
    /// As in the policy: `local` or `global`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Local => "local",
            Scope::Global => "global",
        }
    }
}

impl Period {
    /// As in the policy: `day`, `month` or `total`.
    pub fn as_str(self) -> &'static str {
        match self {
            Period::Day => "day",
            Period::Month => "month",
            Period::Total => "total",
        }
    }
}

/// An amount in millionths of a currency unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub u64);

impl Micros {
    /// Millionths in one currency unit.
    pub const PER_UNIT: u64 = 1_000_000;
}

impl fmt::Display for Micros {
    /// In currency units, without trailing zeros: `0.05`, `500`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / Self::PER_UNIT, self.0 % Self::PER_UNIT);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{fraction:06}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// The time over which a quota's limit is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its length: whole milliseconds, at least one.
    pub length: Duration,
    /// As written: `minute` or `5m`.
    pub text: Rc<str>,
}

/// How many calls may be made in a time.
#[derive(Debug)]
pub struct Quota {
    /// Calls per window.
    pub limit: NonZeroU32,
    /// The window.
    pub per: Window,
    /// Calls that may be made at once. Equal to `limit` for a global quota.
    pub burst: NonZeroU32,
    /// The tools it counts, as `server/tool`; `None` for all.
    pub on: Option<GlobSet>,
    /// What is counted apart.
    pub each: Option<Each>,
    /// Who shares the count.
    pub scope: Scope,
}

/// How much may be spent in a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The most that may be spent.
    pub limit: Micros,
    /// When it starts again.
    pub per: Period,
    /// Who shares the count.
    pub scope: Scope,
}

/// The limits of a key or of a team.
#[derive(Debug, Default)]
pub struct Allowance {
    /// Its quotas, in the order of the policy.
    pub quotas: Vec<Rc<Quota>>,
    /// Its budget.
    pub budget: Option<Budget>,
}

/// What a call costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Before it runs.
    pub per_call: Micros,
    /// For each KiB of result, charged afterwards.
    pub per_kib: Micros,
}

/// Where global limits are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitService {
    /// The Envoy cluster.
    pub cluster: Rc<str>,
    /// The domain of the descriptors.
    pub domain: Rc<str>,
    /// How long a call waits for the answer.
    pub timeout: Duration,
    /// What happens without a usable answer.
    pub on_error: OnError,
    /// The engine.
    pub engine: ServiceEngine,
}
