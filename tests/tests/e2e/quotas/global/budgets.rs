//! Money that the real service counts.

use serde_json::{Value, json};
use toolgate_tests::{ports, run};

use super::{Counting, PATIENT, World, governed};

/// Keys with a global and with a local budget of one unit, on a server whose calls cost a quarter.
fn quarters(keys: [&str; 2]) -> Value {
    let [global, local] = keys;
    let mut policy = governed(
        &json!({
            global: { "budget": { "limit": 1, "per": "month", "scope": "global" } },
            local: { "budget": { "limit": 1, "per": "month" } },
        }),
        &json!({}),
        "deny",
        PATIENT,
    );
    policy["servers"]["docs"]["cost"] = json!(0.25);
    policy
}

const SPENT: &str = "may spend 1 per month, and what is left does not cover this call. It starts again on ";

#[test]
fn a_global_budget_outlasts_every_envoy_and_a_local_one_does_not() {
    run(async {
        let counting = Counting::shared().await;
        let policy = quarters(["lasting", "passing"]);
        let start = || World::start(policy.clone(), counting.address());
        let (a, b) = tokio::join!(start(), start());
        for (world, label) in [(&a, "month-1"), (&b, "month-2"), (&a, "month-3")] {
            let outcome = world.call("lasting", "search", label).await;
            outcome.allowed("within");
            assert_eq!(outcome.line["cost_micros"], "250000", "{}", outcome.what);
        }
        for label in ["here-1", "here-2", "here-3", "here-4"] {
            a.call("passing", "search", label).await.allowed("");
        }
        let outcome = a.call("passing", "search", "here-over").await;
        outcome
            .refused("budget", SPENT, Some("/keys/passing/budget"))
            .said("");
        a.settle().await;
        b.settle().await;
        drop((a, b));
        let (a, b) = tokio::join!(start(), start());
        b.call("lasting", "search", "month-4").await.allowed("within");
        for world in [&a, &b] {
            let outcome = world.call("lasting", "search", "month-over").await;
            outcome
                .refused("budget", SPENT, Some("/keys/lasting/budget"))
                .said("over");
            let month = 31 * 86_400_000;
            let retry = outcome.retry().expect("a time");
            assert!((1..=month).contains(&retry), "{}", outcome.what);
            let date = outcome.answer.text();
            assert!(date.contains("-01 at 00:00 UTC"), "{date}");
        }
        a.call("passing", "search", "here-again").await.allowed("");
        a.settle().await;
        b.settle().await;
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
        assert!(
            period.is_some_and(|period| period.starts_with("20") && period.ends_with('_')),
            "{name}"
        );
    });
}

#[test]
fn a_large_budget_is_counted_in_a_coarser_unit_rounded_up() {
    run(async {
        let counting = Counting::shared().await;
        let mut policy = governed(
            &json!({ "rich": { "budget": { "limit": 50_000, "per": "month", "scope": "global" } } }),
            &json!({}),
            "deny",
            PATIENT,
        );
        policy["servers"]["docs"]["tools"] = json!({
            "dear": { "cost": 16_666.666_6 }, "cheap": { "cost": 0.000_001 }, "all": { "cost": 50_000.000_001 },
        });
        let world = World::start(policy, counting.address()).await;
        let all = world.call("rich", "all", "rich-all").await;
        let sentence = "This key may spend 50000 per month";
        all.refused("budget", sentence, Some("/keys/rich/budget"))
            .said("");
        for label in ["rich-1", "rich-2", "rich-3"] {
            world.call("rich", "dear", label).await.allowed("within");
        }
        // Two ten-thousandths are left, and a millionth takes one of them.
        for label in ["rich-4", "rich-5"] {
            world.call("rich", "cheap", label).await.allowed("within");
        }
        let refused = world.call("rich", "cheap", "rich-6").await;
        refused
            .refused("budget", sentence, Some("/keys/rich/budget"))
            .said("over");
        assert_eq!(counting.counted("keys/rich").await, [500_000_001]);
        world.settle().await;
    });
}

#[test]
fn only_the_local_charge_comes_back_when_no_server_was_reached() {
    run(async {
        let counting = Counting::shared().await;
        let mut policy = governed(
            &json!({ "mix": { "team": "mix", "budget": { "limit": 1, "per": "total" } } }),
            &json!({ "mix": { "budget": { "limit": 1, "per": "month", "scope": "global" } } }),
            "deny",
            PATIENT,
        );
        policy["servers"]["docs"]["cost"] = json!(0.25);
        // Nobody listens where the server should be.
        let nobody = ports::free().port();
        let dead = World::start_with(
            toolgate_tests::envoy::Release::V1_40,
            policy,
            counting.address(),
            |bootstrap| redirect(&bootstrap, nobody),
        )
        .await;
        for label in ["mix-1", "mix-2", "mix-3", "mix-4"] {
            let outcome = dead.call("mix", "search", label).await;
            assert_eq!(outcome.answer.status, 503, "{}", outcome.what);
            assert_eq!(
                outcome.line["cost_micros"].as_str().unwrap_or_default(),
                "",
                "{}",
                outcome.what
            );
            outcome.said("within");
        }
        // The key's own budget has all of it again; the team's is spent.
        let outcome = dead.call("mix", "search", "mix-5").await;
        outcome.refused(
            "budget",
            "The team of this key may spend 1 per month",
            Some("/teams/mix/budget"),
        );
        outcome.said("over");
    });
}

/// The bootstrap with this port in place of the server's.
fn redirect(bootstrap: &str, port: u16) -> String {
    let mut bootstrap: Value = serde_json::from_str(bootstrap).expect("the bootstrap is JSON");
    let clusters = bootstrap["static_resources"]["clusters"]
        .as_array_mut()
        .expect("clusters");
    let docs = clusters
        .iter_mut()
        .find(|cluster| cluster["name"] == "docs")
        .expect("the server's");
    docs["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["port_value"] =
        json!(port);
    bootstrap.to_string()
}
