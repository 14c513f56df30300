//! What is allowed in a policy and yet probably not meant.

use super::Policy;

/// Something that is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// Where, as a JSON Pointer.
    pub pointer: String,
    /// What, and what follows from it.
    pub message: String,
}

/// Looks for what is probably not meant. `now` is in Unix seconds.
pub fn lint(_policy: &Policy, _now: u64) -> Vec<Warning> {
    Vec::new()
}
