//! What the service is asked: one question per call, with every limit in it, and none where the answer is known.

use serde_json::{Value, json};
use toolgate_tests::client::Transport;
use toolgate_tests::messages::Era;
use toolgate_tests::rate_limit::{Answer, Descriptor, Unit};
use toolgate_tests::run;
use toolgate_tests::upstream;

use super::{NOBODY_KNOWS, PATH, quota, scripted};

/// The keys of these tests.
pub(super) fn keys() -> Value {
    let monthly = |limit: f64| json!({ "limit": limit, "per": "month", "scope": "global" });
    json!({
        "many": many(10, "team", "many-web"),
        "named": many(10, "team", "many-web"),
        "few": { "quotas": [quota(10)] },
        "local": { "quotas": [{ "limit": 1, "per": "365d" }, quota(1000)] },
        "poor": { "budget": monthly(0.2) },
        "shadow": { "mode": "shadow", "quotas": [quota(5), { "limit": 1, "per": "365d" }] },
        "debt-0": { "budget": monthly(100.0) },
        "debt-2": { "budget": monthly(100.0) },
    })
}

/// Their teams.
pub(super) fn teams() -> Value {
    let mut all = many(5000, "parent", "");
    all.as_object_mut().expect("an object").remove("parent");
    json!({ "many-web": many(20, "parent", "many-all"), "many-all": all })
}

/// Two quotas and a budget of the service, and a local quota.
fn many(limit: u32, relation: &str, other: &str) -> Value {
    json!({
        "quotas": [
            { "limit": limit, "per": "hour", "scope": "global" },
            { "limit": limit + 1, "per": "30d", "scope": "global", "on": "docs/*" },
            { "limit": 1000, "per": "hour" },
        ],
        "budget": { "limit": limit, "per": "month", "scope": "global" },
        relation: other,
    })
}

fn limit(descriptor: &Descriptor) -> (u32, Unit, u64) {
    let limit = descriptor.limit.as_ref().expect("a limit");
    (
        limit.requests_per_unit,
        limit.unit(),
        descriptor.hits_addend.expect("an addend"),
    )
}

#[test]
fn one_question_with_every_limit_in_it() {
    run(async {
        let shared = scripted::shared().await;
        let [world, ..] = &shared.worlds;
        for number in 1..=6 {
            let outcome = world.call("many", "quarter", &format!("many-{number}")).await;
            outcome.allowed("within");
            assert_eq!(outcome.line["cost_micros"], "250000", "{}", outcome.what);
            assert_eq!(shared.asked("many").len(), number);
        }
        let question = shared.last("many");
        assert_eq!((question.domain.as_str(), question.hits_addend), ("toolgate", 0));
        let (hour, month, year) = (Unit::Hour, Unit::Month, Unit::Year);
        let limits: Vec<_> = question.descriptors.iter().map(limit).collect();
        let expected = [
            (10, hour, 1),
            (11, month, 1),
            (10_000_000, year, 250_000),
            (20, hour, 1),
            (21, month, 1),
            (20_000_000, year, 250_000),
            (5_000, hour, 1),
            (5_001, month, 1),
            // Five billion millionths do not fit in 32 bits, five hundred million hundred-thousandths do.
            (500_000_000, year, 25_000),
        ];
        for wanted in expected {
            assert!(limits.contains(&wanted), "{wanted:?} is not in {limits:?}");
        }
        assert_eq!(limits.len(), expected.len(), "{limits:?}");
        for (descriptor, (_, unit, _)) in question.descriptors.iter().zip(&limits) {
            let owner = descriptor.value("limit").expect("an owner");
            assert!(
                owner.starts_with("keys/many/") || owner.starts_with("teams/many-"),
                "{owner}"
            );
            assert!(
                descriptor.value("id").is_some_and(|id| id.len() >= 32),
                "{descriptor:?}"
            );
            assert_eq!(
                descriptor.value("period").is_some(),
                *unit == year,
                "{descriptor:?}"
            );
        }
        // A tool without a cost has nothing to ask of the budgets.
        world.call("many", "other", "many-other").await.allowed("within");
        assert_eq!(shared.last("many").descriptors.len(), 6);
        assert_eq!(shared.asked("many").len(), 7);
        world.call("few", "search", "many-few").await.allowed("within");
        assert_eq!(shared.last("few").descriptors.len(), 1);
        assert_eq!(shared.asked("few").len(), 1);
    });
}

