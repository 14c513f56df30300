//! The windows of quotas.

use std::rc::Rc;
use std::time::Duration;

use crate::policy::error::{At, Errors, PolicyError, quoted};
use crate::policy::{ServiceEngine, Window, duration, suggest};

const DAY: u64 = 86_400;
const YEAR: u64 = 365 * DAY;
const LONGEST: Duration = Duration::from_secs(10 * YEAR);
const NAMED: [(&str, u64); 4] = [("second", 1), ("minute", 60), ("hour", 3_600), ("day", DAY)];

/// Reads a window: a name or a duration.
pub(super) fn parse(text: &str, at: &At<'_>, errors: &mut Errors) -> Option<Window> {
    let window = |length| Window {
        length,
        text: Rc::from(text),
    };
    if let Some((_, seconds)) = NAMED.iter().find(|(name, _)| *name == text) {
        return Some(window(Duration::from_secs(*seconds)));
    }
    match duration::parse(text) {
        Ok(length) if !length.is_zero() && length <= LONGEST => Some(window(length)),
        Ok(_) => {
            let error = PolicyError::new(at, "out of bounds").found(quoted(text));
            errors.add(error.allowed("more than \"0s\", up to \"3650d\""));
            None
        }
        Err(hint) => {
            let error = PolicyError::new(at, "not a window").found(quoted(text));
            let error = error
                .allowed("\"second\", \"minute\", \"hour\", \"day\" or a duration like \"5m\" or \"30d\"");
            errors.add(error.hint_if(hint.or_else(|| meant(text))));
            None
        }
    }
}

/// Reports a window that the service behind global limits does not have.
pub(super) fn check_fixed(window: &Window, engine: ServiceEngine, at: &At<'_>, errors: &mut Errors) {
    let seconds = window.length.as_secs();
    let whole = window.length.subsec_nanos() == 0 && seconds > 0;
    let (problem, allowed) = match engine {
        ServiceEngine::Limitador if whole => return,
        ServiceEngine::Limitador => ("global windows are whole seconds", "whole seconds"),
        ServiceEngine::Envoyproxy if whole && (DAY..=YEAR).contains(&seconds) => return,
        ServiceEngine::Envoyproxy if whole && seconds < DAY && DAY.is_multiple_of(seconds) => return,
        ServiceEngine::Envoyproxy if seconds > YEAR => (
            "too long for global windows with the engine envoyproxy",
            "up to \"365d\"",
        ),
        ServiceEngine::Envoyproxy if seconds >= DAY => ("global windows are whole seconds", "whole seconds"),
        ServiceEngine::Envoyproxy => (
            "global windows with the engine envoyproxy divide a day",
            "whole seconds that divide a day, or from \"1d\" to \"365d\"",
        ),
    };
    let error = PolicyError::new(at, problem).found(quoted(&window.text));
    errors.add(error.allowed(allowed).hint(nearest(window.length, engine)));
}

/// The nearest lengths that work, for people.
fn nearest(length: Duration, engine: ServiceEngine) -> String {
    let seconds = length.as_secs();
    let (below, above) = match engine {
        ServiceEngine::Envoyproxy if seconds >= YEAR => (YEAR, None),
        ServiceEngine::Envoyproxy if seconds < DAY => {
            let works = |length: &u64| DAY.is_multiple_of(*length);
            let below = (1..=seconds).rev().find(works);
            (below.unwrap_or(0), (seconds + 1..=DAY).find(works))
        }
        _ => (seconds, Some(seconds + 1)),
    };
    let works = Some(below).filter(|length| *length > 0).into_iter().chain(above);
    let texts: Vec<String> = works.map(shown).collect();
    format!("did you mean {}?", texts.join(" or "))
}

/// A length in the largest unit that holds it whole.
fn shown(seconds: u64) -> String {
    let (size, unit) = [(DAY, "d"), (3_600, "h"), (60, "m")]
        .into_iter()
        .find(|(size, _)| seconds.is_multiple_of(*size))
        .unwrap_or((1, "s"));
    format!("\"{}{unit}\"", seconds / size)
}

/// What somebody meant who wrote another unit.
fn meant(text: &str) -> Option<String> {
    Some(match text {
        "week" => "did you mean \"7d\"?".to_owned(),
        "month" => "did you mean \"30d\"? Calendar months are for budgets".to_owned(),
        "year" => "did you mean \"365d\"?".to_owned(),
        _ => {
            let name = suggest::nearest(text, NAMED.iter().map(|(name, _)| name))?;
            format!("did you mean {}?", quoted(&name))
        }
    })
}
