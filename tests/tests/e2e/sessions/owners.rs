//! Whose session it is.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::jwt::Issuer;
use toolgate_tests::messages::Era;
use toolgate_tests::run;
use toolgate_tests::toolgate::{Render, key_digest};
use toolgate_tests::upstream::mcp_server;

use super::{Caller, DOCS, FILES, RAW};

const ISSUER: &str = "https://issuer.example";

#[test]
fn a_session_opens_for_its_key_on_its_server_and_for_nobody_else() {
    run(async {
        for gate in gates().await {
            let (envoy, upstream) = (&gate.envoy, &gate.upstream);
            let alice = Caller::new(DOCS, "alice-key");
            let others = [
                ("bob", Caller::new(DOCS, "bob-key")),
                ("elsewhere", Caller::new(FILES, "alice-key")),
                ("bob-elsewhere", Caller::new(FILES, "bob-key")),
                // Beside the others there is a key for those who have none.
                ("anonymous", Caller::nobody(DOCS)),
            ];
            let session = alice.begin(envoy).await;
            alice.assert_in(&session, envoy, upstream, "own").await;
            for (label, other) in others {
                other.assert_out(&session, envoy, upstream, label).await;
                let theirs = other.begin(envoy).await;
                assert_ne!(theirs, session, "{label}");
                other
                    .assert_in(&theirs, envoy, upstream, &format!("{label}'s own"))
                    .await;
                alice
                    .assert_out(&theirs, envoy, upstream, &format!("alice as {label}"))
                    .await;
            }
            // A session is no credential.
            let (_, nobody) = ("unknown", Caller::new(DOCS, "unknown-key"));
            for request in nobody.everything(&session, "unknown") {
                let answer = envoy.send(&request, Transport::Length).await;
                assert_eq!(answer.status, 401, "{answer:?}");
            }
            assert!(upstream.labelled("unknown").is_empty());
        }
    });
}

#[test]
fn a_forged_session_is_unknown() {
    run(async {
        for gate in gates().await {
            let (envoy, upstream) = (&gate.envoy, &gate.upstream);
            let alice = Caller::new(DOCS, "alice-key");
            let session = alice.begin(envoy).await;
            let mut forged = vec![
                RAW.to_owned(),
                format!("t1..{RAW}"),
                format!("t1.{}.{RAW}", "A".repeat(22)),
                format!("{session}x"),
                format!("x{session}"),
                format!("t1.{session}"),
                session.to_uppercase(),
                session.replace(RAW, "other-session"),
                session.replacen("t1.", "t2.", 1),
                format!("{}={}", &session[..25], &session[25..]),
            ];
            // Every byte of the tag and some of the id, and every length.
            forged.extend((0..session.len()).step_by(3).map(|at| flipped(&session, at)));
            forged.extend((1..session.len()).step_by(5).map(|end| session[..end].to_owned()));
            for (number, session) in forged.iter().enumerate() {
                let requests = alice.everything(session, "forged");
                // Each with another request.
                let request = &requests[number % requests.len()];
                let answer = envoy.send(request, super::transport(request, number)).await;
                super::assert_unknown(&answer, session);
            }
            assert!(upstream.labelled("forged").is_empty());
        }
    });
}

#[test]
fn a_request_of_the_era_without_sessions_loses_the_header_whoever_sends_it() {
    run(async {
        for gate in gates().await {
            let session = Caller::new(DOCS, "alice-key").begin(&gate.envoy).await;
            for (label, key, session) in [
                ("modern-own", "alice-key", session.as_str()),
                ("modern-other", "bob-key", &session),
                ("modern-raw", "bob-key", RAW),
            ] {
                let request = Era::Modern
                    .call(DOCS, "search", &json!({}))
                    .key(key)
                    .header("x-label", label)
                    .header("mcp-session-id", session);
                let answer = gate.send(&request, Transport::Length).await;
                assert_eq!(answer.header("x-toolgate-decision"), "allowed", "{answer:?}");
                let received = gate.upstream.labelled(label);
                assert_eq!(received.len(), 1, "{label}");
                assert_eq!(received[0].header("mcp-session-id"), None, "{label}");
            }
        }
    });
}

