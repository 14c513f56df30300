//! How breakers are stored: many in one record, in entries of one size. All numbers are little endian.
//!
//! ```text
//! id u64 │ generation u64 │ written u64 │ state u8 │ 92 bytes by state
//!   0 closed     failures u32, latest u64, 10 × (calls u32, bad u32)
//!   1 half-open  started u32, good u32, lease u64, zeros
//!   2 open       until u64, zeros
//! ```

use super::machine::{Machine, Phase};
use super::window::{BUCKETS, Bucket, Window};
use crate::slots::{self, Damaged, Table};
use crate::store::StoreError;
use crate::time::UnixNanos;

const ENTRY: usize = STATE + 1 + BODY;
const WRITTEN: usize = 16;
const STATE: usize = 24;
const BODY: usize = 4 + 8 + 8 * BUCKETS;

const CLOSED: u8 = 0;
const HALF_OPEN: u8 = 1;
const OPEN: u8 = 2;

/// Breakers in one record: 65,536 in all, which is 8 MB. Callers can invent names of tools.
pub(super) const MOST: usize = 16;

/// The breakers of a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    table: Table<ENTRY>,
}

impl slots::Record for Record {
    const FAMILY: &'static str = "breaker";
    /// A breaker that is forgotten opens again after a few more failures; one that refuses for ever is an outage.
    const DAMAGED: Damaged = Damaged::Emptied;

    fn parse(bytes: Vec<u8>) -> Result<Record, StoreError> {
        // Any number in an entry can be lived with, so this is all there is to check, on every call.
        let known = |entry: &[u8; ENTRY]| entry.get(STATE).is_some_and(|state| *state <= OPEN);
        Table::parse(bytes, MOST, known).map(|table| Record { table })
    }

    fn bytes(&self) -> &[u8] {
        self.table.bytes()
    }
}

impl Record {
    /// Where the breaker of that id is, if it has a place, and its state.
    pub(super) fn find(&self, id: u64) -> Result<(Option<usize>, Machine), StoreError> {
        match self.table.find(id) {
            None => Ok((None, Machine::default())),
            Some((at, entry)) => {
                let machine = decode(entry).ok_or(StoreError::Corrupt)?;
                Ok((Some(at), machine))
            }
        }
    }

    /// Writes a breaker to the place where it was found. If it has none and there is no room, another one is forgotten:
    /// a closed one, and of those the one that was longest without a failure or a success that had to be written; only
    /// if none is closed, the one that was longest in its state.
    pub(super) fn put(&mut self, at: Option<usize>, id: u64, machine: &Machine, now: UnixNanos) {
        match at {
            Some(at) if machine.is_new() => self.table.remove(at),
            Some(at) => self.table.replace(at, &encode(id, now, machine)),
            None if machine.is_new() => {}
            None => {
                if self.table.entries().len() >= MOST {
                    self.forget_one();
                }
                self.table.push(&encode(id, now, machine));
            }
        }
    }

    fn forget_one(&mut self) {
        let entries = self.table.entries().iter().enumerate();
        let worth = |entry: &[u8; ENTRY]| {
            let written = entry.get(WRITTEN..).and_then(<[u8]>::first_chunk);
            let closed = entry.get(STATE) == Some(&CLOSED);
            (!closed, written.map(|bytes| u64::from_le_bytes(*bytes)))
        };
        if let Some((at, _)) = entries.min_by_key(|(_, entry)| worth(entry)) {
            self.table.remove(at);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.entries().len()
    }
}

fn decode(entry: &[u8; ENTRY]) -> Option<Machine> {
    let mut rest = Reader(entry.get(8..)?);
    let generation = rest.u64()?;
    let _written = rest.u64()?;
    let [state] = rest.take()?;
    let phase = match state {
        CLOSED => {
            let failures = rest.u32()?;
            let mut window = Window {
                latest: rest.u64()?,
                ..Window::NEW
            };
            for bucket in &mut window.buckets {
                *bucket = Bucket {
                    calls: rest.u32()?,
                    bad: rest.u32()?,
                };
            }
            Phase::Closed { failures, window }
        }
        HALF_OPEN => Phase::HalfOpen {
            started: rest.u32()?,
            good: rest.u32()?,
            lease: UnixNanos(rest.u64()?),
        },
        OPEN => Phase::Open {
            until: UnixNanos(rest.u64()?),
        },
        _ => return None,
    };
    Some(Machine { generation, phase })
}

fn encode(id: u64, written: UnixNanos, machine: &Machine) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    let mut out = Writer(&mut entry);
    out.put(&id.to_le_bytes());
    out.put(&machine.generation.to_le_bytes());
    out.put(&written.0.to_le_bytes());
    match &machine.phase {
        Phase::Closed { failures, window } => {
            out.put(&[CLOSED]);
            out.put(&failures.to_le_bytes());
            out.put(&window.latest.to_le_bytes());
            for bucket in &window.buckets {
                out.put(&bucket.calls.to_le_bytes());
                out.put(&bucket.bad.to_le_bytes());
            }
        }
        Phase::HalfOpen { started, good, lease } => {
            out.put(&[HALF_OPEN]);
            out.put(&started.to_le_bytes());
            out.put(&good.to_le_bytes());
            out.put(&lease.0.to_le_bytes());
        }
        Phase::Open { until } => {
            out.put(&[OPEN]);
            out.put(&until.0.to_le_bytes());
        }
    }
    entry
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

struct Writer<'a>(&'a mut [u8]);

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if let Some((to, rest)) = std::mem::take(&mut self.0).split_at_mut_checked(bytes.len()) {
            to.copy_from_slice(bytes);
            self.0 = rest;
        }
    }
}
