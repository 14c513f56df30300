//! What calls under limits tell metrics.

use std::cell::Cell;

use serde_json::{Value, json};

use super::super::{Cause, Ended, Exchange, RateLimitReply, UnixNanos};
use super::world::{NOW, World, body, budget, quota};
use crate::store::{Expect, MemoryStore, Store, StoreError, Versioned};
use crate::telemetry::{Family, Measure};

/// As a line of text: `name{label=value,…} value`.
fn line(measure: &Measure) -> String {
    let labels: Vec<String> = measure.labels().map(|(n, v)| format!("{n}={v}")).collect();
    let name = measure.family().name().trim_start_matches("toolgate_");
    format!("{name}{{{}}} {}", labels.join(","), measure.value())
}

/// What is told of limits; every call tells its verdict besides, and one that goes on its outcome and what it cost.
fn taken(exchange: &mut Exchange) -> Vec<String> {
    let measures = exchange.take_measures();
    let of_outcome = |family| {
        matches!(
            family,
            Family::Calls
                | Family::KeyCalls
                | Family::CostMicros
                | Family::Results
                | Family::CallDuration
                | Family::ResultBytes
        )
    };
    let limits = measures.iter().filter(|measure| !of_outcome(measure.family()));
    limits.map(line).collect()
}

fn local(limit: f64, per: &str) -> Value {
    json!({ "limit": limit, "per": per })
}

const KEY: &str = "owner=key,name=k,per=day,scope=local";
const TEAM: &str = "owner=team,name=eng,per=total,scope=local";

fn reached(reached: bool) -> Ended {
    Ended {
        result_bytes: 2048,
        cause: Cause::Complete,
        reached,
    }
}

#[test]
fn local_budgets_tell_what_is_spent_and_once_their_limits() {
    let mut world = World::new(
        &json!({}),
        &json!({ "budget": local(9.0, "total") }),
        &json!({ "budget": local(1.0, "day"), "quotas": [{ "limit": 9, "per": "minute" }] }),
    );
    let mut first = world.call("long");
    let spent = |owner: &str, micros: u64| format!("budget_spent_micros{{{owner}}} {micros}");
    let limit = |owner: &str, micros: u64| format!("budget_limit_micros{{{owner}}} {micros}");
    assert_eq!(
        taken(&mut first.exchange),
        [
            limit(KEY, 1_000_000),
            spent(KEY, 100_000),
            limit(TEAM, 9_000_000),
            spent(TEAM, 100_000)
        ]
    );
    assert!(first.exchange.take_measures().is_empty(), "once");
    // The result is charged at the end; a call that never arrived is taken off again.
    first.exchange.finish(&reached(true), &world.store, world.now);
    assert_eq!(
        taken(&mut first.exchange),
        [spent(KEY, 300_000), spent(TEAM, 300_000)]
    );
    let mut second = world.call("paid");
    assert_eq!(
        taken(&mut second.exchange),
        [spent(KEY, 600_000), spent(TEAM, 600_000)]
    );
    second.exchange.finish(&reached(false), &world.store, world.now);
    assert_eq!(
        taken(&mut second.exchange),
        [spent(KEY, 300_000), spent(TEAM, 300_000)]
    );
    // A refused call changes nothing.
    world.call_and_end("paid", 0);
    world.call_and_end("paid", 0);
    let mut refused = world.call("paid");
    assert!(refused.reply.is_some() && taken(&mut refused.exchange).is_empty());
    // Another day: the key's budget is a new one, the team's goes on. A call of yesterday that ends now tells of today.
    let mut old = world.call("long");
    assert!(old.reply.is_none());
    world.now = UnixNanos(NOW.0 + 86_400_000_000_000);
    assert_eq!(
        taken(&mut world.call("paid").exchange),
        [spent(KEY, 300_000), spent(TEAM, 1_300_000)]
    );
    old.exchange.take_measures();
    old.exchange.finish(&reached(false), &world.store, world.now);
    assert_eq!(
        taken(&mut old.exchange),
        [spent(KEY, 300_000), spent(TEAM, 1_200_000)]
    );
}

#[test]
fn a_budget_that_lets_nothing_through_tells_its_limit() {
    let mut world = World::new(&json!({}), &json!({}), &json!({ "budget": local(0.1, "day") }));
    let limit = format!("budget_limit_micros{{{KEY}}} 100000");
    assert_eq!(taken(&mut world.call("paid").exchange), [limit]);
    assert!(taken(&mut world.call("paid").exchange).is_empty(), "once");
}

#[test]
fn calls_without_budgets_tell_their_verdict_only() {
    let mut world = World::new(
        &json!({}),
        &json!({}),
        &json!({ "quotas": [{ "limit": 1, "per": "minute" }], "budget": local(1.0, "day") }),
    );
    for refused in [false, true] {
        let mut called = world.call("free");
        assert_eq!(called.reply.is_some(), refused);
        let reason = if refused { "quota" } else { "allowed" };
        let lines: Vec<String> = called.exchange.take_measures().iter().map(line).collect();
        assert_eq!(
            lines,
            [
                format!("calls_total{{server=docs,tool=free,reason={reason},mode=enforce}} 1"),
                format!("key_calls_total{{key=k,team=eng,reason={reason}}} 1"),
            ]
        );
    }
}

