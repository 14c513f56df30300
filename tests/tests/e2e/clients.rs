//! The official clients through a governed Envoy to real servers: what the application on top of each gets to see.

mod scripted;

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::parties::{Client, Era, Order, Outcome, RunningServer, Server};
use toolgate_tests::run;
use toolgate_tests::toolgate::{Render, key_digest};

/// What the protocol has two lifecycles for.
const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

const ONE_WORKER: Options = Options {
    release: Release::V1_40,
    concurrency: 1,
};

#[test]
fn every_client_is_governed_before_the_everything_server() {
    run(async {
        static ENVOY: OnceCell<Envoy> = OnceCell::const_new();
        let two_workers = ENVOY.get_or_init(|| governed(Options::default())).await;
        for envoy in [one_worker().await, two_workers] {
            for (client, era) in everyone() {
                everything(envoy, client, era).await;
            }
        }
    });
}

#[test]
fn every_client_is_governed_before_the_duckdb_server() {
    run(async {
        let query = json!({ "sql": "select sum(total) from orders" });
        for (client, era) in everyone() {
            let what = format!("{client:?} in {era:?}");
            let order = order(one_worker().await, "sql", era, "reader")
                .list_tools()
                .call_tool("execute_query", query.clone())
                .call_tool("list_tables", json!({}))
                .call_tool("execute_query", json!({ "sql": 7 }));
            let results = play(client, &order).await;
            let [list, call, hidden, bad] = results.as_slice() else {
                panic!("{what}: {results:?}")
            };
            assert_eq!(list.names(), ["execute_query"], "{what}");
            assert!(call.ok && call.text().contains("118.5"), "{what}: {call:?}");
            refused(hidden, -32602, "Unknown tool: list_tables", &what);
            unfit(bad, "/sql", &what);
        }
    });
}

#[test]
fn every_client_is_governed_before_the_typescript_server() {
    run(async {
        for (client, era) in everyone() {
            let what = format!("{client:?} in {era:?}");
            let order = order(one_worker().await, "small", era, "reader")
                .list_tools()
                .call_tool("echo", json!({ "text": "again" }))
                .call_tool("delete_everything", json!({}))
                .call_tool("echo", json!({ "text": 7 }))
                .operation(json!({ "op": "list_resources" }))
                .operation(json!({ "op": "list_prompts" }));
            let results = play(client, &order).await;
            let [list, call, hidden, bad, resources, prompts] = results.as_slice() else {
                panic!("{what}: {results:?}")
            };
            assert_eq!(list.names(), ["echo", "add"], "{what}");
            assert_eq!((call.ok, call.text()), (true, "again"), "{what}: {call:?}");
            refused(hidden, -32602, "Unknown tool: delete_everything", &what);
            unfit(bad, "/text", &what);
            assert!(
                resources.ok && resources.names().is_empty(),
                "{what}: {resources:?}"
            );
            assert_eq!(prompts.names(), ["brief"], "{what}: {prompts:?}");
        }
    });
}

#[test]
fn every_client_is_governed_by_the_oldest_envoy() {
    run(async {
        let envoy = governed(Options {
            release: Release::V1_36,
            concurrency: 1,
        })
        .await;
        for client in Client::ALL {
            let order = order(&envoy, "small", Era::Auto, "reader")
                .list_tools()
                .call_tool("add", json!({ "a": 1, "b": 2 }))
                .call_tool("delete_everything", json!({}));
            let results = play(client, &order).await;
            let [list, call, hidden] = results.as_slice() else {
                panic!("{client:?}: {results:?}")
            };
            assert_eq!(list.names(), ["echo", "add"], "{client:?}");
            assert_eq!((call.ok, call.text()), (true, "3"), "{client:?}: {call:?}");
            refused(
                hidden,
                -32602,
                "Unknown tool: delete_everything",
                &format!("{client:?}"),
            );
        }
    });
}

