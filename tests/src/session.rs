//! Sessions of the revisions that have them.

use serde_json::json;

use crate::client::Transport;
use crate::envoy::Envoy;
use crate::messages::Era;
use crate::upstream::{Answer, Upstream};

/// Begins the session `id` of the server at `path` with this credential, and returns what the client knows it by.
///
/// # Panics
///
/// When there is none.
pub async fn begin(
    envoy: &Envoy,
    upstream: &Upstream,
    path: &str,
    credential: &str,
    id: &'static str,
) -> String {
    let label = format!("begin-{id}.");
    upstream.answer(&label, move |_| {
        let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "s", "version": "1" } });
        Answer::json(&json!({ "jsonrpc": "2.0", "id": 1, "result": result })).header("mcp-session-id", id)
    });
    let initialize = Era::Legacy.request(
        path,
        "initialize",
        None,
        json!({ "protocolVersion": "2025-11-25" }),
    );
    let request = initialize.key(credential).header("x-label", &label);
    let answer = envoy.send(&request, Transport::Length).await;
    let session = answer.header("mcp-session-id");
    assert!(!session.is_empty(), "{answer:?}");
    session
}