#[test]
fn the_service_tells_of_global_budgets() {
    let global =
        |micros: u64| format!("budget_spent_micros{{owner=key,name=k,per=month,scope=global}} {micros}");
    let outcome = |outcome: &str| format!("rate_limit_service_total{{outcome={outcome}}} 1");
    let mut world = World::new(
        &json!({}),
        &json!({ "quotas": [quota(9, "hour")] }),
        &json!({ "budget": budget(0.7, "month") }),
    );
    let mut first = taken(&mut world.call("paid").exchange);
    let limit = first.remove(0);
    assert_eq!(
        limit,
        "budget_limit_micros{owner=key,name=k,per=month,scope=global} 700000"
    );
    assert_eq!(first, [global(300_000), outcome("within")]);
    // Another Envoy's spending is in the answer as well.
    for count in world.ratelimit().counts.values_mut() {
        *count += u64::from(*count == 300_000) * 50_000;
    }
    assert_eq!(
        taken(&mut world.call("paid").exchange),
        [global(650_000), outcome("within")]
    );
    // What is left is gone when a call is over it.
    assert_eq!(
        taken(&mut world.call("paid").exchange),
        [global(700_000), outcome("over")]
    );
    world.broken = Some(RateLimitReply::TimedOut);
    assert_eq!(taken(&mut world.call("paid").exchange), [outcome("error")]);
}

#[test]
fn large_global_budgets_are_told_in_micros() {
    let mut world = World::new(
        &json!({}),
        &json!({}),
        &json!({ "budget": budget(50_000.0, "month") }),
    );
    let told = taken(&mut world.call("paid").exchange);
    let labels = "{owner=key,name=k,per=month,scope=global}";
    assert_eq!(
        told[..2],
        [
            format!("budget_limit_micros{labels} 50000000000"),
            format!("budget_spent_micros{labels} 300000")
        ]
    );
}

#[test]
fn what_is_counted_here_in_place_of_the_service_is_not_what_all_have_spent() {
    let mut world = World::new(
        &json!({ "onError": "local" }),
        &json!({}),
        &json!({ "budget": budget(1.0, "day") }),
    );
    world.broken = Some(RateLimitReply::Status(14));
    let mut called = world.call("paid");
    called.assert_goes_on();
    called.exchange.finish(&reached(false), &world.store, NOW);
    assert_eq!(
        taken(&mut called.exchange),
        ["rate_limit_service_total{outcome=error} 1"]
    );
}

#[test]
fn limitador_tells_outcomes_only() {
    let mut world = World::new(
        &json!({ "engine": "limitador" }),
        &json!({}),
        &json!({ "quotas": [quota(9, "hour")], "budget": budget(0.5, "total") }),
    );
    let outcome = |outcome: &str| format!("rate_limit_service_total{{outcome={outcome}}} 1");
    assert_eq!(
        taken(&mut world.call("paid").exchange),
        [outcome("within"), outcome("within")]
    );
    assert_eq!(
        taken(&mut world.call("paid").exchange),
        [outcome("within"), outcome("over")]
    );
}

/// Another worker writes before each of the first writes.
struct Contended {
    inner: MemoryStore,
    left: Cell<u32>,
}

impl Store for Contended {
    fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.inner.get(key)
    }

    fn set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), StoreError> {
        if self.left.get() > 0 && key.starts_with("toolgate/usage/") {
            self.left.set(self.left.get() - 1);
            return Err(StoreError::Conflict);
        }
        self.inner.set(key, value, expect)
    }
}

#[test]
fn every_conflict_is_told_also_of_refunds_and_of_calls_that_are_refused() {
    let world = World::new(&json!({}), &json!({}), &json!({ "budget": local(0.5, "day") }));
    let store = Contended {
        inner: MemoryStore::new(),
        left: Cell::new(3),
    };
    let conflicts = |exchange: &mut Exchange| {
        let taken = taken(exchange);
        let told = |line: &&String| line.starts_with("store_conflicts_total");
        taken.iter().filter(told).cloned().collect::<Vec<_>>()
    };
    let mut exchange = world.waiting();
    let _ = exchange.request_body(&body("paid"), &store, NOW);
    assert_eq!(conflicts(&mut exchange), ["store_conflicts_total{} 3"]);
    store.left.set(2);
    exchange.finish(&reached(false), &store, NOW);
    assert_eq!(conflicts(&mut exchange), ["store_conflicts_total{} 2"]);
    // More than are tried.
    store.left.set(1_000);
    let mut exchange = world.waiting();
    let _ = exchange.request_body(&body("paid"), &store, NOW);
    assert_eq!(conflicts(&mut exchange), ["store_conflicts_total{} 128"]);
}
