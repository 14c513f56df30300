//! Limits in words: for the agent that is refused, and for people who read a policy.

use std::time::Duration;

use super::book::{Book, Limit, Owner, What};
use super::calendar::Date;
use super::charge::Over;
use super::identity::OwnerKind;
use crate::policy::{Budget, Each, Period, Quota};
use crate::time::UnixNanos;

/// The sentence that a refused agent can act on.
pub fn sentence(book: &Book, over: &Over, now: UnixNanos) -> String {
    let Some((owner, limit)) = over.limit.and_then(|at| book.limit(at)) else {
        let what = if over.budget {
            "A budget"
        } else {
            "A limit on calls"
        };
        return format!("{what} that applies to this key is used up. {}", again(over.wait));
    };
    let whose = match owner.kind {
        OwnerKind::Key => "This key",
        OwnerKind::Team => "The team of this key",
    };
    match &limit.what {
        What::Quota(quota, _) => {
            let calls = calls(quota);
            let tools = match (quota.each, &quota.on) {
                (Some(Each::Tool), _) => " of this tool",
                (_, Some(on)) if on.patterns().all(|pattern| !pattern.contains('*')) => " of this tool",
                (_, Some(_)) => " of some tools, this one among them",
                (_, None) => "",
            };
            let user = match quota.each {
                Some(Each::Subject) => " on behalf of this user",
                Some(Each::Tool) | None => "",
            };
            // Fewer calls may have been made than the window allows: the burst is what is used up.
            let at_once = if quota.burst == quota.limit {
                String::new()
            } else {
                format!(", {} at once", quota.burst)
            };
            let again = again(over.wait);
            format!("{whose} may make {calls}{tools}{user}{at_once}, and has made them. {again}")
        }
        What::Budget(budget) => {
            let sum = spending(budget);
            let again = starts_again(budget.per, over.wait, now);
            format!("{whose} may spend {sum}, and what is left does not cover this call. {again}")
        }
    }
}

/// A limit as people say it: `100 calls per minute, 20 at once, of key "ci-bot" (local)`.
pub fn describe(owner: &Owner, limit: &Limit) -> String {
    let what = match &limit.what {
        What::Quota(quota, _) => described(quota),
        What::Budget(budget) => spending(budget),
    };
    format!(
        "{what} of {} {:?} ({})",
        owner.kind.as_str(),
        owner.name,
        limit.scope.as_str()
    )
}

impl Book {
    /// Which limit is used up, for operators.
    pub fn detail(&self, over: &Over) -> String {
        let limit = over.limit.and_then(|at| self.limit(at));
        limit.map_or_else(
            || "a limit of the rate limit service".to_owned(),
            |(owner, limit)| format!("{}: {}", owner.pointer(limit), describe(owner, limit)),
        )
    }
}

fn described(quota: &Quota) -> String {
    let mut text = calls(quota);
    let mut aside = |words: String| {
        text.push_str(", ");
        text.push_str(&words);
    };
    if quota.burst != quota.limit {
        aside(format!("{} at once", quota.burst));
    }
    if let Some(on) = &quota.on {
        aside(format!("on {}", on.patterns().collect::<Vec<_>>().join(", ")));
    }
    match quota.each {
        Some(Each::Tool) => aside("for each tool".to_owned()),
        Some(Each::Subject) => aside("for each subject".to_owned()),
        None => {}
    }
    if text.contains(", ") {
        text.push(',');
    }
    text
}

/// `100 calls per minute`
fn calls(quota: &Quota) -> String {
    let limit = quota.limit.get();
    let calls = if limit == 1 { "call" } else { "calls" };
    format!("{limit} {calls} per {}", window(quota.per.length))
}

/// `500 per month`
fn spending(budget: &Budget) -> String {
    let per = match budget.per {
        Period::Day => "per day",
        Period::Month => "per month",
        Period::Total => "in total",
    };
    format!("{} {per}", budget.limit)
}

/// `minute`, `5 minutes`, `365 days`
pub(crate) fn window(length: Duration) -> String {
    let millis = length.as_millis();
    let units = [
        (86_400_000, "day"),
        (3_600_000, "hour"),
        (60_000, "minute"),
        (1_000, "second"),
    ];
    let (size, name) = units
        .into_iter()
        .find(|(size, _)| millis >= *size && millis.is_multiple_of(*size))
        .unwrap_or((1, "millisecond"));
    match millis / size {
        1 => name.to_owned(),
        number => format!("{number} {name}s"),
    }
}

fn again(wait: Option<Duration>) -> String {
    wait.map_or_else(
        || "Trying again later does not help.".to_owned(),
        |wait| format!("Try again in {}.", about(wait)),
    )
}

fn starts_again(per: Period, wait: Option<Duration>, now: UnixNanos) -> String {
    match (per, wait) {
        (Period::Total, _) => "It does not start again.".to_owned(),
        (Period::Day | Period::Month, None) => {
            "This call costs more than that, so trying again later does not help.".to_owned()
        }
        (Period::Day | Period::Month, Some(wait)) => {
            let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
            let date = Date::at(UnixNanos(now.0.saturating_add(nanos)));
            format!("It starts again on {date} at 00:00 UTC, in {}.", about(wait))
        }
    }
}

/// A time to wait in a unit that says enough, rounded up: whoever waits that long has waited long enough.
pub(crate) fn about(wait: Duration) -> String {
    let seconds = wait.as_nanos().div_ceil(1_000_000_000).max(1);
    let (size, name) = match seconds {
        0..=120 => (1, "second"),
        121..=7_200 => (60, "minute"),
        7_201..=172_800 => (3_600, "hour"),
        _ => (86_400, "day"),
    };
    match seconds.div_ceil(size) {
        1 => format!("1 {name}"),
        number => format!("{number} {name}s"),
    }
}
