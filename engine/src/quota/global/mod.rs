//! Limits that are counted in a rate limit service, which all Envoys ask.
//!
//! A call is asked about before it goes on; what comes back is believed only where it says that every limit was
//! applied. Two engines speak the protocol and read different parts of it: [`descriptor`] is for
//! `envoyproxy/ratelimit`, [`limitador`] for Limitador.
//!
//! What a result costs is known when it is there, and the service is asked only about calls: the cost is kept as a debt
//! in the store and asked for with the next call. A debt is paid when the service has counted it. Where that is not
//! certain it stays, so that it may be charged twice, but never not at all.

mod descriptor;
#[cfg(test)]
pub(crate) mod fake;
mod limitador;
mod reply;
mod scale;
#[cfg(test)]
mod tests;
mod unit;
mod wire;

use std::time::Duration;

pub use limitador::FileLimit;

use self::scale::Scale;
use super::book::{Bill, Book, Limit, LimitRef, Line, Owner, What};
use super::charge::Over;
use crate::exchange::RateLimitReply;
use crate::policy::{Scope, ServiceEngine};
use crate::store::Store;
use crate::time::UnixNanos;

/// One question to the rate limit service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The serialised `RateLimitRequest`.
    pub message: Vec<u8>,
    /// What it asks for, in the order of its descriptors.
    lines: Vec<Asked>,
}

/// A limit that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    line: Line,
    /// The limit as it was sent, where limits travel with the question.
    sent: Option<wire::Limit>,
    /// The longest that its window can last from now on; `None` if for ever.
    left: Option<Duration>,
    /// Micros of the debt that are asked for.
    debt: u64,
    /// What the service says is left of the limit.
    remaining: Option<u32>,
}

/// What the service said.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Every limit has room, and the call is counted.
    Within,
    /// A limit is used up.
    Over(Over),
    /// No usable answer, and why, for operators.
    Failed(String),
}

impl Book {
    /// What to ask about a call, in order: all of them must be within. Empty when no global limit applies.
    /// `Err` when it is certain without asking: the call costs more than a whole limit, or the limit is one that the
    /// engine cannot count, which no compiled policy has.
    pub fn ask(&self, bill: &Bill, store: &dyn Store, now: UnixNanos) -> Result<Vec<Ask>, Over> {
        let lines = || bill.lines.iter().filter(|line| line.scope == Scope::Global);
        let Some(first) = lines().next() else {
            return Ok(Vec::new());
        };
        let Some(service) = &self.service else {
            return Err(never(first));
        };
        match service.engine {
            ServiceEngine::Envoyproxy => descriptor::ask(self, service, lines(), store, now),
            ServiceEngine::Limitador => limitador::ask(self, service, lines(), store, now),
        }
    }

    /// Reads the answer to a question, and strikes from it the debts that the service has counted.
    pub fn read(&self, ask: &mut Ask, reply: &RateLimitReply<'_>) -> Answer {
        match &self.service {
            Some(service) => reply::read(service, ask, reply),
            None => Answer::Failed("there is no rate limit service".to_owned()),
        }
    }

    /// What the service says is spent of the budgets that it was asked about, if it says so: limits, and micros.
    pub fn spent<'a>(&'a self, asked: &'a Ask) -> impl Iterator<Item = (LimitRef, u64)> {
        asked.lines.iter().filter_map(|asked| {
            let (_, limit) = self.limit(asked.line.limit)?;
            let What::Budget(budget) = &limit.what else {
                return None;
            };
            let (scale, _) = Scale::of(budget.limit.0);
            let units = asked.sent?.requests_per_unit.saturating_sub(asked.remaining?);
            Some((asked.line.limit, scale.micros(units)))
        })
    }

    /// The call was not let through: keeps what these questions would have charged for earlier results.
    pub fn unasked(&self, asks: &[Ask], store: &dyn Store) {
        for asked in asks.iter().flat_map(|ask| &ask.lines) {
            if asked.debt > 0 {
                self.put_debt(asked.line.limit, asked.line.part, asked.debt, store);
            }
        }
    }
}

/// Takes as much of a limit's debt as can be asked for along with `amount`, when `most` micros can be asked for in all.
/// The rest stays for the call after this one, so that a result that cost more than the whole limit does not lock the
/// limit for ever.
fn take(book: &Book, line: &Line, most: u64, store: &dyn Store) -> u64 {
    if !line.budget {
        return 0;
    }
    let debt = book.take_debt(line.limit, line.part, store);
    let taken = debt.min(most.saturating_sub(line.amount));
    if debt > taken {
        book.put_debt(line.limit, line.part, debt - taken, store);
    }
    taken
}

/// A call that no waiting lets through.
fn never(line: &Line) -> Over {
    Over {
        limit: Some(line.limit),
        budget: line.budget,
        wait: None,
    }
}

/// A limit's name for people, the same whatever its place among the others: `keys/eng-staging/budget`.
fn title(owner: &Owner, limit: &Limit) -> String {
    let what = match limit.what {
        What::Quota(..) => "quota",
        What::Budget(_) => "budget",
    };
    format!("{}/{}/{what}", owner.kind.section(), owner.name)
}
