//! Asking the rate limit service.

use super::book::{Bill, Book};
use super::charge::Over;
use crate::exchange::RateLimitReply;
use crate::store::Store;
use crate::time::UnixNanos;

/// One question to the rate limit service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The serialised `RateLimitRequest`.
    pub message: Vec<u8>,
}

/// What the service said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Every limit has room, and the call is counted.
    Within,
    /// A limit is used up.
    Over(Over),
    /// No usable answer, and why, for operators.
    Failed(String),
}

impl Book {
    /// What to ask about a call, in order: all of them must be within. Empty when no global limit applies.
    /// `Err` when it is certain without asking.
    pub fn ask(&self, _bill: &Bill, _store: &dyn Store, _now: UnixNanos) -> Result<Vec<Ask>, Over> {
        Ok(Vec::new())
    }

    /// Reads the answer to a question.
    pub fn read(&self, _ask: &Ask, _reply: &RateLimitReply<'_>) -> Answer {
        Answer::Within
    }

    /// The questions were not answered: keeps what they would have charged for earlier results.
    pub fn unasked(&self, _asks: &[Ask], _store: &dyn Store) {}
}
