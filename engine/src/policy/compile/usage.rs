//! Limits on usage: what calls cost, quotas and budgets.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use super::{roles, window};
use crate::policy::amount::{self, Misfit};
use crate::policy::error::{At, Errors, PolicyError};
use crate::policy::glob::GlobSet;
use crate::policy::{Allowance, Budget, Micros, Period, Quota, Scope, ServiceEngine, Window, raw};

/// Most quotas of one key or team: each is looked at on every call.
const MAX_QUOTAS: usize = 64;
/// The longest time that a burst may be worth, so that times in nanoseconds stay far from overflow.
const MAX_BURST: Duration = Duration::from_hours(100 * 365 * 24);
/// What helps somebody who wants no calls at all.
pub(super) const FORBID: &str = "to forbid calls, use \"deny\" in a role or leave the grant out";
/// What helps somebody who wants no burst of its own.
const WHOLE_BURST: &str = "leave it out to allow the whole limit at once";
const CALLS: &str = "a whole number from 1 to 4294967295";

/// What limits refer to.
pub(super) struct Context<'a> {
    pub(super) servers: &'a HashSet<&'a str>,
    /// The engine behind the rate limit service; `None` without one.
    pub(super) engine: Option<ServiceEngine>,
}

/// An amount that may be absent and may be nothing.
pub(super) fn cost(raw: raw::Optional<raw::Number>, at: &At<'_>, errors: &mut Errors) -> Option<Micros> {
    let raw = raw.0?;
    amount(&raw, &COST, at, errors)
}

/// The limits of the key or team at this place.
pub(super) fn allowance(
    quotas: Vec<raw::Quota>,
    budget: raw::Optional<raw::Budget>,
    context: &Context<'_>,
    owner: &At<'_>,
    errors: &mut Errors,
) -> Allowance {
    let at = owner.member("quotas");
    if quotas.len() > MAX_QUOTAS {
        let error = PolicyError::new(&at, "too many quotas").found(quotas.len().to_string());
        errors.add(error.allowed(format!("up to {MAX_QUOTAS}")));
    }
    Allowance {
        quotas: quotas
            .into_iter()
            .take(MAX_QUOTAS)
            .enumerate()
            .filter_map(|(index, raw)| quota(raw, context, &at.element(index), errors))
            .map(Rc::new)
            .collect(),
        budget: budget
            .0
            .and_then(|raw| self::budget(&raw, context, &owner.member("budget"), errors)),
    }
}

fn quota(raw: raw::Quota, context: &Context<'_>, at: &At<'_>, errors: &mut Errors) -> Option<Quota> {
    let limit = calls(&raw.limit, &at.member("limit"), errors, FORBID);
    let per = window::parse(&raw.per, &at.member("per"), errors);
    let burst_at = at.member("burst");
    let on = raw.on.0.map(|pattern| {
        roles::check(&pattern, "tool", context.servers, &at.member("on"), errors);
        GlobSet::new([Rc::from(pattern)])
    });
    let burst =
        match raw.burst.0 {
            Some(burst) if raw.scope == Scope::Global => {
                let error = PolicyError::new(&burst_at, "a global quota has no burst").found(shown(&burst.0));
                errors.add(error.allowed("no \"burst\" with \"scope\": \"global\"").hint(
                    "its windows are fixed, and the whole limit may be used at once: leave \"burst\" out",
                ));
                None
            }
            burst => burst.map(|burst| calls(&burst, &burst_at, errors, WHOLE_BURST)),
        };
    if raw.scope == Scope::Global {
        let engine = engine(context, &at.member("scope"), errors);
        if let (Some(engine), Some(per)) = (engine, &per) {
            window::check_fixed(per, engine, &at.member("per"), errors);
        }
    }
    let (limit, per) = (limit?, per?);
    let burst = burst.flatten().unwrap_or(limit);
    check_pace(limit, &per, burst, at, errors);
    Some(Quota {
        limit,
        per,
        burst,
        on,
        each: raw.each.0,
        scope: raw.scope,
    })
}

/// Reports a pace that the arithmetic (whole nanoseconds for each call) cannot keep.
fn check_pace(limit: NonZeroU32, per: &Window, burst: NonZeroU32, at: &At<'_>, errors: &mut Errors) {
    let micros = per.length.as_micros();
    if u128::from(limit.get()) > micros {
        let error = PolicyError::new(&at.member("limit"), "more than one call per microsecond");
        let error = error.found(format!("{limit} per {}", per.text));
        errors.add(
            error
                .allowed(format!("up to {micros} in this time"))
                .hint(NO_LIMIT),
        );
        return;
    }
    let each = per.length.as_nanos().div_ceil(u128::from(limit.get()));
    if each * u128::from(burst.get()) > MAX_BURST.as_nanos() {
        let error = PolicyError::new(&at.member("burst"), "the burst is worth more than 100 years");
        let most = MAX_BURST.as_nanos() / each.max(1);
        errors.add(
            error
                .found(burst.to_string())
                .allowed(format!("up to {most} at this pace")),
        );
    }
}

