//! Charging local limits, all or nothing: one read and one compare-and-swap for each record.
//!
//! ```text
//! read every record ──▶ evaluate every limit ──▶ write record by record ──▶ Receipt
//!                            │ any refuses             │ another worker wrote: read and evaluate that one again
//!                            ▼                         ▼ and it refuses: give back what is written
//!                           Stop                      Stop
//! ```

use std::time::Duration;

use super::book::{Bill, Book, Limit, LimitRef, Line, What};
use super::entry::{self, Spent, Taken};
use super::record::Record;
use super::slot::{Contention, Held, slot_of, update};
use crate::policy::Scope;
use crate::store::{Store, StoreError};
use crate::time::UnixNanos;

/// What was charged, so that it can be given back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Compare-and-swaps that met another worker's and were tried again.
    pub conflicts: u32,
    /// What was taken, and from which slot.
    taken: Vec<(u16, Taken)>,
}

impl Receipt {
    /// Takes another receipt of the same call in.
    pub fn add(&mut self, other: Receipt) {
        self.conflicts = self.conflicts.saturating_add(other.conflicts);
        self.taken.extend(other.taken);
    }

    /// What every budget of it has spent with it.
    pub fn spent(&self) -> impl Iterator<Item = Spent> {
        self.taken.iter().filter_map(|(_, taken)| taken.sum())
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

impl Over {
    /// The one of two that makes the caller wait longer.
    fn or_longer(self, other: Over) -> Over {
        let longer = match (self.wait, other.wait) {
            (Some(this), Some(that)) => that > this,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if longer { other } else { self }
    }
}

impl Book {
    /// Charges the lines of one scope, all or nothing. The lines of the global scope are charged here only in place of
    /// the service.
    pub fn charge(
        &self,
        bill: &Bill,
        scope: Scope,
        store: &dyn Store,
        now: UnixNanos,
    ) -> Result<Receipt, Stop> {
        let charge = Charge {
            book: self,
            bill,
            scope,
            now,
        };
        let mut attempt = Attempt::default();
        let held = charge.evaluate(&mut attempt, store)?;
        let mut contention = Contention::default();
        let mut held = held.into_iter();
        while let Some((line, next)) = held.next() {
            let slot = next.slot;
            if let Err(stop) = charge.commit(line, next, &mut attempt, &mut contention, store) {
                let unwritten =
                    |at: u16| at == slot || held.as_slice().iter().any(|(_, held)| held.slot == at);
                attempt.taken.retain(|(at, _)| !unwritten(*at));
                give_back(&attempt.taken, |_| true, store, now);
                return Err(stop);
            }
        }
        Ok(Receipt {
            conflicts: contention.conflicts,
            taken: attempt.taken,
        })
    }

    /// Gives a charge back: the call was refused after all. Says what is spent without it.
    pub fn refund(&self, receipt: &Receipt, store: &dyn Store, now: UnixNanos) -> Vec<Spent> {
        give_back(&receipt.taken, |_| true, store, now)
    }

    /// Gives only the money back: the call never reached a server. Says what is spent without it.
    pub fn refund_budgets(&self, receipt: &Receipt, store: &dyn Store, now: UnixNanos) -> Vec<Spent> {
        give_back(&receipt.taken, Taken::is_money, store, now)
    }

    /// Charges what the result costs, whatever the limits say: it is already spent. What it costs under a global budget
    /// becomes a debt, which the next question to the rate limit service takes along. Says what is spent with it of
    /// budgets that are counted here.
    pub fn settle(&self, bill: &Bill, result_bytes: u64, store: &dyn Store, now: UnixNanos) -> Vec<Spent> {
        let mut spent = Vec::new();
        let micros = bill.result_cost(result_bytes);
        if micros == 0 {
            return spent;
        }
        for line in &bill.lines {
            let Some((owner, limit)) = self.limit(line.limit) else {
                continue;
            };
            let What::Budget(budget) = &limit.what else {
                continue;
            };
            let mut sum = None;
            let outcome = update(slot_of(owner, line.part), store, |record| {
                sum = entry::settle(record, limit.id, line.part.number(), budget, micros, now)?;
                Ok(true)
            });
            // Best effort: the money is spent, and there is nobody to refuse.
            if outcome.is_ok() {
                spent.extend(sum.map(|micros| Spent {
                    limit: limit.id,
                    micros,
                }));
            }
        }
        spent
    }
}

/// One call to charge.
struct Charge<'a> {
    book: &'a Book,
    bill: &'a Bill,
    scope: Scope,
    now: UnixNanos,
}

/// What an evaluation found.
#[derive(Default)]
struct Attempt {
    /// What is taken, and from which slot.
    taken: Vec<(u16, Taken)>,
    over: Option<Over>,
    /// Whether a stored level has to be brought up to date even if the call is refused.
    stale: bool,
}

impl Charge<'_> {
    /// Reads every record and charges the copies. Each comes with the first line that it counts.
    fn evaluate(&self, attempt: &mut Attempt, store: &dyn Store) -> Result<Vec<(Line, Held)>, Stop> {
        let mut all: Vec<(Line, Held)> = Vec::new();
        for (line, _, slot) in self.lines() {
            if all.iter().any(|(_, held)| held.slot == slot) {
                continue;
            }
            let mut held = Held::read(slot, store).map_err(|error| line.failed(error))?;
            self.take(slot, &mut held.record, attempt)?;
            all.push((*line, held));
        }
        let Some(over) = attempt.over else {
            return Ok(all);
        };
        if attempt.stale {
            self.renew(&all, store);
        }
        Err(Stop::Over(over))
    }

    /// Writes a charged record. If another worker wrote it meanwhile, it is read and evaluated again.
    fn commit(
        &self,
        line: Line,
        mut held: Held,
        attempt: &mut Attempt,
        contention: &mut Contention,
        store: &dyn Store,
    ) -> Result<(), Stop> {
        let slot = held.slot;
        loop {
            match held.write(store) {
                Ok(()) => return Ok(()),
                Err(StoreError::Conflict) if contention.again() => {}
                Err(error) => return Err(line.failed(error)),
            }
            held = Held::read(slot, store).map_err(|error| line.failed(error))?;
            attempt.taken.retain(|(at, _)| *at != slot);
            self.take(slot, &mut held.record, attempt)?;
            if let Some(over) = attempt.over {
                return Err(Stop::Over(over));
            }
        }
    }

    /// Charges the lines that a slot's record counts.
    fn take(&self, slot: u16, record: &mut Record, attempt: &mut Attempt) -> Result<(), Stop> {
        for (line, limit, _) in self.lines().filter(|(_, _, at)| *at == slot) {
            let part = line.part.number();
            let taken = match &limit.what {
                What::Quota(_, limiter) => {
                    entry::take_call(record, limit.id, part, limiter, self.now, &mut attempt.stale)
                }
                What::Budget(budget) => {
                    let money = (budget, line.amount);
                    entry::take_money(record, limit.id, part, money, self.now, &mut attempt.stale)
                }
            };
            match taken.map_err(|error| line.failed(error))? {
                Ok(taken) => attempt.taken.push((slot, taken)),
                Err(wait) => {
                    let over = Over {
                        limit: Some(line.limit),
                        budget: line.budget,
                        wait,
                    };
                    attempt.over = Some(attempt.over.map_or(over, |first| first.or_longer(over)));
                }
            }
        }
        Ok(())
    }

    /// Stores what the stored levels mean now, without charging anything.
    fn renew(&self, all: &[(Line, Held)], store: &dyn Store) {
        for slot in all.iter().map(|(_, held)| held.slot) {
            // Another worker that wrote meanwhile has done the same, and on a failure the next call does.
            let _ = Held::read(slot, store).and_then(|mut held| {
                let mut changed = false;
                for (line, limit, _) in self.lines().filter(|(_, _, at)| *at == slot) {
                    let (part, record) = (line.part.number(), &mut held.record);
                    changed |= match &limit.what {
                        What::Quota(_, limiter) => entry::renew(record, limit.id, part, limiter, self.now),
                        What::Budget(budget) => entry::renew_money(record, limit.id, part, budget, self.now),
                    }?;
                }
                if changed { held.write(store) } else { Ok(()) }
            });
        }
    }

    /// The lines of the scope, with the slots that they are counted in.
    fn lines(&self) -> impl Iterator<Item = (&Line, &Limit, u16)> {
        let lines = self.bill.lines.iter().filter(|line| line.scope == self.scope);
        lines.filter_map(|line| {
            let (owner, limit) = self.book.limit(line.limit)?;
            Some((line, limit, slot_of(owner, line.part)))
        })
    }
}

impl Line {
    fn failed(&self, error: StoreError) -> Stop {
        Stop::Failed {
            limit: self.limit,
            budget: self.budget,
            error,
        }
    }
}

/// Gives back some of what was taken, record by record. Says what is spent without it.
fn give_back(
    taken: &[(u16, Taken)],
    which: impl Fn(&Taken) -> bool,
    store: &dyn Store,
    now: UnixNanos,
) -> Vec<Spent> {
    let mut spent = Vec::new();
    let mut rest = taken;
    while let Some((slot, _)) = rest.first() {
        // A slot's charges are next to each other, except where two receipts were added up.
        let (these, others) = rest.split_at(rest.iter().take_while(|(at, _)| at == slot).count());
        rest = others;
        let known = spent.len();
        let outcome = update(*slot, store, |record| {
            spent.truncate(known);
            let mut changed = false;
            for (_, taken) in these.iter().filter(|(_, taken)| which(taken)) {
                changed |= taken.give_back(record, now, &mut spent)?;
            }
            Ok(changed)
        });
        // Best effort: what cannot be given back stays charged.
        if outcome.is_err() {
            spent.truncate(known);
        }
    }
    spent
}
