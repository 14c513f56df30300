//! The real clients against the real servers, without anything between them: what later tests compare with.

use serde_json::{Value, json};
use toolgate_tests::parties::{Client, Era, Order, Server};
use toolgate_tests::run;

#[test]
fn every_client_works_with_the_everything_server() {
    run(compare(
        Server::Everything,
        "test_simple_text",
        json!({}),
        "simple text",
    ));
}

#[test]
fn every_client_works_with_the_duckdb_server() {
    let query = json!({ "sql": "select sum(total) from orders" });
    run(compare(Server::DuckDb, "execute_query", query, "118.5"));
}

#[test]
fn every_client_works_with_the_typescript_server() {
    run(compare(
        Server::TypeScript,
        "echo",
        json!({ "text": "again" }),
        "again",
    ));
}

async fn compare(server: Server, tool: &str, arguments: Value, expected: &str) {
    let server = server.start().await;
    for (client, era) in Client::ALL
        .into_iter()
        .flat_map(|client| Era::ALL.map(|era| (client, era)))
    {
        let what = format!("{client:?} in {era:?}");
        let order = Order::new(server.url(), era, Some("key"))
            .list_tools()
            .call_tool(tool, arguments.clone());
        let report = client.play(&order).await;
        assert!(report.connected && report.error.is_none(), "{what}: {report:?}");
        let revision = if era == Era::Legacy {
            "2025-11-25"
        } else {
            "2026-07-28"
        };
        assert_eq!(report.protocol_version.as_deref(), Some(revision), "{what}");
        let [list, call] = report.results.as_slice() else {
            panic!("{what}: {report:?}")
        };
        assert!(list.names().contains(&tool), "{what}: {list:?}");
        assert!(call.ok && !call.is_tool_error(), "{what}: {call:?}");
        assert!(call.text().contains(expected), "{what}: {call:?}");
    }
}
