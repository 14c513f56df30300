//! Records: what the store holds under one key.
//!
//! A record is a sequence of entries of one size, in no order. All numbers are little endian.
//!
//! ```text
//! limit u64 │ part u64 │ kind u8 │ 25 bytes by kind
//!   1 quota   tat u64, t u64, returned u64, zero
//!   2 budget  period u8, twice (label u32, spent u64)
//!   3 debt    micros u64, zeros
//! ```

use super::budget::Spending;
use super::gcra::Level;
use crate::policy::Period;
use crate::store::StoreError;
use crate::time::UnixNanos;

const HEAD: usize = 17;
const BODY: usize = 25;
/// The size of an entry, in bytes.
pub(super) const ENTRY: usize = HEAD + BODY;

/// How many parts of one limit a record holds at most: a caller can invent tool names, and JWTs can name any number
/// of subjects.
pub(super) const MAX_PARTS: usize = 256;

/// The count that all parts share that find no place of their own.
pub(super) const OVERFLOW: u64 = u64::MAX;

/// One record, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    bytes: Vec<u8>,
}

/// Names an entry of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) limit: u64,
    pub(super) part: u64,
    pub(super) kind: Kind,
}

/// What an entry counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Quota = 1,
    Budget = 2,
    Debt = 3,
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Quota(Level),
    Budget(Spending),
    Debt(u64),
}

impl Record {
    /// Reads what is stored.
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Record, StoreError> {
        let record = Record { bytes };
        let (entries, rest) = record.bytes.as_chunks::<ENTRY>();
        let known = |entry: &[u8; ENTRY]| Kind::of(entry).is_some();
        if rest.is_empty() && entries.iter().all(known) {
            Ok(record)
        } else {
            Err(StoreError::Corrupt)
        }
    }

    /// What to store.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entry of that name, and where it is until entries are dropped.
    pub(super) fn find(&self, name: Name) -> Result<Option<(usize, Entry)>, StoreError> {
        let head = name.head();
        let mut entries = self.entries().enumerate();
        let found = entries.find(|(_, entry)| entry.starts_with(&head));
        found.map(|(at, entry)| Ok((at, decode(entry)?))).transpose()
    }

    /// Replaces what the entry there says.
    pub(super) fn replace(&mut self, at: usize, entry: &Entry) {
        let (entries, _) = self.bytes.as_chunks_mut::<ENTRY>();
        if let Some(body) = entries
            .get_mut(at)
            .and_then(|entry| entry.last_chunk_mut::<BODY>())
        {
            *body = encode(entry);
        }
    }

    /// Adds an entry.
    pub(super) fn push(&mut self, name: Name, entry: &Entry) {
        self.bytes.extend_from_slice(&name.head());
        self.bytes.extend_from_slice(&encode(entry));
    }

    /// Writes an entry, over the one of that name if there is one.
    pub(super) fn put(&mut self, name: Name, entry: &Entry) -> Result<(), StoreError> {
        match self.find(name)? {
            Some((at, _)) => self.replace(at, entry),
            None => self.push(name, entry),
        }
        Ok(())
    }

    /// Removes the entry of that name.
    pub(super) fn remove(&mut self, name: Name) {
        let head = name.head();
        self.retain(|entry| !entry.starts_with(&head));
    }

    /// Drops what no longer says anything: called before a record grows, so that limits and keys that the policy no
    /// longer has leave it. Damaged entries stay, and are reported when they are asked for.
    pub(super) fn sweep(&mut self, now: UnixNanos) {
        self.retain(|entry| match decode(entry) {
            Ok(Entry::Quota(level)) => !level.is_idle(now),
            Ok(Entry::Budget(spending)) => !spending.is_over(now),
            Ok(Entry::Debt(micros)) => micros > 0,
            Err(_) => true,
        });
    }

    /// How many parts of a limit have an entry.
    pub(super) fn parts(&self, name: Name) -> usize {
        let limit = name.limit.to_le_bytes();
        self.entries().filter(|entry| entry.starts_with(&limit)).count()
    }

