//! Where the secret comes from, and who knows what it has tagged.

use serde_json::json;
use toolgate_tests::client::{Connection, Transport};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::run;
use toolgate_tests::toolgate::Render;
use toolgate_tests::upstream::{Upstream, mcp_server};

use super::{Caller, DOCS};

const VARIABLE: &str = "TOOLGATE_TEST_SESSION_SECRET";
const NEW: &str = "correct-horse-battery-staple-0123456789";
const OLD: &str = "another-secret-that-is-long-enough-to-be-one";

#[test]
fn replicas_with_one_secret_know_each_others_sessions() {
    run(async {
        let (one, two) = tokio::join!(
            replica(Some(NEW), Release::V1_40, "headers"),
            replica(Some(NEW), Release::V1_36, "body")
        );
        both_ways(&one, &two, true).await;
    });
}

#[test]
fn replicas_with_secrets_of_their_own_do_not() {
    run(async {
        let (one, two) = tokio::join!(
            replica(Some(NEW), Release::V1_40, "headers"),
            replica(Some(OLD), Release::V1_40, "headers")
        );
        both_ways(&one, &two, false).await;
        let (three, four) = tokio::join!(
            replica(None, Release::V1_40, "headers"),
            replica(None, Release::V1_36, "headers")
        );
        both_ways(&three, &four, false).await;
        both_ways(&one, &three, false).await;
    });
}

#[test]
fn a_secret_can_be_changed_while_both_open() {
    run(async {
        let both = format!(" {NEW} , {OLD}\n");
        let (old, between, new) = tokio::join!(
            replica(Some(OLD), Release::V1_40, "headers"),
            replica(Some(&both), Release::V1_40, "headers"),
            replica(Some(NEW), Release::V1_40, "headers")
        );
        let alice = Caller::new(DOCS, "alice-key");
        let first = alice.begin(&old.envoy).await;
        alice
            .assert_in(&first, &between.envoy, &between.upstream, "old")
            .await;
        alice.assert_out(&first, &new.envoy, &new.upstream, "old").await;
        let second = alice.begin(&between.envoy).await;
        alice.assert_in(&second, &new.envoy, &new.upstream, "new").await;
        // That is why all replicas get to know a secret before one tags with it.
        alice.assert_out(&second, &old.envoy, &old.upstream, "new").await;
    });
}

#[test]
fn without_a_secret_the_policy_is_refused_and_the_log_says_what_to_do() {
    run(refuses(&[(None, "it is not set"), (Some("   "), "empty")]));
}

#[test]
fn with_a_bad_secret_the_policy_is_refused_and_the_log_does_not_tell_it() {
    let three = format!("{NEW},{OLD},{NEW}");
    run(refuses(&[
        (Some("short-0815"), "10 bytes; it needs at least 32"),
        (Some(&three), "more than two"),
    ]));
}

#[test]
fn with_a_bad_secret_after_the_comma_the_policy_is_refused() {
    let half = format!("{NEW},short-0815");
    run(refuses(&[
        (Some(&half), "after the comma has 10 bytes"),
        (Some(""), VARIABLE),
    ]));
}

/// Expects of an Envoy with each of these values that it serves nobody and says why.
async fn refuses(cases: &[(Option<&str>, &str)]) {
    let upstream = Upstream::start(mcp_server(json!([]))).await;
    for (number, (value, why)) in cases.iter().enumerate() {
        let release = Release::ALL[number % 2];
        let log = refused(release, *value, &upstream).await;
        for part in [
            "/sessions/secretEnv",
            VARIABLE,
            why,
            "openssl rand -hex 32",
            "host_env_keys",
        ] {
            assert!(log.contains(part), "{value:?}: no {part:?} in {log}");
        }
        for secret in [NEW, OLD, "short-0815"] {
            assert!(!log.contains(secret), "{value:?}: the secret is in {log}");
        }
    }
    assert_eq!((upstream.received().len(), upstream.connections()), (0, 0));
}

