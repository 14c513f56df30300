//! The servers of the official SDKs, asked by official clients.

use serde_json::{Value, json};
use toolgate_tests::access_log::AccessLog;
use toolgate_tests::envoy::{Envoy, Options};
use toolgate_tests::parties::{Client, Era, Order, Server};
use toolgate_tests::run;
use toolgate_tests::toolgate::{Render, key_digest};

use super::stand::{number, outcome};

#[test]
fn real_servers_have_the_outcomes_that_their_clients_see() {
    run(async {
        let (everything, small) = tokio::join!(Server::Everything.start(), Server::TypeScript.start());
        let policy = json!({
            "version": 1,
            "servers": { "everything": { "path": "/everything/mcp" }, "small": { "path": "/small/mcp" } },
            "roles": { "all": { "allow": ["*/*"], "resources": ["*/*"], "prompts": ["*/*"] } },
            "keys": { "k": { "sha256": [key_digest("k")], "roles": ["all"] } },
        });
        let log = AccessLog::new();
        let render = Render::new(policy)
            .upstream("everything", &everything.url())
            .upstream("small", &small.url());
        let render = log.written_by(render);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let envoy = Envoy::start(Options::default(), |listener, admin| {
            render.run(directory.path(), listener, admin).expect("rendered")
        })
        .await;
        for (client, era) in [
            (Client::Rmcp, Era::Legacy),
            (Client::Rmcp, Era::Modern),
            (Client::TypeScript, Era::Legacy),
            (Client::Python, Era::Modern),
        ] {
            let what = format!("{client:?} in {era:?}");
            let before = log.lines().len();
            let order = |server: &str| Order::new(envoy.url(&format!("/{server}/mcp")), era, Some("k"));
            let operations = order("everything")
                .list_tools()
                .call_tool("test_simple_text", json!({}))
                .call_tool("test_error_handling", json!({}))
                .operation(json!({ "op": "read_resource", "uri": "test://nowhere" }));
            let report = client.play(&operations).await;
            assert!(report.connected, "{what}: {report:?}");
            let report = client
                .play(&order("small").call_tool("add", json!({ "a": 1, "b": 2 })))
                .await;
            assert!(report.connected, "{what}: {report:?}");

            // Each client has lines of its own, behind those before.
            let line = |field: &'static str, value: &'static str| {
                let log = &log;
                async move {
                    for _ in 0..1000 {
                        let lines = log.lines();
                        let found = lines.into_iter().skip(before).find(|line| line[field] == value);
                        if let Some(line) = found {
                            return line;
                        }
                        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    }
                    panic!("no line with {field} {value}: {:#?}", log.lines());
                }
            };
            for (field, value, expected) in [
                ("mcp.method.name", "tools/list", "ok"),
                ("gen_ai.tool.name", "test_simple_text", "ok"),
                ("gen_ai.tool.name", "test_error_handling", "tool_error"),
                ("mcp.method.name", "resources/read", "rpc_error"),
                ("gen_ai.tool.name", "add", "ok"),
            ] {
                let line: Value = line(field, value).await;
                assert_eq!(outcome(&line).0, expected, "{what}: {line}");
                assert!(number(&line, "result_tokens") > Some(0), "{what}: {line}");
                assert!(
                    number(&line, "result_bytes") > number(&line, "result_tokens"),
                    "{what}: {line}"
                );
                assert_eq!(
                    expected == "rpc_error",
                    !outcome(&line).1.is_empty(),
                    "{what}: {line}"
                );
            }
            // Nothing that a healthy server does looks like a failure.
            for line in log.lines().iter().skip(before) {
                let outcome = outcome(line).0;
                let failed = ["reset", "timeout", "malformed", "truncated", "too_large"].contains(&outcome);
                assert!(!failed, "{what}: {line}");
            }
        }
    });
}
