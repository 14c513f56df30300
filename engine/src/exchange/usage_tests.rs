//! Calls under global limits, from the body to the end, with a rate limit service in memory.

#[path = "usage_tests/limitador.rs"]
mod limitador;
#[path = "usage_tests/measures.rs"]
mod measures;
#[path = "usage_tests/world.rs"]
mod world;

use std::rc::Rc;

use serde_json::json;

use super::{BodyStep, Cause, Ended, Exchange, RateLimitReply, UnixNanos};
use crate::reason::Reason;
use crate::store::MemoryStore;

use world::{NOW, World, body, budget, quota};

#[test]
fn within_all_limits_a_call_goes_on_after_one_question() {
    let mut world = World::new(
        &json!({}),
        &json!({ "quotas": [quota(5, "minute")], "budget": budget(1.0, "month") }),
        &json!({ "quotas": [quota(3, "5m"), quota(2, "second")], "budget": budget(1.0, "day") }),
    );
    let called = world.call("paid");
    called.assert_goes_on();
    assert_eq!((called.asked.len(), called.rate_limit()), (1, "within"));
    assert_eq!(called.hits(), [1, 1, 1, 300_000, 300_000]);
    assert_eq!(called.record().cost_micros, Some(300_000));
    // Methods that are no calls of tools are nobody's business.
    let mut exchange = world.waiting();
    let list = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
    let step = exchange.request_body(list, &world.store, NOW);
    assert!(matches!(step, BodyStep::Forward(_)), "{step:?}");
}

#[test]
fn a_refusal_names_the_limit_and_when_to_try_again() {
    let mut world = World::new(
        &json!({}),
        &json!({ "quotas": [quota(4, "hour")] }),
        &json!({ "quotas": [quota(2, "minute")], "budget": budget(1.0, "month") }),
    );
    assert_eq!(world.admitted("free", 3), 2);
    let called = world.call("free");
    assert_eq!(called.rate_limit(), "over");
    let over = (Reason::Quota, Some("/keys/k/quotas/0"), Some(4_000));
    assert_eq!(called.refused(), over);
    // The service has counted refused calls on the team's quota as well: 4 of 4.
    world.now = UnixNanos(NOW.0 + 4_000_000_000);
    let over = (Reason::Quota, Some("/teams/eng/quotas/0"), Some(1_500_000));
    assert_eq!(world.call("free").refused(), over);
    // Another hour. Money for three calls.
    world.now = UnixNanos(NOW.0 + 3_600_000_000_000);
    assert_eq!(world.admitted("paid", 2), 2);
    world.now = UnixNanos(NOW.0 + 3_660_000_000_000);
    assert_eq!(world.admitted("paid", 1), 1);
    let called = world.call("paid");
    let left = 10 * 86_400_000 + 41_104_000 - 3_660_000;
    assert_eq!(
        called.refused(),
        (Reason::Budget, Some("/keys/k/budget"), Some(left))
    );
    assert!(!called.exchange.settles());
}

#[test]
fn windows_start_again_where_they_end() {
    for (per, seconds) in [
        ("second", 1),
        ("10s", 10),
        ("minute", 60),
        ("5m", 300),
        ("day", 86_400),
        ("7d", 604_800),
    ] {
        let mut world = World::new(&json!({}), &json!({}), &json!({ "quotas": [quota(3, per)] }));
        let start = NOW.seconds() / seconds * seconds;
        for window in 0..3 {
            let at = |second: u64, nanos: u64| UnixNanos((start + second) * 1_000_000_000 - nanos);
            world.now = at(window * seconds, 0);
            assert_eq!(world.admitted("free", 2), 2, "{per}");
            world.now = at((window + 1) * seconds, 1);
            assert_eq!(world.admitted("free", 3), 1, "{per}");
        }
    }
}

#[test]
fn months_end_with_the_calendar() {
    let mut world = World::new(&json!({}), &json!({}), &json!({ "budget": budget(1.0, "month") }));
    // The turns of November and December, which are no multiple of any number of days apart.
    for end in [1_796_083_200, 1_798_761_600, 1_801_440_000] {
        world.now = UnixNanos(end * 1_000_000_000 - 1);
        assert_eq!(world.admitted("paid", 4), 3);
        // What is over counts as well, and only in its own month.
        world.now = UnixNanos(end * 1_000_000_000);
        assert_eq!(world.admitted("paid", 1), 1);
        let service = world.ratelimit();
        service.counts.clear();
    }
}

#[test]
fn a_call_dearer_than_a_whole_budget_is_refused_unasked() {
    let mut world = World::new(&json!({}), &json!({}), &json!({ "budget": budget(0.2, "day") }));
    let called = world.call("paid");
    assert!(called.asked.is_empty());
    assert_eq!(called.refused(), (Reason::Budget, Some("/keys/k/budget"), None));
}

