//! Requests as MCP clients of both eras send them.

use serde_json::{Value, json};

use crate::client::Request;

/// What a client speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Era {
    /// 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
}

impl Era {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Legacy, Self::Modern];

    /// A request for `method` (which names `name`, if it names anything) to the server at `path`.
    pub fn request(self, path: &str, method: &str, name: Option<&str>, mut params: Value) -> Request {
        if let (Some(name), true) = (name, params.get("name").is_none()) {
            params["name"] = name.into();
        }
        if self == Self::Modern {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = Request::json(path, &body);
        match (self, name) {
            (Self::Legacy, _) => request.header("mcp-protocol-version", "2025-11-25"),
            (Self::Modern, None) => modern(request, method),
            (Self::Modern, Some(name)) => modern(request, method).header("mcp-name", name),
        }
    }

    /// A call of `tool` with `arguments`.
    pub fn call(self, path: &str, tool: &str, arguments: &Value) -> Request {
        self.request(
            path,
            "tools/call",
            Some(tool),
            json!({ "name": tool, "arguments": arguments }),
        )
    }
}

fn modern(request: Request, method: &str) -> Request {
    request
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", method)
}