    /// What is said of a limit.
    #[cfg(test)]
    pub(super) fn entries_of(&self, limit: u64) -> impl Iterator<Item = Entry> {
        let limit = limit.to_le_bytes();
        let entries = self.entries().filter(move |entry| entry.starts_with(&limit));
        entries.map(|entry| decode(entry).unwrap())
    }

    fn entries(&self) -> impl Iterator<Item = &[u8; ENTRY]> {
        self.bytes.as_chunks::<ENTRY>().0.iter()
    }

    fn retain(&mut self, keep: impl Fn(&[u8; ENTRY]) -> bool) {
        if self.entries().all(&keep) {
            return;
        }
        self.bytes = self
            .entries()
            .filter(|entry| keep(entry))
            .flatten()
            .copied()
            .collect();
    }
}

impl Name {
    fn head(self) -> [u8; HEAD] {
        let mut head = [self.kind as u8; HEAD];
        let (limit, rest) = head.split_at_mut(8);
        limit.copy_from_slice(&self.limit.to_le_bytes());
        if let Some(part) = rest.first_chunk_mut() {
            *part = self.part.to_le_bytes();
        }
        head
    }
}

impl Kind {
    fn of(entry: &[u8; ENTRY]) -> Option<Kind> {
        match entry.get(HEAD - 1)? {
            1 => Some(Kind::Quota),
            2 => Some(Kind::Budget),
            3 => Some(Kind::Debt),
            _ => None,
        }
    }
}

fn decode(entry: &[u8; ENTRY]) -> Result<Entry, StoreError> {
    let kind = Kind::of(entry).ok_or(StoreError::Corrupt)?;
    let mut rest = entry.get(HEAD..).unwrap_or_default();
    let entry = match kind {
        Kind::Quota => Entry::Quota(Level {
            tat: u64::from_le_bytes(take(&mut rest)?),
            t: u64::from_le_bytes(take(&mut rest)?),
            returned: u64::from_le_bytes(take(&mut rest)?),
        }),
        Kind::Budget => {
            let [period] = take(&mut rest)?;
            let per = period_of(period).ok_or(StoreError::Corrupt)?;
            let mut pair = || -> Result<(u32, u64), StoreError> {
                Ok((
                    u32::from_le_bytes(take(&mut rest)?),
                    u64::from_le_bytes(take(&mut rest)?),
                ))
            };
            Entry::Budget(Spending {
                per,
                latest: pair()?,
                earlier: pair()?,
            })
        }
        Kind::Debt => Entry::Debt(u64::from_le_bytes(take(&mut rest)?)),
    };
    if rest.iter().any(|byte| *byte != 0) {
        return Err(StoreError::Corrupt);
    }
    Ok(entry)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], StoreError> {
    let (bytes, tail) = rest.split_first_chunk().ok_or(StoreError::Corrupt)?;
    *rest = tail;
    Ok(*bytes)
}

fn encode(entry: &Entry) -> [u8; BODY] {
    let mut body = [0; BODY];
    let mut rest = body.as_mut_slice();
    let mut put = |bytes: &[u8]| {
        if let Some((to, tail)) = std::mem::take(&mut rest).split_at_mut_checked(bytes.len()) {
            to.copy_from_slice(bytes);
            rest = tail;
        }
    };
    match entry {
        Entry::Quota(level) => {
            put(&level.tat.to_le_bytes());
            put(&level.t.to_le_bytes());
            put(&level.returned.to_le_bytes());
        }
        Entry::Budget(spending) => {
            put(&[period_byte(spending.per)]);
            for (label, spent) in [spending.latest, spending.earlier] {
                put(&label.to_le_bytes());
                put(&spent.to_le_bytes());
            }
        }
        Entry::Debt(micros) => put(&micros.to_le_bytes()),
    }
    body
}

fn period_byte(per: Period) -> u8 {
    match per {
        Period::Day => 0,
        Period::Month => 1,
        Period::Total => 2,
    }
}

fn period_of(byte: u8) -> Option<Period> {
    [Period::Day, Period::Month, Period::Total]
        .into_iter()
        .find(|per| period_byte(*per) == byte)
}