#[test]
fn what_happens_without_an_answer_is_the_policys_choice() {
    let failures = [
        RateLimitReply::Status(14),
        RateLimitReply::NotSent(1),
        RateLimitReply::TimedOut,
        RateLimitReply::Answer(b"nonsense"),
        RateLimitReply::Answer(b""),
        // OK without a status, and OK with one that says that no limit was applied.
        RateLimitReply::Answer(&[0x08, 1]),
        RateLimitReply::Answer(&[0x08, 1, 0x12, 2, 0x08, 1]),
    ];
    for failure in failures {
        for (on_error, admitted) in [("deny", 0), ("allow", 5), ("local", 2)] {
            let service = json!({ "onError": on_error });
            let mut world = World::new(&service, &json!({}), &json!({ "quotas": [quota(2, "minute")] }));
            world.broken = Some(failure);
            let called = world.call("free");
            assert!(
                called.rate_limit().starts_with("error: "),
                "{}",
                called.rate_limit()
            );
            match on_error {
                "deny" => {
                    assert_eq!(called.refused(), (Reason::Quota, None, Some(1_000)));
                    let detail = called.record().detail.as_deref().unwrap();
                    assert!(detail.starts_with("the rate limit service: "), "{detail}");
                }
                _ => called.assert_goes_on(),
            }
            let more = usize::from(called.reply.is_none());
            assert_eq!(
                world.admitted("free", 4) + more,
                admitted,
                "{failure:?} {on_error}"
            );
            // And back.
            world.broken = None;
            assert_eq!(world.admitted("free", 4), 2, "{failure:?} {on_error}");
        }
    }
}

#[test]
fn a_refusal_without_an_answer_says_budget_where_only_money_counts() {
    let mut world = World::new(&json!({}), &json!({}), &json!({ "budget": budget(1.0, "day") }));
    world.broken = Some(RateLimitReply::TimedOut);
    assert_eq!(world.call("paid").refused().0, Reason::Budget);
    // What costs nothing is not asked about.
    let called = world.call("free");
    called.assert_goes_on();
    assert!(called.asked.is_empty());
}

#[test]
fn the_limits_of_the_local_mode_are_the_same_limits() {
    let mut world = World::new(
        &json!({ "onError": "local" }),
        &json!({ "budget": budget(0.7, "month") }),
        &json!({ "quotas": [quota(2, "minute")] }),
    );
    world.broken = Some(RateLimitReply::TimedOut);
    assert_eq!(world.admitted("free", 3), 2);
    let over = world.call("free");
    assert_eq!(over.refused().1, Some("/keys/k/quotas/0"));
    assert!(
        over.rate_limit().starts_with("error: no answer"),
        "{}",
        over.rate_limit()
    );
    world.now = UnixNanos(NOW.0 + 60_000_000_000);
    assert_eq!(world.admitted("paid", 2), 2);
    world.now = UnixNanos(NOW.0 + 120_000_000_000);
    assert_eq!(world.call("paid").refused().1, Some("/teams/eng/budget"));
}

#[test]
fn what_was_charged_locally_is_given_back_when_the_service_refuses() {
    let local =
        json!({ "quotas": [{ "limit": 3, "per": "365d" }], "budget": { "limit": 1, "per": "month" } });
    let mut world = World::new(&json!({}), &json!({ "quotas": [quota(1, "minute")] }), &local);
    assert_eq!(world.admitted("paid", 20), 1);
    world.broken = Some(RateLimitReply::TimedOut);
    assert_eq!(world.admitted("paid", 20), 0);
    world.broken = None;
    // Two calls and money for two are left.
    for minute in 1..=2 {
        world.now = UnixNanos(NOW.0 + minute * 60_000_000_000);
        assert_eq!(world.admitted("paid", 20), 1);
    }
    world.now = UnixNanos(NOW.0 + 180_000_000_000);
    let called = world.call("free");
    assert_eq!(called.refused().1, Some("/keys/k/quotas/0"));
    // What is refused here is not asked there.
    assert!(called.asked.is_empty());
}

#[test]
fn a_request_that_ends_before_the_answer_leaves_nothing_charged_here() {
    let local = json!({ "quotas": [{ "limit": 1, "per": "365d" }] });
    let mut world = World::new(&json!({}), &json!({ "quotas": [quota(9, "minute")] }), &local);
    let mut exchange = world.waiting();
    let step = exchange.request_body(&body("free"), &world.store, NOW);
    assert!(matches!(step, BodyStep::Ask(_)), "{step:?}");
    let ending = Ended {
        result_bytes: 0,
        cause: Cause::Complete,
        reached: false,
    };
    exchange.finish(&ending, &world.store, NOW);
    assert!(!exchange.settles());
    assert_eq!(world.admitted("free", 2), 1);
}

