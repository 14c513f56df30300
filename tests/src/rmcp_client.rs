//! The official Rust SDK as a scripted client.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;

use http::{HeaderValue, header};
use rmcp::RoleClient;
use rmcp::model::{ClientConfig, ClientRequest, ErrorData, ProtocolVersion};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RunningService, ServiceError,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};

use crate::parties::{Era, Failure, Order, Outcome, Report};

/// A connected client.
pub type RunningClient = RunningService<RoleClient, ClientConfig>;

/// Connects to the MCP server at `url`, presenting `key` as a bearer token.
pub async fn connect(url: &str, era: Era, key: Option<&str>) -> Result<RunningClient, ClientInitializeError> {
    connect_as(ClientConfig::default(), url, era, key).await
}

/// [`connect`] as this client.
pub async fn connect_as(
    client: ClientConfig,
    url: &str,
    era: Era,
    key: Option<&str>,
) -> Result<RunningClient, ClientInitializeError> {
    let mut headers = HashMap::new();
    if let Some(key) = key.and_then(|key| HeaderValue::from_str(&format!("Bearer {key}")).ok()) {
        headers.insert(header::AUTHORIZATION, key);
    }
    let config = StreamableHttpClientTransportConfig::with_uri(url).custom_headers(headers);
    let transport = StreamableHttpClientTransport::from_config(config);
    let modern = vec![ProtocolVersion::V_2026_07_28];
    let lifecycle = match era {
        Era::Legacy => ClientLifecycleMode::Initialize,
        Era::Modern => ClientLifecycleMode::Discover {
            preferred_versions: modern,
        },
        Era::Auto => ClientLifecycleMode::Auto {
            preferred_versions: modern,
            legacy_version: None,
        },
    };
    client.serve_with_lifecycle(transport, lifecycle).await
}

/// Does what `parties/python/client.py` does.
pub async fn play(order: &Order) -> Report {
    let client = match connect(&order.url, order.era, order.key.as_deref()).await {
        Ok(client) => client,
        Err(ClientInitializeError::JsonRpcError(error)) => {
            return Report {
                error: Some(from_json_rpc(&error)),
                ..Report::default()
            };
        }
        Err(error) => {
            return Report {
                error: Some(from_error(&error)),
                ..Report::default()
            };
        }
    };
    let version = serde_json::to_value(client.peer_info().as_deref()).unwrap_or_default();
    let mut report = Report {
        connected: true,
        protocol_version: version["protocolVersion"].as_str().map(str::to_owned),
        ..Report::default()
    };
    for operation in &order.operations {
        let op = operation["op"].as_str().unwrap_or_default().to_owned();
        report.results.push(match perform(&client, operation).await {
            Ok(result) => Outcome {
                op,
                ok: true,
                result,
                error: None,
                progress: Vec::new(),
            },
            Err(error) => Outcome {
                op,
                ok: false,
                result: Value::Null,
                error: Some(error),
                progress: Vec::new(),
            },
        });
    }
    let _ = client.cancel().await;
    report
}

async fn perform(client: &RunningClient, operation: &Value) -> Result<Value, Failure> {
    let (method, params) = request(operation);
    let request = json!({ "method": method, "params": params });
    let request: ClientRequest = serde_json::from_value(request).map_err(|error| from_error(&error))?;
    match client.send_request(request).await {
        Ok(result) => serde_json::to_value(result).map_err(|error| from_error(&error)),
        Err(ServiceError::McpError(error)) => Err(from_json_rpc(&error)),
        Err(error) => Err(from_error(&error)),
    }
}

fn request(operation: &Value) -> (&str, Value) {
    let named = || json!({ "name": operation["name"], "arguments": operation["arguments"].as_object() });
    let page = || match &operation["cursor"] {
        Value::Null => json!({}),
        cursor => json!({ "cursor": cursor }),
    };
    match operation["op"].as_str().unwrap_or_default() {
        "list_tools" => ("tools/list", page()),
        "call_tool" => ("tools/call", named()),
        "list_resources" => ("resources/list", page()),
        "list_resource_templates" => ("resources/templates/list", page()),
        "read_resource" => ("resources/read", json!({ "uri": operation["uri"] })),
        "list_prompts" => ("prompts/list", page()),
        "get_prompt" => ("prompts/get", named()),
        "complete" => (
            "completion/complete",
            json!({ "ref": operation["ref"], "argument": operation["argument"] }),
        ),
        other => (other, json!({})),
    }
}

fn from_json_rpc(error: &ErrorData) -> Failure {
    Failure {
        kind: "McpError".to_owned(),
        code: error.code.0.into(),
        message: error.message.to_string(),
        data: error.data.clone().unwrap_or_default(),
        status: None,
    }
}

fn from_error(error: &dyn Error) -> Failure {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(message, ": {cause}");
        source = cause.source();
    }
    Failure {
        kind: "Error".to_owned(),
        code: Value::Null,
        message,
        data: Value::Null,
        status: None,
    }
}
