//! Breakers, loop guards, sessions and client capabilities.

use std::num::NonZeroU32;
use std::time::Duration;

use super::settings::{Bounds, span};
use super::{names, usage};
use crate::policy::amount::{self, Misfit};
use crate::policy::error::{At, Errors, PolicyError};
use crate::policy::{Breaker, ClientCapabilities, Loops, Micros, Ratio, Repeats, Sessions, raw};

const FAILURES: NonZeroU32 = NonZeroU32::new(5).unwrap();
const MAX_FAILURES: u32 = 1_000;
const MAX_PROBES: u32 = 100;
/// The most calls that are counted in a window.
const MAX_CALLS: u32 = 1_000_000;
const MIN_CALLS: NonZeroU32 = NonZeroU32::new(20).unwrap();
const WINDOW: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_hours(1);
const WINDOWS: Bounds = (Duration::from_secs(1)..=HOUR, "\"1s\" to \"1h\"");
const OPEN: Bounds = (Duration::from_millis(100)..=HOUR, "\"100ms\" to \"1h\"");
const SLOW: Bounds = (Duration::from_millis(1)..=HOUR, "\"1ms\" to \"1h\"");
const REPEATS: Bounds = (
    Duration::from_secs(1)..=Duration::from_hours(7 * 24),
    "\"1s\" to \"7d\"",
);
/// What helps somebody who wants no breaker.
const NO_BREAKER: &str = "without a breaker, leave \"breaker\" out";

/// The breaker at this place.
pub(super) fn breaker(raw: &raw::Breaker, at: &At<'_>, errors: &mut Errors) -> Breaker {
    let failures = raw.failures.0;
    let failures = failures
        .and_then(|failures| count(failures, MAX_FAILURES, NO_BREAKER, &at.member("failures"), errors));
    let by_default = raw.ratio.0.is_none().then_some(FAILURES);
    let probes_hint = "with no call at all it would never close again";
    let probes = count(raw.probes, MAX_PROBES, probes_hint, &at.member("probes"), errors);
    Breaker {
        each: raw.each,
        failures: failures.or(by_default),
        ratio: ratio(raw, at, errors),
        open: span(&raw.open, OPEN, &at.member("open"), errors).unwrap_or_default(),
        probes: probes.unwrap_or(NonZeroU32::MIN),
        slow: raw
            .slow
            .0
            .as_ref()
            .and_then(|slow| span(slow, SLOW, &at.member("slow"), errors)),
        count_tool_errors: raw.count_tool_errors,
    }
}

/// The share of calls that opens a breaker, and what it is taken from.
fn ratio(raw: &raw::Breaker, at: &At<'_>, errors: &mut Errors) -> Option<Ratio> {
    let (min_calls, window) = (raw.min_calls.0, raw.window.0.as_ref());
    let Some(ratio) = &raw.ratio.0 else {
        for (name, given) in [("minCalls", min_calls.is_some()), ("window", window.is_some())] {
            if given {
                let problem = format!("\"{name}\" says nothing without \"ratio\"");
                let hint = format!("add \"ratio\", like 0.5, or leave \"{name}\" out");
                let error = PolicyError::new(&at.member(name), problem).follows(at);
                errors.add(error.hint(hint));
            }
        }
        return None;
    };
    let millionths = share(ratio, &at.member("ratio"), errors);
    let min_calls = min_calls.map_or(Some(MIN_CALLS), |calls| {
        let hint = "leave it out for 20";
        count(calls, MAX_CALLS, hint, &at.member("minCalls"), errors)
    });
    let window = window.map_or(Some(WINDOW), |window| {
        span(window, WINDOWS, &at.member("window"), errors)
    });
    Some(Ratio {
        millionths: millionths?,
        min_calls: min_calls?,
        window: window?,
    })
}

/// A share in millionths, read to the last digit.
fn share(raw: &raw::Number, at: &At<'_>, errors: &mut Errors) -> Option<u32> {
    const ALL: u64 = Micros::PER_UNIT;
    let (problem, hint) = match amount::parse(&raw.0) {
        Ok(Micros(0)) | Err(Misfit::Negative) => {
            let hint = "leave it out to open after \"failures\" in a row only";
            ("out of bounds", Some(hint.to_owned()))
        }
        Ok(Micros(share @ 1..=ALL)) => return u32::try_from(share).ok(),
        // A percentage.
        Ok(Micros(percent)) if percent <= 100 * ALL && percent.is_multiple_of(100) => {
            let meant = format!("did you mean {}?", Micros(percent / 100));
            ("out of bounds", Some(meant))
        }
        Err(Misfit::TooFine(near)) if near.0 <= ALL => {
            ("more than six decimals", Some(format!("did you mean {near}?")))
        }
        Ok(_) | Err(Misfit::TooFine(_) | Misfit::TooLarge) => ("out of bounds", None),
    };
    let error = PolicyError::new(at, problem).found(usage::shown(&raw.0));
    let allowed = "more than 0, up to 1, with up to six decimals";
    errors.add(error.allowed(allowed).hint_if(hint));
    None
}

