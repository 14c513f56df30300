//! Watching a judgement check by check, for people who ask why.

use std::fmt;

use super::{Pass, Verdict};
use crate::policy::Mode;
use crate::reason::Reason;

/// A check on a call, in the order in which they apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Who calls.
    Identity,
    /// Whether the key has anything on the server.
    Server,
    /// Whether the body is a message at all.
    Shape,
    /// Whether the method is granted.
    Method,
    /// Whether the tool, prompt or resource is granted.
    Grant,
    /// Whether the call was made too often.
    Loop,
    /// Whether the arguments fit.
    Schema,
    /// Whether the server is spared.
    Breaker,
    /// Whether a quota has room.
    Quota,
    /// Whether a budget has room.
    Budget,
}

impl Check {
    /// The name in explanations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Check::Identity => "identity",
            Check::Server => "server",
            Check::Shape => "shape",
            Check::Method => "method",
            Check::Grant => "grant",
            Check::Loop => "loop",
            Check::Schema => "schema",
            Check::Breaker => "breaker",
            Check::Quota => "quota",
            Check::Budget => "budget",
        }
    }
}

/// Sees every verdict as it falls.
pub trait Watch {
    /// One check has its verdict.
    fn saw(&mut self, check: Check, verdict: &Verdict<'_>);
}

/// Nobody watches.
impl Watch for () {
    fn saw(&mut self, _: Check, _: &Verdict<'_>) {}
}

/// Keeps every verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// In the order of the checks.
    pub steps: Vec<Step>,
}

/// One kept verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The check.
    pub check: Check,
    /// The reason if it refused.
    pub refused: Option<Reason>,
    /// Whether that refusal is only recorded.
    pub shadow: bool,
    /// In words.
    pub text: String,
}

impl Watch for Trace {
    fn saw(&mut self, check: Check, verdict: &Verdict<'_>) {
        let (refused, shadow, text) = match verdict {
            Verdict::Passes(pass) => (None, false, pass.to_string()),
            Verdict::NotApplicable => (None, false, "does not apply".to_owned()),
            Verdict::Refused(r) => (Some(r.reason), r.mode == Mode::Shadow, r.detail.clone()),
        };
        self.steps.push(Step {
            check,
            refused,
            shadow,
            text,
        });
    }
}

impl fmt::Display for Pass<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pass::Role(role) => write!(f, "role {role:?} has grants on this server"),
            Pass::Grant { role, pattern } => write!(f, "allowed by {pattern:?} of role {role:?}"),
            Pass::Method => write!(f, "a method of this server"),
            Pass::Loops => write!(f, "not made too often"),
            Pass::Schema => write!(f, "the arguments fit"),
        }
    }
}
