use serde_json::json;

use super::*;
use crate::policy::Scope;
use crate::quota::{Over, Stop, describe, sentence};
use crate::store::MemoryStore;

fn world() -> World {
    World::new(
        &json!({
            "engineering": {
                "quotas": [{ "limit": 1, "per": "90s", "on": "docs/*e*" }],
                "budget": { "limit": 500, "per": "month", "scope": "global" },
            },
        }),
        &json!({
            "ci-bot": {
                "team": "engineering",
                "quotas": [
                    { "limit": 100, "per": "minute", "burst": 20 },
                    { "limit": 2, "per": "5m", "on": "docs/free", "each": "tool" },
                    { "limit": 1000, "per": "365d", "each": "subject" },
                ],
                "budget": { "limit": 0.06, "per": "day" },
            },
            "other": { "budget": { "limit": 0.02, "per": "total" } },
        }),
    )
}

#[test]
fn limits_for_operators() {
    let world = world();
    let all: Vec<String> = world
        .book
        .owners()
        .iter()
        .flat_map(|owner| owner.limits.iter().map(|limit| describe(owner, limit)))
        .collect();
    assert_eq!(
        all,
        [
            r#"1 call per 90 seconds, on docs/*e*, of team "engineering" (local)"#,
            r#"500 per month of team "engineering" (global)"#,
            r#"100 calls per minute, 20 at once, of key "ci-bot" (local)"#,
            r#"2 calls per 5 minutes, on docs/free, for each tool, of key "ci-bot" (local)"#,
            r#"1000 calls per 365 days, for each subject, of key "ci-bot" (local)"#,
            r#"0.06 per day of key "ci-bot" (local)"#,
            r#"0.02 in total of key "other" (local)"#,
        ]
    );
}

#[test]
fn refusals_for_agents() {
    let world = world();
    let store = MemoryStore::new();
    let refusal = |key: &str, tool: &str, now: UnixNanos| {
        for _ in 0..1_000 {
            match world
                .book
                .charge(&world.bill(key, tool), Scope::Local, &store, now)
            {
                Ok(_) => {}
                Err(Stop::Over(over)) => return sentence(&world.book, &over, now),
                Err(stop) => panic!("{stop:?}"),
            }
        }
        panic!("never refused");
    };
    assert_eq!(
        refusal("ci-bot", "free", after(3 * HOUR)),
        "The team of this key may make 1 call per 90 seconds of some tools, this one among them, and has made them. Try again in 90 seconds."
    );
    assert_eq!(
        refusal("ci-bot", "paid", after(3 * HOUR + 100)),
        "This key may spend 0.06 per day, and what is left does not cover this call. It starts again on 2026-11-22 at 00:00 UTC, in 21 hours."
    );
    assert_eq!(
        refusal("other", "both", NOW),
        "This key may spend 0.02 in total, and what is left does not cover this call. It does not start again."
    );
}

#[test]
fn what_a_quota_counts_is_told() {
    let world = world();
    let bill = world.bill("ci-bot", "free");
    let quotas = bill.lines.iter().filter(|line| !line.budget);
    let told: Vec<String> = quotas
        .map(|line| {
            let over = Over {
                limit: Some(line.limit),
                budget: false,
                wait: None,
            };
            sentence(&world.book, &over, NOW)
        })
        .collect();
    let rest = ", and has made them. Trying again later does not help.";
    let starts: Vec<&str> = told.iter().filter_map(|text| text.strip_suffix(rest)).collect();
    assert_eq!(
        starts,
        [
            "This key may make 100 calls per minute, 20 at once",
            "This key may make 2 calls per 5 minutes of this tool",
            "This key may make 1000 calls per 365 days on behalf of this user",
            "The team of this key may make 1 call per 90 seconds of some tools, this one among them",
        ]
    );
}

#[test]
fn a_limit_that_has_no_name() {
    let world = world();
    let over = |budget, wait| {
        sentence(
            &world.book,
            &Over {
                limit: None,
                budget,
                wait,
            },
            NOW,
        )
    };
    assert_eq!(
        over(false, Some(Duration::from_millis(1))),
        "A limit on calls that applies to this key is used up. Try again in 1 second."
    );
    assert_eq!(
        over(true, None),
        "A budget that applies to this key is used up. Trying again later does not help."
    );
    for (wait, text) in [
        (Duration::from_mins(2), "120 seconds"),
        (Duration::from_secs(121), "3 minutes"),
        (Duration::from_hours(2), "120 minutes"),
        (Duration::from_secs(7_201), "3 hours"),
        (Duration::from_hours(49), "3 days"),
        (Duration::MAX, "213503982334602 days"),
    ] {
        assert!(
            over(false, Some(wait)).ends_with(&format!(" in {text}.")),
            "{wait:?}"
        );
    }
}
