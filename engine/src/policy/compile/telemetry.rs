//! What is told about calls.

use std::collections::HashSet;
use std::rc::Rc;

use super::{names, roles};
use crate::policy::error::{At, Errors, PolicyError, quoted};
use crate::policy::glob::GlobSet;
use crate::policy::raw;
use crate::policy::telemetry::{Mask, Segment, Telemetry};

/// Most masks: each is looked at for every call whose arguments are recorded.
const MAX_MASKS: usize = 256;
/// Most steps of a path: requests are not nested deeper.
const MAX_STEPS: usize = 64;
const PLACE: &str = "a JSON Pointer into the arguments, like \"/password\" or \"/customers/*/email\"";

pub(super) fn compile(raw: raw::Telemetry, servers: &HashSet<&str>, errors: &mut Errors) -> Telemetry {
    let root = At::Root;
    let telemetry = root.member("telemetry");
    let at = telemetry.member("mask");
    if raw.mask.len() > MAX_MASKS {
        let error = PolicyError::new(&at, "too many masks").found(raw.mask.len().to_string());
        errors.add(error.allowed(format!("up to {MAX_MASKS}")));
    }
    let masks = raw.mask.into_iter().take(MAX_MASKS).enumerate();
    Telemetry {
        per_key: raw.per_key,
        arguments: raw.arguments,
        masks: masks
            .map(|(index, raw)| mask(raw, servers, &at.element(index), errors))
            .collect(),
        chains: raw.chains,
    }
}

fn mask(raw: raw::Mask, servers: &HashSet<&str>, at: &At<'_>, errors: &mut Errors) -> Mask {
    let on = raw.on.0.map(|pattern| {
        roles::check(&pattern, "tool", servers, &at.member("on"), errors);
        GlobSet::new([Rc::from(pattern)])
    });
    Mask {
        on,
        path: path(&raw.path, &at.member("path"), errors),
    }
}

fn path(text: &str, at: &At<'_>, errors: &mut Errors) -> Box<[Segment]> {
    let (problem, hint) = if text.is_empty() {
        let hint = "to record no values at all, use \"arguments\": \"digest\"";
        (
            "the path leads to no place within the arguments",
            Some(hint.to_owned()),
        )
    } else if text.len() > names::MAX_PATTERN {
        ("the path is too long", None)
    } else if let Some(steps) = text.strip_prefix('/') {
        let steps: Option<Box<[Segment]>> = steps.split('/').map(segment).collect();
        match steps {
            Some(steps) if steps.len() <= MAX_STEPS => return steps,
            Some(_) => ("the path has too many steps", Some(format!("up to {MAX_STEPS}"))),
            None => {
                let hint = "in a JSON Pointer, ~ is written ~0, and / within a name ~1";
                ("not a JSON Pointer", Some(hint.to_owned()))
            }
        }
    } else {
        // What JSONPath and others write: "$.a.b", "a.b", "a[0]".
        let steps = text.trim_start_matches('$').trim_start_matches('.');
        let steps = steps
            .replace('[', ".")
            .replace([']', '"', '\''], "")
            .replace('.', "/");
        let hint = (!steps.is_empty()).then(|| format!("did you mean {}?", quoted(&format!("/{steps}"))));
        ("not a JSON Pointer: it does not begin with /", hint)
    };
    let error = PolicyError::new(at, problem).found(quoted(text)).allowed(PLACE);
    errors.add(error.hint_if(hint));
    Box::default()
}

/// A step, unescaped; `None` where a `~` escapes nothing.
fn segment(text: &str) -> Option<Segment> {
    if text == "*" {
        return Some(Segment::Any);
    }
    let mut name = String::with_capacity(text.len());
    let mut parts = text.split('~');
    name.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (escaped, rest) = [("0", '~'), ("1", '/')]
            .iter()
            .find_map(|(code, escaped)| part.strip_prefix(code).map(|rest| (*escaped, rest)))?;
        name.push(escaped);
        name.push_str(rest);
    }
    Some(Segment::Named(name.into()))
}