#[test]
fn two_subjects_of_one_key_have_sessions_of_their_own() {
    run(subjects("headers"));
}

#[test]
fn two_subjects_of_one_key_have_sessions_of_their_own_with_a_held_body() {
    run(subjects("body"));
}

async fn subjects(hold: &str) {
    let issuer = Issuer::new();
    let keys = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(keys.path(), issuer.jwks().to_string()).expect("written");
    let mut policy = super::policy(hold);
    policy["identity"] = json!({ "jwt": { "metadata": "jwt_payload", "claim": "sub" } });
    policy["keys"]["ci"] =
        json!({ "subjects": ["repo:*"], "sha256": [key_digest("ci-key")], "roles": ["all"] });
    let gate = Gate::start_with(
        options(Release::V1_40),
        policy,
        mcp_server(json!([])),
        |render| {
            let file = keys.path().display().to_string();
            let arguments = [
                "--jwks",
                &file,
                "--jwt-issuer",
                ISSUER,
                "--jwt-audience",
                "toolgate",
            ];
            arguments.into_iter().fold(render, Render::arg)
        },
        |bootstrap| bootstrap,
    )
    .await;
    let (envoy, upstream) = (&gate.envoy, &gate.upstream);
    let token = |subject: &str| {
        let claims = json!({ "iss": ISSUER, "aud": "toolgate", "sub": subject, "exp": now() + 600 });
        Caller::new(DOCS, &issuer.sign(&claims))
    };
    let (site, tools) = (token("repo:site"), token("repo:tools"));
    let session = site.begin(envoy).await;
    site.assert_in(&session, envoy, upstream, "subject").await;
    // A later token of the same subject.
    token("repo:site")
        .assert_in(&session, envoy, upstream, "subject-again")
        .await;
    tools.assert_out(&session, envoy, upstream, "other-subject").await;
    // The key itself is nobody's subject.
    let key = Caller::new(DOCS, "ci-key");
    key.assert_out(&session, envoy, upstream, "no-subject").await;
    let theirs = key.begin(envoy).await;
    site.assert_out(&theirs, envoy, upstream, "key-as-subject").await;
    key.assert_in(&theirs, envoy, upstream, "key-alone").await;
}

#[test]
fn the_access_log_has_the_session_as_the_server_knows_it() {
    run(async {
        let log = tempfile::NamedTempFile::new().expect("a temporary file");
        let gate = Gate::start_with(
            options(Release::V1_40),
            super::policy("headers"),
            mcp_server(json!([])),
            |render| render.arg("--access-log").arg(log.path().display().to_string()),
            |bootstrap| bootstrap,
        )
        .await;
        let alice = Caller::new(DOCS, "alice-key");
        let session = alice.begin(&gate.envoy).await;
        let request: &Request = &alice.everything(&session, "own")[0];
        gate.send(request, Transport::Length).await;
        gate.envoy.terminate();
        let log = std::fs::read_to_string(log.path()).expect("the access log");
        let sessions: Vec<Value> = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["mcp.session.id"].take())
            .collect();
        assert_eq!(sessions, [RAW, RAW], "{log}");
    });
}

/// Another byte there, that may stand in a header.
fn flipped(text: &str, at: usize) -> String {
    let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

fn options(release: Release) -> Options {
    Options {
        release,
        ..Options::default()
    }
}

/// Headers held in the newest release, bodies in the oldest.
async fn gates() -> [&'static Gate; 2] {
    static GATES: OnceCell<[Gate; 2]> = OnceCell::const_new();
    let start = |hold: &str, release| {
        let mut policy = super::policy(hold);
        policy["identity"] = json!({ "anonymous": "guest" });
        policy["keys"]["guest"] = json!({ "roles": ["all"] });
        Gate::start(options(release), policy, mcp_server(json!([])))
    };
    let gates = GATES
        .get_or_init(|| async {
            tokio::join!(start("headers", Release::V1_40), start("body", Release::V1_36)).into()
        })
        .await;
    gates.each_ref()
}
