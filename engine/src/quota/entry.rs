//! Charging single entries of a record.

use std::time::Duration;

use super::budget::Spending;
use super::debt::add_debt;
use super::gcra::{Level, Limiter};
use super::record::{Entry, Kind, MAX_PARTS, Name, OVERFLOW, Record};
use crate::policy::{Budget, Period, Scope};
use crate::store::StoreError;
use crate::time::UnixNanos;

/// What is spent of a budget in its running period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The budget's [`Limit::id`](super::Limit::id).
    pub limit: u64,
    /// In millionths of a currency unit.
    pub micros: u64,
}

/// What was taken from one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    limit: u64,
    part: u64,
    what: TakenWhat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TakenWhat {
    /// A call, when, and the level that it left.
    Call { at: UnixNanos, left: Level },
    /// Micros, the period that they were spent in, and what is spent in that with them.
    Money { label: u32, micros: u64, sum: u64 },
}

/// What was taken, or how long to wait (`None` if that does not help).
type Outcome = Result<Taken, Option<Duration>>;

/// Takes one call from a quota. Sets `stale` if what is stored is to be renewed even if the call is refused.
pub(super) fn take_call(
    record: &mut Record,
    limit: u64,
    part: u64,
    limiter: &Limiter,
    now: UnixNanos,
    stale: &mut bool,
) -> Result<Outcome, StoreError> {
    let place = Place::of(record, quota_name(limit, part), limiter, now)?;
    let resumed = limiter.resume(place.level, now);
    *stale |= resumed != place.level;
    let next = match limiter.take(resumed, now) {
        Ok(next) => next,
        Err(wait) => return Ok(Err(Some(wait))),
    };
    match place.at {
        Some(at) => record.replace(at, &Entry::Quota(next)),
        None => record.push(place.name, &Entry::Quota(next)),
    }
    Ok(Ok(Taken {
        limit,
        part: place.name.part,
        what: TakenWhat::Call { at: now, left: next },
    }))
}

/// Stores what a quota's level means to its limiter now; says whether that is something else.
pub(super) fn renew(
    record: &mut Record,
    limit: u64,
    part: u64,
    limiter: &Limiter,
    now: UnixNanos,
) -> Result<bool, StoreError> {
    let mut changed = false;
    for part in [part, OVERFLOW] {
        let Some((at, level)) = find_level(record, quota_name(limit, part))? else {
            continue;
        };
        let resumed = limiter.resume(level, now);
        record.replace(at, &Entry::Quota(resumed));
        changed |= resumed != level;
    }
    Ok(changed)
}

/// Stores what a budget's spending means now; says whether that is something else.
pub(super) fn renew_money(
    record: &mut Record,
    limit: u64,
    part: u64,
    budget: &Budget,
    now: UnixNanos,
) -> Result<bool, StoreError> {
    let Some((at, stored)) = find_spending(record, budget_name(limit, part), budget.per)? else {
        return Ok(false);
    };
    let mut spending = stored;
    spending.renew(now);
    record.replace(at, &Entry::Budget(spending));
    Ok(spending != stored)
}

/// Takes money from a budget. Sets `stale` if what is stored is to be renewed even if the call is refused.
pub(super) fn take_money(
    record: &mut Record,
    limit: u64,
    part: u64,
    (budget, micros): (&Budget, u64),
    now: UnixNanos,
    stale: &mut bool,
) -> Result<Outcome, StoreError> {
    let name = budget_name(limit, part);
    let found = find_spending(record, name, budget.per)?;
    let mut spending = found.map_or_else(|| Spending::new(budget.per, now), |(_, spending)| spending);
    let label = match spending.charge(budget, micros, now) {
        Ok(label) => label,
        Err(exceeded) => {
            *stale |= found.is_some_and(|(_, stored)| stored != spending);
            return Ok(Err(exceeded.wait));
        }
    };
    let sum = spending.running(now).unwrap_or(budget.limit.0);
    match found {
        Some((at, _)) => record.replace(at, &Entry::Budget(spending)),
        None => {
            record.sweep(now);
            record.push(name, &Entry::Budget(spending));
        }
    }
    Ok(Ok(Taken {
        limit,
        part,
        what: TakenWhat::Money { label, micros, sum },
    }))
}

