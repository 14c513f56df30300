//! What the service is asked: one question per call, with every limit in it, and none where the answer is known.

use serde_json::{Value, json};
use toolgate_tests::client::Transport;
use toolgate_tests::envoy::Release;
use toolgate_tests::messages::Era;
use toolgate_tests::rate_limit::{Answer, Descriptor, FakeService, Request, Unit};
use toolgate_tests::run;
use toolgate_tests::upstream;

use super::{NOBODY_KNOWS, PATH, PATIENT, World, governed, quota};

/// The question that was asked last.
fn last(service: &FakeService) -> Request {
    service.asked().last().expect("a question").request.clone()
}

fn limit(descriptor: &Descriptor) -> (u32, Unit, u64) {
    let limit = descriptor.limit.as_ref().expect("a limit");
    (
        limit.requests_per_unit,
        limit.unit(),
        descriptor.hits_addend.expect("an addend"),
    )
}

/// Two quotas and a budget of the key, of its team and of the team's parent, and as many local ones.
fn many() -> Value {
    let owner = |limit: u32| {
        json!({
            "quotas": [
                { "limit": limit, "per": "hour", "scope": "global" },
                { "limit": limit + 1, "per": "30d", "scope": "global", "on": "docs/*" },
                { "limit": 1000, "per": "hour" },
            ],
            "budget": { "limit": limit, "per": "month", "scope": "global" },
        })
    };
    let mut ada = owner(10);
    ada["team"] = json!("web");
    let mut web = owner(20);
    web["parent"] = json!("all");
    let mut policy = governed(
        &json!({ "ada": ada, "few": { "quotas": [quota(10)] }, "free": {} }),
        &json!({ "web": web, "all": owner(5000) }),
        "deny",
        PATIENT,
    );
    policy["servers"]["docs"]["tools"]["search"] = json!({ "cost": 0.25 });
    policy
}

