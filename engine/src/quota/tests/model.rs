//! What a quota promises, written down without buckets: over every interval, at most `burst` calls and what the time allows.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::policy::{Quota, Scope, Window};

/// A quota by its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) limit: u32,
    pub(super) window: Duration,
    pub(super) burst: u32,
}

impl Numbers {
    pub(super) fn quota(self) -> Quota {
        Quota {
            limit: NonZeroU32::new(self.limit).unwrap(),
            per: Window {
                length: self.window,
                text: "window".into(),
            },
            burst: NonZeroU32::new(self.burst).unwrap(),
            on: None,
            each: None,
            scope: Scope::Local,
        }
    }

    /// Nanoseconds after which one more call is allowed: the exact quotient, rounded up.
    pub(super) fn t(self) -> u64 {
        u64::try_from(self.window.as_nanos().div_ceil(u128::from(self.limit))).unwrap()
    }

    /// How many calls may begin in an interval of this length, both ends included.
    pub(super) fn most(self, nanos: u64) -> u64 {
        u64::from(self.burst) + nanos / self.t()
    }

    /// The same with the exact quotient of window and limit: what must never be passed, however it is rounded.
    pub(super) fn most_exactly(self, nanos: u64) -> u64 {
        let refilled = u128::from(nanos) * u128::from(self.limit) / self.window.as_nanos();
        u64::from(self.burst) + u64::try_from(refilled).unwrap()
    }
}

/// The times of the calls that passed, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Passed(pub(super) Vec<u64>);

impl Passed {
    /// Whether one more call at `now` keeps the promise over every interval that ends there.
    pub(super) fn allows(&self, numbers: Numbers, now: u64) -> bool {
        self.0
            .iter()
            .rev()
            .zip(2..)
            .all(|(earlier, calls)| calls <= numbers.most(now - earlier))
    }

    /// Panics unless the promise is kept over every interval.
    pub(super) fn check(&self, numbers: Numbers) {
        for (index, end) in self.0.iter().enumerate() {
            for (start, calls) in self.0[..=index].iter().rev().zip(1..) {
                let most = numbers.most_exactly(end - start);
                assert!(
                    calls <= most,
                    "{calls} calls from {start} to {end}, at most {most} allowed"
                );
            }
        }
    }
}
