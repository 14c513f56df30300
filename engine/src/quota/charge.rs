//! Charging local limits: one read and one compare-and-swap for each record.

use std::time::Duration;

use super::book::{Bill, Book, LimitRef};
use crate::policy::{Quota, Scope};
use crate::store::{Store, StoreError};
use crate::time::UnixNanos;

/// A quota's arithmetic (GCRA), made at configure time.
#[derive(Debug)]
pub struct Limiter {}

impl Limiter {
    /// The limiter of a quota.
    pub fn new(_quota: &Quota) -> Limiter {
        Limiter {}
    }
}

/// What was charged, so that it can be given back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Compare-and-swaps that met another worker's and were tried again.
    pub conflicts: u32,
}

impl Receipt {
    /// Takes another receipt of the same call in.
    pub fn add(&mut self, other: Receipt) {
        self.conflicts = self.conflicts.saturating_add(other.conflicts);
    }
}

/// Why a call was not charged. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A limit is used up.
    Over(Over),
    /// The store failed, or was too busy, when this limit was to be charged.
    Failed {
        /// The limit.
        limit: LimitRef,
        /// Whether it is a budget.
        budget: bool,
        /// How.
        error: StoreError,
    },
}

/// A limit that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// The one that makes the caller wait longest; `None` if the engine behind it does not say which.
    pub limit: Option<LimitRef>,
    /// Whether it is a budget.
    pub budget: bool,
    /// How long; `None` if waiting does not help.
    pub wait: Option<Duration>,
}

impl Book {
    /// Charges the lines of one scope, all or nothing. The lines of the global scope are charged here only in place of the service.
    pub fn charge(
        &self,
        _bill: &Bill,
        _scope: Scope,
        _store: &dyn Store,
        _now: UnixNanos,
    ) -> Result<Receipt, Stop> {
        Ok(Receipt::default())
    }

    /// Gives a charge back: the call was refused after all.
    pub fn refund(&self, _receipt: &Receipt, _store: &dyn Store, _now: UnixNanos) {}

    /// Gives only the money back: the call never reached a server.
    pub fn refund_budgets(&self, _receipt: &Receipt, _store: &dyn Store, _now: UnixNanos) {}

    /// Charges what the result costs, whatever the limits say: it is already spent.
    pub fn settle(&self, _bill: &Bill, _result_bytes: u64, _store: &dyn Store, _now: UnixNanos) {}
}