#[test]
fn the_workers_of_a_process_share_the_secret_that_one_of_them_has_drawn() {
    run(async {
        let options = Options {
            concurrency: 4,
            ..Options::default()
        };
        let gate = Gate::start(options, super::policy("headers"), mcp_server(json!([]))).await;
        let alice = Caller::new(DOCS, "alice-key");
        let session = alice.begin(&gate.envoy).await;
        let request = &alice.everything(&session, "shared")[0];
        let mut connections = Vec::new();
        // They stay open until each worker has some.
        while busy_workers(&gate).await < 4 || connections.len() < 40 {
            assert!(connections.len() < 800, "a worker takes no connections");
            let mut connection = Connection::open(gate.envoy.address()).await.expect("accepted");
            let answer = connection.exchange(request, Transport::Length).await;
            let answer = answer.expect("an answer");
            assert_eq!(answer.header("x-toolgate-decision"), "allowed", "{answer:?}");
            // A session that this worker begins is the same.
            assert_eq!(alice.begin(&gate.envoy).await, session);
            connections.push(connection);
        }
        assert_eq!(gate.upstream.labelled("shared").len(), connections.len());
    });
}

async fn both_ways(one: &Gate, two: &Gate, known: bool) {
    let alice = Caller::new(DOCS, "alice-key");
    let bob = Caller::new(DOCS, "bob-key");
    for (begins, goes_on) in [(one, two), (two, one)] {
        let session = alice.begin(&begins.envoy).await;
        let (envoy, upstream) = (&goes_on.envoy, &goes_on.upstream);
        if known {
            alice.assert_in(&session, envoy, upstream, "known").await;
        } else {
            alice.assert_out(&session, envoy, upstream, "unknown").await;
        }
        bob.assert_out(&session, envoy, upstream, "not-bobs").await;
        alice
            .assert_in(&session, &begins.envoy, &begins.upstream, "at-home")
            .await;
    }
}

/// An Envoy with this secret, or with one that it draws.
async fn replica(secret: Option<&str>, release: Release, hold: &str) -> Gate {
    let mut policy = super::policy(hold);
    if secret.is_some() {
        policy["sessions"] = json!({ "secretEnv": VARIABLE });
    }
    let environment: Vec<(&str, &str)> = secret.map(|secret| (VARIABLE, secret)).into_iter().collect();
    let options = Options {
        release,
        ..Options::default()
    };
    let upstream = Upstream::start(mcp_server(json!([]))).await;
    Gate::start_in(
        &environment,
        upstream,
        options,
        policy,
        |render| render,
        |bootstrap| bootstrap,
    )
    .await
}

/// The log of an Envoy whose variable has this value, which serves nobody.
async fn refused(release: Release, value: Option<&str>, upstream: &Upstream) -> String {
    let mut policy = super::policy("headers");
    policy["sessions"] = json!({ "secretEnv": VARIABLE });
    let render = Render::new(policy)
        .upstream("docs", &upstream.url("/docs/mcp"))
        .upstream("files", &upstream.url("/files/mcp"));
    let directory = tempfile::tempdir().expect("a directory");
    let environment: Vec<(&str, &str)> = value.map(|value| (VARIABLE, value)).into_iter().collect();
    let options = Options {
        release,
        ..Options::default()
    };
    let started = Envoy::refusal_in(&environment, options, |listener, admin| {
        render.run(directory.path(), listener, admin).expect("rendered")
    })
    .await;
    match started {
        Ok(log) => log,
        Err(envoy) => {
            let request = &Caller::new(DOCS, "alice-key").everything("x", "refused")[0];
            let answer = envoy.send(request, Transport::Length).await;
            assert!((500..600).contains(&answer.status), "{value:?}: {answer:?}");
            envoy.log()
        }
    }
}

/// How many workers have served connections.
async fn busy_workers(gate: &Gate) -> usize {
    let port = gate.envoy.address().port();
    let stats = gate
        .envoy
        .admin("/stats?filter=worker_.*downstream_cx_total")
        .await;
    let served = |line: &&str| line.contains(&port.to_string()) && !line.ends_with(": 0");
    stats.lines().filter(served).count()
}
