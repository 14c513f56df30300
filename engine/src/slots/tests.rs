use super::testing::{Busy, Counting};
use super::*;
use crate::store::MemoryStore;

#[derive(Default)]
struct Counter(Table<10>);

impl Record for Counter {
    const FAMILY: &'static str = "tests";
    const DAMAGED: Damaged = Damaged::Emptied;

    fn parse(bytes: Vec<u8>) -> Result<Counter, StoreError> {
        Table::parse(bytes, 3, |entry| entry[9] == 0).map(Counter)
    }

    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// Like it, but what is damaged stays.
#[derive(Default)]
struct Stubborn(Counter);

impl Record for Stubborn {
    const FAMILY: &'static str = "stubborn";
    const DAMAGED: Damaged = Damaged::Stays;

    fn parse(bytes: Vec<u8>) -> Result<Stubborn, StoreError> {
        Counter::parse(bytes).map(Stubborn)
    }

    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

fn entry(id: u64, count: u8) -> [u8; 10] {
    let mut entry = [0; 10];
    entry[..8].copy_from_slice(&id.to_le_bytes());
    entry[8] = count;
    entry
}

/// Adds one to the count of 7, up to `most`.
fn add(store: &dyn Store, most: u8, contention: &mut Contention) -> Result<Option<u8>, StoreError> {
    update(0xabc, store, contention, |record: &mut Counter| {
        let found = record.0.find(7).map(|(at, entry)| (at, entry[8]));
        Ok(match found {
            Some((_, count)) if count >= most => Change::Keep(None),
            Some((at, count)) => {
                record.0.replace(at, &entry(7, count + 1));
                Change::Write(Some(count + 1))
            }
            None => {
                record.0.push(&entry(7, 1));
                Change::Write(Some(1))
            }
        })
    })
}

#[test]
fn keys_are_fixed() {
    for (slot, key) in [
        (0, "toolgate/tests/1/000"),
        (0xabc, "toolgate/tests/1/abc"),
        (0xfff, "toolgate/tests/1/fff"),
    ] {
        assert_eq!(Key::of("tests", slot).as_str(), key);
    }
    assert_eq!(
        Key::of("twelveletter", 0x09a).as_str(),
        "toolgate/twelveletter/1/09a"
    );
    assert_eq!(slot(&[0xff; 32]), 0x0fff);
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&0x0102_0304_0506_0708_u64.to_le_bytes());
    assert_eq!((id(&digest), slot(&digest)), (0x0102_0304_0506_0708, 0));
}

#[test]
fn a_table_finds_replaces_and_removes() {
    let mut table = Table::<10>::default();
    assert!(
        !table.bytes().is_empty(),
        "an empty value cannot be told from none"
    );
    for id in [1, 2, 3] {
        table.push(&entry(id, 0));
    }
    table.replace(1, &entry(2, 9));
    table.replace(3, &entry(4, 9));
    assert_eq!(table.entries(), [entry(1, 0), entry(2, 9), entry(3, 0)]);
    assert_eq!(table.find(2), Some((1, &entry(2, 9))));
    assert_eq!(table.find(4), None);
    table.remove(0);
    table.remove(7);
    assert_eq!(table.entries(), [entry(2, 9), entry(3, 0)]);
    let read = Table::parse(table.bytes().to_vec(), 2, |_| true);
    assert_eq!(read, Ok(table));
}

#[test]
fn what_is_no_table_is_damaged() {
    let bytes = |entries: &[[u8; 10]]| [&[FORMAT], entries.as_flattened()].concat();
    assert!(Counter::parse(bytes(&[])).is_ok());
    assert!(Counter::parse(bytes(&[entry(1, 0); 3])).is_ok());
    let mut odd = bytes(&[entry(1, 0)]);
    odd.push(0);
    let mut unknown = bytes(&[entry(1, 0)]);
    unknown[10] = 1;
    let mut other = bytes(&[entry(1, 0)]);
    other[0] = 2;
    for damaged in [vec![], odd, unknown, other, bytes(&[entry(1, 0); 4])] {
        let parsed = Counter::parse(damaged.clone());
        assert!(matches!(parsed, Err(StoreError::Corrupt)), "{damaged:?}");
    }
}

#[test]
fn a_damaged_record_refuses_once_or_for_ever() {
    let store = MemoryStore::new();
    for family in ["tests", "stubborn"] {
        store
            .set(&format!("toolgate/{family}/1/abc"), b"damaged", Expect::Anything)
            .unwrap();
    }
    let mut contention = Contention::default();
    assert_eq!(add(&store, 9, &mut contention), Err(StoreError::Corrupt));
    assert_eq!(add(&store, 9, &mut contention), Ok(Some(1)));
    for _ in 0..3 {
        assert!(matches!(
            Held::<Stubborn>::read(0xabc, &store),
            Err(StoreError::Corrupt)
        ));
    }
}

#[test]
fn what_did_not_change_is_not_written() {
    let store = Counting::default();
    let mut contention = Contention::default();
    assert_eq!(add(&store, 1, &mut contention), Ok(Some(1)));
    assert_eq!(store.asked(), (1, 1));
    assert_eq!(add(&store, 1, &mut contention), Ok(None));
    assert_eq!(store.asked(), (1, 0));
    assert_eq!(contention.conflicts, 0);
}

#[test]
fn others_are_counted_and_waited_for_but_not_for_ever() {
    let store = MemoryStore::new();
    let other = |store: &dyn Store| {
        add(store, 99, &mut Contention::default()).unwrap();
    };
    let busy = |turns: &'static [bool]| Busy {
        inner: &store,
        turns,
        at: std::cell::Cell::default(),
        other: &other,
    };
    let mut contention = Contention::default();
    assert_eq!(
        add(&busy(&[true, true, true, false]), 99, &mut contention),
        Ok(Some(4))
    );
    assert_eq!(contention.conflicts, 3);
    // The others are at 99 before the tries are used up: then nothing conflicts any more.
    assert_eq!(add(&busy(&[true]), 99, &mut Contention::default()), Ok(None));

    let never = Counting::default();
    never.set_fails.set(Some(StoreError::Conflict));
    let mut contention = Contention::default();
    assert_eq!(add(&never, 99, &mut contention), Err(StoreError::Conflict));
    assert_eq!(contention.conflicts, TRIES);
    assert_eq!(never.asked(), (TRIES, TRIES));
}

#[test]
fn a_host_that_fails_is_told_at_once() {
    let store = Counting::default();
    let mut contention = Contention::default();
    store.set_fails.set(Some(StoreError::Host(2)));
    assert_eq!(add(&store, 9, &mut contention), Err(StoreError::Host(2)));
    assert_eq!(store.asked(), (1, 1));
    store.get_fails.set(Some(StoreError::Host(10)));
    assert_eq!(add(&store, 9, &mut contention), Err(StoreError::Host(10)));
    assert_eq!(store.asked(), (1, 0));
}
