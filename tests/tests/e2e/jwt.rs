//! JSON Web Tokens that Envoy verifies, beside virtual keys that it does not know.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use toolgate_tests::client::{Request, Response, Transport};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::jwt::{Issuer, altered, unsecured};
use toolgate_tests::messages::Era;
use toolgate_tests::run;
use toolgate_tests::toolgate::{Render, key_digest};
use toolgate_tests::upstream::{Answer, Received, Upstream, mcp_server};

const ISSUER: &str = "https://issuer.example";

#[test]
fn a_verified_subject_is_a_key_in_both_eras_and_its_token_stays_here() {
    run(async {
        for stand in stands().await {
            for era in Era::ALL {
                let label = format!("verified-{era:?}");
                let token = stand.issuer.sign(&claims("repo:acme/site"));
                let answer = stand.send(call(era, "search", &label).key(&token)).await;
                assert_eq!(
                    (answer.status, answer.header("x-toolgate-decision").as_str()),
                    (200, "allowed")
                );
                let received = stand.upstream.received_for(&label);
                assert_eq!(received.len(), 1, "{era:?}");
                assert_without(&received[0], &token);

                let label = format!("not-granted-{era:?}");
                let answer = stand.send(call(era, "write", &label).key(&token)).await;
                assert_eq!(answer.header("x-toolgate-decision"), "hidden", "{era:?}");
                stand.assert_nothing_whole(&label);
            }
        }
    });
}

#[test]
fn a_claim_adds_the_roles_that_the_policy_defines_and_no_others() {
    run(async {
        for stand in stands().await {
            for (groups, decision) in [
                (json!(["writer"]), "allowed"),
                (json!(["unheard-of", "writer"]), "allowed"),
                (json!("writer"), "allowed"),
                (json!(["unheard-of"]), "hidden"),
                (json!([]), "hidden"),
                (json!(["Writer"]), "hidden"),
                (json!({ "writer": true }), "hidden"),
                (json!(7), "hidden"),
            ] {
                for era in Era::ALL {
                    let label = format!("groups-{era:?}-{groups}.").replace('"', "'");
                    let mut claims = claims("repo:acme/site");
                    claims["groups"] = groups.clone();
                    let token = stand.issuer.sign(&claims);
                    let answer = stand.send(call(era, "write", &label).key(&token)).await;
                    assert_eq!(answer.status, 200, "{groups}: {answer:?}");
                    assert_eq!(answer.header("x-toolgate-decision"), decision, "{groups}");
                    let whole = stand.whole(&label).len();
                    assert_eq!(whole, usize::from(decision == "allowed"), "{groups}");
                }
            }
        }
    });
}

#[test]
fn a_token_that_is_not_verified_is_401_and_nothing_arrives() {
    run(async {
        for stand in stands().await {
            let good = claims("repo:acme/site");
            let with = |changes: Value| {
                let mut claims = good.clone();
                for (name, value) in changes.as_object().into_iter().flatten() {
                    claims[name] = value.clone();
                }
                stand.issuer.sign(&claims)
            };
            let lasting = {
                let mut claims = good.clone();
                claims.as_object_mut().expect("an object").remove("exp");
                stand.issuer.sign(&claims)
            };
            let tokens = [
                // Envoy forgives a minute of clock skew.
                ("expired", with(json!({ "exp": now() - 120 }))),
                ("not valid yet", with(json!({ "nbf": now() + 3600 }))),
                ("never expires", lasting),
                ("wrong issuer", with(json!({ "iss": "https://other.example" }))),
                ("wrong audience", with(json!({ "aud": "another" }))),
                ("no audience", with(json!({ "aud": null }))),
                ("forged", Issuer::new().sign(&good)),
                ("altered", altered(&stand.issuer.sign(&claims("nobody")), &good)),
                ("unsecured", unsecured(&good)),
                ("no subject", with(json!({ "sub": null }))),
                ("empty subject", with(json!({ "sub": "" }))),
                ("number as subject", with(json!({ "sub": 7 }))),
                ("list as subject", with(json!({ "sub": ["repo:acme/site"] }))),
                ("unknown subject", with(json!({ "sub": "repo:other/site" }))),
                ("subject of two keys", with(json!({ "sub": "repo:acme/tools" }))),
            ];
            for (number, (what, token)) in tokens.iter().enumerate() {
                for era in Era::ALL {
                    let label = format!("unverified-{number}-{era:?}");
                    let answer = stand.send(call(era, "search", &label).key(token)).await;
                    stand.assert_unauthorized(&answer, &label, what);
                    if *what == "subject of two keys" {
                        assert_eq!(answer.header("x-toolgate-decision"), "ambiguous");
                    }
                }
            }
        }
    });
}