#[test]
fn the_refusal_names_the_limit_that_is_over() {
    run(async {
        let shared = scripted::shared().await;
        let [world, ..] = &shared.worlds;
        world
            .call("named", "quarter", "named-first")
            .await
            .allowed("within");
        let question = shared.last("named");
        for (index, descriptor) in question.descriptors.iter().enumerate() {
            shared.script("named", move |request| Answer::over(request, index));
            let owner = descriptor.value("limit").expect("an owner");
            let (number, unit, _) = limit(descriptor);
            let (reason, place, sentence) = match unit {
                Unit::Year => (
                    "budget",
                    owner.to_owned(),
                    "and what is left does not cover this call".to_owned(),
                ),
                Unit::Hour => (
                    "quota",
                    owner.replace("/quota", "/quotas/0"),
                    format!("{number} calls per hour"),
                ),
                _ => (
                    "quota",
                    owner.replace("/quota", "/quotas/1"),
                    format!("{number} calls per 30 days"),
                ),
            };
            let outcome = world.call("named", "quarter", &format!("named-{index}.")).await;
            outcome
                .refused(reason, &sentence, Some(&format!("/{place}")))
                .said("over");
            // What the service says, as it is not longer than the window.
            assert_eq!(outcome.retry(), Some(1000), "{}", outcome.what);
        }
        shared.script("named", Answer::ok);
        world
            .call("named", "quarter", "named-last")
            .await
            .allowed("within");
        world.settle();
    });
}

#[test]
fn nothing_is_asked_where_nothing_is_to_be_asked() {
    run(async {
        let shared = scripted::shared().await;
        let [world, ..] = &shared.worlds;
        for method in ["tools/list", "server/discover"] {
            let request = Era::Modern
                .request(PATH, method, None, json!({}))
                .key("local-key");
            let answer = world.gate.send(&request, Transport::Length).await;
            assert_eq!(
                answer.header("x-toolgate-decision"),
                "allowed",
                "{}",
                answer.text()
            );
        }
        let outcome = world.call("local", "strict", "unasked-schema").await;
        assert_eq!(outcome.line["decision"], "schema", "{}", outcome.what);
        // More than the whole budget: there is no need to ask, and no use in waiting.
        let outcome = world.call("poor", "quarter", "unasked-dear").await;
        let sentence = "This call costs more than that, so trying again later does not help.";
        outcome
            .refused("budget", sentence, Some("/keys/poor/budget"))
            .said("");
        assert_eq!(outcome.retry(), None, "{}", outcome.what);
        assert_eq!((shared.asked("local").len(), shared.asked("poor").len()), (0, 0));
        // What the local quota refuses is not asked either.
        world.call("local", "search", "asked").await.allowed("within");
        let outcome = world.call("local", "search", "unasked-local").await;
        outcome
            .refused("quota", "1 call per 365 days", Some("/keys/local/quotas/0"))
            .said("");
        assert_eq!(shared.asked("local").len(), 1);
    });
}

