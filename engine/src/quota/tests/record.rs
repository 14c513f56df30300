use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::policy::{Period, Scope};
use crate::quota::budget::Spending;
use crate::quota::gcra::Level;
use crate::quota::record::{ENTRY, Entry, Kind, MAX_PARTS, Name, Record};
use crate::quota::{Over, Stop};
use crate::store::{Expect, MemoryStore, Store, StoreError};

fn entry() -> impl Strategy<Value = (Kind, Entry)> {
    let per = prop_oneof![Just(Period::Day), Just(Period::Month), Just(Period::Total)];
    prop_oneof![
        any::<(u64, u64, u64)>()
            .prop_map(|(tat, t, returned)| (Kind::Quota, Entry::Quota(Level { tat, t, returned }))),
        (per, any::<(u32, u64)>(), any::<(u32, u64)>()).prop_map(|(per, latest, earlier)| {
            (Kind::Budget, Entry::Budget(Spending { per, latest, earlier }))
        }),
        any::<u64>().prop_map(|micros| (Kind::Debt, Entry::Debt(micros))),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(entries in prop::collection::btree_map((0..9u64, any::<u64>()), entry(), 0..20)) {
        let named = || entries.iter().map(|((limit, part), (kind, entry))| {
            (Name { limit: *limit, part: *part, kind: *kind }, *entry)
        });
        let mut record = Record::default();
        for (name, entry) in named() {
            record.put(name, &entry).unwrap();
            record.put(name, &entry).unwrap();
        }
        prop_assert_eq!(record.bytes().len(), entries.len() * ENTRY);
        let mut read = Record::parse(record.bytes().to_vec()).unwrap();
        for (name, entry) in named() {
            prop_assert_eq!(read.find(name).unwrap().map(|(_, found)| found), Some(entry));
            read.remove(name);
            prop_assert_eq!(read.find(name).unwrap(), None);
        }
        prop_assert_eq!(read, Record::default());
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(prop_oneof![0..4u8, any::<u8>()], 0..300), now: u64) {
        if let Ok(mut record) = Record::parse(bytes) {
            record.sweep(UnixNanos(now));
        }
    }
}

/// The only key's store after a few calls, and its one value.
fn charged() -> (World, MemoryStore, Vec<u8>) {
    let world = World::of_key(&json!({
        "quotas": [{ "limit": 9, "per": "minute" }],
        "budget": { "limit": 9, "per": "month" },
    }));
    let store = MemoryStore::new();
    world
        .book
        .charge(&world.bill("key", "paid"), Scope::Local, &store, NOW)
        .unwrap();
    let value = store.get(&key(&world)).unwrap().unwrap().value;
    (world, store, value)
}

fn key(world: &World) -> String {
    format!("toolgate/usage/1/{:03x}", world.book.owners()[0].slot)
}

#[test]
fn a_damaged_value_refuses_and_stays() {
    let (world, store, value) = charged();
    assert_eq!(value.len(), 2 * ENTRY);
    let bill = world.bill("key", "paid");
    let check = |damaged: &[u8], at: usize| {
        store.set(&key(&world), damaged, Expect::Anything).unwrap();
        match world.book.charge(&bill, Scope::Local, &store, NOW) {
            Err(Stop::Failed { error, .. }) => assert_eq!(error, StoreError::Corrupt, "{damaged:?}"),
            other => panic!("{other:?} with {damaged:?}"),
        }
        world
            .book
            .settle(&world.bill("key", "long"), 1 << 20, &store, NOW);
        let value = store.get(&key(&world)).unwrap().unwrap().value;
        assert_eq!((value.len(), value.get(at)), (damaged.len(), damaged.get(at)));
    };
    for length in (1..value.len()).filter(|length| length % ENTRY != 0) {
        check(&value[..length], 0);
    }
    // The kind of either entry, the zeros after the first's numbers, the second's period.
    for (at, byte) in [
        (16, 0),
        (16, 9),
        (16, 0xff),
        (ENTRY + 16, 4),
        (ENTRY - 1, 1),
        (ENTRY + 17, 3),
        (ENTRY + 17, 0),
    ] {
        let mut damaged = value.clone();
        damaged[at] = byte;
        check(&damaged, at);
    }
    store.set(&key(&world), &value, Expect::Anything).unwrap();
    assert!(world.book.charge(&bill, Scope::Local, &store, NOW).is_ok());
}

#[test]
fn invented_tool_names_fill_a_bounded_record() {
    let world = World::of_key(&json!({ "quotas": [{ "limit": 2, "per": "hour", "each": "tool" }] }));
    let (store, mut passed) = (MemoryStore::new(), 0);
    for number in 0..100_000 {
        let bill = world.bill("key", &format!("tool-{number}"));
        passed += usize::from(world.book.charge(&bill, Scope::Local, &store, NOW).is_ok());
    }
    // Each of the first has its own count; all others share one.
    assert_eq!(passed, MAX_PARTS + 2);
    let value = store.get(&key(&world)).unwrap().unwrap().value;
    assert_eq!(value.len(), (MAX_PARTS + 1) * ENTRY);
    // A tool that has its count keeps it.
    assert!(
        world
            .book
            .charge(&world.bill("key", "tool-0"), Scope::Local, &store, NOW)
            .is_ok()
    );
    assert!(
        world
            .book
            .charge(&world.bill("key", "tool-0"), Scope::Local, &store, NOW)
            .is_err()
    );
    // When time has drained the counts, the next new one drops them.
    let bill = world.bill("key", "one more");
    world
        .book
        .charge(&bill, Scope::Local, &store, after(HOUR))
        .unwrap();
    assert_eq!(store.get(&key(&world)).unwrap().unwrap().value.len(), ENTRY);
}

#[test]
fn a_tool_that_leaves_the_shared_count_takes_what_is_used_with_it() {
    let world = World::of_key(&json!({ "quotas": [{ "limit": 2, "per": "hour", "each": "tool" }] }));
    let store = MemoryStore::new();
    let charge = |tool: &str, now| {
        world
            .book
            .charge(&world.bill("key", tool), Scope::Local, &store, now)
            .is_ok()
    };
    for number in 0..MAX_PARTS {
        assert!(charge(&format!("tool-{number}"), NOW));
    }
    let later = after(20 * MINUTE);
    assert!(charge("late", later) && charge("late", later) && !charge("late", later));
    // The others are idle again, the shared count is full for this tool.
    let later = after(30 * MINUTE);
    assert!(!charge("late", later));
    assert!(charge("late", after(50 * MINUTE)));
    assert!(!charge("late", after(50 * MINUTE)));
}

#[test]
fn counts_of_limits_that_are_gone_leave_when_something_new_comes() {
    let store = MemoryStore::new();
    for number in 0..50 {
        let day = after(number * 2 * DAY);
        let world = World::of_key(&json!({
            "quotas": [{ "limit": 5, "per": format!("{}m", number + 1) }],
            "budget": { "limit": 1, "per": if number % 2 == 0 { "day" } else { "month" } },
        }));
        world
            .book
            .charge(&world.bill("key", "paid"), Scope::Local, &store, day)
            .unwrap();
        let value = store.get(&key(&world)).unwrap().unwrap().value;
        assert!(value.len() <= 4 * ENTRY, "{} entries", value.len() / ENTRY);
    }
}

#[test]
fn each_subject_has_its_own_count() {
    let world = World::of_key(&json!({ "quotas": [{ "limit": 2, "per": "hour", "each": "subject" }] }));
    let store = MemoryStore::new();
    for number in 0..2_000 {
        let bill = world
            .bill_of("key", "free", Some(&format!("user-{number}")))
            .unwrap();
        let passed = (0..4)
            .filter(|_| world.book.charge(&bill, Scope::Local, &store, NOW).is_ok())
            .count();
        assert_eq!(passed, 2);
    }
}

#[test]
fn of_several_limits_the_one_with_the_longest_wait_is_named() {
    let world = World::new(
        &json!({ "team": { "quotas": [{ "limit": 1, "per": "hour" }, { "limit": 1, "per": "second" }] } }),
        &json!({ "key": {
            "team": "team",
            "quotas": [{ "limit": 1, "per": "minute" }],
            "budget": { "limit": 0.05, "per": "total" },
        } }),
    );
    let store = MemoryStore::new();
    let over = |tool| match world
        .book
        .charge(&world.bill("key", tool), Scope::Local, &store, NOW)
    {
        Err(Stop::Over(over)) => over,
        other => panic!("{other:?}"),
    };
    world
        .book
        .charge(&world.bill("key", "paid"), Scope::Local, &store, NOW)
        .unwrap();
    let Over { limit, budget, wait } = over("free");
    assert_eq!(
        world.book.pointer(limit.unwrap()).as_deref(),
        Some("/teams/team/quotas/0")
    );
    assert_eq!((budget, wait), (false, Some(Duration::from_hours(1))));
    let Over { limit, budget, wait } = over("paid");
    assert_eq!(
        world.book.pointer(limit.unwrap()).as_deref(),
        Some("/keys/key/budget")
    );
    assert_eq!((budget, wait), (true, None));
}

#[test]
fn a_refused_call_writes_nothing() {
    let world = World::of_key(
        &json!({ "quotas": [{ "limit": 1, "per": "hour" }, { "limit": 9, "per": "hour", "each": "tool" }] }),
    );
    let store = MemoryStore::new();
    world
        .book
        .charge(&world.bill("key", "free"), Scope::Local, &store, NOW)
        .unwrap();
    let before = store.get(&key(&world)).unwrap();
    assert!(
        world
            .book
            .charge(&world.bill("key", "free"), Scope::Local, &store, NOW)
            .is_err()
    );
    assert!(
        world
            .book
            .charge(&world.bill("key", "paid"), Scope::Local, &store, NOW)
            .is_err()
    );
    assert_eq!(store.get(&key(&world)).unwrap(), before);
}