/// Charges what a result costs; says what is spent with it, where that is counted here.
pub(super) fn settle(
    record: &mut Record,
    limit: u64,
    part: u64,
    budget: &Budget,
    micros: u64,
    now: UnixNanos,
) -> Result<Option<u64>, StoreError> {
    let name = budget_name(limit, part);
    let found = find_spending(record, name, budget.per)?;
    let mut sum = None;
    // A global budget has an entry only if it was counted here in place of the service.
    if found.is_some() || budget.scope == Scope::Local {
        let mut spending = found.map_or_else(|| Spending::new(budget.per, now), |(_, spending)| spending);
        spending.add(micros, now);
        sum = spending.running(now);
        record.put(name, &Entry::Budget(spending))?;
    }
    if budget.scope == Scope::Global {
        add_debt(record, limit, part, micros)?;
    }
    Ok(sum)
}

impl Taken {
    /// Whether it is money, not a call.
    pub(super) fn is_money(&self) -> bool {
        matches!(self.what, TakenWhat::Money { .. })
    }

    /// If it is money: the limit, and what was spent with it.
    pub(super) fn sum(&self) -> Option<Spent> {
        match self.what {
            TakenWhat::Call { .. } => None,
            TakenWhat::Money { sum, .. } => Some(Spent {
                limit: self.limit,
                micros: sum,
            }),
        }
    }

    /// Gives it back; says whether there was something to give it back to. Adds to `spent` what is spent without it.
    pub(super) fn give_back(
        &self,
        record: &mut Record,
        now: UnixNanos,
        spent: &mut Vec<Spent>,
    ) -> Result<bool, StoreError> {
        let kind = match self.what {
            TakenWhat::Call { .. } => Kind::Quota,
            TakenWhat::Money { .. } => Kind::Budget,
        };
        let name = Name {
            limit: self.limit,
            part: self.part,
            kind,
        };
        let Some((at, entry)) = record.find(name)? else {
            return Ok(false);
        };
        let entry = match (entry, self.what) {
            (Entry::Quota(level), TakenWhat::Call { at, left }) => {
                Entry::Quota(level.give_back(left, at, now))
            }
            (Entry::Budget(mut spending), TakenWhat::Money { label, micros, .. }) => {
                spending.give_back(label, micros);
                spent.extend(spending.running(now).map(|micros| Spent {
                    limit: self.limit,
                    micros,
                }));
                Entry::Budget(spending)
            }
            (Entry::Quota(_) | Entry::Budget(_) | Entry::Debt(_), _) => return Err(StoreError::Corrupt),
        };
        record.replace(at, &entry);
        Ok(true)
    }
}

/// Which entry counts a call, and what it says.
struct Place {
    name: Name,
    /// `None` if it is yet to be added.
    at: Option<usize>,
    level: Level,
}

impl Place {
    fn of(record: &mut Record, name: Name, limiter: &Limiter, now: UnixNanos) -> Result<Place, StoreError> {
        let place = |name, found: Option<(usize, Level)>| Place {
            name,
            at: found.map(|(at, _)| at),
            level: found.map_or_else(|| limiter.idle(), |(_, level)| level),
        };
        let found = find_level(record, name)?;
        if found.is_some() {
            return Ok(place(name, found));
        }
        record.sweep(now);
        if name.part == 0 {
            return Ok(place(name, None));
        }
        let shared = Name {
            part: OVERFLOW,
            ..name
        };
        let found = find_level(record, shared)?;
        if record.parts(name) >= MAX_PARTS {
            return Ok(place(shared, found));
        }
        // This part may have been counted in the shared one until now.
        Ok(Place {
            name,
            at: None,
            ..place(shared, found)
        })
    }
}

fn find_level(record: &Record, name: Name) -> Result<Option<(usize, Level)>, StoreError> {
    match record.find(name)? {
        Some((at, Entry::Quota(level))) => Ok(Some((at, level))),
        None => Ok(None),
        Some((_, Entry::Budget(_) | Entry::Debt(_))) => Err(StoreError::Corrupt),
    }
}

fn find_spending(record: &Record, name: Name, per: Period) -> Result<Option<(usize, Spending)>, StoreError> {
    match record.find(name)? {
        Some((at, Entry::Budget(spending))) if spending.per == per => Ok(Some((at, spending))),
        None => Ok(None),
        Some((_, Entry::Budget(_) | Entry::Quota(_) | Entry::Debt(_))) => Err(StoreError::Corrupt),
    }
}

fn quota_name(limit: u64, part: u64) -> Name {
    Name {
        limit,
        part,
        kind: Kind::Quota,
    }
}

fn budget_name(limit: u64, part: u64) -> Name {
    Name {
        limit,
        part,
        kind: Kind::Budget,
    }
}
