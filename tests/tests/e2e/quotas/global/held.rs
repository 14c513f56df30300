//! While the service is asked, and when it has refused, nothing of the call goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;
use toolgate_tests::client::{Connection, Http2, Transport, read_answer, send_all};
use toolgate_tests::envoy::Release;
use toolgate_tests::rate_limit::{Answer, FakeService};
use toolgate_tests::run;

use super::{Counting, PATIENT, World, call, call_of_size, governed, quota};

/// Each release with each way to hold.
const KINDS: [(Release, &str); 4] = [
    (Release::V1_40, "headers"),
    (Release::V1_40, "body"),
    (Release::V1_36, "headers"),
    (Release::V1_36, "body"),
];

/// How long the answer is delayed.
const PAUSE: Duration = Duration::from_millis(300);

fn holding(hold: &str, keys: &Value) -> Value {
    let mut policy = governed(keys, &json!({}), "deny", PATIENT);
    policy["hold"] = json!(hold);
    policy
}

#[test]
fn a_refused_call_does_not_arrive_over_any_transport() {
    run(async {
        let service = Counting::shared().await.address();
        let mut kinds = JoinSet::new();
        for (release, hold) in KINDS {
            kinds.spawn(async move {
                let key = format!("held-{release:?}-{hold}")
                    .replace("V1_", "")
                    .to_lowercase();
                let policy = holding(hold, &json!({ key.as_str(): { "quotas": [quota(7)] } }));
                let world = World::start_with(release, policy, service, |bootstrap| bootstrap).await;
                for transport in Transport::ALL {
                    let label = format!("passes-{transport:?}.");
                    let outcome = world.send(&label, &call(&key, "search", &label), transport).await;
                    outcome.allowed("within");
                }
                for transport in Transport::ALL {
                    let label = format!("refused-{transport:?}.");
                    let outcome = world.send(&label, &call(&key, "search", &label), transport).await;
                    let limit = format!("/keys/{key}/quotas/0");
                    let sentence = "This key may make 7 calls per 365 days, and has made them.";
                    outcome.refused("quota", sentence, Some(&limit)).said("over");
                    assert!(outcome.retry().is_some(), "{}", outcome.what);
                }
                world.settle().await;
            });
        }
        kinds.join_all().await;
    });
}

#[test]
fn a_large_call_with_trailers_stays_here_until_the_answer() {
    run(async {
        let mut kinds = JoinSet::new();
        for (release, hold) in KINDS {
            kinds.spawn(async move {
                let service = FakeService::start(|request| Answer::ok(request).after(PAUSE)).await;
                let policy = holding(hold, &json!({ "ada": { "quotas": [quota(100)] } }));
                let world =
                    World::start_with(release, policy, service.address(), |bootstrap| bootstrap).await;
                for (number, transport) in [
                    Transport::Length,
                    Transport::ChunkedTrailers,
                    Transport::Http2,
                    Transport::Http2Trailers,
                ]
                .into_iter()
                .enumerate()
                {
                    let label = format!("large-{transport:?}.");
                    let request = call_of_size("ada", "search", &label, 700_000);
                    let watched = watch(&world, &service, number, &label);
                    let (outcome, ()) = tokio::join!(world.send(&label, &request, transport), watched);
                    outcome.allowed("within");
                    let arrived = outcome.arrived.first().expect("it arrived");
                    assert!(Some(&arrived.body[..]) == request.body.as_deref(), "{label}");
                }
                world.settle().await;
            });
        }
        kinds.join_all().await;
    });
}

