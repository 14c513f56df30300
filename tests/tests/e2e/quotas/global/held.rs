//! While the service is asked, and when it has refused, nothing of the call goes on.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;
use toolgate_tests::client::{Connection, Http2, Transport, read_answer, send_all};
use toolgate_tests::rate_limit::Answer;
use toolgate_tests::{SOON, run};

use super::scripted::{self, Scripted};
use super::{World, call, call_of_size, quota, real};

/// How long the answer is delayed.
const PAUSE: Duration = Duration::from_millis(300);

/// How long before its end nobody looks any more.
const SHORTLY: Duration = Duration::from_millis(20);

/// The keys of these tests where the service is a scripted one.
pub(super) fn keys() -> Value {
    let thousand = json!({ "quotas": [quota(1000)] });
    json!({
        "over-0": thousand, "over-1": thousand, "over-2": thousand,
        "late-0": thousand, "late-1": thousand, "late-2": thousand,
        "trailing": thousand, "slow": thousand, "slow-over": thousand,
        "leaving": { "quotas": [quota(1000), { "limit": 1, "per": "365d" }] },
    })
}

/// The keys of these tests where it is the real one.
pub(super) fn real_keys() -> Value {
    json!({ "over-real-0": { "quotas": [quota(7)] }, "over-real-1": { "quotas": [quota(7)] } })
}

#[test]
fn a_refused_call_does_not_arrive_over_any_transport() {
    run(async {
        let worlds = real().await;
        for (number, world) in worlds.into_iter().enumerate() {
            let key = format!("over-real-{number}");
            for transport in Transport::ALL {
                let label = format!("passes-{transport:?}.");
                let outcome = world.send(&label, &call(&key, "search", &label), transport).await;
                outcome.allowed("within");
            }
            refused_over_every_transport(world, &key, 7).await;
        }
        let shared = scripted::shared().await;
        for (number, world) in shared.worlds.iter().enumerate() {
            let key = format!("over-{number}");
            shared.script(&key, |request| Answer::over(request, 0));
            refused_over_every_transport(world, &key, 1000).await;
        }
    });
}

async fn refused_over_every_transport(world: &World, key: &str, number: u32) {
    for transport in Transport::ALL {
        let label = format!("{key}-{transport:?}.");
        let outcome = world.send(&label, &call(key, "search", &label), transport).await;
        let limit = format!("/keys/{key}/quotas/0");
        let sentence = format!("This key may make {number} calls per 365 days, and has made them.");
        outcome.refused("quota", &sentence, Some(&limit)).said("over");
        assert!(outcome.retry().is_some(), "{}", outcome.what);
    }
    world.settle();
}

#[test]
fn a_large_call_with_trailers_stays_here_until_the_answer() {
    run(async {
        let shared = scripted::shared().await;
        let mut worlds = JoinSet::new();
        for (number, world) in shared.worlds.iter().enumerate() {
            worlds.spawn(async move {
                let key = format!("late-{number}");
                shared.script(&key, |request| Answer::ok(request).after(PAUSE));
                let transports = [
                    Transport::Length,
                    Transport::ChunkedTrailers,
                    Transport::Http2,
                    Transport::Http2Trailers,
                ];
                for (earlier, transport) in transports.into_iter().enumerate() {
                    let label = format!("large-{transport:?}.");
                    let request = call_of_size(&key, "search", &label, 700_000);
                    let watched = watch(shared, world, &key, earlier, &label);
                    let (outcome, ()) = tokio::join!(world.send(&label, &request, transport), watched);
                    outcome.allowed("within");
                    let arrived = outcome.arrived.first().expect("it arrived");
                    assert!(Some(&arrived.body[..]) == request.body.as_deref(), "{label}");
                }
            });
        }
        worlds.join_all().await;
    });
}

