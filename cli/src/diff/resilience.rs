//! Breakers.

use std::num::NonZeroU32;
use std::time::Duration;

use toolgate_engine::policy::{Breaker, Micros};

use super::{About, Effect, UNCLEAR, time, word};

/// The breaker of a server, or of one of its tools.
pub(super) fn breaker(about: &mut About<'_>, whose: &str, old: Option<&Breaker>, new: Option<&Breaker>) {
    match (old, new) {
        (None, None) => {}
        (None, Some(_)) => about.say(Effect::Narrower, format!("breaker{whose} added")),
        (Some(_), None) => about.say(Effect::Wider, format!("breaker{whose} removed")),
        (Some(old), Some(new)) => changed(about, whose, old, new),
    }
}

fn changed(about: &mut About<'_>, whose: &str, old: &Breaker, new: &Breaker) {
    let name = |field: &str| format!("breaker{whose}, {field}");
    if old.each != new.each {
        about.because(
            Effect::Wider,
            format!("{}: {} → {}", name("each"), word(old.each), word(new.each)),
            UNCLEAR,
        );
    }
    // Opened by more failures, or never: more calls go to a server that fails.
    let never = |value: Option<u64>| value.unwrap_or(u64::MAX);
    let number = |value: u64| match value {
        u64::MAX => "none".to_owned(),
        value => value.to_string(),
    };
    let count = |value: Option<NonZeroU32>| never(value.map(|value| u64::from(value.get())));
    about.grows(
        &name("failures"),
        count(old.failures),
        count(new.failures),
        number,
    );
    // Millionths of one are ten-thousandths of a percent; an amount shows its decimals.
    let share = |value: u64| match value {
        u64::MAX => "none".to_owned(),
        value => format!("{} %", Micros(value * 100)),
    };
    let ratio = |breaker: &Breaker| never(breaker.ratio.map(|ratio| u64::from(ratio.millionths)));
    about.grows(&name("ratio"), ratio(old), ratio(new), share);
    if let (Some(old), Some(new)) = (old.ratio, new.ratio) {
        let least = |value: NonZeroU32| u64::from(value.get());
        about.grows(
            &name("minCalls"),
            least(old.min_calls),
            least(new.min_calls),
            number,
        );
        if old.window != new.window {
            about.because(
                Effect::Wider,
                format!("{}: {} → {}", name("window"), time(old.window), time(new.window)),
                UNCLEAR,
            );
        }
    }
    if old.open != new.open {
        let effect = if new.open < old.open {
            Effect::Wider
        } else {
            Effect::Narrower
        };
        about.say(
            effect,
            format!("{}: {} → {}", name("open"), time(old.open), time(new.open)),
        );
    }
    if old.probes != new.probes {
        let what = format!("{}: {} → {}", name("probes"), old.probes, new.probes);
        let why = if new.probes > old.probes {
            "more calls pass while it is half-open"
        } else {
            "fewer successes close it again"
        };
        about.because(Effect::Wider, what, why);
    }
    let slow = |value: Option<Duration>| value.unwrap_or(Duration::MAX);
    about.grows(
        &name("slow"),
        slow(old.slow),
        slow(new.slow),
        |value| match value {
            Duration::MAX => "none".to_owned(),
            value => time(value),
        },
    );
    about.choice(
        &name("countToolErrors"),
        old.count_tool_errors,
        new.count_tool_errors,
        &[true, false],
    );
}
