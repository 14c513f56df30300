//! Many workers on one store: on threads, and interleaved at the worst moments.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Barrier, Mutex};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::policy::Scope;
use crate::quota::Stop;
use crate::quota::record::{Entry, Record};
use crate::slots::testing::SharedStore;
use crate::store::{Expect, MemoryStore, Store, StoreError, Versioned};

/// A store between whose reads and writes other workers act, and whose host fails.
struct Busy<'a> {
    inner: &'a MemoryStore,
    /// What happens before each write, in turn and over again.
    script: &'a [Event],
    at: Cell<usize>,
    other: &'a dyn Fn(&dyn Store),
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Quiet,
    /// Another worker charges a call.
    Other,
    /// Another worker writes the same again.
    Rewrite,
    /// The write fails.
    Failure,
}

impl Busy<'_> {
    fn event(&self) -> Event {
        let at = self.at.get();
        self.at.set(at + 1);
        self.script[at % self.script.len()]
    }
}

impl Store for Busy<'_> {
    fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.inner.get(key)
    }

    fn set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), StoreError> {
        match self.event() {
            Event::Quiet => {}
            Event::Other => (self.other)(self.inner),
            Event::Rewrite => {
                let same = self.inner.get(key)?.map(|found| found.value).unwrap_or_default();
                self.inner.set(key, &same, Expect::Anything)?;
            }
            Event::Failure => return Err(StoreError::Host(10)),
        }
        self.inner.set(key, value, expect)
    }
}

fn per_year(limit: u32) -> serde_json::Value {
    json!({ "limit": limit, "per": "365d" })
}

/// Two keys of a team that has a parent.
fn family(key: u32, team: u32, parent: u32) -> World {
    World::new(
        &json!({
            "parent": { "quotas": [per_year(parent)] },
            "team": { "parent": "parent", "quotas": [per_year(team)], "budget": { "limit": 1000, "per": "total" } },
        }),
        &json!({
            "one": { "team": "team", "quotas": [per_year(key), per_year(key + 1)] },
            "two": { "team": "team", "quotas": [per_year(key)] },
        }),
    )
}

/// How many calls each count of a store holds, for quotas per year: by limit id.
fn counts(world: &World, store: &dyn Store) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    for owner in world.book.owners() {
        let key = format!("toolgate/usage/1/{:03x}", owner.slot);
        let Some(found) = store.get(&key).unwrap() else {
            continue;
        };
        let record = Record::parse(found.value).unwrap();
        for limit in &owner.limits {
            let count = record.entries_of(limit.id).map(|entry| match entry {
                Entry::Quota(level) => (level.tat - NOW.0).div_ceil(level.t),
                Entry::Budget(spending) => spending.latest.1,
                Entry::Debt(micros) => micros,
            });
            counts.insert(owner.pointer(limit), count.sum());
        }
    }
    counts
}

/// Four workers make calls until all are refused; returns how many of each key's calls passed.
fn race(make: impl Fn() -> World + Sync, store: &SharedStore, calls: u32) -> [u64; 2] {
    let passed = Mutex::new([0; 2]);
    let barrier = Barrier::new(4);
    std::thread::scope(|scope| {
        for worker in 0..4u32 {
            let (make, passed, barrier) = (&make, &passed, &barrier);
            scope.spawn(move || {
                let world = make();
                let bills = [world.bill("one", "paid"), world.bill("two", "paid")];
                let mut mine = [0; 2];
                barrier.wait();
                for call in 0..calls {
                    let which = ((call + worker) % 2) as usize;
                    match world.book.charge(&bills[which], Scope::Local, store, NOW) {
                        Ok(_) => mine[which] += 1,
                        Err(Stop::Over(_)) => {}
                        Err(stop) => panic!("{stop:?}"),
                    }
                }
                let mut passed = passed.lock().unwrap();
                passed[0] += mine[0];
                passed[1] += mine[1];
            });
        }
    });
    passed.into_inner().unwrap()
}

#[test]
fn threads_pass_exactly_the_limit() {
    for limit in [1, 50, 10_000] {
        let store = SharedStore::default();
        let world = || {
            World::new(
                &json!({}),
                &json!({ "one": { "quotas": [per_year(limit)] }, "two": { "quotas": [per_year(limit)] } }),
            )
        };
        let passed = race(world, &store, limit + 100);
        assert_eq!(passed, [u64::from(limit); 2]);
    }
}

#[test]
fn threads_pass_exactly_the_smallest_of_several_limits() {
    // The smallest is each key's, the team's, the parent's.
    for (key, team, parent, total) in [(40, 100, 90, 80), (70, 100, 110, 100), (70, 110, 100, 100)] {
        let store = SharedStore::default();
        let world = || family(key, team, parent);
        let passed = race(world, &store, 200);
        assert_eq!(passed.iter().sum::<u64>(), total, "{passed:?}");
        assert!(
            passed.iter().all(|passed| *passed <= u64::from(key)),
            "{passed:?}"
        );
        // What was refused left nothing behind.
        let counts = counts(&world(), &store);
        assert_eq!(counts["/keys/one/quotas/0"], passed[0]);
        assert_eq!(counts["/keys/one/quotas/1"], passed[0]);
        assert_eq!(counts["/keys/two/quotas/0"], passed[1]);
        assert_eq!(counts["/teams/team/quotas/0"], total);
        assert_eq!(counts["/teams/parent/quotas/0"], total);
        assert_eq!(counts["/teams/team/budget"], total * 50_000);
    }
}