/// Looks at what has arrived of a call, from before its question until shortly before the answer.
async fn watch(shared: &Scripted, world: &World, key: &str, earlier: usize, label: &str) {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        // In this order: what arrives after the look is none of its business.
        let arrived = world.gate.upstream.labelled(label);
        let asked = shared.asked(key).get(earlier).map(|asked| asked.at);
        if asked.is_some_and(|at| at.elapsed() + SHORTLY > PAUSE) {
            return;
        }
        world.stayed(label, &arrived);
        assert!(Instant::now() < deadline, "{label}: nothing is asked");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The trailers end the body, and only then there is a call to ask about.
#[test]
fn nothing_is_asked_before_the_end_of_the_body() {
    run(async {
        let shared = scripted::shared().await;
        let [world, ..] = &shared.worlds;
        shared.script("trailing", |request| Answer::ok(request).after(PAUSE));
        let request = call("trailing", "search", "trailing.");
        let connection = Http2::connect(world.gate.envoy.address())
            .await
            .expect("connects");
        let (mut stream, answer) = connection.begin(&request, true).await.expect("begins");
        let body = request.body.clone().expect("a body");
        send_all(&mut stream, body).await.expect("sent");
        sleep(Duration::from_millis(150)).await;
        assert_eq!(shared.asked("trailing").len(), 0);
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-trailer", http::HeaderValue::from_static("1"));
        stream.send_trailers(trailers).expect("sent");
        watch(shared, world, "trailing", 0, "trailing.").await;
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
        assert_eq!(shared.asked("trailing").len(), 1);
    });
}

#[test]
fn a_client_that_leaves_while_it_waits_leaves_nothing_behind() {
    run(async {
        let shared = scripted::shared().await;
        let [world, ..] = &shared.worlds;
        let envoy = &world.gate.envoy;
        shared.script("leaving", |request| Answer::ok(request).after(PAUSE));
        // The local quota has one call, which each of them gives back.
        for number in 0..8 {
            let request = call("leaving", "search", &format!("left-{number}."));
            if number % 2 == 0 {
                let mut connection = Connection::open(envoy.address()).await.expect("connects");
                connection
                    .request(&request, Transport::Length)
                    .await
                    .expect("sent");
                asked(shared, "leaving", number + 1).await;
            } else {
                let connection = Http2::connect(envoy.address()).await.expect("connects");
                let (mut stream, answer) = connection.begin(&request, false).await.expect("begins");
                let body = request.body.clone().expect("a body");
                stream.send_data(body, true).expect("sent");
                asked(shared, "leaving", number + 1).await;
                stream.send_reset(h2::Reason::CANCEL);
                drop(answer);
            }
            let lines = world.lines("\"status\":0", number + 1).await;
            assert_eq!(lines.len(), number + 1);
            let flags = |line: &Value| line["flags"].as_str().map(str::to_owned);
            for line in lines {
                assert!(matches!(flags(&line).as_deref(), Some("DC" | "DR")), "{line}");
                assert_eq!(line["upstream"], Value::Null, "{line}");
                // There is no decision, but the service may have counted the call.
                assert_eq!(line["decision"], Value::Null, "{line}");
                assert_eq!(line["key"], "leaving", "{line}");
                let said = line["rate_limit"].as_str().unwrap_or_default();
                assert!(said.contains("the caller left"), "{line}");
            }
        }
        // The answers come to nobody.
        sleep(PAUSE + Duration::from_millis(100)).await;
        let left = world.gate.upstream.labelled("left-");
        assert!(left.is_empty(), "{left:?}");
        world
            .call("leaving", "search", "stayed-1")
            .await
            .allowed("within");
        let outcome = world.call("leaving", "search", "stayed-2").await;
        outcome.refused("quota", "1 call per 365 days", Some("/keys/leaving/quotas/1"));
        // Other tests use this Envoy too, but never for long without a pause.
        for gauge in [
            "cluster.ratelimit.upstream_rq_active",
            "cluster.docs.upstream_rq_active",
        ] {
            let deadline = Instant::now() + SOON;
            while envoy.stat(gauge).await > 0 {
                assert!(Instant::now() < deadline, "{gauge}");
                sleep(Duration::from_millis(10)).await;
            }
        }
    });
}

/// Waits until so many questions have come.
async fn asked(shared: &Scripted, key: &str, count: usize) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while shared.asked(key).len() < count {
        let asked = shared.asked(key).len();
        assert!(Instant::now() < deadline, "{asked} of {count} questions");
        sleep(Duration::from_millis(2)).await;
    }
}

#[test]
fn calls_wait_for_a_slow_service_side_by_side() {
    run(async {
        const CALLS: usize = 60;
        let shared = scripted::shared().await;
        let [world, ..] = &shared.worlds;
        // Every third is refused, whoever waits beside it.
        shared.script("slow", |request| Answer::ok(request).after(PAUSE));
        shared.script("slow-over", |request| Answer::over(request, 0).after(PAUSE / 2));
        let begun = Instant::now();
        let mut calls = JoinSet::new();
        for number in 0..CALLS {
            calls.spawn(async move {
                let key = if number % 3 == 0 { "slow-over" } else { "slow" };
                let label = format!("slow-{number}.");
                let transport = Transport::ALL[number % 2 * 4];
                let outcome = world.send(&label, &call(key, "search", &label), transport).await;
                match key {
                    "slow" => outcome.allowed("within"),
                    _ => outcome
                        .refused("quota", "1000 calls", Some("/keys/slow-over/quotas/0"))
                        .said("over"),
                };
            });
        }
        calls.join_all().await;
        // One after the other they would take a quarter of a minute.
        assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
        assert_eq!(
            shared.asked("slow").len() + shared.asked("slow-over").len(),
            CALLS
        );
        world.settle();
    });
}
