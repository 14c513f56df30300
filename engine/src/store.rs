//! Shared state: one small compare-and-swap store, by key.
//!
//! The filter implements it on Envoy's shared data (one map per process, shared by all workers);
//! tests and the command line use [`MemoryStore`].

use std::cell::RefCell;
use std::collections::HashMap;

/// A value and the version that a compare-and-swap must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The bytes as stored.
    pub value: Vec<u8>,
    /// Never 0: 0 means "no value" to Envoy's shared data.
    pub version: u32,
}

/// Why a write did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote first: read again and retry, a bounded number of times.
    #[error("the value changed meanwhile")]
    Conflict,
    /// What is stored is not what is written there.
    #[error("the stored value is damaged")]
    Corrupt,
    /// The host refused, with its status.
    #[error("the host's store failed (status {0})")]
    Host(u32),
}

/// What a write expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Write only where nothing is yet. On Envoy's shared data this is a compare-and-swap with the highest version,
    /// which creates a missing value and matches one write in four billion: only that one could be overwritten.
    Absent,
    /// Write whatever is there.
    Anything,
    /// Write only over this version.
    Version(u32),
}

/// Shared state behind which every counter and every remembered definition lives.
pub trait Store {
    /// The value under `key`, if there is one.
    fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError>;
    /// Writes `value` under `key` if what is there is what `expect` says.
    fn set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), StoreError>;
}

/// A store in memory, for one thread.
#[derive(Debug, Default)]
pub struct MemoryStore {
    values: RefCell<HashMap<String, Versioned>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        Ok(self.values.borrow().get(key).cloned())
    }

    fn set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), StoreError> {
        let mut values = self.values.borrow_mut();
        let current = values.get(key).map(|v| v.version);
        match expect {
            Expect::Version(version) if current != Some(version) => Err(StoreError::Conflict),
            Expect::Absent if current.is_some() => Err(StoreError::Conflict),
            Expect::Absent | Expect::Version(_) | Expect::Anything => {
                let version = current.unwrap_or(0).wrapping_add(1).max(1);
                let value = value.to_vec();
                values.insert(key.to_owned(), Versioned { value, version });
                Ok(())
            }
        }
    }
}
