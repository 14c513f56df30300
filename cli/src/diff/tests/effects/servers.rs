//! Servers and what is on them.

use serde_json::{Value, json};

use super::check;
use crate::diff::Effect::{Narrower, Other, Wider};

#[test]
fn changes_of_servers() {
    check([
        (
            "/servers/docs/path",
            json!("/d"),
            Wider,
            Wider,
            "moved from /docs to /d",
        ),
        (
            "/servers/docs/host",
            json!("h.example"),
            Wider,
            Wider,
            "moved from /docs to h.example/docs",
        ),
        (
            "/servers/docs/methods",
            json!(["tools/*", "x/*"]),
            Wider,
            Narrower,
            "accepts other methods, such as",
        ),
        // And back: any method that begins with tools/ is accepted then.
        (
            "/servers/docs/methods",
            Value::Null,
            Wider,
            Wider,
            "accepts resources/read, ",
        ),
        (
            "/servers/docs/unlistedTools",
            json!("deny"),
            Narrower,
            Wider,
            "unlistedTools: allow → deny",
        ),
        (
            "/servers/docs/schemas",
            json!("off"),
            Wider,
            Narrower,
            "schemas: policy → off",
        ),
        (
            "/servers/docs/schemas",
            json!("advertised"),
            Narrower,
            Wider,
            "schemas: policy → advertised",
        ),
        (
            "/servers/docs/integrity",
            json!("off"),
            Wider,
            Narrower,
            "integrity: pinned → off",
        ),
        (
            "/servers/docs/cost",
            json!(0.1),
            Wider,
            Narrower,
            "cost: 0.5 → 0.1",
        ),
        (
            "/servers/docs/costPerKiB",
            json!(0.1),
            Narrower,
            Wider,
            "costPerKiB: 0 → 0.1",
        ),
        (
            "/servers/docs/breaker",
            Value::Null,
            Wider,
            Narrower,
            "breaker removed",
        ),
        (
            "/servers/docs/breaker/failures",
            json!(9),
            Wider,
            Narrower,
            "breaker, failures: 5 → 9",
        ),
        (
            "/servers/docs/breaker/open",
            json!("1m"),
            Narrower,
            Wider,
            "breaker, open: 30s → 1m",
        ),
        (
            "/servers/docs/breaker/slow",
            Value::Null,
            Wider,
            Narrower,
            "breaker, slow: 5s → none",
        ),
        (
            "/servers/docs/breaker/ratio",
            json!(0.75),
            Wider,
            Narrower,
            "breaker, ratio: 50 % → 75 %",
        ),
        (
            "/servers/docs/breaker/each",
            json!("server"),
            Wider,
            Wider,
            "breaker, each: tool → server",
        ),
        (
            "/servers/docs/tools/find/breaker/failures",
            json!(4),
            Wider,
            Narrower,
            "breaker of find, failures: 3 → 4",
        ),
        (
            "/servers/docs/clientCapabilities/roots",
            json!("allow"),
            Wider,
            Narrower,
            "client capability roots: strip → allow",
        ),
        (
            "/servers/docs/tools/find/inputSchema",
            Value::Null,
            Wider,
            Narrower,
            "arguments of find need fit no schema",
        ),
        (
            "/servers/docs/tools/find/inputSchema",
            json!({ "type": "object", "maxProperties": 1 }),
            Wider,
            Wider,
            "the schema of find changed",
        ),
        (
            "/servers/docs/tools/find/cost",
            json!(0.3),
            Narrower,
            Wider,
            "cost of find: 0.25 → 0.3",
        ),
        (
            "/servers/more",
            json!({ "path": "/more" }),
            Other,
            Narrower,
            "added at /more",
        ),
        (
            "/servers/more",
            json!({ "path": "/docs", "host": "x.example" }),
            Wider,
            Wider,
            "shares the path \"/docs\" with server \"docs\"",
        ),
    ]);
}
