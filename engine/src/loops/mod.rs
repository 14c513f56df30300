//! Loop guards: agents that go round in circles are told so, and stopped.
//!
//! Two things are counted, over all workers: the same call (key, tool and arguments), and any call of one run (session
//! or trace) of a key. Each is counted in a window that begins with its first call; a call beyond the limit of one is
//! refused and counted in neither. Sessions and traces are named by the client: this is a guard rail for agents that have
//! gone astray, not a limit for those that evade it, which is what quotas are for.

mod record;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::policy::{self, Repeats};
use crate::slots::{self, Change, Contention, Held};
use crate::store::{Store, StoreError};
use crate::time::UnixNanos;

use record::{Record, Room};
pub use text::sentence;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The key's name.
    pub key: &'a str,
    /// The subject of the JWT, each of which is a caller of its own.
    pub subject: Option<&'a str>,
}

/// The run of an agent that a call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run<'a> {
    /// This session.
    Session(&'a [u8]),
    /// This trace.
    Trace(&'a [u8]),
    /// Unknown: such calls of one caller are taken for one run.
    None,
}

/// What there was too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// The same tool with the same arguments.
    Identical,
    /// Calls of any kind in one run.
    AnyCall,
}

/// A call that is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looping {
    /// What there was too much of; of both, calls of any kind, because then another call does not help either.
    pub what: What,
    /// How many calls the window allows.
    pub limit: u32,
    /// The length of the window.
    pub per: Duration,
    /// When this very call is worth another try; never zero.
    pub after: Duration,
}

/// Counts a call, unless it is one too many. `digest` is that of its arguments
/// ([`canonical::digest`](crate::canonical::digest)).
///
/// On an error the call must not be sent. A record that cannot be read is emptied, so that [`StoreError::Corrupt`]
/// refuses one call and not all that follow.
#[expect(clippy::too_many_arguments, reason = "they are what a call is")]
pub fn count(
    settings: &policy::Loops,
    caller: Caller<'_>,
    run: Run<'_>,
    server: &str,
    tool: &str,
    digest: &[u8; 32],
    store: &dyn Store,
    now: UnixNanos,
) -> Result<Option<Looping>, StoreError> {
    let identical = settings.identical.map(|repeats| {
        let parts = [server.as_bytes(), tool.as_bytes(), digest];
        Counter::new(What::Identical, repeats, caller, &parts)
    });
    let any_call = settings.any_call.map(|repeats| {
        let (kind, id): (&[u8], _) = match run {
            Run::Session(id) => (b"session", id),
            Run::Trace(id) => (b"trace", id),
            Run::None => (b"none", Default::default()),
        };
        Counter::new(What::AnyCall, repeats, caller, &[kind, id])
    });
    match (identical, any_call) {
        (None, None) => Ok(None),
        (Some(counter), None) | (None, Some(counter)) => Ok(counter.count(store, now)?.err()),
        (Some(identical), Some(any_call)) => count_both(&identical, &any_call, store, now),
    }
}

/// Counts a call in two windows, or in none: both are looked at before either is written.
fn count_both(
    identical: &Counter,
    any_call: &Counter,
    store: &dyn Store,
    now: UnixNanos,
) -> Result<Option<Looping>, StoreError> {
    let (same, same_room) = identical.look(store, now)?;
    let (any, any_room) = any_call.look(store, now)?;
    match (same_room, any_room) {
        (Room::Counted(same_until), Room::Counted(any_until)) => {
            let until = match identical.commit(&same, same_until, store, now)? {
                Ok(until) => until,
                Err(looping) => return Ok(Some(looping)),
            };
            let outcome = any_call.commit(&any, any_until, store, now);
            if !matches!(outcome, Ok(Ok(_))) {
                identical.take_back(until, store);
            }
            Ok(outcome?.err())
        }
        (same_room, any_room) => {
            let refusals = [(any_call, any, any_room), (identical, same, same_room)];
            Ok(refuse(refusals, store))
        }
    }
}

/// What to tell of windows of which at least one refuses. Calls of any kind come first, and the wait is the longest.
fn refuse(looks: [(&Counter, Held<Record>, Room); 2], store: &dyn Store) -> Option<Looping> {
    let mut told: Option<Looping> = None;
    for (counter, held, room) in looks {
        let Room::None { after, cut } = room else {
            continue;
        };
        if cut {
            // If another worker wrote meanwhile, it has cut the window too.
            let _ = held.write(store);
        }
        let looping = counter.looping(after);
        told = Some(told.map_or(looping, |first| Looping {
            after: first.after.max(after),
            ..first
        }));
    }
    told
}

/// One of the windows that count a call.
#[derive(Debug)]
struct Counter {
    what: What,
    repeats: Repeats,
    id: u64,
    slot: u16,
}

impl Counter {
    fn new(what: What, repeats: Repeats, caller: Caller<'_>, parts: &[&[u8]]) -> Counter {
        let kind: &[u8] = match what {
            What::Identical => b"identical",
            What::AnyCall => b"any",
        };
        let (who, subject): (&[u8], _) = match caller.subject {
            Some(subject) => (b"subject", subject),
            None => (b"key", ""),
        };
        let mut hasher = Sha256::new();
        // Each with its length, so that no two lists of parts read the same.
        for part in [kind, caller.key.as_bytes(), who, subject.as_bytes()]
            .iter()
            .chain(parts)
        {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let digest = hasher.finalize().into();
        Counter {
            what,
            repeats,
            id: slots::id(&digest),
            slot: slots::slot(&digest),
        }
    }

    /// Counts a call, and says in which window, by its end.
    fn count(&self, store: &dyn Store, now: UnixNanos) -> Result<Result<UnixNanos, Looping>, StoreError> {
        slots::update(
            self.slot,
            store,
            &mut Contention::default(),
            |record: &mut Record| {
                Ok(match record.count(self.id, &self.repeats, now) {
                    Room::Counted(until) => Change::Write(Ok(until)),
                    Room::None { after, cut: true } => Change::Write(Err(self.looping(after))),
                    Room::None { after, cut: false } => Change::Keep(Err(self.looping(after))),
                })
            },
        )
    }

    /// Counts a call in a copy.
    fn look(&self, store: &dyn Store, now: UnixNanos) -> Result<(Held<Record>, Room), StoreError> {
        let mut held = Held::<Record>::read(self.slot, store)?;
        let room = held.record.count(self.id, &self.repeats, now);
        Ok((held, room))
    }

    /// Writes such a copy. If another worker wrote meanwhile, the call is counted anew.
    fn commit(
        &self,
        held: &Held<Record>,
        until: UnixNanos,
        store: &dyn Store,
        now: UnixNanos,
    ) -> Result<Result<UnixNanos, Looping>, StoreError> {
        match held.write(store) {
            Ok(()) => Ok(Ok(until)),
            Err(StoreError::Conflict) => self.count(store, now),
            Err(error) => Err(error),
        }
    }

    /// Best effort: what cannot be taken back stays counted until the window ends.
    fn take_back(&self, until: UnixNanos, store: &dyn Store) {
        let _ = slots::update(
            self.slot,
            store,
            &mut Contention::default(),
            |record: &mut Record| {
                record.take_back(self.id, until);
                Ok(Change::Write(()))
            },
        );
    }

    fn looping(&self, after: Duration) -> Looping {
        Looping {
            what: self.what,
            limit: self.repeats.limit.get(),
            per: self.repeats.per,
            after,
        }
    }
}
