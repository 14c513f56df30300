//! Windows in which calls are counted, many in one record, in entries of one size. All numbers are little endian.
//!
//! ```text
//! id u64 │ until u64 │ calls u32
//! ```

use std::time::Duration;

use crate::policy::Repeats;
use crate::slots::{self, Damaged, Table};
use crate::store::StoreError;
use crate::time::UnixNanos;

const ENTRY: usize = 8 + 8 + 4;

/// Windows in one record: 262,144 in all, which is 5 MB. Callers can invent arguments, sessions and traces.
pub(super) const MOST: usize = 64;

/// The windows of a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    table: Table<ENTRY>,
}

impl slots::Record for Record {
    const FAMILY: &'static str = "loops";
    /// Windows that are forgotten begin anew; a key that is refused for ever is an outage.
    const DAMAGED: Damaged = Damaged::Emptied;

    fn parse(bytes: Vec<u8>) -> Result<Record, StoreError> {
        let counted = |entry: &[u8; ENTRY]| Window::of(entry).is_some_and(|window| window.calls > 0);
        Table::parse(bytes, MOST, counted).map(|table| Record { table })
    }

    fn bytes(&self) -> &[u8] {
        self.table.bytes()
    }
}

/// Calls since the first one that no earlier window counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    id: u64,
    pub(super) until: UnixNanos,
    pub(super) calls: u32,
}

/// What a window says to one more call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It is counted, in the window that ends then.
    Counted(UnixNanos),
    /// There is none.
    None {
        /// Until so long from now.
        after: Duration,
        /// Whether the record has changed all the same.
        cut: bool,
    },
}

impl Record {
    /// Counts a call, or says how long there is no room for it. A window that ends later than one that begins now (the
    /// clock went back, or the policy's windows became shorter) is cut either way.
    pub(super) fn count(&mut self, id: u64, repeats: &Repeats, now: UnixNanos) -> Room {
        let nanos = u64::try_from(repeats.per.as_nanos()).unwrap_or(u64::MAX);
        let latest = UnixNanos(now.0.saturating_add(nanos));
        let found = self
            .table
            .find(id)
            .and_then(|(at, entry)| Some((at, Window::of(entry)?)));
        let Some((at, window)) = found else {
            self.make_room(now);
            let first = Window {
                id,
                until: latest,
                calls: 1,
            };
            self.table.push(&first.bytes());
            return Room::Counted(latest);
        };
        let mut next = window;
        let room = if window.until <= now {
            next = Window {
                until: latest,
                calls: 1,
                ..window
            };
            Room::Counted(latest)
        } else {
            next.until = window.until.min(latest);
            if window.calls < repeats.limit.get() {
                next.calls += 1;
                Room::Counted(next.until)
            } else {
                Room::None {
                    after: Duration::from_nanos(next.until.0.saturating_sub(now.0)),
                    cut: next != window,
                }
            }
        };
        if next != window {
            self.table.replace(at, &next.bytes());
        }
        room
    }

    /// Takes back a call that was counted in the window that ends then, if it still runs.
    pub(super) fn take_back(&mut self, id: u64, until: UnixNanos) {
        let found = self
            .table
            .find(id)
            .and_then(|(at, entry)| Some((at, Window::of(entry)?)));
        match found {
            Some((at, window)) if window.until == until && window.calls > 1 => {
                let calls = window.calls - 1;
                self.table.replace(at, &Window { calls, ..window }.bytes());
            }
            Some((at, window)) if window.until == until => self.table.remove(at),
            _ => {}
        }
    }

    /// Forgets windows that have ended; if all still run and there is no room, the one that ends first.
    fn make_room(&mut self, now: UnixNanos) {
        let over = |entry: &[u8; ENTRY]| Window::of(entry).is_none_or(|window| window.until <= now);
        if self.table.entries().iter().any(over) {
            self.table.retain(|entry| !over(entry));
        }
        if self.table.entries().len() >= MOST {
            let entries = self.table.entries().iter().enumerate();
            let first = entries.min_by_key(|(_, entry)| Window::of(entry).map(|window| window.until));
            if let Some((at, _)) = first {
                self.table.remove(at);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.entries().len()
    }
}

impl Window {
    fn of(entry: &[u8; ENTRY]) -> Option<Window> {
        let (id, rest) = entry.split_first_chunk()?;
        let (until, rest) = rest.split_first_chunk()?;
        Some(Window {
            id: u64::from_le_bytes(*id),
            until: UnixNanos(u64::from_le_bytes(*until)),
            calls: u32::from_le_bytes(*rest.first_chunk()?),
        })
    }

    fn bytes(&self) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        let (numbers, calls) = entry.split_at_mut(16);
        let (id, until) = numbers.split_at_mut(8);
        id.copy_from_slice(&self.id.to_le_bytes());
        until.copy_from_slice(&self.until.0.to_le_bytes());
        calls.copy_from_slice(&self.calls.to_le_bytes());
        entry
    }
}
