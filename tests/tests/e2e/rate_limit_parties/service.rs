//! envoyproxy/ratelimit before a Redis.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use toolgate_tests::rate_limit::{
    Code, Descriptor, Durability, RateLimitClient, RateLimitService, Redis, Request, Settings, Unit,
};
use toolgate_tests::{SOON, run};

use super::{about, ask, limited};

/// The smallest configuration that makes the service apply limits which the request carries.
const DOMAIN: &str = "domain: toolgate\n";

async fn start(settings: Settings) -> (Redis, RateLimitService, RateLimitClient) {
    let redis = Redis::start(Durability::EveryWrite).await;
    let service = RateLimitService::start(&redis, Some(DOMAIN), settings).await;
    let client = service.client().await;
    (redis, service, client)
}

/// The code of the only status.
async fn code(client: &RateLimitClient, descriptor: Descriptor) -> Code {
    let answer = ask(client, &about([descriptor])).await.expect("an answer");
    answer.statuses.first().expect("a status").code()
}

#[test]
fn a_limit_in_the_request_holds_when_the_configuration_names_only_the_domain() {
    run(async {
        let (_redis, service, client) = start(Settings::default()).await;
        assert!(service.healthy().await);
        for (code, remaining) in [(Code::Ok, 2), (Code::Ok, 1), (Code::Ok, 0), (Code::OverLimit, 0)] {
            let answer = ask(&client, &about([limited("a", 3)])).await.expect("an answer");
            assert_eq!(answer.overall_code(), code);
            let [status] = answer.statuses.as_slice() else {
                panic!("{answer:?}")
            };
            assert_eq!((status.code(), status.limit_remaining), (code, remaining));
            let limit = status.current_limit.as_ref().expect("the limit that was applied");
            assert_eq!((limit.requests_per_unit, limit.unit()), (3, Unit::Year));
            let reset = status.until_reset().expect("the end of the window");
            assert!((1..=365 * 86_400).contains(&reset.as_secs()), "{reset:?}");
        }
        assert_eq!(code(&client, limited("another", 3)).await, Code::Ok);
        assert_eq!(code(&client, limited("nothing", 0)).await, Code::OverLimit);
    });
}

#[test]
fn a_limit_holds_exactly_for_concurrent_calls_of_several_clients() {
    run(async {
        let (_redis, service, _client) = start(Settings::default()).await;
        let mut calls = JoinSet::new();
        for _ in 0..4 {
            let client = Arc::new(service.client().await);
            for _ in 0..50 {
                let client = Arc::clone(&client);
                calls.spawn(async move { client.ask(&about([limited("a", 70)])).await.expect("an answer") });
            }
        }
        let answers = calls.join_all().await;
        let admitted = answers.iter().filter(|answer| answer.overall_code() == Code::Ok);
        assert_eq!(admitted.count(), 70);
    });
}

#[test]
fn the_statuses_say_which_limit_is_over_and_the_others_are_not_counted_as_recommended() {
    run(async {
        for (settings, others) in [(Settings::default(), 2), (Settings::none(), 4)] {
            let (_redis, _service, client) = start(settings).await;
            let request = about([limited("small", 2), limited("large", 10)]);
            for codes in [
                [Code::Ok, Code::Ok],
                [Code::Ok, Code::Ok],
                [Code::OverLimit, Code::Ok],
                [Code::OverLimit, Code::Ok],
            ] {
                let answer = ask(&client, &request).await.expect("an answer");
                assert_eq!(answer.codes(), codes);
                assert_eq!(answer.overall_code() == Code::Ok, codes[0] == Code::Ok);
            }
            let look = ask(&client, &about([limited("large", 10).hits(0)]))
                .await
                .expect("an answer");
            assert_eq!(look.statuses[0].limit_remaining, 10 - others);
        }
    });
}

#[test]
fn each_descriptor_adds_its_own_hits() {
    run(async {
        let (_redis, _service, client) = start(Settings::default()).await;
        let request = about([
            limited("a", 100).hits(40),
            limited("b", 100),
            limited("c", 100).hits(0),
        ]);
        for expected in [[60, 93, 100], [20, 86, 100]] {
            let answer = ask(&client, &request.clone().hits(7)).await.expect("an answer");
            let remaining: Vec<_> = answer
                .statuses
                .iter()
                .map(|status| status.limit_remaining)
                .collect();
            assert_eq!(remaining, expected);
        }
        // A refused addend stays in its own counter, whatever the settings: what was left is lost.
        assert_eq!(code(&client, limited("a", 100).hits(40)).await, Code::OverLimit);
        assert_eq!(code(&client, limited("a", 100).hits(1)).await, Code::OverLimit);
        // The whole range of a limit, and an addend beyond it.
        assert_eq!(
            code(&client, limited("d", u32::MAX).hits(u64::from(u32::MAX))).await,
            Code::Ok
        );
        assert_eq!(code(&client, limited("d", u32::MAX)).await, Code::OverLimit);
        assert_eq!(
            code(&client, limited("e", u32::MAX).hits(1 << 32)).await,
            Code::OverLimit
        );
    });
}

