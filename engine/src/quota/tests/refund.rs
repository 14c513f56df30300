use proptest::prelude::*;
use serde_json::json;

use super::model::{Numbers, Passed};
use super::*;
use crate::policy::Scope;
use crate::quota::Receipt;
use crate::quota::record::{Entry, Record};
use crate::store::{MemoryStore, Store};

/// What a store holds for the world's limits, but for how much was given back so far.
fn contents(world: &World, store: &dyn Store) -> Vec<Entry> {
    let mut entries = Vec::new();
    for owner in world.book.owners() {
        let found = store
            .get(&format!("toolgate/usage/1/{:03x}", owner.slot))
            .unwrap();
        let record = Record::parse(found.unwrap().value).unwrap();
        entries.extend(
            owner
                .limits
                .iter()
                .flat_map(|limit| record.entries_of(limit.id).collect::<Vec<_>>()),
        );
    }
    for entry in &mut entries {
        if let Entry::Quota(level) = entry {
            level.returned = 0;
        }
    }
    entries
}

fn world() -> World {
    World::new(
        &json!({ "team": { "quotas": [{ "limit": 7, "per": "minute" }], "budget": { "limit": 0.4, "per": "day" } } }),
        &json!({ "key": {
            "team": "team",
            "quotas": [{ "limit": 5, "per": "minute", "burst": 3 }, { "limit": 100, "per": "hour", "each": "tool" }],
            "budget": { "limit": 1, "per": "month" },
        } }),
    )
}

#[test]
fn a_refund_leaves_everything_as_it_was() {
    let (world, store) = (world(), MemoryStore::new());
    let bill = world.bill("key", "paid");
    let charge = || world.book.charge(&bill, Scope::Local, &store, NOW).unwrap();
    charge();
    let before = contents(&world, &store);
    assert_eq!(before.len(), 5);
    let receipt = charge();
    assert_ne!(contents(&world, &store), before);
    world.book.refund(&receipt, &store, NOW);
    assert_eq!(contents(&world, &store), before);
    // Later, when time has drained the call already, there is nothing to give back but the money.
    let receipt = charge();
    let after_charge = contents(&world, &store);
    world.book.refund(&receipt, &store, after(HOUR));
    assert_ne!(contents(&world, &store), after_charge);
    assert!(world.book.charge(&bill, Scope::Local, &store, NOW).is_ok());
}

#[test]
fn the_money_alone_can_be_given_back() {
    let (world, store) = (world(), MemoryStore::new());
    let bill = world.bill("key", "paid");
    let mut last = None;
    for _ in 0..3 {
        let receipt = world.book.charge(&bill, Scope::Local, &store, NOW).unwrap();
        world.book.refund_budgets(&receipt, &store, NOW);
        last = Some(receipt);
    }
    let stop = world.book.charge(&bill, Scope::Local, &store, NOW).unwrap_err();
    let crate::quota::Stop::Over(over) = stop else {
        panic!("{stop:?}");
    };
    assert_eq!(
        world.book.pointer(over.limit.unwrap()).as_deref(),
        Some("/keys/key/quotas/0")
    );
    // A second time there is nothing left to give: spent is 0, not less.
    world.book.refund_budgets(&last.unwrap(), &store, NOW);
    let mut paid = 0;
    for minute in 1..20 {
        paid += u32::from(
            world
                .book
                .charge(&bill, Scope::Local, &store, after(minute * MINUTE))
                .is_ok(),
        );
    }
    assert_eq!(paid, 8, "0.4 a day at 0.05 each");
}

#[test]
fn money_goes_back_to_the_day_it_came_from() {
    let world = World::of_key(&json!({ "budget": { "limit": 0.05, "per": "day" } }));
    let (store, bill) = (MemoryStore::new(), world.bill("key", "paid"));
    let charge = |now| world.book.charge(&bill, Scope::Local, &store, now);
    let midnight = after(DAY);
    let evening = charge(UnixNanos(midnight.0 - 1)).unwrap();
    charge(midnight).unwrap();
    world.book.refund(&evening, &store, midnight);
    assert!(
        charge(midnight).is_err(),
        "yesterday's refund is not today's money"
    );
    assert!(charge(UnixNanos(midnight.0 - 1)).is_ok());
}

#[test]
fn two_receipts_of_one_call_are_given_back_together() {
    let world = World::of_key(&json!({ "quotas": [
        { "limit": 2, "per": "minute" },
        { "limit": 2, "per": "hour", "scope": "global" },
    ] }));
    let (store, bill) = (MemoryStore::new(), world.bill("key", "free"));
    let charge = |scope| world.book.charge(&bill, scope, &store, NOW).unwrap();
    charge(Scope::Local);
    charge(Scope::Global);
    let before = contents(&world, &store);
    let mut receipt = charge(Scope::Local);
    receipt.add(charge(Scope::Global));
    world.book.refund(&receipt, &store, NOW);
    assert_eq!(contents(&world, &store), before);
}

