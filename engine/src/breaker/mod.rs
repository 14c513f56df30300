//! Circuit breakers: when a tool or a server fails too often, calls are no longer sent to it for a while.
//!
//! ```text
//! BreakerId ──admit──▶ Pass(Permit) ── the call ──report(Health)──▶ the state it led to, if another
//!                └───▶ Refused { after }
//! ```
//!
//! The state is in the [`Store`], so it is that of all workers: an open breaker lets nothing through on any of them, and
//! a half-open one exactly as many calls as the policy says. A call that passes a closed breaker costs one read; a
//! success is written only where it ends a run of failures or where a share of calls is counted.

mod machine;
mod record;
#[cfg(test)]
mod tests;
mod window;

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::outcome::Health;
use crate::policy;
use crate::slots::{self, Change, Contention, Held};
use crate::store::{Store, StoreError};
use crate::time::UnixNanos;

use machine::Answer;
pub use machine::State;
use record::Record;

/// What a breaker watches as one, hashed, so that every worker and every later policy finds the same breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BreakerId {
    id: u64,
    slot: u16,
}

impl BreakerId {
    /// Of a server, or of one of its tools. Costs one SHA-256.
    pub fn of(server: &str, tool: Option<&str>) -> BreakerId {
        let mut hasher = Sha256::new();
        // Each with its length, so that no two lists of names read the same.
        for part in [Some(server), tool].into_iter().flatten() {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let digest = hasher.finalize().into();
        BreakerId {
            id: slots::id(&digest),
            slot: slots::slot(&digest),
        }
    }
}

/// What becomes of a call.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may be sent, and its end is to be reported with the permit.
    Pass(Permit),
    /// It must not be sent.
    Refused {
        /// When it is worth another try; never zero.
        after: Duration,
    },
}

/// One call that may be sent. Give it to [`report`] when the call is over, however it ended: until then, a probe keeps
/// others from passing. One that is lost, with its VM, is given up after five minutes, or after the time that the
/// breaker stays open if that is longer.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    id: BreakerId,
    generation: u64,
    probe: bool,
    transition: Option<State>,
}

impl Permit {
    /// Whether this is one of the calls that find out whether the server works again.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// The state that the breaker went into when this call passed, if that was another one.
    pub fn transition(&self) -> Option<State> {
        self.transition
    }
}

/// Asks whether a call may be sent.
///
/// On an error it must not be. A record that cannot be read is emptied, so that [`StoreError::Corrupt`] refuses one call
/// and not all that follow: its breakers are closed then, and open again if failures go on.
pub fn admit(
    settings: &policy::Breaker,
    id: BreakerId,
    store: &dyn Store,
    now: UnixNanos,
) -> Result<Admission, StoreError> {
    slots::update(
        id.slot,
        store,
        &mut Contention::default(),
        |record: &mut Record| {
            let (at, before) = record.find(id.id)?;
            let mut machine = before;
            let admission = match machine.admit(settings, now) {
                Answer::Refused { after } => Admission::Refused { after },
                Answer::Pass { probe } => Admission::Pass(Permit {
                    id,
                    generation: machine.generation,
                    probe,
                    transition: (machine.state() != before.state()).then(|| machine.state()),
                }),
            };
            if machine == before {
                return Ok(Change::Keep(admission));
            }
            record.put(at, id.id, &machine, now);
            Ok(Change::Write(admission))
        },
    )
}

/// Asks whether the breaker is closed, for what must not pass another one and cannot be a probe; else, when it is worth
/// another try. Changes nothing.
pub fn wait(
    settings: &policy::Breaker,
    id: BreakerId,
    store: &dyn Store,
    now: UnixNanos,
) -> Result<Option<Duration>, StoreError> {
    let held = Held::<Record>::read(id.slot, store)?;
    let (_, mut machine) = held.record.find(id.id)?;
    Ok(match machine.admit(settings, now) {
        Answer::Pass { probe: false } => None,
        Answer::Pass { probe: true } => Some(Duration::from_secs(1)),
        Answer::Refused { after } => Some(after),
    })
}

/// Reports the end of a call, and says which state the breaker went into, if that is another one.
///
/// Reports from before the latest transition change nothing. On an error the report is lost, which is nobody's fault
/// but at most delays what the breaker does: a lost probe is given up in time.
#[expect(clippy::needless_pass_by_value, reason = "a call is reported once")]
pub fn report(
    settings: &policy::Breaker,
    permit: Permit,
    health: Health,
    store: &dyn Store,
    now: UnixNanos,
) -> Result<Option<State>, StoreError> {
    let (id, probe) = (permit.id, permit.probe);
    if health == Health::Unknown && !probe {
        return Ok(None);
    }
    slots::update(
        id.slot,
        store,
        &mut Contention::default(),
        |record: &mut Record| {
            let (at, mut before) = record.find(id.id)?;
            if at.is_none() && !probe {
                // The breaker was forgotten, or never had to be written: it goes on where this call passed it closed.
                before.generation = permit.generation;
            }
            let mut machine = before;
            machine.report(settings, (permit.generation, probe), health, now);
            if machine == before {
                return Ok(Change::Keep(None));
            }
            record.put(at, id.id, &machine, now);
            let state = machine.state();
            Ok(Change::Write((state != before.state()).then_some(state)))
        },
    )
}
