//! The official clients that can be asked, and the official servers that ask: what is taken away is gone for both.

use serde_json::{Value, json};
use toolgate_tests::envoy::{Envoy, Options};
use toolgate_tests::parties::{Client, Era, Order, Outcome, Server};
use toolgate_tests::run;
use toolgate_tests::toolgate::{Render, key_digest};

/// Those of the harness whose application answers requests.
const CLIENTS: [Client; 2] = [Client::Python, Client::TypeScript];

#[test]
fn the_typescript_server_does_not_see_what_is_taken_away() {
    run(async {
        let server = Server::TypeScriptSessions.start().await;
        let envoy = envoy(&server.url(), "headers").await;
        for client in CLIENTS {
            let what = |place: &str| format!("{client:?}, {place}");
            let play = |place: &str| {
                let order = order(&envoy, place, Era::Legacy)
                    .call_tool("capabilities", json!({}))
                    .call_tool("sample", json!({}))
                    .call_tool("elicit", json!({}));
                results(client, order)
            };
            let open = play("open").await;
            let declared = declared(&open[0]);
            assert!(
                declared["sampling"].is_object() && declared["elicitation"].is_object(),
                "{}: {open:?}",
                what("open")
            );
            assert!(open[1].text().contains("sampled"), "{}: {open:?}", what("open"));
            assert!(open[2].text().contains("elicited"), "{}: {open:?}", what("open"));

            let closed = play("closed").await;
            let left = self::declared(&closed[0]);
            for kind in ["sampling", "elicitation", "roots"] {
                assert_eq!(left.get(kind), None, "{}: {closed:?}", what("closed"));
            }
            for outcome in &closed[1..] {
                assert!(outcome.is_tool_error(), "{}: {outcome:?}", what("closed"));
                let text = outcome.text().to_lowercase();
                assert!(text.contains("not support"), "{}: {outcome:?}", what("closed"));
            }
        }
    });
}

#[test]
fn the_python_server_does_not_see_what_is_taken_away() {
    run(async {
        let server = Server::Everything.start().await;
        let envoy = envoy(&server.url(), "body").await;
        for client in CLIENTS {
            for era in [Era::Legacy, Era::Modern] {
                let play = |place: &str| {
                    results(
                        client,
                        order(&envoy, place, era).call_tool("test_missing_capability", json!({})),
                    )
                };
                let what = format!("{client:?} in {era:?}");
                let open = play("open").await;
                assert!(open[0].text().contains("declared sampling"), "{what}: {open:?}");
                let closed = play("closed").await;
                let error = closed[0].error.as_ref();
                let error = error.unwrap_or_else(|| panic!("{what}: {closed:?}"));
                assert!(
                    error
                        .message
                        .contains("requires the client 'sampling' capability"),
                    "{what}: {closed:?}"
                );
            }
        }
    });
}

fn declared(outcome: &Outcome) -> Value {
    serde_json::from_str(outcome.text()).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

fn order(envoy: &Envoy, place: &str, era: Era) -> Order {
    Order::new(envoy.url(&format!("/{place}/mcp")), era, Some("alice"))
}

async fn results(client: Client, order: Order) -> Vec<Outcome> {
    let report = client.play(&order).await;
    assert!(
        report.connected && report.error.is_none(),
        "{client:?}: {report:?}"
    );
    assert_eq!(
        report.results.len(),
        order.operations.len(),
        "{client:?}: {report:?}"
    );
    report.results
}

/// An Envoy before this server, as it is and with everything taken away.
async fn envoy(url: &str, hold: &str) -> Envoy {
    let policy = json!({
        "version": 1,
        "hold": hold,
        "servers": {
            "open": { "path": "/open/mcp" },
            "closed": {
                "path": "/closed/mcp",
                "clientCapabilities": { "sampling": "strip", "elicitation": "strip", "roots": "strip" },
            },
        },
        "roles": { "all": { "allow": ["*/*"] } },
        "keys": { "alice": { "sha256": [key_digest("alice")], "roles": ["all"] } },
    });
    let render = Render::new(policy).upstream("open", url).upstream("closed", url);
    let directory = tempfile::tempdir().expect("a directory");
    Envoy::start(Options::default(), |listener, admin| {
        render.run(directory.path(), listener, admin).expect("rendered")
    })
    .await
}
