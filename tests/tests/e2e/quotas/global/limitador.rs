//! Limitador, which reads its limits from the file that is rendered from the policy.

use serde_json::{Value, json};
use toolgate_tests::rate_limit::{Limitador, Request};
use toolgate_tests::run;

use super::{NOBODY_KNOWS, PATIENT, World, governed, quota, rendered};

fn limited() -> Value {
    let mut policy = governed(
        &json!({
            "ada": { "quotas": [quota(3)] },
            "bob": { "team": "web", "quotas": [quota(6)], "budget": { "limit": 1, "per": "total", "scope": "global" } },
            "cyd": { "team": "web" },
        }),
        &json!({ "web": { "quotas": [quota(8)], "budget": { "limit": 10_000, "per": "month", "scope": "global" } } }),
        "deny",
        PATIENT,
    );
    policy["rateLimitService"]["engine"] = json!("limitador");
    policy["servers"]["docs"]["tools"] = json!({ "export": { "cost": 0.4 }, "huge": { "cost": 5_000 } });
    policy
}

/// The number of entries, and the addend that holds for all of them.
fn shape(request: &Request) -> (usize, u32) {
    let [descriptor] = request.descriptors.as_slice() else {
        panic!("{request:?}")
    };
    (descriptor.entries.len(), request.hits_addend)
}

#[test]
fn quotas_hold_exactly_and_quotas_and_budgets_take_two_questions() {
    run(async {
        let policy = limited();
        let limits = rendered(&policy);
        let service = Limitador::start(&limits).await;
        let world = World::start(policy, service.address()).await;
        for label in ["limitador-1", "limitador-2", "limitador-3"] {
            world.call("ada", "search", label).await.allowed("within");
        }
        assert_eq!(service.asked().len(), 3);
        // It was asked about this limit alone, which therefore has a name.
        let outcome = world.call("ada", "search", "limitador-4").await;
        outcome
            .refused(
                "quota",
                "This key may make 3 calls per 365 days",
                Some("/keys/ada/quotas/0"),
            )
            .said("over");
        for label in ["limitador-5", "limitador-6"] {
            let outcome = world.call("bob", "export", label).await;
            outcome.allowed("within");
            assert_eq!(outcome.line["cost_micros"], "400000", "{}", outcome.what);
        }
        let shapes: Vec<_> = service
            .asked()
            .iter()
            .skip(4)
            .map(|asked| shape(&asked.request))
            .collect();
        assert_eq!(shapes, [(2, 1), (2, 400_000), (2, 1), (2, 400_000)]);
        // Two budgets, and one is over: which one, it does not say.
        let outcome = world.call("bob", "export", "limitador-7").await;
        outcome
            .refused("budget", "A budget that applies to this key is used up.", None)
            .said("over");
        // The quotas of that call were counted before: three of six and of eight are gone.
        for label in ["limitador-8", "limitador-9", "limitador-10"] {
            world.call("bob", "search", label).await.allowed("within");
        }
        let outcome = world.call("bob", "search", "limitador-11").await;
        outcome
            .refused(
                "quota",
                "A limit on calls that applies to this key is used up.",
                None,
            )
            .said("over");
        // A refused call counts for none: the team has two left.
        for label in ["limitador-12", "limitador-13"] {
            world.call("cyd", "search", label).await.allowed("within");
        }
        let outcome = world.call("cyd", "search", "limitador-14").await;
        outcome
            .refused(
                "quota",
                "The team of this key may make 8 calls",
                Some("/teams/web/quotas/0"),
            )
            .said("over");
        let asked = service.asked().len();
        let outcome = world.call("cyd", "huge", "limitador-15").await;
        outcome
            .refused("budget", "10000 per month", Some("/teams/web/budget"))
            .said("");
        assert_eq!(service.asked().len(), asked);
        gone_and_back(&world, service, &limits).await;
        world.settle();
    });
}

async fn gone_and_back(world: &World, service: Limitador, limits: &str) {
    let address = service.address();
    service.stop().await;
    let outcome = world.call("ada", "search", "gone-1").await;
    outcome.refused("quota", NOBODY_KNOWS, None).said("UNAVAILABLE");
    let _service = Limitador::start_at(address, limits).await;
    for label in ["gone-2", "gone-3", "gone-4"] {
        world.call("ada", "search", label).await.allowed("within");
    }
    let outcome = world.call("ada", "search", "gone-5").await;
    outcome.refused("quota", "3 calls per 365 days", Some("/keys/ada/quotas/0"));
}