#[test]
fn in_shadow_mode_calls_pass_and_are_counted_as_if_enforced() {
    run(async {
        let shared = scripted::shared().await;
        let [world, ..] = &shared.worlds;
        let pass = async |label, said, would_deny: Option<&str>, limit: Option<&str>| {
            let outcome = world.call("shadow", "search", label).await;
            outcome.allowed(said);
            assert_eq!(
                outcome.line["would_deny"].as_str(),
                would_deny,
                "{}",
                outcome.what
            );
            assert_eq!(outcome.line["limit"].as_str(), limit, "{}", outcome.what);
        };
        let denied = Some("quota");
        // The local quota has one call, and what the service would refuse does not take it.
        shared.script("shadow", |request| Answer::over(request, 0));
        for label in ["shadow-1", "shadow-2"] {
            pass(label, "over", denied, Some("/keys/shadow/quotas/0")).await;
        }
        shared.script("shadow", |_| Answer::unavailable());
        pass("shadow-3", "UNAVAILABLE", denied, None).await;
        shared.script("shadow", Answer::ok);
        pass("shadow-4", "within", None, None).await;
        assert_eq!(shared.asked("shadow").len(), 4);
        // Now the local quota is used up, and the service is not asked.
        pass("shadow-5", "", denied, Some("/keys/shadow/quotas/1")).await;
        assert_eq!(shared.asked("shadow").len(), 4);
    });
}

/// A server whose results have this many KiB of text.
fn results(kibibytes: usize) -> impl Fn(&upstream::Received) -> upstream::Answer + Send + Sync + 'static {
    move |received| {
        let id = received.json()["id"].clone();
        let text = "x".repeat(kibibytes * 1024);
        let result = json!({ "resultType": "complete", "content": [{ "type": "text", "text": text }] });
        upstream::Answer::json(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
    }
}

#[test]
fn what_a_result_costs_is_asked_for_with_the_next_call() {
    run(async {
        let shared = scripted::shared().await;
        tokio::join!(debts(shared, 0), debts(shared, 2));
    });
}

async fn debts(shared: &scripted::Scripted, index: usize) {
    let (world, key) = (&shared.worlds[index], format!("debt-{index}"));
    world.gate.upstream.answer("debt-", results(4));
    let call = async |tool, label: &str| world.call(&key, tool, label).await;
    let addend = || match shared.last(&key).descriptors.as_slice() {
        [descriptor] => descriptor.hits_addend.expect("an addend"),
        other => panic!("{other:?}"),
    };
    let outcome = call("export", "debt-1").await;
    outcome.allowed("within");
    assert_eq!(addend(), 10_000);
    // The answer is 4 KiB and its frame of a hundred bytes or so.
    let cost = outcome.line["cost_micros"].as_str();
    let paid: u64 = cost.and_then(|cost| cost.parse().ok()).expect("a cost");
    assert!((410_000..450_000).contains(&paid), "{}", outcome.what);
    let debt = paid - 10_000;
    // A call without a cost does not pay it.
    call("free", "debt-2").await.allowed("");
    assert_eq!(shared.asked(&key).len(), 1);
    // Whatever the reason that a question is not counted, what it asked for stays owed.
    let failures = [Answer::unavailable(), Answer::garbage(), Answer::statuses([])];
    for (number, answer) in failures.into_iter().enumerate() {
        shared.script(&key, move |_| answer.clone());
        let outcome = call("hundredth", &format!("debt-failed-{number}.")).await;
        outcome.refused("budget", NOBODY_KNOWS, None).said("error");
        assert_eq!(addend(), 10_000 + debt);
    }
    shared.script(&key, Answer::ok);
    call("hundredth", "debt-3").await.allowed("within");
    assert_eq!(addend(), 10_000 + debt);
    call("hundredth", "debt-4").await.allowed("within");
    assert_eq!(addend(), 10_000);
    // A call that costs nothing before its result takes the smallest unit.
    call("after", "debt-5").await.allowed("within");
    assert_eq!(addend(), 1);
    // The service refused, and counted it all the same.
    shared.script(&key, |request| Answer::over(request, 0));
    let outcome = call("hundredth", "debt-6").await;
    let limit = format!("/keys/{key}/budget");
    outcome
        .refused("budget", "This key may spend 100 per month", Some(&limit))
        .said("over");
    assert!((410_000..450_000).contains(&addend()), "{}", addend());
    shared.script(&key, Answer::ok);
    call("hundredth", "debt-7").await.allowed("within");
    assert_eq!(addend(), 10_000);
}
