//! The arithmetic of a quota: the generic cell rate algorithm, as `governor` does it.
//!
//! What is stored is the theoretical arrival time (TAT): the time at which the bucket is empty again. Every call
//! moves it by `t`; a call passes while the TAT is at most `burst * t` ahead of the clock.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota as Rate, RateLimiter};

use crate::policy::Quota;
use crate::time::UnixNanos;

/// How far a full bucket may reach into the future: 146 years, a quarter of what 64 bits of nanoseconds hold, so that
/// no sum overflows. Policies stay below.
const MAX_SPAN: u64 = u64::MAX / 4;

/// By how much the clock of one worker may be behind that of another, because it was interrupted between reading the
/// clock and charging. Within that, a TAT from the future is taken as it is.
const MAX_SKEW: u64 = 50_000_000;

/// A quota's limiter, made at configure time.
#[derive(Debug)]
pub struct Limiter {
    inner: RateLimiter<NotKeyed, Working, Working, NoOpMiddleware<Nanos>>,
    working: Working,
    t: u64,
    span: u64,
    skew: u64,
}

/// What is stored for one count of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// The theoretical arrival time of the next call, in nanoseconds since the Unix epoch.
    pub(super) tat: u64,
    /// The nanoseconds per call that it was computed with.
    pub(super) t: u64,
    /// By how many nanoseconds it was set back in all, by calls given back and by steps of the clock. Wraps around.
    pub(super) returned: u64,
}

impl Limiter {
    /// The limiter of a quota.
    pub fn new(quota: &Quota) -> Limiter {
        let window = quota.per.length.as_nanos();
        // Rounded up: never more than the limit in a window.
        let t = window.div_ceil(u128::from(quota.limit.get()));
        let t = u64::try_from(t).unwrap_or(MAX_SPAN).clamp(1, MAX_SPAN);
        // A burst that does not fit is cut; `governor` would overflow.
        let burst = u64::from(quota.burst.get()).min(MAX_SPAN / t).max(1);
        let window = u64::try_from(window).unwrap_or(u64::MAX);
        // The limiter takes its clock's first reading for the zero of all stored times. With zero itself they
        // are absolute, and mean the same to every worker and after every reload.
        let working = Working::default();
        let rate = Rate::with_period(Duration::from_nanos(t))
            .unwrap_or_else(|| Rate::per_second(quota.limit))
            .allow_burst(
                u32::try_from(burst)
                    .ok()
                    .and_then(|b| b.try_into().ok())
                    .unwrap_or(quota.burst),
            );
        Limiter {
            inner: RateLimiter::new(rate, working.clone(), working.clone()),
            working,
            t,
            span: burst * t,
            skew: MAX_SKEW.min(window),
        }
    }

    /// Takes one call: what to store then, or how long to wait.
    pub(super) fn take(&self, level: Level, now: UnixNanos) -> Result<Level, Duration> {
        let now = self.representable(now);
        self.working.0.now.set(now);
        self.working.0.tat.set(level.tat);
        match self.inner.check() {
            Ok(()) => Ok(Level {
                tat: self.working.0.tat.get(),
                ..level
            }),
            Err(not_until) => Err(not_until.wait_time_from(Nanos::from(now))),
        }
    }

    /// A bucket of which nothing is used.
    pub(super) fn idle(&self) -> Level {
        Level {
            tat: 0,
            t: self.t,
            returned: 0,
        }
    }

    /// What a stored level means to this limiter, now. Where that differs from what is stored, it has to be stored even
    /// if the call is refused: otherwise a caller would wait for the old one to drain.
    pub(super) fn resume(&self, stored: Level, now: UnixNanos) -> Level {
        let now = self.representable(now);
        let ahead = stored.tat.saturating_sub(now);
        if stored.t != self.t {
            // The limit was changed: the calls made stay made, and of the latest as much as has not drained. Whole calls
            // would never drain where two policies of one process count together and call after call changes hands.
            let used = u128::from(ahead) * u128::from(self.t);
            let used = u64::try_from(used.div_ceil(u128::from(stored.t.max(1)))).unwrap_or(u64::MAX);
            return Level {
                tat: now + used.min(self.span),
                t: self.t,
                ..stored
            };
        }
        // Further ahead than a full bucket: the clock was set back, or the burst was lowered.
        if ahead > self.span.saturating_add(self.skew) {
            return stored.set_back(ahead - self.span);
        }
        stored
    }

    /// Beyond the year 2262, time stands still for the longest bursts: nothing refills, nothing overflows.
    fn representable(&self, now: UnixNanos) -> u64 {
        now.0.min(u64::MAX - self.span - self.skew - self.t)
    }
}

impl Level {
    /// Whether nothing of it is used any more.
    pub(super) fn is_idle(self, now: UnixNanos) -> bool {
        self.tat <= now.0
    }

    /// Gives back a call that was charged at a time and left the level at `charged`: as much of it as certainly has not
    /// drained yet, because what both time and a refund give back would let too many pass. That is all of it, unless it
    /// could have drained. After a change of the limit nobody knows.
    pub(super) fn give_back(self, charged: Level, at: UnixNanos, now: UnixNanos) -> Level {
        if self.t != charged.t {
            return self;
        }
        // It cannot have drained for longer than it was there; nor before what was in the bucket when it came, unless
        // that was given back.
        let not_for_long = charged.t.saturating_sub(now.0.saturating_sub(at.0));
        let returned = self.returned.wrapping_sub(charged.returned);
        let not_its_turn = charged.tat.saturating_sub(returned).saturating_sub(now.0);
        self.set_back(not_its_turn.max(not_for_long).min(charged.t))
    }

    fn set_back(self, nanos: u64) -> Level {
        Level {
            tat: self.tat.saturating_sub(nanos),
            t: self.t,
            returned: self.returned.wrapping_add(nanos),
        }
    }
}

/// The clock and the store of a limiter: the time and the level of the record at hand.
#[derive(Clone, Debug, Default)]
struct Working(Rc<Registers>);

#[derive(Debug, Default)]
struct Registers {
    now: Cell<u64>,
    tat: Cell<u64>,
}

impl Clock for Working {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.now.get().into()
    }
}

impl StateStore for Working {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, tat) = f(Some(self.0.tat.get().into()))?;
        self.0.tat.set(tat.into());
        Ok(outcome)
    }
}
