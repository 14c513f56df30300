//! Slots: the keys under which records are stored, and their compare-and-swap.
//!
//! Envoy's shared data never forgets a key, so there is a fixed number of them, whatever policies come and go.

use super::book::{Owner, Part};
use super::record::Record;
use crate::store::{Expect, Store, StoreError};

/// How often all compare-and-swaps of one charge together are tried. Each failure means that another worker got on.
const TRIES: u32 = 128;

/// A slot's key: `toolgate/usage/1/` (the number is the format's version) and three hexadecimal digits.
#[derive(Clone, Copy, Debug)]
struct Key([u8; 20]);

/// A record, and what the store must still hold when it is written back.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) slot: u16,
    pub(super) record: Record,
    expect: Expect,
}

/// Counts tries and conflicts over several records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contention {
    pub(super) conflicts: u32,
}

impl Held {
    /// Reads the record of a slot.
    pub(super) fn read(slot: u16, store: &dyn Store) -> Result<Held, StoreError> {
        let (record, expect) = match store.get(Key::of(slot).as_str())? {
            Some(found) => (Record::parse(found.value)?, Expect::Version(found.version)),
            None => (Record::default(), Expect::Absent),
        };
        Ok(Held { slot, record, expect })
    }

    /// Writes it back if nobody wrote meanwhile.
    pub(super) fn write(&self, store: &dyn Store) -> Result<(), StoreError> {
        store.set(Key::of(self.slot).as_str(), self.record.bytes(), self.expect)
    }
}

impl Contention {
    /// Whether to try again after a write that met another one.
    pub(super) fn again(&mut self) -> bool {
        self.conflicts += 1;
        self.conflicts < TRIES
    }
}

/// Changes the record of a slot. `change` says whether it changed anything; it is called again for every try.
pub(super) fn update(
    slot: u16,
    store: &dyn Store,
    mut change: impl FnMut(&mut Record) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let mut contention = Contention::default();
    loop {
        let mut held = Held::read(slot, store)?;
        if !change(&mut held.record)? {
            return Ok(());
        }
        match held.write(store) {
            Err(StoreError::Conflict) if contention.again() => {}
            outcome => return outcome,
        }
    }
}

/// The slot in which a part of an owner's limit is counted.
pub(super) fn slot_of(owner: &Owner, part: Part) -> u16 {
    match part {
        Part::Whole | Part::Tool(_) => owner.slot,
        Part::Subject(_, slot) => slot,
    }
}

impl Key {
    fn of(slot: u16) -> Key {
        let mut key = *b"toolgate/usage/1/000";
        for (digit, shift) in key.iter_mut().rev().zip([0, 4, 8]) {
            let value = u8::try_from(slot >> shift & 0xf).unwrap_or_default();
            *digit = if value < 10 {
                b'0' + value
            } else {
                b'a' + value - 10
            };
        }
        Key(key)
    }

    fn as_str(&self) -> &str {
        // ASCII by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}
