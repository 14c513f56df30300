//! The official Rust SDK's client with tasks. It is the one official SDK that the harness has whose client deals with them;
//! the Python and the TypeScript SDK know their types only.

use std::collections::BTreeMap;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, ClientConfig, GetTaskParams, TaskPayload,
    UpdateTaskParams,
};
use rmcp::service::ServiceError;
use serde_json::json;
use toolgate_tests::parties::Era;
use toolgate_tests::rmcp_client::{RunningClient, connect_as};
use toolgate_tests::run;

use super::{PATH, gates};

#[test]
fn the_official_client_makes_and_follows_its_tasks_and_no_others() {
    run(async {
        for gate in gates().await {
            let url = gate.envoy.url(PATH);
            let (alice, bob) = (client(&url, "alice").await, client(&url, "bob").await);
            let arguments = json!({ "task": "rmcp-task" })
                .as_object()
                .cloned()
                .unwrap_or_default();
            let call = CallToolRequestParams::new("search").with_arguments(arguments);
            let made = alice.call_tool_once(call).await.expect("an answer");
            let CallToolResponse::Task(made) = made else {
                panic!("{made:?}")
            };
            let id = made.task.task_id;
            assert!(id.starts_with("t1.") && id.ends_with("rmcp-task"), "{id}");

            let state = alice
                .get_task(GetTaskParams::new(&*id))
                .await
                .expect("its task")
                .task;
            assert_eq!(state.task.task_id, id);
            let TaskPayload::Completed { result } = state.payload else {
                panic!("{state:?}")
            };
            assert_eq!(result["content"][0]["text"], "done");
            let update = UpdateTaskParams::new(&*id, BTreeMap::default());
            alice.update_task(update).await.expect("acknowledged");
            alice
                .cancel_task(CancelTaskParams::new(&*id))
                .await
                .expect("acknowledged");

            for (client, id) in [(&bob, &*id), (&alice, "rmcp-task"), (&bob, "rmcp-task")] {
                assert_unknown(client.get_task(GetTaskParams::new(id)).await);
                let update = UpdateTaskParams::new(id, BTreeMap::default());
                assert_unknown(client.update_task(update).await);
                assert_unknown(client.cancel_task(CancelTaskParams::new(id)).await);
            }
            for client in [alice, bob] {
                client.cancel().await.expect("it ends");
            }
        }
    });
}

fn assert_unknown<T: std::fmt::Debug>(answer: Result<T, ServiceError>) {
    let Err(ServiceError::McpError(error)) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!((error.code.0, &*error.message), (-32_602, "Task not found"));
}

async fn client(url: &str, key: &str) -> RunningClient {
    let mut config = ClientConfig::default();
    let tasks = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    config.capabilities = serde_json::from_value(tasks).expect("capabilities");
    connect_as(config, url, Era::Modern, Some(key))
        .await
        .expect("connected")
}