#[test]
fn a_client_without_a_key_is_told_so() {
    run(async {
        for (client, era) in everyone() {
            let url = one_worker().await.url("/small/mcp");
            for key in [None, Some("unknown")] {
                let report = client.play(&Order::new(url.clone(), era, key).list_tools()).await;
                let what = format!("{client:?} in {era:?} with {key:?}: {report:?}");
                assert!(report.results.iter().all(|outcome| !outcome.ok), "{what}");
                // The Python client asks nothing before the first operation when it is told its revision.
                let first = report.results.first().and_then(|outcome| outcome.error.as_ref());
                let error = report.error.as_ref().or(first).expect(&what);
                let text = format!("{} {:?} {}", error.code, error.status, error.message).to_lowercase();
                let words: &[&str] = match client {
                    // It says no more of a status.
                    Client::Python => &["error response", "key"],
                    Client::TypeScript | Client::Rmcp => &["401", "unauthorized", "auth", "key"],
                };
                assert!(words.iter().any(|word| text.contains(word)), "{what}");
            }
        }
    });
}

#[test]
fn a_client_with_a_shadow_key_sees_and_does_everything() {
    run(async {
        for (client, era) in everyone() {
            let what = format!("{client:?} in {era:?}");
            let order = order(one_worker().await, "small", era, "shadow")
                .list_tools()
                .call_tool("delete_everything", json!({}))
                .operation(json!({ "op": "read_resource", "uri": "test://greeting" }));
            let results = play(client, &order).await;
            let [list, call, read] = results.as_slice() else {
                panic!("{what}: {results:?}")
            };
            assert_eq!(list.names(), ["echo", "add", "delete_everything"], "{what}");
            assert_eq!((call.ok, call.text()), (true, "deleted"), "{what}: {call:?}");
            assert_eq!(read.result["contents"][0]["text"], "hello", "{what}: {read:?}");
        }
    });
}

/// Tools, resources and prompts, and what the server says and asks while a call runs.
async fn everything(envoy: &Envoy, client: Client, era: Era) {
    let what = format!("{client:?} in {era:?}");
    let mut order = order(envoy, "everything", era, "reader")
        .list_tools()
        .call_tool("test_simple_text", json!({}))
        .call_tool("test_error_handling", json!({}))
        .call_tool("test_sampling", json!({ "prompt": 7 }))
        .operation(json!({ "op": "list_resources" }))
        .operation(json!({ "op": "read_resource", "uri": "test://static-text" }))
        .operation(json!({ "op": "read_resource", "uri": "test://static-binary" }))
        .operation(json!({ "op": "list_prompts" }))
        .operation(json!({ "op": "get_prompt", "name": "test_simple_prompt" }))
        .operation(json!({ "op": "get_prompt", "name": "test_prompt_with_image" }))
        .call_tool("test_tool_with_progress", json!({}));
    // The harness has no rmcp application that takes progress or answers requests; 2026-07-28 has no such requests.
    let (tells, asks) = (
        client != Client::Rmcp,
        client != Client::Rmcp && era == Era::Legacy,
    );
    if asks {
        order = order
            .call_tool("test_sampling", json!({ "prompt": "say it" }))
            .call_tool("test_elicitation", json!({ "message": "say it" }));
    }
    let results = play(client, &order).await;
    let mut results = results.iter();
    let mut next = || {
        results
            .next()
            .unwrap_or_else(|| panic!("{what}: too few results"))
    };

    let granted = [
        "test_simple_text",
        "test_tool_with_progress",
        "test_sampling",
        "test_elicitation",
    ];
    assert_eq!(next().names(), granted, "{what}");
    let call = next();
    assert!(call.ok && call.text().contains("simple text"), "{what}: {call:?}");
    refused(next(), -32602, "Unknown tool: test_error_handling", &what);
    unfit(next(), "/prompt", &what);

    let resources = next();
    let uris: Vec<_> = resources.result["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| &item["uri"])
        .collect();
    assert_eq!(uris, [&json!("test://static-text")], "{what}");
    assert!(next().ok, "{what}");
    let code = match (era, client) {
        // The TypeScript client makes one error of both codes.
        (Era::Legacy, Client::Python | Client::Rmcp) => -32002,
        _ => -32602,
    };
    refused(next(), code, "Resource not found", &what);

    assert_eq!(next().names(), ["test_simple_prompt"], "{what}");
    assert!(next().ok, "{what}");
    refused(next(), -32602, "Unknown prompt: test_prompt_with_image", &what);

    let progress = next();
    assert!(progress.ok && !progress.is_tool_error(), "{what}: {progress:?}");
    if tells {
        assert_eq!(progress.progress, [0.0, 50.0, 100.0], "{what}");
    }
    if asks {
        assert_eq!(next().text(), "LLM response: sampled", "{what}");
        let elicited = "User response: action=accept, content={\"response\":\"elicited\"}";
        assert_eq!(next().text(), elicited, "{what}");
    }
}

fn everyone() -> impl Iterator<Item = (Client, Era)> {
    Client::ALL
        .into_iter()
        .flat_map(|client| ERAS.map(|era| (client, era)))
}

fn order(envoy: &Envoy, server: &str, era: Era, key: &str) -> Order {
    Order::new(envoy.url(&format!("/{server}/mcp")), era, Some(key))
}

/// The outcomes of an order that is carried out to its end, in the revision that was asked for.
async fn play(client: Client, order: &Order) -> Vec<Outcome> {
    let report = client.play(order).await;
    let what = format!("{client:?} in {:?}", order.era);
    assert!(report.connected && report.error.is_none(), "{what}: {report:?}");
    let revision = if order.era == Era::Legacy {
        "2025-11-25"
    } else {
        "2026-07-28"
    };
    assert_eq!(report.protocol_version.as_deref(), Some(revision), "{what}");
    assert_eq!(report.results.len(), order.operations.len(), "{what}: {report:?}");
    report.results
}

/// Expects a JSON-RPC error, as the client shows it to the application.
fn refused(outcome: &Outcome, code: i64, message: &str, what: &str) {
    let error = outcome
        .error
        .as_ref()
        .unwrap_or_else(|| panic!("{what}: {outcome:?}"));
    assert_eq!(error.code, json!(code), "{what}: {outcome:?}");
    assert!(error.message.contains(message), "{what}: {outcome:?}");
}

/// Expects the text for the model that names the argument that does not fit.
fn unfit(outcome: &Outcome, argument: &str, what: &str) {
    assert!(outcome.ok && outcome.is_tool_error(), "{what}: {outcome:?}");
    let text = outcome.text();
    assert!(
        text.contains("the tool's schema") && text.contains(argument),
        "{what}: {outcome:?}"
    );
}

async fn one_worker() -> &'static Envoy {
    static ENVOY: OnceCell<Envoy> = OnceCell::const_new();
    ENVOY.get_or_init(|| governed(ONE_WORKER)).await
}