#[test]
fn an_answer_from_here_does_not_keep_what_was_charged() {
    let local =
        json!({ "quotas": [{ "limit": 1, "per": "365d" }], "budget": { "limit": 0.3, "per": "total" } });
    let ending = |reached| Ended {
        result_bytes: 0,
        cause: Cause::Complete,
        reached,
    };
    // While the service is asked: the quota as well.
    let mut world = World::new(&json!({}), &json!({ "quotas": [quota(9, "minute")] }), &local);
    let mut exchange = world.waiting();
    let step = exchange.request_body(&body("paid"), &world.store, NOW);
    assert!(matches!(step, BodyStep::Ask(_)), "{step:?}");
    let _ = exchange.fault();
    assert!(exchange.settles());
    exchange.finish(&ending(true), &world.store, NOW);
    assert!(!exchange.settles());
    // After it went on: the money, if no server was reached.
    for (reached, admitted) in [(false, 1), (true, 0)] {
        let money = json!({ "budget": { "limit": 0.3, "per": "total" } });
        let mut world = World::new(&json!({}), &json!({}), &money);
        let mut called = world.call("paid");
        called.assert_goes_on();
        let _ = called.exchange.fault();
        called.exchange.finish(&ending(reached), &world.store, NOW);
        assert!(!called.exchange.settles());
        assert_eq!(world.admitted("paid", 2), admitted, "{reached}");
    }
    assert_eq!(world.admitted("paid", 2), 1);
}

#[test]
fn shadow_mode_records_and_lets_go() {
    let key = json!({ "mode": "shadow", "quotas": [quota(1, "minute"), { "limit": 5, "per": "365d" }] });
    let mut world = World::new(&json!({}), &json!({}), &key);
    for call in 0..8 {
        let called = world.call_and_end("free", 0);
        called.assert_goes_on();
        let over = call > 0;
        assert_eq!(called.record().would_deny, over.then_some(Reason::Quota));
        assert_eq!(
            called.record().limit.as_deref(),
            over.then_some("/keys/k/quotas/0")
        );
        assert_eq!(called.rate_limit(), if over { "over" } else { "within" });
        // Refused as if enforced: the local quota of five is never reached.
        assert_eq!(called.asked.len(), 1);
    }
    world.broken = Some(RateLimitReply::TimedOut);
    let called = world.call("free");
    called.assert_goes_on();
    assert_eq!(called.record().would_deny, Some(Reason::Quota));
}

#[test]
fn what_results_cost_is_asked_for_with_the_next_call() {
    let mut world = World::new(&json!({}), &json!({}), &json!({ "budget": budget(1.0, "month") }));
    assert_eq!(world.call_and_end("long", 2_048).hits(), [100_000]);
    assert_eq!(world.call_and_end("long", 1).hits(), [300_000]);
    // 0.1 per KiB is 98 micros per byte.
    assert_eq!(world.call_and_end("long", 0).hits(), [100_098]);
    assert_eq!(world.call_and_end("long", 1_024).hits(), [100_000]);
    for failure in [RateLimitReply::TimedOut, RateLimitReply::Answer(b"nonsense")] {
        world.broken = Some(failure);
        let called = world.call_and_end("long", 1_024);
        assert_eq!(
            (called.refused().0, called.hits()),
            (Reason::Budget, vec![200_000])
        );
    }
    world.broken = None;
    let called = world.call_and_end("long", 4_096);
    assert_eq!(called.hits(), [200_000]);
    assert_eq!(called.record().cost_micros, Some(500_000));
    assert_eq!(world.ratelimit().counted("keys/k/budget"), 800_098);
    // 0.1 + 0.4 are too much; the service has counted them, so they are not asked for again.
    let called = world.call_and_end("long", 0);
    assert_eq!(
        (called.refused().0, called.hits()),
        (Reason::Budget, vec![500_000])
    );
    assert_eq!(world.call("long").hits(), [100_000]);
}

/// A service that counts nothing for a call that another limit refuses must not make a debt vanish.
#[test]
fn a_debt_outlives_a_refusal_by_another_limit() {
    let limits = json!({ "quotas": [quota(1, "minute")], "budget": budget(1.0, "month") });
    let mut world = World::new(&json!({}), &json!({}), &limits);
    world.ratelimit().stop = true;
    assert_eq!(world.call_and_end("long", 1_024).hits(), [1, 100_000]);
    for _ in 0..3 {
        let called = world.call_and_end("long", 0);
        assert_eq!(
            (called.refused().0, called.hits()),
            (Reason::Quota, vec![1, 200_000])
        );
    }
    world.now = UnixNanos(NOW.0 + 60_000_000_000);
    let called = world.call_and_end("long", 0);
    called.assert_goes_on();
    assert_eq!(world.ratelimit().counted("keys/k/budget"), 300_000);
}

#[test]
fn an_answer_to_nothing_is_a_fault() {
    let mut world = World::new(&json!({}), &json!({}), &json!({ "quotas": [quota(9, "minute")] }));
    let within = RateLimitReply::Answer(&[0x08, 1]);
    let fault = |exchange: &mut Exchange| {
        let step = exchange.rate_limit_reply(&within, &MemoryStore::new(), NOW);
        assert!(
            matches!(&step, BodyStep::Reply(reply) if reply.status == 500),
            "{step:?}"
        );
        assert_eq!(exchange.record().decision, Some(Reason::Internal));
    };
    fault(&mut Exchange::new(Rc::clone(&world.engine)));
    fault(&mut world.waiting());
    let mut called = world.call("free");
    called.assert_goes_on();
    fault(&mut called.exchange);
    // The end of what is over changes nothing.
    let ending = Ended {
        result_bytes: 0,
        cause: Cause::Complete,
        reached: true,
    };
    called.exchange.finish(&ending, &world.store, NOW);
}