#[test]
fn a_virtual_key_still_works_in_the_header_that_carries_tokens() {
    run(async {
        for stand in stands().await {
            for (era, scheme) in [
                (Era::Legacy, "Bearer "),
                (Era::Modern, "Bearer "),
                (Era::Legacy, "bearer "),
                (Era::Modern, ""),
            ] {
                let label = format!("by-key-{era:?}-{scheme}.");
                let request = call(era, "search", &label).header("authorization", format!("{scheme}eng-key"));
                let answer = stand.send(request).await;
                assert_eq!(answer.status, 200, "{scheme:?}: {answer:?}");
                let received = stand.upstream.received_for(&label);
                assert_eq!(received.len(), 1, "{scheme:?}");
                assert_without(&received[0], "eng-key");
            }
            let label = "by-unknown-key";
            let answer = stand
                .send(call(Era::Legacy, "search", label).key("nobodys-key"))
                .await;
            stand.assert_unauthorized(&answer, label, "unknown key");
        }
    });
}

#[test]
fn a_token_and_a_key_must_name_the_same_key() {
    run(async {
        for stand in stands().await {
            let token = stand.issuer.sign(&claims("repo:acme/site"));
            let expired = {
                let mut claims = claims("repo:acme/site");
                claims["exp"] = (now() - 120).into();
                stand.issuer.sign(&claims)
            };
            let label = "token-and-its-key";
            let both = call(Era::Legacy, "search", label).key(&token);
            let answer = stand.send(both.header("x-virtual-key", "ci-key")).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let received = stand.upstream.received_for(label);
            assert_eq!(received.len(), 1);
            assert_without(&received[0], &token);
            assert_without(&received[0], "ci-key");

            for (number, (authorization, key, decision)) in [
                (&token, "eng-key", "ambiguous"),
                (&token, "nobodys-key", "bad_key"),
                (&expired, "ci-key", "ambiguous"),
                (&expired, "eng-key", "ambiguous"),
            ]
            .into_iter()
            .enumerate()
            {
                for era in Era::ALL {
                    let label = format!("disagreeing-{number}-{era:?}");
                    let both = call(era, "search", &label).key(authorization);
                    let answer = stand.send(both.header("x-virtual-key", key)).await;
                    stand.assert_unauthorized(&answer, &label, key);
                    assert_eq!(answer.header("x-toolgate-decision"), decision, "{label}");
                }
            }
            // Two lines of one header, in either order.
            for (number, lines) in [[token.as_str(), "eng-key"], ["eng-key", token.as_str()]]
                .into_iter()
                .enumerate()
            {
                let label = format!("two-lines-{number}");
                let answer = stand
                    .send(call(Era::Legacy, "search", &label).key(lines[0]).key(lines[1]))
                    .await;
                stand.assert_unauthorized(&answer, &label, "two lines");
            }
        }
    });
}

#[test]
fn a_token_counts_only_in_its_header() {
    run(async {
        for stand in stands().await {
            let token = stand.issuer.sign(&claims("repo:acme/site"));
            let label = "token-elsewhere";
            let request = call(Era::Legacy, "search", label);
            let mut in_query = request.clone();
            in_query.target = format!("{}?access_token={token}", request.target);
            for request in [
                in_query,
                request.clone().header("x-virtual-key", &token),
                request.clone().header("cookie", format!("access_token={token}")),
                request,
            ] {
                let answer = stand.send(request).await;
                stand.assert_unauthorized(&answer, label, "elsewhere");
            }
        }
    });
}

#[test]
fn where_keys_have_another_header_only_tokens_stand_in_authorization() {
    run(async {
        let mut policy = policy("headers");
        policy["identity"]["headers"] = json!(["x-virtual-key"]);
        let stand = Stand::start(Release::V1_40, &policy, false).await;
        let token = stand.issuer.sign(&claims("repo:acme/site"));
        for (label, request) in [
            (
                "token-alone",
                call(Era::Modern, "search", "token-alone").key(&token),
            ),
            (
                "key-alone",
                call(Era::Modern, "search", "key-alone").header("x-virtual-key", "eng-key"),
            ),
        ] {
            assert_eq!(stand.send(request).await.status, 200, "{label}");
            let received = stand.upstream.received_for(label);
            assert_eq!(received.len(), 1, "{label}");
            // Not a header of keys, and yet the credential in it stays here.
            assert_without(&received[0], &token);
            assert_without(&received[0], "eng-key");
        }
        let forged = Issuer::new().sign(&claims("repo:acme/site"));
        for (number, credential) in [forged.as_str(), "eng-key"].into_iter().enumerate() {
            let label = format!("not-a-token-{number}");
            let answer = stand
                .send(call(Era::Modern, "search", &label).key(credential))
                .await;
            assert_eq!(answer.status, 401, "{answer:?}");
            assert!(stand.upstream.received_for(&label).is_empty(), "{label}");
        }
    });
}

