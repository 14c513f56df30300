//! Names and patterns that the author of the policy chooses.

use std::rc::Rc;

use crate::policy::error::{At, Errors, PolicyError, listed, quoted};
use crate::policy::glob::GlobSet;

/// Longest name of a server, role, team or key, in bytes: names appear in metrics and logs.
pub(super) const MAX_NAME: usize = 128;
/// Longest pattern, in bytes.
pub(super) const MAX_PATTERN: usize = 1_024;

/// Reports a name that would be confusing where names are shown.
pub(super) fn check(name: &str, what: &str, at: &At<'_>, errors: &mut Errors) {
    let problem = if name.is_empty() {
        "is empty"
    } else if name.len() > MAX_NAME {
        "is too long"
    } else if name.chars().any(char::is_control) {
        "has a control character"
    } else if name.trim() != name {
        "begins or ends with white space"
    } else {
        return;
    };
    let error = PolicyError::new(at, format!("the {what}'s name {problem}")).found(quoted(name));
    errors.add(error.allowed(format!(
        "1 to {MAX_NAME} bytes without control characters or surrounding space"
    )));
}

/// Reports a pattern that can match nothing anybody means. Returns whether it is sound.
pub(super) fn check_pattern(pattern: &str, at: &At<'_>, errors: &mut Errors) -> bool {
    let problem = if pattern.is_empty() {
        "the pattern is empty"
    } else if pattern.len() > MAX_PATTERN {
        "the pattern is too long"
    } else if pattern.chars().any(char::is_control) {
        "the pattern has a control character"
    } else {
        return true;
    };
    let error = PolicyError::new(at, problem).found(quoted(pattern));
    errors.add(error.allowed(format!("1 to {MAX_PATTERN} bytes without control characters")));
    false
}

/// Compiles patterns over plain texts, like methods.
pub(super) fn globs(patterns: Vec<String>, at: &At<'_>, errors: &mut Errors) -> GlobSet {
    for (index, pattern) in patterns.iter().enumerate() {
        check_pattern(pattern, &at.element(index), errors);
    }
    GlobSet::new(patterns.into_iter().map(Rc::from))
}

/// The names that the policy defines, for people.
pub(super) fn defined(names: impl IntoIterator<Item = impl AsRef<str>>, what: &str) -> String {
    match listed(names) {
        none if none.is_empty() => format!("the policy defines no {what}"),
        names => format!("the {what} {names}"),
    }
}
