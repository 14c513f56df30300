//! Questions to `envoyproxy/ratelimit`: a descriptor for each limit, which carries the limit itself and what the call
//! takes from it. The service's own configuration names nothing but the domain, so that it cannot differ from the
//! policy.
//! <https://github.com/envoyproxy/ratelimit#rate-limit-override>

use prost::Message;

use super::scale::Scale;
use super::unit::Fit;
use super::wire::{self, Descriptor, Entry, RateLimitRequest};
use super::{Ask, Asked, never, take, title};
use crate::policy::RateLimitService;
use crate::quota::book::{Book, Line, What};
use crate::quota::charge::Over;
use crate::store::Store;
use crate::time::UnixNanos;

/// A limit, and how it is counted.
struct Counted<'a> {
    line: &'a Line,
    title: String,
    id: u64,
    fit: Fit,
    /// In units of the scale.
    limit: u32,
    scale: Scale,
}

/// One question for all of them.
pub(super) fn ask<'a>(
    book: &Book,
    service: &RateLimitService,
    lines: impl Iterator<Item = &'a Line>,
    store: &dyn Store,
    now: UnixNanos,
) -> Result<Vec<Ask>, Over> {
    // All of them before any debt is taken.
    let counted: Vec<Counted<'_>> = lines
        .map(|line| counted(book, line).ok_or_else(|| never(line)))
        .collect::<Result<_, Over>>()?;
    let (descriptors, lines) = counted
        .iter()
        .map(|counted| descriptor(book, counted, store, now))
        .unzip();
    let message = RateLimitRequest {
        domain: service.domain.to_string(),
        descriptors,
        hits_addend: 0,
    };
    Ok(vec![Ask {
        message: message.encode_to_vec(),
        lines,
    }])
}

/// `None` if the service cannot count it, or can never let so much through.
fn counted<'a>(book: &Book, line: &'a Line) -> Option<Counted<'a>> {
    let (owner, named) = book.limit(line.limit)?;
    let (fit, scale, limit) = match &named.what {
        What::Quota(quota, _) => (
            Fit::of_window(quota.per.length)?,
            Scale::MICROS,
            quota.limit.get(),
        ),
        What::Budget(budget) => {
            let (scale, limit) = Scale::of(budget.limit.0);
            (Fit::of_period(budget.per)?, scale, limit)
        }
    };
    (scale.charged(line.amount) <= u64::from(limit)).then(|| Counted {
        line,
        title: title(owner, named),
        id: named.id,
        fit,
        limit,
        scale,
    })
}

fn descriptor(book: &Book, counted: &Counted<'_>, store: &dyn Store, now: UnixNanos) -> (Descriptor, Asked) {
    let Counted {
        line,
        fit,
        limit,
        scale,
        ..
    } = *counted;
    let mut entries = vec![
        entry("limit", counted.title.clone()),
        entry("id", id(counted.id, line.part.number(), scale)),
    ];
    entries.extend(fit.label(now).map(|label| entry(label.key, label.value)));
    let sent = wire::Limit {
        requests_per_unit: limit,
        unit: fit.unit.number(),
    };
    let debt = take(book, line, scale.micros(limit), store);
    let descriptor = Descriptor {
        entries,
        limit: Some(sent),
        hits_addend: Some(scale.charged(line.amount.saturating_add(debt))),
    };
    let asked = Asked {
        line: *line,
        sent: Some(sent),
        left: Some(fit.left(now)),
        debt,
        remaining: None,
    };
    (descriptor, asked)
}

/// What the count is found by. Amounts of different scales are never added up.
fn id(limit: u64, part: u64, scale: Scale) -> String {
    match scale.exponent {
        0 => format!("{limit:016x}{part:016x}"),
        exponent => format!("{limit:016x}{part:016x}e{exponent}"),
    }
}

fn entry(key: &str, value: String) -> Entry {
    Entry {
        key: key.to_owned(),
        value,
    }
}
