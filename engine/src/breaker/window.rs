//! How many calls of the last while failed: a window of ten buckets that slides by one bucket at a time.

use std::time::Duration;

use crate::policy::Ratio;
use crate::time::UnixNanos;

/// How many buckets a window has. It covers the time of nine to ten of them.
pub(super) const BUCKETS: usize = 10;

/// Calls and failures, by the time of their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The number, since the epoch, of the bucket that was counted in last.
    pub(super) latest: u64,
    /// Bucket `n` is at `n % BUCKETS`.
    pub(super) buckets: [Bucket; BUCKETS],
}

/// What ended within a tenth of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) calls: u32,
    pub(super) bad: u32,
}

impl Window {
    /// Nothing is counted yet.
    pub(super) const NEW: Window = Window {
        latest: 0,
        buckets: [Bucket { calls: 0, bad: 0 }; BUCKETS],
    };

    /// Counts a call, and says whether so many fail that the breaker opens.
    pub(super) fn count(&mut self, ratio: &Ratio, bad: bool, now: UnixNanos) -> bool {
        self.advance(ratio.window, now);
        if let Some(bucket) = self.buckets.get_mut(place(self.latest)) {
            bucket.calls = bucket.calls.saturating_add(1);
            bucket.bad = bucket.bad.saturating_add(u32::from(bad));
        }
        let sum = |count: fn(&Bucket) -> u32| -> u64 { self.buckets.iter().map(count).map(u64::from).sum() };
        let (calls, bad) = (sum(|bucket| bucket.calls), sum(|bucket| bucket.bad));
        calls >= u64::from(ratio.min_calls.get()) && bad * 1_000_000 >= calls * u64::from(ratio.millionths)
    }

    /// Whether nothing is counted in it.
    pub(super) fn is_empty(&self) -> bool {
        self.buckets.iter().all(|bucket| bucket.calls == 0)
    }

    /// Empties the buckets that have left the window.
    fn advance(&mut self, window: Duration, now: UnixNanos) {
        let width = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX) / BUCKETS as u64;
        let current = now.0 / width.max(1);
        let buckets = BUCKETS as u64;
        if current > self.latest {
            for number in self.latest + 1..=current.min(self.latest.saturating_add(buckets)) {
                if let Some(bucket) = self.buckets.get_mut(place(number)) {
                    *bucket = Bucket::default();
                }
            }
            self.latest = current;
        } else if self.latest - current > buckets {
            // The clock went back, or the policy's window became longer: what is counted here is of no known age.
            *self = Window {
                latest: current,
                ..Window::NEW
            };
        }
        // Up to one window back, the latest bucket takes it: workers read the clock one after the other.
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number % BUCKETS as u64).unwrap_or_default()
}
