//! The state machine of one breaker, without a store.
//!
//! ```text
//!              so many failures, or such a share
//!      closed ──────────────────────────────────▶ open ◀─────────┐
//!        ▲                                          │ time is up  │ a probe fails
//!        │          every probe is good             ▼             │
//!        └────────────────────────────────────── half-open ───────┘
//! ```

use std::time::Duration;

use super::window::Window;
use crate::outcome::Health;
use crate::policy;
use crate::time::UnixNanos;

/// A probe that has not reported after so long never will (or after the time that the breaker stays open, if that is
/// longer): its VM is gone. Calls may take minutes.
const LEASE: Duration = Duration::from_mins(5);

/// How soon a call that found every probe taken is worth repeating.
const SOON: Duration = Duration::from_secs(1);

/// Whether calls pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Every call passes.
    Closed,
    /// A few calls pass, to find out whether the server works again.
    HalfOpen,
    /// No call passes.
    Open,
}

impl State {
    /// The name: `closed`, `half_open` or `open`.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::HalfOpen => "half_open",
            State::Open => "open",
        }
    }

    /// The value in metrics: 0, 1 or 2.
    pub const fn number(self) -> u64 {
        match self {
            State::Closed => 0,
            State::HalfOpen => 1,
            State::Open => 2,
        }
    }
}

/// One breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// Told to every call that passes, so that its report is ignored after the next transition. 0 until the first one;
    /// then the time of the latest, so that a breaker that was forgotten meanwhile does not repeat itself.
    pub(super) generation: u64,
    pub(super) phase: Phase,
}

/// A state, with what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Closed {
        /// Failures in a row.
        failures: u32,
        window: Window,
    },
    HalfOpen {
        /// Probes that passed, without those that gave up.
        started: u32,
        /// Those of them that found the server working.
        good: u32,
        /// When those that have not reported are given up.
        lease: UnixNanos,
    },
    Open {
        until: UnixNanos,
    },
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Pass { probe: bool },
    Refused { after: Duration },
}

impl Default for Machine {
    fn default() -> Self {
        Machine {
            generation: 0,
            phase: CLOSED,
        }
    }
}

/// Closed, and nothing has failed.
const CLOSED: Phase = Phase::Closed {
    failures: 0,
    window: Window::NEW,
};

impl Machine {
    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::HalfOpen { .. } => State::HalfOpen,
            Phase::Open { .. } => State::Open,
        }
    }

    /// Whether it says no more than a breaker that was never used.
    pub(super) fn is_new(&self) -> bool {
        self.generation == 0
            && matches!(&self.phase, Phase::Closed { failures: 0, window } if window.is_empty())
    }

    /// Asks for a call.
    pub(super) fn admit(&mut self, settings: &policy::Breaker, now: UnixNanos) -> Answer {
        match &mut self.phase {
            Phase::Closed { .. } => Answer::Pass { probe: false },
            Phase::Open { until } => {
                // Further ahead only if the clock went back or the policy has changed.
                *until = (*until).min(after(now, settings.open));
                let left = until_then(now, *until);
                if !left.is_zero() {
                    return Answer::Refused { after: left };
                }
                self.enter(
                    Phase::HalfOpen {
                        started: 1,
                        good: 0,
                        lease: after(now, lease_of(settings)),
                    },
                    now,
                );
                Answer::Pass { probe: true }
            }
            Phase::HalfOpen { .. } => self.admit_probe(settings, now),
        }
    }

    fn admit_probe(&mut self, settings: &policy::Breaker, now: UnixNanos) -> Answer {
        let Phase::HalfOpen { started, good, lease } = &mut self.phase else {
            return Answer::Pass { probe: false };
        };
        if *good >= settings.probes.get() {
            // The policy asks for fewer than it did.
            self.enter(CLOSED, now);
            return Answer::Pass { probe: false };
        }
        *lease = (*lease).min(after(now, lease_of(settings)));
        let left = until_then(now, *lease);
        if left.is_zero() && *started > *good {
            *started = *good;
            // A probe that was given up has nothing to say any more.
            self.generation = self.generation.saturating_add(1).max(now.0);
        }
        if *started < settings.probes.get() {
            *started += 1;
            *lease = after(now, lease_of(settings));
            return Answer::Pass { probe: true };
        }
        Answer::Refused {
            after: left.min(SOON),
        }
    }

    /// Takes the report of a call that passed.
    pub(super) fn report(
        &mut self,
        settings: &policy::Breaker,
        (generation, probe): (u64, bool),
        health: Health,
        now: UnixNanos,
    ) {
        if generation != self.generation {
            return;
        }
        match &mut self.phase {
            Phase::Closed { .. } if probe => {}
            Phase::Closed { failures, window } => {
                let bad = match health {
                    Health::Good => false,
                    Health::Bad => true,
                    Health::Unknown => return,
                };
                *failures = if bad { failures.saturating_add(1) } else { 0 };
                let many = settings.failures.is_some_and(|most| *failures >= most.get());
                let share = settings.ratio.as_ref();
                if share.is_some_and(|ratio| window.count(ratio, bad, now)) || many {
                    self.open(settings, now);
                }
            }
            Phase::HalfOpen { started, good, .. } if probe => match health {
                Health::Bad => self.open(settings, now),
                Health::Unknown => *started = started.saturating_sub(1),
                Health::Good => {
                    *good = good.saturating_add(1);
                    if *good >= settings.probes.get() {
                        self.enter(CLOSED, now);
                    }
                }
            },
            Phase::HalfOpen { .. } | Phase::Open { .. } => {}
        }
    }

    fn open(&mut self, settings: &policy::Breaker, now: UnixNanos) {
        let until = after(now, settings.open);
        self.enter(Phase::Open { until }, now);
    }

    fn enter(&mut self, phase: Phase, now: UnixNanos) {
        self.phase = phase;
        self.generation = self.generation.saturating_add(1).max(now.0);
    }
}

fn lease_of(settings: &policy::Breaker) -> Duration {
    LEASE.max(settings.open)
}

fn after(now: UnixNanos, wait: Duration) -> UnixNanos {
    let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
    UnixNanos(now.0.saturating_add(nanos))
}

fn until_then(now: UnixNanos, then: UnixNanos) -> Duration {
    Duration::from_nanos(then.0.saturating_sub(now.0))
}
