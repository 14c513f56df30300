//! Limits in words: for the agent that is refused, and for people who read a policy.

use super::book::{Book, Limit, Owner};
use super::charge::Over;
use crate::time::UnixNanos;

/// The sentence that a refused agent can act on.
pub fn sentence(_book: &Book, _over: &Over, _now: UnixNanos) -> String {
    String::new()
}

/// A limit as people say it: `100 calls per minute of key "ci-bot" (local)`.
pub fn describe(_owner: &Owner, _limit: &Limit) -> String {
    String::new()
}

impl Book {
    /// Which limit is used up, for operators.
    pub fn detail(&self, over: &Over) -> String {
        let limit = over.limit.and_then(|at| self.limit(at));
        limit.map_or_else(
            || "a limit of the rate limit service".to_owned(),
            |(owner, limit)| format!("{}: {}", owner.pointer(limit), describe(owner, limit)),
        )
    }
}
