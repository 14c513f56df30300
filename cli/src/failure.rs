//! How a verb says no: one sentence, the fix, and the exit code.

use std::fmt;

/// The answer is no: the policy has errors, the call is refused, Envoy ended.
pub(crate) const NO: u8 = 1;
/// The question was wrong: arguments, files that cannot be read.
pub(crate) const USAGE: u8 = 2;

/// Why a verb stopped.
#[derive(Debug)]
pub(crate) struct Failure {
    /// [`NO`] or [`USAGE`].
    pub(crate) code: u8,
    message: String,
    fix: Option<String>,
}

/// What every verb returns: the exit code, or why it stopped.
pub(crate) type Outcome<T = u8> = Result<T, Failure>;

impl Failure {
    /// The question cannot be answered as it was put.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            message: message.into(),
            fix: None,
        }
    }

    /// The answer is no.
    pub(crate) fn no(message: impl Into<String>) -> Self {
        Self {
            code: NO,
            message: message.into(),
            fix: None,
        }
    }

    /// What the reader can do about it.
    #[must_use]
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The same, if there is something to say.
    #[must_use]
    pub(crate) fn maybe_fix(mut self, fix: Option<String>) -> Self {
        self.fix = fix.or(self.fix);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.fix {
            Some(fix) => write!(f, "\n  fix: {fix}"),
            None => Ok(()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::no(error.to_string())
    }
}
