//! Quotas, budgets and loop guards.

use toolgate_engine::policy::{Allowance, Budget, Each, GlobSet, Loops, Period, Quota, Repeats, Scope};

use super::{About, Effect, time};

/// What a key or a team may use up.
pub(super) fn allowance(about: &mut About<'_>, old: &Allowance, new: &Allowance) {
    quotas(about, old, new);
    match (&old.budget, &new.budget) {
        (None, None) => {}
        (None, Some(new)) => about.say(Effect::Narrower, format!("budget added: {}", spent(new))),
        (Some(old), None) => about.say(Effect::Wider, format!("budget removed: {}", spent(old))),
        (Some(old), Some(new)) => budget(about, old, new),
    }
}

/// Limits of a team that begin or cease to apply.
pub(super) fn all(about: &mut About<'_>, effect: Effect, whose: &str, allowance: &Allowance) {
    let verb = match effect {
        Effect::Wider => "no longer",
        _ => "now",
    };
    let quotas = allowance.quotas.iter().map(|quota| counted(quota));
    for limit in quotas.chain(allowance.budget.iter().map(spent)) {
        about.say(effect, format!("{verb} held to {limit} of {whose}"));
    }
}

/// Loop guards.
pub(super) fn loops(about: &mut About<'_>, old: &Loops, new: &Loops) {
    repeats(about, "identical calls", old.identical, new.identical);
    repeats(about, "calls in one run", old.any_call, new.any_call);
}

/// Quotas that count the same are compared; of the rest, what goes widens, whatever comes in its place.
fn quotas(about: &mut About<'_>, old: &Allowance, new: &Allowance) {
    let mut left: Vec<&Quota> = new.quotas.iter().map(|quota| &**quota).collect();
    for quota in &old.quotas {
        let Some(at) = left.iter().position(|other| what(other) == what(quota)) else {
            about.say(Effect::Wider, format!("quota removed: {}", counted(quota)));
            continue;
        };
        let other = left.remove(at);
        if (quota.limit, quota.burst) == (other.limit, other.burst) {
            continue;
        }
        let wider = other.limit > quota.limit || other.burst > quota.burst;
        let (effect, verb) = if wider {
            (Effect::Wider, "raised")
        } else {
            (Effect::Narrower, "lowered")
        };
        about.say(
            effect,
            format!("quota {verb}: {} → {}", counted(quota), counted(other)),
        );
    }
    for quota in left {
        about.say(Effect::Narrower, format!("quota added: {}", counted(quota)));
    }
}

/// What a quota counts.
fn what(quota: &Quota) -> (Option<Vec<&str>>, Option<Each>, Scope, std::time::Duration) {
    let on = quota.on.as_ref().map(|on| on.patterns().collect());
    (on, quota.each, quota.scope, quota.per.length)
}

fn counted(quota: &Quota) -> String {
    let mut text = vec![format!("{} per {}", quota.limit, quota.per.text)];
    if quota.burst != quota.limit {
        text.push(format!("(burst {})", quota.burst));
    }
    let tools = quota.on.iter().flat_map(GlobSet::patterns);
    text.extend(tools.map(|on| format!("on {on:?}")));
    text.extend(quota.each.map(|each| match each {
        Each::Tool => "each tool".to_owned(),
        Each::Subject => "each subject".to_owned(),
    }));
    text.extend((quota.scope == Scope::Global).then(|| "globally".to_owned()));
    text.join(" ")
}

fn budget(about: &mut About<'_>, old: &Budget, new: &Budget) {
    if old == new {
        return;
    }
    let length = |budget: &Budget| match budget.per {
        Period::Day => 0,
        Period::Month => 1,
        Period::Total => 2,
    };
    let what = format!("{} → {}", spent(old), spent(new));
    let narrower = new.limit <= old.limit && length(new) >= length(old);
    match (begins_anew(old, new), narrower) {
        (None, true) => about.say(Effect::Narrower, format!("budget lowered: {what}")),
        (None, false) => about.say(Effect::Wider, format!("budget raised: {what}")),
        (Some(why), _) => about.because(Effect::Wider, format!("budget: {what}"), why),
    }
}

/// Why what was spent so far does not count any more.
fn begins_anew(old: &Budget, new: &Budget) -> Option<&'static str> {
    // The service counts in 32 bits: of a larger limit not millionths, but the next power of ten that fits.
    let exponent = |budget: &Budget| {
        let units = |exponent: &u32| budget.limit.0 / 10_u64.pow(*exponent);
        (0..=10).find(|exponent| u32::try_from(units(exponent)).is_ok())
    };
    if old.scope != new.scope {
        Some("it is counted elsewhere, and begins anew there")
    } else if old.per != new.per {
        Some("another period begins anew")
    } else if new.scope == Scope::Global && exponent(old) != exponent(new) {
        Some("it is counted in other units, and begins anew")
    } else {
        None
    }
}

fn spent(budget: &Budget) -> String {
    let period = match budget.per {
        Period::Total => "in total".to_owned(),
        period => format!("per {}", period.as_str()),
    };
    let place = if budget.scope == Scope::Global {
        " globally"
    } else {
        ""
    };
    format!("budget of {} {period}{place}", budget.limit)
}

fn repeats(about: &mut About<'_>, what: &str, old: Option<Repeats>, new: Option<Repeats>) {
    let show = |at: Repeats| format!("{} per {}", at.limit, time(at.per));
    match (old, new) {
        (None, None) => {}
        (None, Some(new)) => about.say(Effect::Narrower, format!("limit on {what} added: {}", show(new))),
        (Some(old), None) => about.say(Effect::Wider, format!("limit on {what} removed: {}", show(old))),
        (Some(old), Some(new)) if old == new => {}
        (Some(old), Some(new)) => {
            let wider = new.limit > old.limit || new.per < old.per;
            let (effect, verb) = if wider {
                (Effect::Wider, "raised")
            } else {
                (Effect::Narrower, "lowered")
            };
            about.say(
                effect,
                format!("limit on {what} {verb}: {} → {}", show(old), show(new)),
            );
        }
    }
}
