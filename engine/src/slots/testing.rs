//! Stores for tests: of many threads, with other workers at the worst moments, and one that counts.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Mutex;

use crate::store::{Expect, MemoryStore, Store, StoreError, Versioned};

/// A store for threads.
#[derive(Default)]
pub(crate) struct SharedStore(Mutex<HashMap<String, Versioned>>);

impl Store for SharedStore {
    fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    fn set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), StoreError> {
        let mut values = self.0.lock().unwrap();
        let current = values.get(key).map_or(0, |found| found.version);
        let expected = match expect {
            Expect::Anything => current,
            Expect::Absent => 0,
            Expect::Version(version) => version,
        };
        if expected != current {
            return Err(StoreError::Conflict);
        }
        let (value, version) = (value.to_vec(), current + 1);
        values.insert(key.to_owned(), Versioned { value, version });
        Ok(())
    }
}

/// A store in which other workers act before every write that `turns` says, in turn and over again.
pub(crate) struct Busy<'a> {
    pub(crate) inner: &'a MemoryStore,
    pub(crate) turns: &'a [bool],
    pub(crate) at: Cell<usize>,
    pub(crate) other: &'a dyn Fn(&dyn Store),
}

impl Store for Busy<'_> {
    fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.inner.get(key)
    }

    fn set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), StoreError> {
        let at = self.at.get();
        self.at.set(at + 1);
        if self.turns[at % self.turns.len()] {
            (self.other)(self.inner);
        }
        self.inner.set(key, value, expect)
    }
}

/// A store that counts what it is asked, and fails when it is told to.
#[derive(Default)]
pub(crate) struct Counting {
    pub(crate) inner: MemoryStore,
    pub(crate) gets: Cell<u32>,
    pub(crate) sets: Cell<u32>,
    /// What every read answers instead.
    pub(crate) get_fails: Cell<Option<StoreError>>,
    /// What every write answers instead.
    pub(crate) set_fails: Cell<Option<StoreError>>,
}

impl Counting {
    /// Reads and writes since this was asked last.
    pub(crate) fn asked(&self) -> (u32, u32) {
        (self.gets.take(), self.sets.take())
    }
}

impl Store for Counting {
    fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.gets.set(self.gets.get() + 1);
        self.get_fails.get().map_or_else(|| self.inner.get(key), Err)
    }

    fn set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), StoreError> {
        self.sets.set(self.sets.get() + 1);
        self.set_fails
            .get()
            .map_or_else(|| self.inner.set(key, value, expect), Err)
    }
}

/// How many slots of a family hold something, and how many bytes in all.
pub(crate) fn size(family: &str, store: &dyn Store) -> (usize, usize) {
    let values = (0..0x1000).filter_map(|slot| {
        let key = format!("toolgate/{family}/1/{slot:03x}");
        store.get(&key).unwrap().map(|found| found.value.len())
    });
    values.fold((0, 0), |(slots, bytes), length| (slots + 1, bytes + length))
}