#[test]
fn one_question_with_every_limit_in_it() {
    run(async {
        let service = FakeService::start(Answer::ok).await;
        let world = World::start(many(), service.address()).await;
        for number in 1..=6 {
            let outcome = world.call("ada", "search", &format!("many-{number}")).await;
            outcome.allowed("within");
            assert_eq!(outcome.line["cost_micros"], "250000", "{}", outcome.what);
            assert_eq!(service.asked().len(), number);
        }
        let question = last(&service);
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
            // Five billion millionths do not fit; ten-millionths of a hundred do.
            (500_000_000, year, 25_000),
        ];
        for wanted in expected {
            assert!(limits.contains(&wanted), "{wanted:?} is not in {limits:?}");
        }
        assert_eq!(limits.len(), expected.len(), "{limits:?}");
        for (descriptor, (_, unit, _)) in question.descriptors.iter().zip(&limits) {
            let owner = descriptor.value("limit").expect("an owner");
            assert!(
                owner.starts_with("keys/ada/") || owner.starts_with("teams/"),
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
        world.call("ada", "other", "many-other").await.allowed("within");
        assert_eq!(last(&service).descriptors.len(), 6);
        world.call("few", "search", "many-few").await.allowed("within");
        assert_eq!(last(&service).descriptors.len(), 1);
        world.settle().await;
        assert_eq!(service.asked().len(), 8);
    });
}

#[test]
fn the_refusal_names_the_limit_that_is_over() {
    run(async {
        let service = FakeService::start(Answer::ok).await;
        let world = World::start(many(), service.address()).await;
        world.call("ada", "search", "named-first").await.allowed("within");
        let question = last(&service);
        for (index, descriptor) in question.descriptors.iter().enumerate() {
            service.script(move |request| Answer::over(request, index));
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
            let outcome = world.call("ada", "search", &format!("named-{index}.")).await;
            outcome
                .refused(reason, &sentence, Some(&format!("/{place}")))
                .said("over");
            // What the service says, as it is not longer than the window.
            assert_eq!(outcome.retry(), Some(1000), "{}", outcome.what);
        }
        service.script(Answer::ok);
        world.call("ada", "search", "named-last").await.allowed("within");
        world.settle().await;
    });
}

#[test]
fn nothing_is_asked_where_nothing_is_to_be_asked() {
    run(async {
        let service = FakeService::start(Answer::ok).await;
        let mut policy = governed(
            &json!({
                "ada": { "quotas": [{ "limit": 1, "per": "365d" }, quota(1000)] },
                "bob": { "budget": { "limit": 0.2, "per": "month", "scope": "global" } },
            }),
            &json!({}),
            "deny",
            PATIENT,
        );
        policy["servers"]["docs"]["tools"]["search"] = json!({ "cost": 0.25, "inputSchema": {
            "type": "object", "properties": { "query": { "type": "string" } }
        } });
        let world = World::start(policy, service.address()).await;
        for method in ["tools/list", "server/discover"] {
            let request = Era::Modern.request(PATH, method, None, json!({})).key("ada-key");
            let answer = world.gate.send(&request, Transport::Length).await;
            assert_eq!(
                answer.header("x-toolgate-decision"),
                "allowed",
                "{}",
                answer.text()
            );
        }
        let wrong = super::call("ada", "search", "unasked-schema");
        let body = String::from_utf8_lossy(wrong.body.as_deref().unwrap_or_default()).into_owned();
        let wrong = wrong.body(body.replace("\"query\":\"\"", "\"query\":7"));
        let outcome = world.send("unasked-schema", &wrong, Transport::Length).await;
        assert_eq!(outcome.line["decision"], "schema", "{}", outcome.what);
        // More than the whole budget: there is no need to ask, and no use in waiting.
        let outcome = world.call("bob", "search", "unasked-dear").await;
        let sentence = "This call costs more than that, so trying again later does not help.";
        outcome
            .refused("budget", sentence, Some("/keys/bob/budget"))
            .said("");
        assert_eq!(outcome.retry(), None, "{}", outcome.what);
        assert_eq!(service.asked().len(), 0);
        // What the local quota refuses is not asked either.
        world.call("ada", "search", "asked").await.allowed("within");
        let outcome = world.call("ada", "search", "unasked-local").await;
        outcome
            .refused("quota", "1 call per 365 days", Some("/keys/ada/quotas/0"))
            .said("");
        assert_eq!(service.asked().len(), 1);
    });
}

#[test]
fn in_shadow_mode_calls_pass_and_are_counted_as_if_enforced() {
    run(async {
        let service = FakeService::start(|request| Answer::over(request, 0)).await;
        let mut shadowed = json!({ "quotas": [quota(5), { "limit": 1, "per": "365d" }] });
        shadowed["mode"] = json!("shadow");
        let policy = governed(&json!({ "ada": shadowed }), &json!({}), "deny", PATIENT);
        let world = World::start(policy, service.address()).await;
        // The local quota has one call, and what the service would refuse does not take it.
        for label in ["shadow-1", "shadow-2"] {
            let outcome = world.call("ada", "search", label).await;
            outcome.allowed("over");
            assert_eq!(outcome.line["would_deny"], "quota", "{}", outcome.what);
            assert_eq!(outcome.line["limit"], "/keys/ada/quotas/0", "{}", outcome.what);
        }
        service.script(|_| Answer::unavailable());
        let outcome = world.call("ada", "search", "shadow-3").await;
        outcome.allowed("UNAVAILABLE");
        assert_eq!(outcome.line["would_deny"], "quota", "{}", outcome.what);
        assert_eq!(outcome.line["limit"], Value::Null, "{}", outcome.what);
        service.script(Answer::ok);
        let outcome = world.call("ada", "search", "shadow-4").await;
        outcome.allowed("within");
        assert_eq!(outcome.line["would_deny"], Value::Null, "{}", outcome.what);
        assert_eq!(service.asked().len(), 4);
        // Now the local quota is used up, and the service is not asked.
        let outcome = world.call("ada", "search", "shadow-5").await;
        outcome.allowed("");
        assert_eq!(outcome.line["would_deny"], "quota", "{}", outcome.what);
        assert_eq!(outcome.line["limit"], "/keys/ada/quotas/1", "{}", outcome.what);
        assert_eq!(service.asked().len(), 4);
        world.settle().await;
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
    for release in Release::ALL {
        run(async {
            let service = FakeService::start(Answer::ok).await;
            let mut policy = governed(
                &json!({ "ada": { "budget": { "limit": 100, "per": "month", "scope": "global" } } }),
                &json!({}),
                "deny",
                PATIENT,
            );
            policy["servers"]["docs"]["tools"] = json!({
                "export": { "cost": 0.01, "costPerKiB": 0.1 }, "plain": { "cost": 0.01 }, "free": {},
                "after": { "costPerKiB": 0.1 },
            });
            let world = World::start_with(release, policy, service.address(), |bootstrap| bootstrap).await;
            world.gate.upstream.answer("debt-", results(4));
            let addend = || match last(&service).descriptors.as_slice() {
                [descriptor] => descriptor.hits_addend.expect("an addend"),
                other => panic!("{other:?}"),
            };
            let outcome = world.call("ada", "export", "debt-1").await;
            outcome.allowed("within");
            assert_eq!(addend(), 10_000);
            // The answer is 4 KiB and its frame of a hundred bytes or so.
            let cost = |line: &Value| {
                line["cost_micros"]
                    .as_str()
                    .and_then(|cost| cost.parse::<u64>().ok())
            };
            let paid = cost(&outcome.line).expect("a cost");
            assert!((410_000..450_000).contains(&paid), "{}", outcome.what);
            let debt = paid - 10_000;
            // A call without a cost does not pay it.
            world.call("ada", "free", "debt-2").await.allowed("");
            assert_eq!(service.asked().len(), 1);
            // Whatever the reason that a question is not counted, what it asked for stays owed.
            for (number, answer) in [Answer::unavailable(), Answer::garbage(), Answer::statuses([])]
                .into_iter()
                .enumerate()
            {
                service.script(move |_| answer.clone());
                let outcome = world
                    .call("ada", "plain", &format!("debt-failed-{number}."))
                    .await;
                outcome.refused("budget", NOBODY_KNOWS, None).said("error");
                assert_eq!(addend(), 10_000 + debt);
            }
            service.script(Answer::ok);
            world.call("ada", "plain", "debt-3").await.allowed("within");
            assert_eq!(addend(), 10_000 + debt);
            world.call("ada", "plain", "debt-4").await.allowed("within");
            assert_eq!(addend(), 10_000);
            // A call that costs nothing before its result takes the smallest unit.
            world.call("ada", "after", "debt-5").await.allowed("within");
            assert_eq!(addend(), 1);
            // The service refused, and counted it all the same.
            service.script(|request| Answer::over(request, 0));
            let outcome = world.call("ada", "plain", "debt-6").await;
            outcome
                .refused(
                    "budget",
                    "This key may spend 100 per month",
                    Some("/keys/ada/budget"),
                )
                .said("over");
            let asked = addend();
            assert!((410_000..450_000).contains(&asked), "{asked}");
            service.script(Answer::ok);
            world.call("ada", "plain", "debt-7").await.allowed("within");
            assert_eq!(addend(), 10_000);
            world.settle().await;
        });
    }
}
