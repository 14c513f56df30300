//! Time, which is always an argument.

use std::time::Duration;

/// Nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixNanos(pub u64);

impl UnixNanos {
    /// Whole seconds since the epoch.
    pub fn seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// How long this is after `then`; nothing if it is before it.
    pub fn since(self, then: UnixNanos) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(then.0))
    }
}
