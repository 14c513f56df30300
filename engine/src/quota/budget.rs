//! The arithmetic of a budget: what is spent in a period of the calendar.
//!
//! A clock can step back over midnight, so the spending of two periods is kept. Under one label, no more than the limit
//! is ever spent before a call.

use std::time::Duration;

use super::calendar;
use crate::policy::{Budget, Period};
use crate::time::UnixNanos;

/// What is stored for a budget: two periods by label, and what was spent in each, in micros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spending {
    pub(super) per: Period,
    pub(super) latest: (u32, u64),
    /// Equal to `latest` as long as there was only one.
    pub(super) earlier: (u32, u64),
}

/// Spent in a period of which nothing is known but that it may have been spent.
const LOST: u64 = u64::MAX;

/// A charge that a budget refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded {
    /// How long until the budget starts again; `None` if waiting does not help.
    pub(super) wait: Option<Duration>,
}

impl Spending {
    /// Nothing spent yet.
    pub(super) fn new(per: Period, now: UnixNanos) -> Spending {
        let label = calendar::label(per, now);
        Spending {
            per,
            latest: (label, 0),
            earlier: (label, 0),
        }
    }

    /// Spends an amount before a call, and says under which label. An amount of 0 (only the result costs) wants
    /// something left.
    pub(super) fn charge(&mut self, budget: &Budget, amount: u64, now: UnixNanos) -> Result<u32, Exceeded> {
        let limit = budget.limit.0;
        if amount > limit {
            return Err(Exceeded { wait: None });
        }
        let exceeded = Exceeded {
            wait: calendar::until_next(budget.per, now),
        };
        let label = calendar::label(self.per, now);
        let spent = self.open(label).ok_or(exceeded)?;
        let sum = spent.checked_add(amount).filter(|sum| *sum <= limit);
        let sum = sum.filter(|_| amount > 0 || *spent < limit).ok_or(exceeded)?;
        *spent = sum;
        Ok(label)
    }

    /// Adds what is spent already, whatever the limit says.
    pub(super) fn add(&mut self, amount: u64, now: UnixNanos) {
        if let Some(spent) = self.open(calendar::label(self.per, now)) {
            *spent = spent.saturating_add(amount);
        }
    }

    /// Gives back what was charged under a label.
    pub(super) fn give_back(&mut self, label: u32, amount: u64) {
        if let Some(spent) = self.find(label) {
            *spent = spent.saturating_sub(amount);
        }
    }

    /// Stores what a clock that stepped back means, which is to be remembered even if the call is refused.
    pub(super) fn renew(&mut self, now: UnixNanos) {
        self.open(calendar::label(self.per, now));
    }

    /// What is spent in the running period; `None` if that is one that is not known any more.
    pub(super) fn running(&self, now: UnixNanos) -> Option<u64> {
        let label = calendar::label(self.per, now);
        if label > self.latest.0 {
            return Some(0);
        }
        let mut known = [self.latest, self.earlier].into_iter();
        let spent = known.find(|period| period.0 == label).map(|period| period.1);
        spent.filter(|spent| *spent != LOST)
    }

    /// Whether even the period after its latest one has ended: nobody will ask about it again.
    pub(super) fn is_over(&self, now: UnixNanos) -> bool {
        self.latest.0.saturating_add(1) < calendar::label(self.per, now)
    }

    /// What is spent in a period; a later one than both takes the place of the older. An earlier one that is not known any
    /// more counts as spent, until it ends (`None`, or [`LOST`]).
    ///
    /// Then comes one that is known, or else the clock had been ahead by more than a period: what was counted there is
    /// forgotten, for it would lock the budget until the clock is there again.
    fn open(&mut self, label: u32) -> Option<&mut u64> {
        if label > self.latest.0 {
            self.earlier = self.latest;
            self.latest = (label, 0);
        } else if self.find(label).is_none() && self.find(label.saturating_add(1)).is_none() {
            self.latest = (label, LOST);
            if label < self.earlier.0 {
                self.earlier = self.latest;
            }
        }
        self.find(label)
    }

    fn find(&mut self, label: u32) -> Option<&mut u64> {
        [&mut self.latest, &mut self.earlier]
            .into_iter()
            .find(|period| period.0 == label)
            .map(|period| &mut period.1)
    }
}
