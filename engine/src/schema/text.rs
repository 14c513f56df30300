//! Violations in the words of a language model's next attempt: which argument, what is wrong with
//! it and what would be right. Values are quoted clipped, never whole.

mod quote;
mod words;

use std::fmt::Write as _;

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ReferencingError, ValidationError};
use serde_json::Value;

use super::CompileError;
pub(super) use quote::{clip, quote, quote_str};
use words::describe;

/// Most violations that are told at once.
const MAX_VIOLATIONS: usize = 5;
/// Most bytes of one reason, and of one place.
const MAX_REASON: usize = 280;
const MAX_PLACE: usize = 120;
/// Most bytes of the whole text.
const MAX_TEXT: usize = 1024;

/// One place in the arguments that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON Pointer (RFC 6901) into the arguments, clipped; empty for the arguments themselves.
    pub pointer: String,
    /// What is wrong and what is allowed; reads on after the pointer ("must be …", "is missing").
    pub reason: String,
}

/// Why arguments were refused: at least one violation, or that they cannot be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations {
    told: Vec<Violation>,
    /// Violations that were found but are not told.
    more: usize,
    /// Whether the arguments could be checked at all.
    checked: bool,
}

impl Violations {
    /// A sentence for the model, at most about 1 KiB.
    pub fn text(&self) -> String {
        let verdict = if self.checked {
            "do not fit"
        } else {
            "cannot be checked against"
        };
        let mut text = format!("The arguments {verdict} the tool's schema: ");
        for (index, violation) in self.told.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let place = if violation.pointer.is_empty() {
                "the arguments"
            } else {
                &violation.pointer
            };
            let _ = write!(text, "{separator}{place} {}", violation.reason);
        }
        let mut text = clip(&text, MAX_TEXT);
        if self.more > 0 {
            let _ = write!(text, "; and {} more", self.more);
        }
        text
    }

    /// The violations that are told, at most five.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.told.iter()
    }

    pub(super) fn of<'e>(errors: impl Iterator<Item = ValidationError<'e>>, schema: &Value) -> Self {
        let mut all = Self {
            told: Vec::new(),
            more: 0,
            checked: true,
        };
        for error in errors {
            describe(&error, schema, &mut |violation| all.push(violation));
        }
        if all.told.is_empty() {
            all.push(Violation {
                pointer: String::new(),
                reason: "are not allowed".to_owned(),
            });
        }
        all
    }

    /// The arguments are too much to check.
    pub(super) fn unchecked() -> Self {
        let reason = "are too large or too deeply nested to be checked; send less at once";
        Self {
            checked: false,
            ..Self::whole(reason)
        }
    }

    /// The arguments do not fit, and finding out where would be too much.
    pub(super) fn somewhere() -> Self {
        Self::whole("do not match it, and are too large or too deeply nested to say where")
    }

    fn whole(reason: &str) -> Self {
        let violation = Violation {
            pointer: String::new(),
            reason: reason.to_owned(),
        };
        Self {
            told: vec![violation],
            more: 0,
            checked: true,
        }
    }

    fn push(&mut self, violation: Violation) {
        let Violation { pointer, reason } = violation;
        let violation = Violation {
            pointer: clip(&pointer, MAX_PLACE),
            reason: clip(&reason, MAX_REASON),
        };
        if self.told.contains(&violation) {
            return;
        }
        if self.told.len() < MAX_VIOLATIONS {
            self.told.push(violation);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}

/// The compile error of the library, in our words.
pub(super) fn compile_error(error: &ValidationError<'_>) -> CompileError {
    let place = clip(error.instance_path().as_str(), MAX_PLACE);
    match error.kind() {
        Kind::Referencing(error) => reference_error(error),
        Kind::Format { format } if format == "regex" => CompileError::new(format!(
            "the pattern {} at {place} is not a regular expression that runs in linear time \
             (look-around and back-references are not supported), or it is too large",
            quote(error.instance())
        )),
        _ => CompileError::new(format!(
            "the schema is not valid JSON Schema at {}: {}",
            if place.is_empty() { "its root" } else { &place },
            clip(&error.masked().to_string(), MAX_REASON)
        )),
    }
}

/// A reference that leads nowhere, or out of the schema.
pub(super) fn reference_error(error: &ReferencingError) -> CompileError {
    match error {
        ReferencingError::Unretrievable { uri, .. } => outside(uri),
        _ => CompileError::new(format!("a reference of the schema cannot be resolved: {error}")),
    }
}

pub(super) fn outside(reference: &str) -> CompileError {
    CompileError::new(format!(
        "the schema's $ref to {} leads outside the schema, and references are never fetched",
        quote_str(reference)
    ))
}
