//! The ends of chains, many in one record, in entries of one size. All numbers are little endian.
//!
//! ```text
//! id u64 │ start u64 │ at u64 │ seq u64 │ digest 16 bytes        times are nanoseconds since the Unix epoch
//! ```

use super::digest::BYTES;
use crate::slots::{self, Damaged, Table};
use crate::store::StoreError;

const ENTRY: usize = 8 + 8 + 8 + 8 + BYTES;

/// Chains in one record: 131,072 in all, which is 6 MB. Callers can invent sessions and traces.
pub(super) const MOST: usize = 32;

/// The chains of a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    table: Table<ENTRY>,
}

impl slots::Record for Record {
    const FAMILY: &'static str = "chain";
    /// Chains that are forgotten begin anew under another id.
    const DAMAGED: Damaged = Damaged::Emptied;

    fn parse(bytes: Vec<u8>) -> Result<Record, StoreError> {
        let begun = |entry: &[u8; ENTRY]| End::of(entry).is_some_and(|end| end.seq > 0);
        Table::parse(bytes, MOST, begun).map(|table| Record { table })
    }

    fn bytes(&self) -> &[u8] {
        self.table.bytes()
    }
}

/// A link in the making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    id: u64,
    at: u64,
    /// Where the chain's end is kept, if it is known.
    place: Option<usize>,
    /// When the chain began.
    pub(super) start: u64,
    /// The number of the link.
    pub(super) seq: u64,
    /// The digest of the one before.
    pub(super) prev: Option<[u8; BYTES]>,
}

impl Record {
    /// What the next link of a chain follows.
    pub(super) fn begin_step(&self, id: u64, at: u64) -> Step {
        let found = self
            .table
            .find(id)
            .and_then(|(place, entry)| Some((place, End::of(entry)?)));
        let Some((place, end)) = found else {
            let (place, prev) = (None, None);
            return Step {
                id,
                at,
                place,
                start: at,
                seq: 1,
                prev,
            };
        };
        Step {
            id,
            at,
            place: Some(place),
            start: end.start,
            seq: end.seq.saturating_add(1),
            prev: Some(end.digest),
        }
    }

    /// Keeps a link as the end of its chain. If there is no room for a new one, the chain that was not continued for the
    /// longest time is forgotten.
    pub(super) fn end_step(&mut self, step: &Step, digest: [u8; BYTES]) {
        let end = End {
            id: step.id,
            start: step.start,
            at: step.at,
            seq: step.seq,
            digest,
        };
        if let Some(place) = step.place {
            self.table.replace(place, &end.bytes());
            return;
        }
        if self.table.entries().len() >= MOST {
            let entries = self.table.entries().iter().enumerate();
            let oldest = entries.min_by_key(|(_, entry)| End::of(entry).map(|end| end.at));
            if let Some((place, _)) = oldest {
                self.table.remove(place);
            }
        }
        self.table.push(&end.bytes());
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.entries().len()
    }
}

/// The latest link of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    id: u64,
    start: u64,
    at: u64,
    seq: u64,
    digest: [u8; BYTES],
}

impl End {
    fn of(entry: &[u8; ENTRY]) -> Option<End> {
        let (numbers, digest) = entry.split_first_chunk::<32>()?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let [id, start, at, seq] = numbers else {
            return None;
        };
        Some(End {
            id: u64::from_le_bytes(*id),
            start: u64::from_le_bytes(*start),
            at: u64::from_le_bytes(*at),
            seq: u64::from_le_bytes(*seq),
            digest: *digest.first_chunk()?,
        })
    }

    fn bytes(&self) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        let (numbers, digest) = entry.split_at_mut(32);
        for (place, number) in numbers
            .as_chunks_mut::<8>()
            .0
            .iter_mut()
            .zip([self.id, self.start, self.at, self.seq])
        {
            *place = number.to_le_bytes();
        }
        digest.copy_from_slice(&self.digest);
        entry
    }
}
