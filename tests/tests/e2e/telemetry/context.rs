//! `x-toolgate-*` on forwarded requests: what was matched if the policy says so, and never what a client says.

use serde_json::{Value, json};
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::messages::Era;
use toolgate_tests::run;
use toolgate_tests::upstream::mcp_server;

use crate::quotas::{PATH, call, policy};

const SENT: [(&str, &str); 5] = [
    ("x-toolgate-server", "evil"),
    ("x-toolgate-key", "evil"),
    ("X-Toolgate-Tool", "evil"),
    ("x-toolgate-role", "evil"),
    ("x-toolgate-team", "evil"),
];

fn policy_with(change: impl FnOnce(&mut Value)) -> Value {
    let mut policy = policy(
        &json!({ "alice": { "team": "r & d" }, "bob": {} }),
        &json!({ "r & d": {} }),
    );
    // Bodies are edited, too.
    policy["servers"]["docs"]["clientCapabilities"] = json!({ "sampling": "strip" });
    change(&mut policy);
    policy
}

async fn start(release: Release, policy: Value) -> Gate {
    let options = Options {
        release,
        ..Options::default()
    };
    Gate::start(options, policy, mcp_server(json!([]))).await
}

fn forged(mut request: Request) -> Request {
    for (name, value) in SENT {
        request = request.header(name, value);
    }
    request
}

/// What of ours arrived, by name.
async fn arrived(gate: &Gate, request: Request, label: &str, transport: Transport) -> Vec<(String, String)> {
    let label = format!("{label}-{transport:?}");
    let request = forged(request).without("x-label").header("x-label", &label);
    let answer = gate.send(&request, transport).await;
    let received = gate.upstream.received_for(&label);
    let [received] = received.as_slice() else {
        panic!("{label}: {answer:?} {received:?}");
    };
    let ours = received
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .filter(|(name, _)| name.replace('_', "-").starts_with("x-toolgate"));
    let mut ours: Vec<_> = ours.collect();
    ours.sort();
    ours
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn named(names: &[(&str, &str)]) -> Vec<(String, String)> {
    let names = names
        .iter()
        .map(|(name, value)| (format!("x-toolgate-{name}"), (*value).to_owned()));
    names.collect()
}

const BOTH: [Transport; 2] = [Transport::Length, Transport::Http2];

#[test]
fn servers_learn_what_was_matched() {
    for release in Release::ALL {
        run(async {
            let gate = start(
                release,
                policy_with(|policy| policy["contextHeaders"] = json!(true)),
            )
            .await;
            for transport in BOTH {
                let caller = [("key", "alice"), ("server", "docs"), ("team", "r%20&%20d")];
                let with = |tool: &'static str| named(&[&caller[..], &[("tool", tool)]].concat());
                let of = async |tool: &str, label: &str| {
                    arrived(&gate, call("alice", tool, label), label, transport).await
                };
                assert_eq!(of("search", "plain").await, with("search"));
                let odd = Era::Legacy.call(PATH, "50% off/ü", &json!({})).key("alice-key");
                assert_eq!(
                    arrived(&gate, odd, "odd", transport).await,
                    with("50%25%20off/%C3%BC")
                );
                let bob = arrived(&gate, call("bob", "search", "bob"), "bob", transport).await;
                assert_eq!(
                    bob,
                    named(&[("key", "bob"), ("server", "docs"), ("tool", "search")])
                );
                // A body that is changed goes on as well.
                let mut edited = call("alice", "search", "edited");
                let mut message: Value =
                    serde_json::from_slice(edited.body.as_deref().unwrap_or_default()).expect("JSON");
                message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
                    json!({ "sampling": {} });
                edited.body = Some(message.to_string().into_bytes().into());
                assert_eq!(arrived(&gate, edited, "edited", transport).await, with("search"));
                let received = gate.upstream.received_for(&format!("edited-{transport:?}"));
                assert!(!String::from_utf8_lossy(&received[0].body).contains("sampling"));
            }
        });
    }
}

#[test]
fn a_tool_is_not_told_where_the_head_has_gone() {
    run(async {
        let body = policy_with(|policy| {
            policy["contextHeaders"] = json!(true);
            policy["hold"] = json!("body");
        });
        let gate = start(Release::V1_40, body).await;
        for transport in BOTH {
            let told = arrived(&gate, call("alice", "search", "body"), "body", transport).await;
            assert_eq!(
                told,
                named(&[("key", "alice"), ("server", "docs"), ("team", "r%20&%20d")])
            );
        }
    });
}

#[test]
fn nobody_else_can_say_it() {
    for release in Release::ALL {
        run(async {
            for hold in ["headers", "body"] {
                let gate = start(release, policy_with(|policy| policy["hold"] = json!(hold))).await;
                for transport in BOTH {
                    let told = arrived(&gate, call("alice", "search", "off"), "off", transport).await;
                    assert_eq!(told, [], "{hold}");
                }
            }
        });
    }
}
