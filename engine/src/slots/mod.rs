//! Slots: the fixed keys under which records are stored, and their compare-and-swap.
//!
//! ```text
//! SHA-256 of names ──slot──▶ toolgate/<family>/1/<3 hex> ──▶ a record: a bounded table of entries
//! ```
//!
//! Envoy's shared data never forgets a key, so there is a fixed number of them for each family of records, whatever
//! policies, tools and callers come and go.

use crate::store::{Expect, Store, StoreError};

/// How often all compare-and-swaps of one change together are tried. Each failure means that another worker got on.
const TRIES: u32 = 128;

/// What is stored in the slots of one family.
pub trait Record: Default {
    /// Their name, which is part of the key: at most 12 lowercase letters.
    const FAMILY: &'static str;
    /// What happens to a record that cannot be read.
    const DAMAGED: Damaged;

    /// Reads what is stored.
    fn parse(bytes: Vec<u8>) -> Result<Self, StoreError>;
    /// What to store.
    fn bytes(&self) -> &[u8];
}

/// What happens to a record that cannot be read, besides that whoever reads it gets [`StoreError::Corrupt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damaged {
    /// It stays, and so do its refusals: what it counted is worth more than the calls.
    Stays,
    /// It is emptied, so that the next one to read it starts anew: what it held would soon be forgotten anyway.
    Emptied,
}

/// A record, and what the store must still hold when it is written back.
#[derive(Debug)]
pub struct Held<R> {
    /// The number of its slot.
    pub slot: u16,
    /// What was read, to be changed.
    pub record: R,
    expect: Expect,
}

/// Counts tries and conflicts over several records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Contention {
    /// Compare-and-swaps that met another worker's.
    pub conflicts: u32,
}

/// Whether a record is to be written back, and what its change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<T> {
    /// It is as it was.
    Keep(T),
    /// It is to be written.
    Write(T),
}

impl<R: Record> Held<R> {
    /// Reads the record of a slot; one that was never written is empty.
    pub fn read(slot: u16, store: &dyn Store) -> Result<Held<R>, StoreError> {
        let key = Key::of(R::FAMILY, slot);
        let Some(found) = store.get(key.as_str())? else {
            let (record, expect) = (R::default(), Expect::Absent);
            return Ok(Held { slot, record, expect });
        };
        let expect = Expect::Version(found.version);
        match R::parse(found.value) {
            Ok(record) => Ok(Held { slot, record, expect }),
            Err(error) => {
                if R::DAMAGED == Damaged::Emptied {
                    // If this fails, the next one to read it tries again.
                    let _ = store.set(key.as_str(), R::default().bytes(), expect);
                }
                Err(error)
            }
        }
    }

    /// Writes it back if nobody wrote meanwhile.
    pub fn write(&self, store: &dyn Store) -> Result<(), StoreError> {
        store.set(
            Key::of(R::FAMILY, self.slot).as_str(),
            self.record.bytes(),
            self.expect,
        )
    }
}

impl Contention {
    /// Whether to try again after a write that met another one.
    pub fn again(&mut self) -> bool {
        self.conflicts += 1;
        self.conflicts < TRIES
    }
}

/// Changes the record of a slot. `change` is called again for every try; what its last call came to is returned.
pub fn update<R: Record, T>(
    slot: u16,
    store: &dyn Store,
    contention: &mut Contention,
    mut change: impl FnMut(&mut R) -> Result<Change<T>, StoreError>,
) -> Result<T, StoreError> {
    loop {
        let mut held = Held::<R>::read(slot, store)?;
        let value = match change(&mut held.record)? {
            Change::Keep(value) => return Ok(value),
            Change::Write(value) => value,
        };
        match held.write(store) {
            Ok(()) => return Ok(value),
            Err(StoreError::Conflict) if contention.again() => {}
            Err(error) => return Err(error),
        }
    }
}

/// The slot of what has this SHA-256: twelve bits that [`id`] does not use.
pub fn slot(digest: &[u8; 32]) -> u16 {
    digest.last_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes)) & 0x0fff
}

/// The id, within its slot, of what has this SHA-256.
pub fn id(digest: &[u8; 32]) -> u64 {
    digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Entries of `SIZE` bytes in no order, each of which begins with its id, a little-endian `u64`.
///
/// A byte with the format's version comes before them, so that an empty table is not an empty value, which Envoy's
/// shared data cannot tell from none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<const SIZE: usize> {
    bytes: Vec<u8>,
}

/// The version of the format.
const FORMAT: u8 = 1;

impl<const SIZE: usize> Default for Table<SIZE> {
    fn default() -> Self {
        Table { bytes: vec![FORMAT] }
    }
}

impl<const SIZE: usize> Table<SIZE> {
    /// Reads a table of at most `most` entries, each of which passes `check`.
    pub fn parse(
        bytes: Vec<u8>,
        most: usize,
        check: impl Fn(&[u8; SIZE]) -> bool,
    ) -> Result<Self, StoreError> {
        let (entries, rest) = match bytes.split_first() {
            Some((&FORMAT, entries)) => entries.as_chunks::<SIZE>(),
            _ => return Err(StoreError::Corrupt),
        };
        if rest.is_empty() && entries.len() <= most && entries.iter().all(check) {
            Ok(Table { bytes })
        } else {
            Err(StoreError::Corrupt)
        }
    }

    /// What [`parse`](Table::parse) reads.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entries.
    pub fn entries(&self) -> &[[u8; SIZE]] {
        self.bytes.get(1..).unwrap_or_default().as_chunks().0
    }

    /// Where the entry of that id is until one is removed, and the entry.
    pub fn find(&self, id: u64) -> Option<(usize, &[u8; SIZE])> {
        let id = id.to_le_bytes();
        let mut entries = self.entries().iter().enumerate();
        entries.find(|(_, entry)| entry.starts_with(&id))
    }

    /// Replaces the entry at a place.
    pub fn replace(&mut self, at: usize, entry: &[u8; SIZE]) {
        let (entries, _) = self.bytes.get_mut(1..).unwrap_or_default().as_chunks_mut();
        if let Some(place) = entries.get_mut(at) {
            *place = *entry;
        }
    }

    /// Adds an entry.
    pub fn push(&mut self, entry: &[u8; SIZE]) {
        self.bytes.extend_from_slice(entry);
    }

    /// Removes the entry at a place.
    pub fn remove(&mut self, at: usize) {
        let mut index = 0;
        self.retain(|_| {
            index += 1;
            index - 1 != at
        });
    }

    /// Removes all entries but those that `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8; SIZE]) -> bool) {
        let mut bytes = vec![FORMAT];
        bytes.reserve(self.bytes.len());
        bytes.extend(self.entries().iter().filter(|entry| keep(entry)).flatten());
        self.bytes = bytes;
    }
}

/// A slot's key: `toolgate/usage/1/` (the number is the layout's version) and three hexadecimal digits.
#[derive(Clone, Copy, Debug)]
struct Key {
    bytes: [u8; 32],
    length: usize,
}

impl Key {
    fn of(family: &str, slot: u16) -> Key {
        let mut key = Key {
            bytes: [0; 32],
            length: 0,
        };
        for part in ["toolgate/", family, "/1/"] {
            part.bytes().for_each(|byte| key.push(byte));
        }
        for shift in [8, 4, 0] {
            let value = u8::try_from(slot >> shift & 0xf).unwrap_or_default();
            key.push(if value < 10 {
                b'0' + value
            } else {
                b'a' + value - 10
            });
        }
        key
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn as_str(&self) -> &str {
        // ASCII by construction.
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