/// An Envoy that verifies the tokens of an issuer.
struct Stand {
    issuer: Issuer,
    envoy: Envoy,
    upstream: Upstream,
    /// Serves the issuer's keys, if they are fetched.
    _keys: Upstream,
    _directory: TempDir,
}

impl Stand {
    async fn start(release: Release, policy: &Value, fetched: bool) -> Self {
        let issuer = Issuer::new();
        let upstream = Upstream::start(mcp_server(json!([]))).await;
        let directory = tempfile::tempdir().expect("a directory");
        let jwks = issuer.jwks();
        let file = directory.path().join("jwks.json");
        std::fs::write(&file, jwks.to_string()).expect("written");
        let keys = Upstream::start(move |received| match received.target.as_str() {
            "/keys?of=issuer" => Answer::json(&jwks),
            _ => Answer::new(404),
        })
        .await;
        let source = if fetched {
            keys.url("/keys?of=issuer")
        } else {
            file.display().to_string()
        };
        let mut render = Render::new(policy.clone()).upstream("docs", &upstream.url("/mcp"));
        for argument in [
            "--jwks",
            &source,
            "--jwt-issuer",
            ISSUER,
            "--jwt-audience",
            "toolgate",
            "--jwt-audience",
            "also",
        ] {
            render = render.arg(argument);
        }
        let options = Options {
            release,
            ..Options::default()
        };
        let envoy = Envoy::start(options, |listener, admin| {
            render.run(directory.path(), listener, admin).expect("rendered")
        })
        .await;
        assert_eq!(keys.received().is_empty(), !fetched, "who reads which keys");
        Self {
            issuer,
            envoy,
            upstream,
            _keys: keys,
            _directory: directory,
        }
    }

    async fn send(&self, request: Request) -> Response {
        self.envoy.send(&request, Transport::Length).await
    }

    /// The complete requests with that label.
    fn whole(&self, label: &str) -> Vec<Received> {
        let received = self.upstream.received_for(label).into_iter();
        received.filter(|request| request.complete).collect()
    }

    fn assert_nothing_whole(&self, label: &str) {
        assert_eq!(self.whole(label).len(), 0, "{label}");
    }

    /// A credential is judged by the headers: nothing goes on, whatever the mode.
    fn assert_unauthorized(&self, answer: &Response, label: &str, what: &str) {
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.starts_with(r#"Bearer realm="toolgate""#),
            "{what}: {challenge}"
        );
        assert!(self.upstream.received_for(label).is_empty(), "{what}");
    }
}

/// Keys from a file in the newest release, fetched in the oldest.
async fn stands() -> [&'static Stand; 2] {
    static STANDS: OnceCell<[Stand; 2]> = OnceCell::const_new();
    let stands = STANDS
        .get_or_init(|| async {
            let (headers, body) = (policy("headers"), policy("body"));
            tokio::join!(
                Stand::start(Release::V1_40, &headers, false),
                Stand::start(Release::V1_36, &body, true)
            )
            .into()
        })
        .await;
    stands.each_ref()
}

fn call(era: Era, tool: &str, label: &str) -> Request {
    era.call("/docs/mcp", tool, &json!({ "q": label }))
        .header("x-label", label)
}

fn claims(subject: &str) -> Value {
    json!({ "iss": ISSUER, "aud": "toolgate", "sub": subject, "exp": now() + 600 })
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

/// Neither the credential nor, of a token, any part is in what the upstream received.
fn assert_without(received: &Received, credential: &str) {
    assert_eq!(received.header("authorization"), None);
    assert_eq!(received.header("x-virtual-key"), None);
    for part in credential.split('.') {
        assert!(!received.mentions(part), "{received:?}");
    }
}

fn policy(hold: &str) -> Value {
    json!({
        "version": 1,
        "hold": hold,
        "identity": { "jwt": { "metadata": "jwt_payload", "claim": "sub", "rolesClaim": "groups" } },
        "servers": { "docs": { "path": "/docs/mcp" } },
        "roles": { "reader": { "allow": ["docs/search"] }, "writer": { "allow": ["docs/write"] } },
        "keys": {
            "ci": { "subjects": ["repo:acme/*"], "sha256": [key_digest("ci-key")], "roles": ["reader"] },
            "tools": { "subjects": ["repo:acme/tools"], "roles": ["reader"] },
            "eng": { "sha256": [key_digest("eng-key")], "roles": ["reader"] },
        },
    })
}
