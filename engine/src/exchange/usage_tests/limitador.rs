//! The same with Limitador, which adds one number to all limits of a question.

use serde_json::json;

use super::world::{NOW, World, budget, quota};
use crate::exchange::{RateLimitReply, UnixNanos};
use crate::reason::Reason;

#[test]
fn it_is_asked_twice() {
    let service = json!({ "engine": "limitador" });
    let mut world = World::new(
        &service,
        &json!({ "budget": budget(1.0, "total") }),
        &json!({ "quotas": [quota(4, "7m"), quota(9, "hour")], "budget": budget(0.7, "day") }),
    );
    let called = world.call_and_end("paid", 0);
    called.assert_goes_on();
    assert_eq!((called.asked.len(), called.hits()), (2, vec![1, 300_000]));
    // The second question is about money: which of the two budgets, nobody says. The day ends first.
    assert_eq!(world.admitted("paid", 1), 1);
    let called = world.call("paid");
    assert_eq!(called.asked.len(), 2);
    let midnight = 41_104_000;
    assert_eq!(called.refused(), (Reason::Budget, None, Some(midnight)));
    // The first one is about calls; the refused one was counted there.
    assert_eq!(world.admitted("free", 2), 1);
    let called = world.call("paid");
    assert_eq!(called.asked.len(), 1);
    assert_eq!(called.refused(), (Reason::Quota, None, Some(420_000)));
    // The next day: one call is left of the total, and its only limit is named.
    world.now = UnixNanos(NOW.0 + 86_400_000_000_000);
    assert_eq!(world.admitted("paid", 2), 1);
}

#[test]
fn debts_of_refused_calls_stay() {
    let service = json!({ "engine": "limitador" });
    let mut world = World::new(&service, &json!({}), &json!({ "budget": budget(1.0, "total") }));
    assert_eq!(world.call_and_end("long", 9_216).hits(), [100_000]);
    for _ in 0..2 {
        let called = world.call_and_end("long", 0);
        assert_eq!(called.refused(), (Reason::Budget, Some("/keys/k/budget"), None));
        assert_eq!(called.hits(), [1_000_000]);
    }
    // A second question that is not answered, or not asked, puts its debts back as well.
    let limits = json!({ "quotas": [quota(1, "minute")], "budget": budget(1.0, "month") });
    let mut world = World::new(&service, &json!({}), &limits);
    assert_eq!(world.call_and_end("long", 1_024).hits(), [1, 100_000]);
    assert_eq!(world.call("long").refused().0, Reason::Quota);
    world.broken = Some(RateLimitReply::TimedOut);
    assert_eq!(world.call("long").refused().0, Reason::Quota);
    world.broken = None;
    world.now = UnixNanos(NOW.0 + 60_000_000_000);
    assert_eq!(world.call("long").hits(), [1, 200_000]);
}