#[test]
fn nothing_is_given_back_of_a_call_that_a_new_limit_recounted() {
    let old = World::of_key(&json!({ "quotas": [{ "limit": 10, "per": "minute" }] }));
    let new = World::of_key(&json!({ "quotas": [{ "limit": 20, "per": "minute" }] }));
    let store = MemoryStore::new();
    let receipt = old
        .book
        .charge(&old.bill("key", "free"), Scope::Local, &store, NOW)
        .unwrap();
    let bill = new.bill("key", "free");
    new.book.charge(&bill, Scope::Local, &store, NOW).unwrap();
    new.book.refund(&receipt, &store, NOW);
    let more = (0..100).take_while(|_| new.book.charge(&bill, Scope::Local, &store, NOW).is_ok());
    assert_eq!(more.count(), 18);
}

#[test]
fn calls_that_are_refused_at_the_same_time_leave_nothing_in_any_order() {
    let (world, store) = (world(), MemoryStore::new());
    let bill = world.bill("key", "paid");
    let charge = || world.book.charge(&bill, Scope::Local, &store, NOW).unwrap();
    charge();
    let before = contents(&world, &store);
    for order in [[0, 1], [1, 0]] {
        let receipts = [charge(), charge()];
        for which in order {
            world.book.refund(&receipts[which], &store, NOW);
        }
        assert_eq!(contents(&world, &store), before, "{order:?}");
    }
}

#[test]
fn time_and_a_refund_do_not_give_the_same_call_back_twice() {
    let numbers = Numbers {
        limit: 60,
        burst: 2,
        window: Duration::from_mins(1),
    };
    let world = World::of_key(&json!({ "quotas": [{ "limit": 60, "per": "minute", "burst": 2 }] }));
    let (store, bill) = (MemoryStore::new(), world.bill("key", "free"));
    let charge = |now| world.book.charge(&bill, Scope::Local, &store, after(now));
    let first = charge(0).unwrap();
    charge(SECOND / 2).unwrap();
    // Two fifths of it are not drained yet.
    world.book.refund(&first, &store, after(SECOND * 6 / 10));
    let mut kept = vec![SECOND / 2];
    kept.extend(
        (6..30)
            .map(|tenth| SECOND * tenth / 10)
            .filter(|now| charge(*now).is_ok()),
    );
    assert_eq!(kept[..3], [SECOND / 2, SECOND * 6 / 10, SECOND * 16 / 10]);
    Passed(kept).check(numbers);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// What passed and was not given back keeps the promise over every interval; and where nobody else called between a charge
    /// and its refund, it is as if there had been none.
    #[test]
    fn refunds_never_let_too_many_through(
        limit in 1..8u32,
        burst in 1..4u32,
        steps in prop::collection::vec((prop_oneof![0..300u64, 0..1_500u64], 0..4usize, any::<bool>()), 1..120),
    ) {
        let numbers = Numbers { limit, burst, window: Duration::from_mins(1) };
        let world = World::of_key(&json!({ "quotas": [{ "limit": limit, "per": "minute", "burst": burst }] }));
        let (store, bill) = (MemoryStore::new(), world.bill("key", "free"));
        let (mut now, mut open): (u64, Vec<(u64, Receipt)>) = (NOW.0, Vec::new());
        let mut kept: Vec<u64> = Vec::new();
        for (share, which, refund) in steps {
            now += numbers.t() * share / 1_000;
            if refund && which < open.len() {
                let (_, receipt) = open.remove(which);
                world.book.refund(&receipt, &store, UnixNanos(now));
            } else if let Ok(receipt) = world.book.charge(&bill, Scope::Local, &store, UnixNanos(now)) {
                open.push((now, receipt));
            }
            if open.len() > 4 {
                kept.push(open.remove(0).0);
            }
        }
        kept.extend(open.iter().map(|(at, _)| *at));
        kept.sort_unstable();
        Passed(kept).check(numbers);
    }

    #[test]
    fn a_refund_before_the_next_call_undoes_the_charge(
        limit in 1..8u32,
        burst in 1..8u32,
        steps in prop::collection::vec((0..1_500u64, 0..1_500u64, any::<bool>()), 1..100),
    ) {
        let numbers = Numbers { limit, burst, window: Duration::from_mins(1) };
        let world = World::of_key(&json!({ "quotas": [{ "limit": limit, "per": "minute", "burst": burst }] }));
        let (store, bill) = (MemoryStore::new(), world.bill("key", "free"));
        let (mut now, mut passed) = (NOW.0, Passed::default());
        for (before, until_refund, refund) in steps {
            now += numbers.t() * before / 1_000;
            let charged = world.book.charge(&bill, Scope::Local, &store, UnixNanos(now));
            prop_assert_eq!(charged.is_ok(), passed.allows(numbers, now));
            let Ok(receipt) = charged else { continue };
            if refund {
                now += numbers.t() * until_refund / 1_000;
                world.book.refund(&receipt, &store, UnixNanos(now));
            } else {
                passed.0.push(now);
            }
        }
    }
}
