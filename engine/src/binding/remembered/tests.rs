use super::*;
use crate::store::{Expect, MemoryStore, Versioned};
use std::cell::Cell;

const ALICE: Owner<'static> = Owner {
    server: "docs",
    key: "alice",
    subject: None,
};

#[test]
fn tasks_are_remembered_as_their_owners() {
    let store = MemoryStore::new();
    assert_eq!(tool_of(&ALICE, "7", &store), Ok(None));
    remember(&ALICE, "7", "report", &store).unwrap();
    assert_eq!(tool_of(&ALICE, "7", &store).unwrap().as_deref(), Some("report"));
    for other in [
        Owner { key: "bob", ..ALICE },
        Owner {
            server: "wiki",
            ..ALICE
        },
        Owner {
            subject: Some(""),
            ..ALICE
        },
        Owner {
            server: "docsa",
            key: "lice",
            subject: None,
        },
    ] {
        assert_eq!(tool_of(&other, "7", &store), Ok(None), "{other:?}");
    }
    assert_eq!(tool_of(&ALICE, "8", &store), Ok(None));

    // A server that numbers the tasks of every session from 1.
    let bob = Owner { key: "bob", ..ALICE };
    remember(&bob, "7", "search", &store).unwrap();
    assert_eq!(tool_of(&ALICE, "7", &store).unwrap().as_deref(), Some("report"));
    assert_eq!(tool_of(&bob, "7", &store).unwrap().as_deref(), Some("search"));
    remember(&bob, "7", "report", &store).unwrap();
    assert_eq!(tool_of(&bob, "7", &store).unwrap().as_deref(), Some("report"));
}

#[test]
fn names_have_a_length() {
    let store = MemoryStore::new();
    let longest = "é".repeat(MAX_TOOL / 2);
    remember(&ALICE, "longest", &longest, &store).unwrap();
    assert_eq!(tool_of(&ALICE, "longest", &store), Ok(Some(longest.clone())));
    remember(&ALICE, "longer", &format!("{longest}x"), &store).unwrap();
    assert_eq!(tool_of(&ALICE, "longer", &store), Ok(None));
    remember(&ALICE, "unknown", "", &store).unwrap();
    assert_eq!(tool_of(&ALICE, "unknown", &store), Ok(Some(String::new())));
}

/// Ids of Alice's tasks that share a slot.
fn of_one_slot(count: usize) -> Vec<String> {
    let slot = |id: &str| slots::slot(&digest_of(&ALICE, id));
    let ids = (0..).map(|i: u32| i.to_string());
    ids.filter(|id| slot(id) == slot("0")).take(count).collect()
}

#[test]
fn the_oldest_is_forgotten_first() {
    let store = MemoryStore::new();
    let ids = of_one_slot(MAX_TASKS + 2);
    for id in &ids {
        remember(&ALICE, id, &format!("tool {id}"), &store).unwrap();
        // Again changes nothing, least of all its age.
        remember(&ALICE, &ids[0], &format!("tool {}", ids[0]), &store).unwrap();
    }
    let known: Vec<bool> = ids
        .iter()
        .map(|id| tool_of(&ALICE, id, &store).unwrap().is_some())
        .collect();
    // The first was remembered anew when it had been forgotten.
    assert_eq!(known.iter().filter(|known| **known).count(), MAX_TASKS);
    assert!(!known[1] && known[MAX_TASKS + 1]);
    for id in ids
        .iter()
        .filter(|id| tool_of(&ALICE, id, &store).unwrap().is_some())
    {
        assert_eq!(tool_of(&ALICE, id, &store).unwrap(), Some(format!("tool {id}")));
    }
}

/// A store into which somebody else writes before every write.
struct Busy {
    /// The tasks that are remembered then.
    others: Vec<String>,
    store: MemoryStore,
    writes: Cell<usize>,
}

impl Store for Busy {
    fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.store.get(key)
    }

    fn set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), StoreError> {
        if let Some(other) = self.others.get(self.writes.get()) {
            self.writes.set(self.writes.get() + 1);
            remember(&ALICE, other, "other", &self.store)?;
        }
        self.store.set(key, value, expect)
    }
}

#[test]
fn no_workers_task_is_lost_to_anothers() {
    let ids = of_one_slot(6);
    let store = Busy {
        others: ids[1..].to_vec(),
        store: MemoryStore::new(),
        writes: Cell::new(0),
    };
    remember(&ALICE, &ids[0], "report", &store).unwrap();
    assert_eq!(store.writes.get(), 5);
    let tool = |id: &String| tool_of(&ALICE, id, &store).unwrap();
    assert_eq!(tool(&ids[0]).as_deref(), Some("report"));
    assert!(ids[1..].iter().all(|id| tool(id).as_deref() == Some("other")));
}

#[test]
fn damaged_records_are_emptied() {
    let store = MemoryStore::new();
    remember(&ALICE, "7", "report", &store).unwrap();
    let key = format!("toolgate/tasks/1/{:03x}", slots::slot(&digest_of(&ALICE, "7")));
    let stored = store.get(&key).unwrap().unwrap().value;
    assert_eq!(stored.len(), 1 + ENTRY);
    let mut too_long = stored.clone();
    too_long[1 + HASH] = 129;
    let mut not_text = stored.clone();
    not_text[1 + HASH + 1] = 0xff;
    let too_many = [&stored[..1], &stored[1..].repeat(MAX_TASKS + 1)].concat();
    for damaged in [stored[..20].to_vec(), too_long, not_text, too_many] {
        store.set(&key, &damaged, Expect::Anything).unwrap();
        assert_eq!(tool_of(&ALICE, "7", &store), Err(StoreError::Corrupt));
        assert_eq!(tool_of(&ALICE, "7", &store), Ok(None));
        remember(&ALICE, "7", "report", &store).unwrap();
    }
    assert_eq!(store.get(&key).unwrap().unwrap().value, stored);
}
