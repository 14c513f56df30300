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
