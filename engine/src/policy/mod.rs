//! Policy: raw, compiled, and the errors between.

/// What waits for the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Head and body.
    Headers,
    /// The body only: for hosts that cannot hold the head.
    Body,
}