#[test]
fn a_label_in_the_descriptor_makes_a_window_of_its_own() {
    run(async {
        let (redis, _service, client) = start(Settings::default()).await;
        let month = |label| Descriptor::new([("limit", "a"), ("period", label)]).limit(1, Unit::Year);
        assert_eq!(code(&client, month("2026-11")).await, Code::Ok);
        assert_eq!(code(&client, month("2026-11")).await, Code::OverLimit);
        assert_eq!(code(&client, month("2026-12")).await, Code::Ok);
        // Neither the unit nor the limit is in the name of a counter, and nothing is escaped in it.
        let names = redis.command(&["KEYS", "*"]).await.expect("an answer").join(" ");
        assert!(names.contains("toolgate_limit_a_period_2026-12_"), "{names}");
        let one = Descriptor::new([("x", "1"), ("y", "2")]).limit(1, Unit::Year);
        let other = Descriptor::new([("x", "1_y_2")]).limit(1, Unit::Year);
        assert_eq!(code(&client, one).await, Code::Ok);
        assert_eq!(code(&client, other).await, Code::OverLimit, "the same counter");
    });
}

#[test]
fn without_redis_there_is_no_answer_and_with_it_again_the_counters_go_on() {
    run(async {
        let (mut redis, service, client) = start(Settings::default()).await;
        let request = about([limited("a", 1000)]);
        let answer = ask(&client, &request).await.expect("an answer");
        assert_eq!(answer.statuses[0].limit_remaining, 999);
        redis.kill();
        // One error for each connection of the service's pool (ten), and then silence.
        for _ in 0..11 {
            ask(&client, &request).await.expect_err("no counter");
        }
        redis.restart().await;
        let deadline = Instant::now() + SOON;
        let answer = loop {
            match ask(&client, &request).await {
                Ok(answer) => break answer,
                Err(failure) => assert!(Instant::now() < deadline, "{failure}\n{}", service.log()),
            }
            sleep(Duration::from_millis(50)).await;
        };
        // Calls that were given up meanwhile may be counted after all; nothing is forgotten.
        assert_eq!(answer.overall_code(), Code::Ok);
        assert!(answer.statuses[0].limit_remaining <= 998, "{answer:?}");
    });
}

#[test]
fn while_redis_hangs_so_does_the_service() {
    run(async {
        let (redis, _service, client) = start(Settings::default()).await;
        redis.suspend();
        ask(&client, &about([limited("a", 5)]))
            .await
            .expect_err("no answer in time");
        redis.resume();
        assert_eq!(code(&client, limited("b", 5)).await, Code::Ok);
    });
}

#[test]
fn a_service_without_the_domain_answers_ok_but_names_no_limit() {
    run(async {
        let (_redis, mut service, client) = start(Settings::default()).await;
        let request = about([limited("a", 1)]);
        ask(&client, &request).await.expect("an answer");
        for domain in [Some("domain: another\n"), None] {
            service.restart(domain).await;
            assert_eq!(service.healthy().await, domain.is_some());
            let answer = ask(&service.client().await, &request).await.expect("an answer");
            assert_eq!(
                (answer.overall_code(), answer.codes()),
                (Code::Ok, vec![Code::Ok])
            );
            assert_eq!(answer.statuses[0].current_limit, None);
        }
        service.restart(Some(DOMAIN)).await;
        let answer = ask(&service.client().await, &request).await.expect("an answer");
        assert_eq!(answer.overall_code(), Code::OverLimit, "the counter is Redis's");
    });
}

#[test]
fn a_request_without_domain_or_descriptors_is_an_error() {
    run(async {
        let (_redis, _service, client) = start(Settings::default()).await;
        for request in [about([]), Request::new("", [limited("a", 1)])] {
            ask(&client, &request).await.expect_err("nothing to count");
        }
        // A descriptor without a limit is not limited, and the answer does not hide it.
        let answer = ask(&client, &about([Descriptor::new([("limit", "a")])]))
            .await
            .expect("an answer");
        assert_eq!(answer.codes(), [Code::Ok]);
        assert_eq!(answer.statuses[0].current_limit, None);
    });
}
