//! Where records are stored, and how they are changed.

use super::book::{Owner, Part};
use super::record::Record;
use crate::slots::{self, Change, Damaged};
use crate::store::{Store, StoreError};

pub(super) use crate::slots::Contention;

/// A record, and what the store must still hold when it is written back.
pub(super) type Held = slots::Held<Record>;

impl slots::Record for Record {
    const FAMILY: &'static str = "usage";
    /// Nobody is given a budget anew because its record is damaged.
    const DAMAGED: Damaged = Damaged::Stays;

    fn parse(bytes: Vec<u8>) -> Result<Record, StoreError> {
        Record::parse(bytes)
    }

    fn bytes(&self) -> &[u8] {
        self.bytes()
    }
}

/// Changes the record of a slot. `change` says whether it changed anything; it is called again for every try.
pub(super) fn update(
    slot: u16,
    store: &dyn Store,
    mut change: impl FnMut(&mut Record) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    slots::update(slot, store, &mut Contention::default(), |record| {
        Ok(if change(record)? {
            Change::Write(())
        } else {
            Change::Keep(())
        })
    })
}

/// The slot in which a part of an owner's limit is counted.
pub(super) fn slot_of(owner: &Owner, part: Part) -> u16 {
    match part {
        Part::Whole | Part::Tool(_) => owner.slot,
        Part::Subject(_, slot) => slot,
    }
}
