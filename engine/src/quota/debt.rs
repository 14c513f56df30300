//! Debts: what results cost under a global budget, until the next question to the rate limit service takes it along.

use super::book::{Book, LimitRef, Part};
use super::record::{Entry, Kind, Name, Record};
use super::slot::{slot_of, update};
use crate::store::{Store, StoreError};

impl Book {
    /// Takes the debt of a global budget out of the store, in micros; 0 if there is none. On a failure of the store it
    /// stays there.
    pub(super) fn take_debt(&self, limit: LimitRef, part: Part, store: &dyn Store) -> u64 {
        let Some((slot, name)) = self.debt_of(limit, part) else {
            return 0;
        };
        let mut taken = 0;
        let outcome = update(slot, store, |record| {
            taken = debt(record, name)?;
            if taken > 0 {
                record.remove(name);
            }
            Ok(taken > 0)
        });
        if outcome.is_ok() { taken } else { 0 }
    }

    /// Adds to the debt of a global budget, in micros. On a failure of the store it is lost.
    pub(super) fn put_debt(&self, limit: LimitRef, part: Part, micros: u64, store: &dyn Store) {
        let Some((slot, name)) = self.debt_of(limit, part) else {
            return;
        };
        // Best effort: the money is spent, and there is nobody to refuse.
        let _ = update(slot, store, |record| {
            add_debt(record, name.limit, name.part, micros)?;
            Ok(micros > 0)
        });
    }

    fn debt_of(&self, limit: LimitRef, part: Part) -> Option<(u16, Name)> {
        let (owner, limit) = self.limit(limit)?;
        Some((slot_of(owner, part), debt_name(limit.id, part.number())))
    }
}

/// Adds to a debt in a record.
pub(super) fn add_debt(record: &mut Record, limit: u64, part: u64, micros: u64) -> Result<(), StoreError> {
    let name = debt_name(limit, part);
    let sum = debt(record, name)?.saturating_add(micros);
    if sum > 0 {
        record.put(name, &Entry::Debt(sum))?;
    }
    Ok(())
}

fn debt(record: &Record, name: Name) -> Result<u64, StoreError> {
    match record.find(name)? {
        Some((_, Entry::Debt(micros))) => Ok(micros),
        None => Ok(0),
        Some((_, Entry::Quota(_) | Entry::Budget(_))) => Err(StoreError::Corrupt),
    }
}

fn debt_name(limit: u64, part: u64) -> Name {
    Name {
        limit,
        part,
        kind: Kind::Debt,
    }
}