/// When the key at this place goes round in circles.
pub(super) fn loops(raw: &raw::Loops, at: &At<'_>, errors: &mut Errors) -> Loops {
    let any_call = raw.any_call.0.as_ref();
    if raw.identical_calls.0.is_none() && raw.per.0.is_none() && any_call.is_none() {
        let error = PolicyError::new(at, "nothing is looked for").whole();
        let error = error.allowed("\"identicalCalls\" with \"per\", or \"anyCall\", or both");
        errors.add(error.hint("to look for nothing, leave \"loops\" out"));
    }
    let identical = match (raw.identical_calls.0, &raw.per.0) {
        (Some(calls), Some(per)) => {
            let (limit_at, per_at) = (at.member("identicalCalls"), at.member("per"));
            repeats((calls, &limit_at), (per, &per_at), errors)
        }
        (Some(_), None) => {
            let error = PolicyError::new(&at.member("per"), "missing").follows(at);
            errors.add(error.allowed("the time in which \"identicalCalls\" may be made, like \"1m\""));
            None
        }
        (None, Some(_)) => {
            let error = PolicyError::new(
                &at.member("per"),
                "\"per\" says nothing without \"identicalCalls\"",
            );
            errors.add(
                error
                    .follows(at)
                    .hint("add \"identicalCalls\", like 5; \"anyCall\" has a \"per\" of its own"),
            );
            None
        }
        (None, None) => None,
    };
    let any_call = any_call.and_then(|raw| {
        let at = at.member("anyCall");
        let (limit_at, per_at) = (at.member("limit"), at.member("per"));
        repeats((raw.limit, &limit_at), (&raw.per, &per_at), errors)
    });
    Loops { identical, any_call }
}

fn repeats(
    (limit, limit_at): (u64, &At<'_>),
    (per, per_at): (&str, &At<'_>),
    errors: &mut Errors,
) -> Option<Repeats> {
    let limit = count(limit, MAX_CALLS, usage::FORBID, limit_at, errors);
    let per = span(per, REPEATS, per_at, errors);
    Some(Repeats {
        limit: limit?,
        per: per?,
    })
}

/// How sessions and tasks are bound to keys.
pub(super) fn sessions(raw: raw::Sessions, errors: &mut Errors) -> Sessions {
    let root = At::Root;
    let at = root.member("sessions");
    if let Some(name) = &raw.secret_env.0 {
        check_variable(name, &at.member("secretEnv"), errors);
    }
    Sessions {
        secret_env: raw.secret_env.0,
    }
}

/// Names of variables as [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html) has them, and
/// shells write them. The text itself is not shown: whoever wrote it may have taken the secret for its name.
fn check_variable(name: &str, at: &At<'_>, errors: &mut Errors) {
    let word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let digit_first = name.bytes().next().is_some_and(|b| b.is_ascii_digit());
    if word && !name.is_empty() && !digit_first && name.len() <= names::MAX_NAME {
        return;
    }
    let error = PolicyError::new(at, "not the name of an environment variable");
    let found = match name.chars().count() {
        0 => "nothing".to_owned(),
        1 => "1 character".to_owned(),
        count => format!("{count} characters"),
    };
    let allowed = format!(
        "letters, digits and _, not a digit first, up to {}, like \"TOOLGATE_SESSION_SECRET\"",
        names::MAX_NAME
    );
    let hint = match name.strip_prefix('$') {
        Some(_) => "leave the $ out",
        None => {
            "if this is the secret itself, it is no longer one: put a new one into the environment of Envoy"
        }
    };
    let error = error.found(found).allowed(allowed);
    errors.add(error.hint_if((!name.is_empty()).then(|| hint.to_owned())));
}

/// Which of a client's capabilities a server sees.
pub(super) fn client_capabilities(raw: &raw::ClientCapabilities) -> ClientCapabilities {
    ClientCapabilities {
        sampling: raw.sampling,
        elicitation: raw.elicitation,
        roots: raw.roots,
    }
}

/// A whole number from 1 to `most`; `none` helps somebody who wants none.
fn count(value: u64, most: u32, none: &str, at: &At<'_>, errors: &mut Errors) -> Option<NonZeroU32> {
    let fits = u32::try_from(value).ok().filter(|value| *value <= most);
    let count = fits.and_then(NonZeroU32::new);
    if count.is_none() {
        let error = PolicyError::new(at, "out of bounds").found(value.to_string());
        let error = error.allowed(format!("1 to {most}"));
        errors.add(error.hint_if((value == 0).then(|| none.to_owned())));
    }
    count
}