fn scripts(with_failures: bool) -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => Just(Event::Quiet),
        4 => Just(Event::Other),
        2 => Just(Event::Rewrite),
        u32::from(with_failures) * 2 => Just(Event::Failure),
    ];
    prop::collection::vec(event, 1..40).prop_map(|mut script| {
        // Otherwise nobody ever gets on.
        script.push(Event::Quiet);
        script
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Whatever another worker does between a read and a write, exactly the smallest limit passes, and every count is what passed.
    #[test]
    fn interleaved_workers_pass_exactly_the_limit(
        key in 1..30u32,
        team in 1..40u32,
        parent in 1..40u32,
        script in scripts(false),
    ) {
        let world = family(key, team, parent);
        let bills = [world.bill("one", "paid"), world.bill("two", "paid")];
        let (store, passed) = (MemoryStore::new(), RefCell::new([0u64; 2]));
        let turns = Cell::new(0usize);
        let charge = |which: usize, store: &dyn Store| {
            match world.book.charge(&bills[which], Scope::Local, store, NOW) {
                Ok(_) => passed.borrow_mut()[which] += 1,
                Err(Stop::Over(_)) => {}
                Err(stop) => panic!("{stop:?}"),
            }
        };
        let other = |store: &dyn Store| {
            turns.set(turns.get() + 1);
            charge(turns.get() % 2, store);
        };
        let busy = Busy { inner: &store, script: &script, at: Cell::new(0), other: &other };
        for call in 0..120 {
            charge(call % 2, &busy);
        }
        let passed = *passed.borrow();
        let most = u64::from(team.min(parent).min(2 * key));
        prop_assert_eq!(passed.iter().sum::<u64>(), most);
        let counts = counts(&world, &store);
        prop_assert_eq!(counts.get("/keys/one/quotas/0").copied().unwrap_or(0), passed[0]);
        prop_assert_eq!(counts.get("/keys/two/quotas/0").copied().unwrap_or(0), passed[1]);
        prop_assert_eq!(counts["/teams/team/quotas/0"], most);
        prop_assert_eq!(counts["/teams/parent/quotas/0"], most);
        prop_assert_eq!(counts["/teams/team/budget"], most * 50_000);
    }

    /// A store that fails lets nobody through who is not counted.
    #[test]
    fn a_failing_store_passes_nothing_uncounted(key in 1..30u32, team in 1..40u32, script in scripts(true)) {
        let world = family(key, team, 1_000);
        let bill = world.bill("one", "paid");
        let (store, passed) = (MemoryStore::new(), Cell::new(0u64));
        let charge = |store: &dyn Store| {
            let outcome = world.book.charge(&bill, Scope::Local, store, NOW);
            passed.set(passed.get() + u64::from(outcome.is_ok()));
            outcome
        };
        let other = |store: &dyn Store| {
            let _ = charge(store);
        };
        let busy = Busy { inner: &store, script: &script, at: Cell::new(0), other: &other };
        for _ in 0..100 {
            match charge(&busy) {
                Ok(_) | Err(Stop::Over(_)) => {}
                Err(Stop::Failed { error, .. }) => prop_assert_eq!(error, StoreError::Host(10)),
            }
        }
        prop_assert!(passed.get() <= u64::from(key.min(team)));
        for (limit, count) in counts(&world, &store) {
            let count = if limit.ends_with("budget") { count / 50_000 } else { count };
            prop_assert!(count >= passed.get(), "{}: {} counted, {} passed", limit, count, passed.get());
        }
    }
}

#[test]
fn a_store_that_never_lets_a_write_through_is_given_up() {
    let world = family(10, 10, 10);
    let store = MemoryStore::new();
    let busy = Busy {
        inner: &store,
        script: &[Event::Rewrite],
        at: Cell::new(0),
        other: &|_| {},
    };
    let outcome = world
        .book
        .charge(&world.bill("one", "free"), Scope::Local, &busy, NOW);
    let Err(Stop::Failed { error, .. }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(error, StoreError::Conflict);
    assert!((100..200).contains(&busy.at.get()), "{} tries", busy.at.get());
}

#[test]
fn conflicts_are_counted() {
    let world = family(10, 10, 10);
    let store = MemoryStore::new();
    let busy = Busy {
        inner: &store,
        script: &[Event::Rewrite, Event::Rewrite, Event::Quiet],
        at: Cell::new(0),
        other: &|_| {},
    };
    let receipt = world
        .book
        .charge(&world.bill("one", "free"), Scope::Local, &busy, NOW)
        .unwrap();
    // Key, team and parent have a record each.
    assert_eq!(receipt.conflicts, 6);
}