const NO_LIMIT: &str = "a limit that high limits nothing: leave it out";

fn budget(raw: &raw::Budget, context: &Context<'_>, at: &At<'_>, errors: &mut Errors) -> Option<Budget> {
    let limit_at = at.member("limit");
    let limit = amount(&raw.limit, &SPENDING, &limit_at, errors)?;
    if limit == Micros(0) {
        let error = PolicyError::new(&limit_at, "a budget of nothing").found(shown(&raw.limit.0));
        errors.add(error.allowed(SPENDING.allowed).hint(SPENDING.too_low));
    }
    let engine = match raw.scope {
        Scope::Local => None,
        Scope::Global => engine(context, &at.member("scope"), errors),
    };
    if raw.per == Period::Total && engine == Some(ServiceEngine::Envoyproxy) {
        let problem = "the engine envoyproxy cannot keep a total: it would start again every 365 days";
        let error = PolicyError::new(&at.member("per"), problem).found("\"total\"");
        let error = error.allowed("\"day\" or \"month\" with \"scope\": \"global\"");
        errors.add(error.hint("the engine \"limitador\" keeps totals"));
    }
    Some(Budget {
        limit,
        per: raw.per,
        scope: raw.scope,
    })
}

/// The engine behind global limits; reports it if there is none.
fn engine(context: &Context<'_>, at: &At<'_>, errors: &mut Errors) -> Option<ServiceEngine> {
    if context.engine.is_none() {
        let error = PolicyError::new(at, "global limits need \"rateLimitService\"").found("\"global\"");
        let error = error.allowed("\"local\", and \"global\" in a policy with \"rateLimitService\"");
        errors.add(error.hint("add \"rateLimitService\": { \"cluster\": \"ratelimit\" } to the policy"));
    }
    context.engine
}

/// What is said of an amount that does not fit.
struct Advice {
    allowed: &'static str,
    too_low: &'static str,
    too_high: &'static str,
}

const COST: Advice = Advice {
    allowed: amount::ALLOWED,
    too_low: "leave it out if calls cost nothing",
    too_high: FORBID,
};
const SPENDING: Advice = Advice {
    allowed: amount::ALLOWED_ABOVE_ZERO,
    too_low: FORBID,
    too_high: NO_LIMIT,
};

fn amount(raw: &raw::Number, advice: &Advice, at: &At<'_>, errors: &mut Errors) -> Option<Micros> {
    let (problem, hint) = match amount::parse(&raw.0) {
        Ok(amount) => return Some(amount),
        Err(Misfit::Negative) => ("less than nothing", advice.too_low.to_owned()),
        Err(Misfit::TooLarge) => ("too much", advice.too_high.to_owned()),
        Err(Misfit::TooFine(near)) => ("more than six decimals", format!("did you mean {near}?")),
    };
    let error = PolicyError::new(at, problem).found(shown(&raw.0));
    errors.add(error.allowed(advice.allowed).hint(hint));
    None
}

/// A number of calls. Amounts know everything about numbers that matters here.
fn calls(raw: &raw::Number, at: &At<'_>, errors: &mut Errors, instead: &str) -> Option<NonZeroU32> {
    let (problem, hint) = match amount::parse(&raw.0) {
        Ok(Micros(0)) => ("no calls at all", instead),
        Ok(Micros(micros)) if micros.is_multiple_of(Micros::PER_UNIT) => {
            match u32::try_from(micros / Micros::PER_UNIT)
                .ok()
                .and_then(NonZeroU32::new)
            {
                Some(calls) => return Some(calls),
                None => ("out of bounds", NO_LIMIT),
            }
        }
        Ok(_) | Err(Misfit::TooFine(_)) => (
            "not a whole number",
            "for a fraction of a call, make the window longer, like \"per\": \"5m\"",
        ),
        Err(Misfit::Negative) => ("out of bounds", instead),
        Err(Misfit::TooLarge) => ("out of bounds", NO_LIMIT),
    };
    let error = PolicyError::new(at, problem).found(shown(&raw.0));
    errors.add(error.allowed(CALLS).hint(hint));
    None
}

/// A number for people: as written, cut if long.
pub(super) fn shown(number: &str) -> String {
    const SHOWN: usize = 40;
    match number.split_at_checked(SHOWN) {
        Some((start, rest)) if !rest.is_empty() => format!("{start}…"),
        _ => number.to_owned(),
    }
}
