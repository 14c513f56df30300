//! What is added up, of everything and of each name and time.

/// What is added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tool calls, refused ones too.
    pub(crate) calls: u64,
    /// Those of them that were refused.
    pub(crate) refused: u64,
    /// Those that went on and that enforcement would have refused.
    pub(crate) would_deny: u64,
    /// Those that went on and came to nothing.
    pub(crate) failed: u64,
    pub(crate) cost_micros: u64,
    pub(crate) tokens: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Counts) {
        self.calls += other.calls;
        self.refused += other.refused;
        self.would_deny += other.would_deny;
        self.failed += other.failed;
        // Of sums of what a file claims, nothing is certain.
        self.cost_micros = self.cost_micros.saturating_add(other.cost_micros);
        self.tokens = self.tokens.saturating_add(other.tokens);
    }

    /// Calls that went on.
    pub(crate) fn went_on(&self) -> u64 {
        self.calls - self.refused
    }
}