/// An Envoy before the three real servers.
async fn governed(options: Options) -> Envoy {
    static SERVERS: OnceCell<[RunningServer; 3]> = OnceCell::const_new();
    let start = || async {
        let (everything, sql, small) = tokio::join!(
            Server::Everything.start(),
            Server::DuckDb.start(),
            Server::TypeScript.start()
        );
        [everything, sql, small]
    };
    let servers = SERVERS.get_or_init(start).await;
    let mut render = Render::new(policy());
    for (name, server) in ["everything", "sql", "small"].into_iter().zip(servers) {
        render = render.upstream(name, &server.url());
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let bootstrap = |listener, admin| {
        render
            .run(directory.path(), listener, admin)
            .expect("the policy is rendered")
    };
    Envoy::start(options, bootstrap).await
}

fn policy() -> Value {
    let server = |name: &str| json!({ "path": format!("/{name}/mcp"), "schemas": "advertised" });
    json!({
        "version": 1,
        "servers": { "everything": server("everything"), "sql": server("sql"), "small": server("small") },
        "roles": {
            "reader": {
                "allow": [
                    "everything/test_simple_text", "everything/test_tool_with_progress",
                    "everything/test_sampling", "everything/test_elicitation",
                    "sql/execute_query", "small/*",
                ],
                "deny": ["*/delete_*"],
                "resources": ["everything/test://static-text"],
                "prompts": ["everything/test_simple_prompt", "small/*"],
            },
        },
        "keys": {
            "reader": { "sha256": [key_digest("reader")], "roles": ["reader"] },
            "shadow": { "sha256": [key_digest("shadow")], "roles": ["reader"], "mode": "shadow" },
        },
    })
}
