use serde_json::json;

use super::*;
use crate::policy::Scope;
use crate::quota::{Over, Stop};
use crate::store::MemoryStore;

#[test]
fn a_limit_passes_its_number_and_says_when_the_next_one_passes() {
    let world = World::of_key(&json!({ "quotas": [{ "limit": 3, "per": "minute" }] }));
    let (store, bill) = (MemoryStore::new(), world.bill("key", "free"));
    for _ in 0..3 {
        assert!(world.book.charge(&bill, Scope::Local, &store, NOW).is_ok());
    }
    let Err(Stop::Over(Over { wait, .. })) = world.book.charge(&bill, Scope::Local, &store, NOW) else {
        panic!("the fourth call passed");
    };
    assert_eq!(wait, Some(Duration::from_secs(20)));
    assert!(
        world
            .book
            .charge(&bill, Scope::Local, &store, after(20 * SECOND - 1))
            .is_err()
    );
    assert!(
        world
            .book
            .charge(&bill, Scope::Local, &store, after(20 * SECOND))
            .is_ok()
    );
    assert!(
        world
            .book
            .charge(&bill, Scope::Local, &store, after(20 * SECOND))
            .is_err()
    );
}

/// How many calls pass at once.
fn calls(world: &World, store: &MemoryStore, now: UnixNanos) -> usize {
    let bill = world.bill("key", "free");
    let passes = |_: &u32| world.book.charge(&bill, Scope::Local, store, now).is_ok();
    (0..1_000).take_while(passes).count()
}

#[test]
fn a_refused_call_brings_the_count_up_to_date_after_a_change_of_the_limit() {
    let old = World::of_key(&json!({ "quotas": [{ "limit": 40, "per": "day" }] }));
    let new = World::of_key(&json!({ "quotas": [{ "limit": 10, "per": "day", "burst": 5 }] }));
    let store = MemoryStore::new();
    assert_eq!(calls(&old, &store, NOW), 40);
    assert_eq!(calls(&new, &store, NOW), 0);
    let day = 24 * HOUR;
    assert_eq!(calls(&new, &store, after(day / 10)), 1);
    assert_eq!(calls(&new, &store, after(day)), 5);
}

#[test]
fn a_refused_call_brings_the_count_up_to_date_after_a_step_back() {
    let world = World::of_key(&json!({ "quotas": [{ "limit": 2, "per": "minute" }] }));
    let store = MemoryStore::new();
    assert_eq!(calls(&world, &store, after(DAY)), 2);
    assert_eq!(calls(&world, &store, NOW), 0);
    assert_eq!(calls(&world, &store, after(30 * SECOND)), 1);
    assert_eq!(calls(&world, &store, after(60 * SECOND)), 1);
    // Also where another limit is what refuses.
    let both =
        World::of_key(&json!({ "quotas": [{ "limit": 2, "per": "minute" }, { "limit": 3, "per": "hour" }] }));
    let store = MemoryStore::new();
    assert_eq!(calls(&both, &store, after(DAY)), 2);
    assert_eq!(calls(&both, &store, after(DAY + MINUTE)), 1);
    assert_eq!(calls(&both, &store, NOW), 0);
    assert_eq!(calls(&both, &store, after(20 * MINUTE)), 1);
}
