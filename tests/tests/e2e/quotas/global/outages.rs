//! The real service without its Redis, without its domain, and gone: and then back again.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use toolgate_tests::run;

use super::{Counting, NOBODY_KNOWS, World, governed, quota};

/// How many calls the service lets through in all.
const LIMIT: u64 = 20;

fn policy(on_error: &str) -> Value {
    let key = json!({ "quotas": [quota(20), { "limit": 1000, "per": "365d" }] });
    governed(&json!({ on_error: key }), &json!({}), on_error, "1s")
}

/// An Envoy for each `onError`; its only key has the same name.
struct Three {
    deny: World,
    allow: World,
    local: World,
}

impl Three {
    async fn start(counting: &Counting) -> Self {
        let start = |on_error| World::start(policy(on_error), counting.address());
        let (deny, allow, local) = tokio::join!(start("deny"), start("allow"), start("local"));
        Self { deny, allow, local }
    }

    /// One call of each that the service lets through.
    async fn pass(&self, label: &str) {
        for (world, key) in [
            (&self.deny, "deny"),
            (&self.allow, "allow"),
            (&self.local, "local"),
        ] {
            world.call(key, "search", label).await.allowed("within");
        }
    }

    /// Three calls of each that the service does not answer.
    async fn fail(&self, label: &str) {
        for number in 0..3 {
            let label = format!("{label}-{number}.");
            let outcome = self.deny.call("deny", "search", &label).await;
            outcome.refused("quota", NOBODY_KNOWS, None).said("error");
            self.allow.call("allow", "search", &label).await.allowed("error");
            self.local.call("local", "search", &label).await.allowed("error");
        }
    }

    /// Calls until the service answers again.
    async fn recover(&self, label: &str) {
        for (world, key) in [
            (&self.deny, "deny"),
            (&self.allow, "allow"),
            (&self.local, "local"),
        ] {
            let deadline = Instant::now() + Duration::from_secs(30);
            for number in 0.. {
                let outcome = world.call(key, "search", &format!("{label}-{number}.")).await;
                if outcome.line["rate_limit"] == "within" {
                    break;
                }
                assert!(Instant::now() < deadline, "{}", outcome.what);
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

#[test]
fn counts_outlast_every_outage_of_redis_and_of_the_service() {
    run(async {
        let mut counting = Counting::start().await;
        let three = Three::start(&counting).await;
        let domain = counting.domain.clone();
        three.pass("first.").await;
        hang(&counting, &three).await;
        counting.redis.kill();
        three.fail("no-redis").await;
        counting.redis.restart().await;
        three.recover("redis-back").await;
        counting.service.restart(None).await;
        three.fail("no-domain").await;
        counting.service.restart(Some("domain: another\n")).await;
        three.fail("another-domain").await;
        counting.service.kill();
        three.fail("no-service").await;
        counting.service.restart(Some(&domain)).await;
        three.recover("service-back").await;
        // Whatever was asked meanwhile, the count in Redis is what is left to let through.
        for (world, key) in [
            (&three.deny, "deny"),
            (&three.allow, "allow"),
            (&three.local, "local"),
        ] {
            let [counted] = counting.counted(&format!("keys/{key}/")).await[..] else {
                panic!("one counter of {key}")
            };
            assert!((4..LIMIT).contains(&counted), "{key}: {counted}");
            for number in counted..LIMIT {
                world
                    .call(key, "search", &format!("rest-{number}."))
                    .await
                    .allowed("within");
            }
            let outcome = world.call(key, "search", "over.").await;
            let limit = format!("/keys/{key}/quotas/0");
            outcome
                .refused("quota", "20 calls per 365 days", Some(&limit))
                .said("over");
            world.settle();
        }
    });
}

async fn hang(counting: &Counting, three: &Three) {
    counting.redis.suspend();
    let timed = async |world: &World, key| {
        let begun = Instant::now();
        let outcome = world.call(key, "search", "hangs.").await;
        let waited = begun.elapsed();
        let wanted = Duration::from_secs(1)..Duration::from_secs(20);
        assert!(wanted.contains(&waited), "{waited:?}: {}", outcome.what);
        outcome
    };
    let (denied, allowed, local) = tokio::join!(
        timed(&three.deny, "deny"),
        timed(&three.allow, "allow"),
        timed(&three.local, "local"),
    );
    denied.refused("quota", NOBODY_KNOWS, None).said("within 1s");
    allowed.allowed("within 1s");
    local.allowed("within 1s");
    counting.redis.resume();
    three.recover("resumed").await;
}
