//! Questions to Limitador, which reads its limits from a file: `toolgate render ratelimit` writes it from the same
//! policy, with [`Book::limits_file`].
//!
//! A question is one descriptor with an entry for each limit that applies, so that the file's limits, each of which
//! looks for the entry of its own name, find it together. The value is the count's part and, for periods, the label:
//! Limitador's windows begin with their first call, so a period is a count of its own that outlasts it.
//! <https://github.com/Kuadrant/limitador/blob/main/doc/how-it-works.md>
//!
//! Limitador adds one number, of 32 bits, to all limits of a question. So quotas, which count calls, are asked for
//! apart from budgets; and budgets whose debts differ apart from each other. Budgets are counted in micros, as the
//! limits of the file have 64 bits: the most that one call can cost is `u32::MAX` micros, 4,294.967295 currency units,
//! and a call that costs more is refused.

use std::rc::Rc;

use prost::Message;

use super::scale::Scale;
use super::unit::month;
use super::wire::{Descriptor, Entry, RateLimitRequest};
use super::{Ask, Asked, never, take};
use crate::policy::{Period, RateLimitService, Scope};
use crate::quota::book::{Book, Limit, Line, What};
use crate::quota::calendar::{self, Date};
use crate::quota::charge::Over;
use crate::store::Store;
use crate::time::UnixNanos;

/// What Redis can count.
const MAX_VALUE: u64 = i64::MAX.unsigned_abs();

/// A limit of Limitador's limits file.
/// <https://github.com/Kuadrant/limitador/blob/main/limitador-server/README.md#limits-file>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLimit {
    /// `namespace`: the domain of the questions.
    pub namespace: Rc<str>,
    /// `name`: where the limit is in the policy, as a JSON Pointer.
    pub name: String,
    /// `max_value`: calls, or micros of a budget.
    pub max_value: u64,
    /// `seconds`: how long a count is kept from its first call on.
    pub seconds: u64,
    /// The key of the descriptor entry by which a question names the limit. A call that has no such entry is none that
    /// it applies to; the entry's value is the count.
    pub key: String,
}

impl FileLimit {
    /// The only element of `variables`, a CEL expression: without the entry it yields nothing, and the limit does not
    /// apply.
    pub fn variable(&self) -> String {
        format!("descriptors[0]['{}']", self.key)
    }
}

impl Book {
    /// The global limits as they must be in Limitador's limits file.
    pub fn limits_file(&self) -> impl Iterator<Item = FileLimit> {
        self.service.iter().flat_map(|service| {
            self.owners().iter().flat_map(|owner| {
                let global = |limit: &&Limit| limit.scope == Scope::Global;
                owner.limits.iter().filter(global).map(|limit| FileLimit {
                    namespace: Rc::clone(&service.domain),
                    name: owner.pointer(limit),
                    max_value: max_value(limit),
                    seconds: seconds(limit),
                    key: key(limit),
                })
            })
        })
    }
}

/// What one question is made of.
struct Question {
    budget: bool,
    addend: u32,
    entries: Vec<Entry>,
    lines: Vec<Asked>,
}

/// Quotas first, then budgets: one question for each number that is to be added.
pub(super) fn ask<'a>(
    book: &Book,
    service: &RateLimitService,
    lines: impl Iterator<Item = &'a Line>,
    store: &dyn Store,
    now: UnixNanos,
) -> Result<Vec<Ask>, Over> {
    // All of them before any debt is taken.
    let lines: Vec<(&Line, &Limit, u32)> = lines
        .map(|line| {
            let (_, limit) = book.limit(line.limit).ok_or_else(|| never(line))?;
            let most = u32::try_from(max_value(limit)).unwrap_or(u32::MAX);
            if Scale::MICROS.charged(line.amount) > u64::from(most) {
                return Err(never(line));
            }
            Ok((line, limit, most))
        })
        .collect::<Result<_, Over>>()?;
    let mut questions: Vec<Question> = Vec::new();
    for (line, limit, most) in lines {
        let debt = take(book, line, u64::from(most), store);
        let asked = Asked {
            line: *line,
            sent: None,
            left: left(limit, now),
            debt,
            remaining: None,
        };
        let charged = Scale::MICROS.charged(line.amount.saturating_add(debt));
        // `take` keeps it within 32 bits.
        let addend = u32::try_from(charged).unwrap_or(u32::MAX);
        let entry = Entry {
            key: key(limit),
            value: value(limit, line, now),
        };
        let same = |question: &&mut Question| (question.budget, question.addend) == (line.budget, addend);
        match questions.iter_mut().find(same) {
            Some(question) => {
                question.entries.push(entry);
                question.lines.push(asked);
            }
            None => questions.push(Question {
                budget: line.budget,
                addend,
                entries: vec![entry],
                lines: vec![asked],
            }),
        }
    }
    Ok(questions
        .into_iter()
        .map(|question| Ask {
            message: message(service, question.entries, question.addend),
            lines: question.lines,
        })
        .collect())
}

fn message(service: &RateLimitService, entries: Vec<Entry>, hits_addend: u32) -> Vec<u8> {
    let descriptor = Descriptor {
        entries,
        limit: None,
        hits_addend: None,
    };
    let request = RateLimitRequest {
        domain: service.domain.to_string(),
        descriptors: vec![descriptor],
        hits_addend,
    };
    request.encode_to_vec()
}

/// Calls of a quota, micros of a budget.
fn max_value(limit: &Limit) -> u64 {
    match &limit.what {
        What::Quota(quota, _) => u64::from(quota.limit.get()),
        What::Budget(budget) => budget.limit.0.min(MAX_VALUE),
    }
}

/// Longer than the period of a budget, whose label ends it; a hundred years for one that never ends.
fn seconds(limit: &Limit) -> u64 {
    const DAY: u64 = 86_400;
    match &limit.what {
        What::Quota(quota, _) => {
            let length = quota.per.length;
            length.as_secs() + u64::from(length.subsec_nanos() > 0)
        }
        What::Budget(budget) => match budget.per {
            Period::Day => 2 * DAY,
            Period::Month => 32 * DAY,
            Period::Total => 36_525 * DAY,
        },
    }
}

/// How long the count can last from now on.
fn left(limit: &Limit, now: UnixNanos) -> Option<std::time::Duration> {
    match &limit.what {
        What::Quota(..) => Some(std::time::Duration::from_secs(seconds(limit))),
        What::Budget(budget) => calendar::until_next(budget.per, now),
    }
}

fn key(limit: &Limit) -> String {
    format!("limit_{:016x}", limit.id)
}

fn value(limit: &Limit, line: &Line, now: UnixNanos) -> String {
    let part = line.part.number();
    let period = match &limit.what {
        What::Quota(..) => None,
        What::Budget(budget) => match budget.per {
            Period::Day => Some(Date::at(now).to_string()),
            Period::Month => Some(month(now)),
            Period::Total => None,
        },
    };
    match period {
        Some(label) => format!("{part:016x}/{label}"),
        None => format!("{part:016x}"),
    }
}
