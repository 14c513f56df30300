//! Money that the real service counts.

use serde_json::{Value, json};
use toolgate_tests::client::Transport;
use toolgate_tests::run;

use super::{Counting, PATIENT, World, call, governed, quota, real, shared};

fn monthly(limit: u32) -> Value {
    json!({ "limit": limit, "per": "month", "scope": "global" })
}

/// The keys of these tests.
pub(super) fn keys() -> Value {
    json!({
        "rich": { "budget": monthly(50_000) },
        "mix": { "team": "mix", "budget": { "limit": 1, "per": "total" } },
    })
}

/// Their teams.
pub(super) fn teams() -> Value {
    json!({ "mix": { "budget": monthly(1) } })
}

const SPENT: &str = "may spend 1 per month, and what is left does not cover this call. It starts again on ";

/// Nor does the service have to be told about a new policy.
#[test]
fn a_global_budget_outlasts_every_envoy_and_a_local_one_does_not() {
    run(async {
        let counting = Counting::shared().await;
        let mut keys = json!({
            "lasting": { "budget": monthly(1) },
            "passing": { "budget": { "limit": 1, "per": "month" } },
        });
        let start = async |keys: &Value| {
            World::start(governed(keys, &json!({}), "deny", PATIENT), counting.address()).await
        };
        let world = start(&keys).await;
        for label in ["month-1", "month-2", "month-3"] {
            let outcome = world.call("lasting", "quarter", label).await;
            outcome.allowed("within");
            assert_eq!(outcome.line["cost_micros"], "250000", "{}", outcome.what);
        }
        for label in ["here-1", "here-2", "here-3", "here-4"] {
            world.call("passing", "quarter", label).await.allowed("");
        }
        let outcome = world.call("passing", "quarter", "here-over").await;
        outcome
            .refused("budget", SPENT, Some("/keys/passing/budget"))
            .said("");
        world.settle();
        drop(world);
        keys["newcomer"] = json!({ "quotas": [quota(40)] });
        let world = start(&keys).await;
        world
            .call("lasting", "quarter", "month-4")
            .await
            .allowed("within");
        let outcome = world.call("lasting", "quarter", "month-over").await;
        outcome
            .refused("budget", SPENT, Some("/keys/lasting/budget"))
            .said("over");
        let retry = outcome.retry().expect("a time");
        assert!((1..=31 * 86_400_000).contains(&retry), "{}", outcome.what);
        assert!(
            outcome.answer.text().contains("-01 at 00:00 UTC"),
            "{}",
            outcome.what
        );
        world.call("passing", "quarter", "here-again").await.allowed("");
        let tally = shared::load(&world, "newcomer", 8, 100).await;
        assert_eq!((tally.of("allowed"), tally.of("quota")), (40, 60), "{tally:?}");
        world.settle();
        // One counter, whose name says which month it is of.
        let names = counting
            .redis
            .command(&["KEYS", "*lasting*"])
            .await
            .expect("an answer");
        let [name] = names.as_slice() else {
            panic!("{names:?}")
        };
        let period = name.split("_period_").nth(1).and_then(|rest| rest.get(..8));
        let right = period.is_some_and(|period| period.starts_with("20") && period.ends_with('_'));
        assert!(right, "{name}");
    });
}

#[test]
fn a_large_budget_is_counted_in_a_coarser_unit_rounded_up() {
    run(async {
        let [a, b] = real().await;
        let sentence = "This key may spend 50000 per month";
        let all = a.call("rich", "all", "rich-all").await;
        all.refused("budget", sentence, Some("/keys/rich/budget"))
            .said("");
        for (world, label) in [(a, "rich-1"), (b, "rich-2"), (a, "rich-3")] {
            world.call("rich", "dear", label).await.allowed("within");
        }
        // Two ten-thousandths are left, and a millionth takes one of them.
        for (world, label) in [(b, "rich-4"), (a, "rich-5")] {
            world.call("rich", "cheap", label).await.allowed("within");
        }
        let refused = b.call("rich", "cheap", "rich-6").await;
        refused
            .refused("budget", sentence, Some("/keys/rich/budget"))
            .said("over");
        let counted = Counting::shared().await.counted("keys/rich").await;
        assert!(
            counted
                .iter()
                .all(|count| (500_000_000..=500_000_001).contains(count)),
            "{counted:?}"
        );
    });
}

#[test]
fn only_the_local_charge_comes_back_when_no_server_was_reached() {
    run(async {
        let [world, _] = real().await;
        let unreached = async |label| {
            let mut request = call("mix", "quarter", label);
            request.target = "/dead/mcp".to_owned();
            world.send(label, &request, Transport::Length).await
        };
        for label in ["mix-1", "mix-2", "mix-3", "mix-4"] {
            let outcome = unreached(label).await;
            assert_eq!(outcome.answer.status, 503, "{}", outcome.what);
            assert_eq!(outcome.line["cost_micros"], "0", "{}", outcome.what);
            outcome.said("within");
        }
        // The key's own budget has all of it again; the team's is spent.
        let outcome = unreached("mix-5").await;
        let sentence = "The team of this key may spend 1 per month";
        outcome
            .refused("budget", sentence, Some("/teams/mix/budget"))
            .said("over");
    });
}