/// Looks at what has arrived of a call, from before its question until shortly before the answer.
async fn watch(world: &World, service: &FakeService, earlier: usize, label: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        // In this order: what arrives after the look is none of its business.
        let arrived = world.gate.upstream.labelled(label);
        let asked = service.asked().get(earlier).map(|asked| asked.at);
        if asked.is_some_and(|at| at.elapsed() > PAUSE - Duration::from_millis(20)) {
            return;
        }
        let early = arrived.iter().any(|request| {
            let head_may = world.holds_body;
            !head_may || request.complete || !request.raw_body.is_empty()
        });
        assert!(
            !early,
            "{label}: {} bytes arrived before the answer",
            arrived[0].raw_body.len()
        );
        assert!(Instant::now() < deadline, "{label}: nothing is asked");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The trailers end the body, and only then there is a call to ask about.
#[test]
fn nothing_is_asked_before_the_end_of_the_body() {
    run(async {
        let service = FakeService::start(|request| Answer::ok(request).after(PAUSE)).await;
        let policy = holding("headers", &json!({ "ada": { "quotas": [quota(100)] } }));
        let world = World::start(policy, service.address()).await;
        let request = call("ada", "search", "trailing.");
        let connection = Http2::connect(world.gate.envoy.address())
            .await
            .expect("connects");
        let (mut stream, answer) = connection.begin(&request, true).await.expect("begins");
        send_all(&mut stream, request.body.clone().expect("a body"))
            .await
            .expect("sent");
        sleep(Duration::from_millis(150)).await;
        assert_eq!(service.asked().len(), 0);
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-trailer", http::HeaderValue::from_static("1"));
        stream.send_trailers(trailers).expect("sent");
        watch(&world, &service, 0, "trailing.").await;
        let answer = read_answer(answer.await.expect("an answer"))
            .await
            .expect("readable");
        assert_eq!(
            answer.header("x-toolgate-decision"),
            "allowed",
            "{}",
            answer.text()
        );
        assert_eq!(world.gate.upstream.labelled("trailing.").len(), 1);
        assert_eq!(service.asked().len(), 1);
    });
}

#[test]
fn a_client_that_leaves_while_it_waits_leaves_nothing_behind() {
    run(async {
        let service = FakeService::start(|request| Answer::ok(request).after(PAUSE)).await;
        let keys = json!({ "ada": { "quotas": [quota(1000), { "limit": 1, "per": "365d" }] } });
        let world = World::start(holding("headers", &keys), service.address()).await;
        // The local quota has one call, which each of them gives back.
        for number in 0..8 {
            let label = format!("left-{number}.");
            let request = call("ada", "search", &label);
            if number % 2 == 0 {
                let mut connection = Connection::open(world.gate.envoy.address())
                    .await
                    .expect("connects");
                connection
                    .request(&request, Transport::Length)
                    .await
                    .expect("sent");
                asked(&service, number + 1).await;
            } else {
                let connection = Http2::connect(world.gate.envoy.address())
                    .await
                    .expect("connects");
                let (mut stream, answer) = connection.begin(&request, false).await.expect("begins");
                let body = request.body.clone().expect("a body");
                stream.send_data(body, true).expect("sent");
                asked(&service, number + 1).await;
                stream.send_reset(h2::Reason::CANCEL);
                drop(answer);
            }
            let lines = world.lines("\"flags\":\"DC\"", number + 1).await;
            assert_eq!(lines.len(), number + 1);
            assert!(
                lines.iter().all(|line| line["upstream"] == Value::Null),
                "{lines:?}"
            );
        }
        // The answers come to nobody.
        sleep(PAUSE + Duration::from_millis(100)).await;
        assert!(
            world.gate.upstream.received().is_empty(),
            "{:?}",
            world.gate.upstream.received()
        );
        world.call("ada", "search", "stayed-1").await.allowed("within");
        let outcome = world.call("ada", "search", "stayed-2").await;
        outcome.refused("quota", "1 call per 365 days", Some("/keys/ada/quotas/1"));
        let envoy = &world.gate.envoy;
        assert_eq!(envoy.stat("cluster.ratelimit.upstream_rq_active").await, 0);
        assert_eq!(envoy.stat("http.toolgate.downstream_rq_active").await, 0);
        world.settle().await;
    });
}

/// Waits until so many questions have come.
async fn asked(service: &FakeService, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while service.asked().len() < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} questions",
            service.asked().len()
        );
        sleep(Duration::from_millis(2)).await;
    }
}

#[test]
fn calls_wait_for_a_slow_service_side_by_side() {
    run(async {
        const CALLS: usize = 60;
        // Every third is refused, whoever waits beside it.
        let service = FakeService::start(|request| {
            let key = request.descriptors[0].value("limit").unwrap_or_default();
            match key.starts_with("keys/bob/") {
                true => Answer::over(request, 0).after(PAUSE / 2),
                false => Answer::ok(request).after(PAUSE),
            }
        })
        .await;
        let keys = json!({ "ada": { "quotas": [quota(1000)] }, "bob": { "quotas": [quota(1000)] } });
        let world = Arc::new(World::start(holding("headers", &keys), service.address()).await);
        let begun = Instant::now();
        let mut calls = JoinSet::new();
        for number in 0..CALLS {
            let world = Arc::clone(&world);
            calls.spawn(async move {
                let key = if number % 3 == 0 { "bob" } else { "ada" };
                let label = format!("slow-{number}.");
                let transport = Transport::ALL[number % 2 * 4];
                let outcome = world.send(&label, &call(key, "search", &label), transport).await;
                match key {
                    "bob" => outcome
                        .refused("quota", "1000 calls", Some("/keys/bob/quotas/0"))
                        .said("over"),
                    _ => outcome.allowed("within"),
                };
            });
        }
        calls.join_all().await;
        // One after the other they would take a quarter of a minute.
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        assert_eq!(service.asked().len(), CALLS);
        world.settle().await;
    });
}
