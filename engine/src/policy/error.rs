//! What is wrong with a policy: every error at once, each with its place.

use std::fmt::{self, Write as _};

/// Errors beyond this number are counted, not listed: a policy generated wrongly ten thousand
/// times over must not fill the log.
const MAX_LISTED: usize = 1_000;

/// Why a policy was refused: at least one error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PolicyErrors(pub Vec<PolicyError>);

impl PolicyErrors {
    /// The errors: those of the document's shape first, each group in the order of the document's
    /// sections.
    pub fn iter(&self) -> std::slice::Iter<'_, PolicyError> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a PolicyErrors {
    type Item = &'a PolicyError;
    type IntoIter = std::slice::Iter<'a, PolicyError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One error per line.
impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_char('\n')?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

/// One thing that is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize)]
pub struct PolicyError {
    /// Where, as a JSON Pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)); empty for the
    /// whole document.
    pub pointer: String,
    /// What is wrong.
    pub problem: String,
    /// What was found there; empty if there is nothing to show. Never a value that could be a
    /// credential.
    pub found: String,
    /// What is allowed there; empty if `problem` says it all.
    pub allowed: String,
    /// What was probably meant.
    pub hint: Option<String>,
    /// A place: this may only follow from any error there.
    #[serde(skip)]
    follows: Option<String>,
}

impl PolicyError {
    pub(super) fn new(at: &At<'_>, problem: impl Into<String>) -> Self {
        PolicyError {
            pointer: at.pointer(),
            problem: problem.into(),
            found: String::new(),
            allowed: String::new(),
            hint: None,
            follows: None,
        }
    }

    pub(super) fn found(mut self, found: impl Into<String>) -> Self {
        self.found = found.into();
        self
    }

    pub(super) fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = allowed.into();
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn hint_if(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Says that nothing within the place does what is needed, so may follow from any error there.
    pub(super) fn whole(mut self) -> Self {
        self.follows = Some(self.pointer.clone());
        self
    }

    /// May follow from any error within another place, like a member that is not there because it did not fit.
    pub(super) fn follows(mut self, from: &At<'_>) -> Self {
        self.follows = Some(from.pointer());
        self
    }

    /// Adds the name that was probably meant, if there is one.
    pub(super) fn nearest(mut self, name: &str, valid: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        if let Some(nearest) = super::suggest::nearest(name, valid) {
            self.hint = Some(format!("did you mean {}?", quoted(&nearest)));
        }
        self
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() {
            "the policy"
        } else {
            &self.pointer
        };
        write!(f, "{place}: {}", self.problem)?;
        if !self.found.is_empty() {
            write!(f, "; found {}", self.found)?;
        }
        if !self.allowed.is_empty() {
            write!(f, "; allowed: {}", self.allowed)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// Collects errors.
#[derive(Debug, Default)]
pub(super) struct Errors {
    listed: Vec<PolicyError>,
    unlisted: usize,
}

impl Errors {
    pub(super) fn add(&mut self, error: PolicyError) {
        if self.listed.len() < MAX_LISTED {
            self.listed.push(error);
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, PolicyError> {
        self.listed.iter()
    }

    /// Adds those of `other` that do not merely follow from what is known to be wrong.
    pub(super) fn add_unrelated(&mut self, other: Errors) {
        let known: Vec<String> = self.iter().map(|error| error.pointer.clone()).collect();
        let follows = |error: &PolicyError| {
            let from = |known: &str| error.follows.as_deref().is_some_and(|place| within(known, place));
            known
                .iter()
                .any(|known| within(&error.pointer, known) || from(known))
        };
        for error in other.listed {
            if !follows(&error) {
                self.add(error);
            }
        }
        self.unlisted = self.unlisted.saturating_add(other.unlisted);
    }

    /// `value` if there were no errors.
    pub(super) fn into_result<T>(self, value: T) -> Result<T, PolicyErrors> {
        if self.listed.is_empty() {
            Ok(value)
        } else {
            Err(self.into_errors())
        }
    }

    pub(super) fn into_errors(mut self) -> PolicyErrors {
        if self.unlisted > 0 {
            let more = format!("{} more errors are not listed", self.unlisted);
            self.listed.push(PolicyError::new(&At::Root, more));
        }
        PolicyErrors(self.listed)
    }
}

/// A place in the document, linked to its parent: costs nothing unless an error needs it.
#[derive(Clone, Copy, Debug)]
pub(super) enum At<'a> {
    Root,
    Member(&'a At<'a>, &'a str),
    Element(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    pub(super) fn member(&'a self, name: &'a str) -> At<'a> {
        At::Member(self, name)
    }

    pub(super) fn element(&'a self, index: usize) -> At<'a> {
        At::Element(self, index)
    }

    /// [RFC 6901 §3](https://www.rfc-editor.org/rfc/rfc6901#section-3): `~` is `~0`, `/` is `~1`.
    pub(super) fn pointer(&self) -> String {
        let mut pointer = String::new();
        self.write(&mut pointer);
        pointer
    }

    fn write(&self, pointer: &mut String) {
        match self {
            At::Root => {}
            At::Member(parent, name) => {
                parent.write(pointer);
                pointer.push('/');
                for c in name.chars() {
                    match c {
                        '~' => pointer.push_str("~0"),
                        '/' => pointer.push_str("~1"),
                        c => pointer.push(c),
                    }
                }
            }
            At::Element(parent, index) => {
                parent.write(pointer);
                // Writing to a string cannot fail.
                let _ = write!(pointer, "/{index}");
            }
        }
    }
}

/// A string as it may appear in an error: quoted, escaped, and cut if long.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// Names as a list for people.
pub(super) fn listed(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    const SHOWN: usize = 16;
    let mut text = String::new();
    let mut names = names.into_iter();
    for name in names.by_ref().take(SHOWN) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(name.as_ref());
    }
    match names.count() {
        0 => text,
        more => text + &format!(" and {more} more"),
    }
}

/// Whether `pointer` is `outer` or lies below it.
fn within(pointer: &str, outer: &str) -> bool {
    pointer
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
