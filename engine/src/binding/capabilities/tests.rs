use super::*;
use crate::json::Limits;
use crate::mcp::envelope;
use crate::policy::Capability::{Allow, Strip};
use serde_json::{Value as Tree, json};

const ALL: ClientCapabilities = ClientCapabilities {
    sampling: Strip,
    elicitation: Strip,
    roots: Strip,
};

/// The body as the server gets it, and how many capabilities went.
fn stripped(body: &Tree, rules: ClientCapabilities) -> (Tree, usize) {
    let body = body.to_string();
    let envelope = envelope::read(body.as_bytes(), &Limits::default()).unwrap();
    let mut edits = Edits::new(body.as_bytes());
    let removed = strip(&mut edits, &envelope, &rules).unwrap();
    let out = edits.finish().unwrap_or(body.clone().into_bytes());
    assert_eq!(out.len(), body.len());
    (serde_json::from_slice(&out).unwrap(), removed)
}

fn initialize(capabilities: &Tree) -> Tree {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": { "name": "c", "version": "1" }
    }})
}

fn modern(capabilities: &Tree) -> Tree {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "echo", "arguments": { "sampling": {}, "capabilities": { "roots": {} } },
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
            "sampling": "something else"
        }
    }})
}

#[test]
fn what_a_policy_strips_goes() {
    let declared = json!({
        "sampling": { "tools": {} }, "elicitation": { "form": {}, "url": {} }, "roots": { "listChanged": true },
        "experimental": { "sampling": {} },
        "tasks": { "list": {}, "cancel": {}, "requests": {
            "sampling": { "createMessage": {} }, "elicitation": { "create": {} }
        }}
    });
    let rest = json!({
        "experimental": { "sampling": {} },
        "tasks": { "list": {}, "cancel": {}, "requests": {} }
    });
    for message in [initialize, modern] {
        assert_eq!(stripped(&message(&declared), ALL), (message(&rest), 5));
        assert_eq!(
            stripped(&message(&declared), ClientCapabilities::default()),
            (message(&declared), 0)
        );
        let only_sampling = ClientCapabilities {
            sampling: Strip,
            elicitation: Allow,
            roots: Allow,
        };
        let mut expected = declared.clone();
        expected.as_object_mut().unwrap().remove("sampling");
        expected["tasks"]["requests"]
            .as_object_mut()
            .unwrap()
            .remove("sampling");
        assert_eq!(
            stripped(&message(&declared), only_sampling),
            (message(&expected), 2)
        );
    }
}

/// A reader that does not look at case must not find what another one does not see.
#[test]
fn spellings_of_a_capability_go_with_it() {
    for (declared, rest) in [
        (json!({ "Sampling": {}, "SAMPLING": {} }), json!({})),
        (json!({ "\u{17f}ampling": true }), json!({})),
        (
            json!({ "samplings": {}, "a": 1 }),
            json!({ "samplings": {}, "a": 1 }),
        ),
        (
            json!({ "Tasks": { "Requests": { "Sampling": {}, "x": 1 } } }),
            json!({ "Tasks": { "Requests": { "x": 1 } } }),
        ),
    ] {
        assert_eq!(stripped(&initialize(&declared), ALL).0, initialize(&rest));
        assert_eq!(stripped(&modern(&declared), ALL).0, modern(&rest));
    }
    let spelled = json!({ "jsonrpc": "2.0", "id": 1, "method": "x/y", "params": { "_meta": {
        "io.modelcontextprotocol/ClientCapabilities": { "roots": {} },
        "io.modelcontextprotocol/clientCapabilities": { "roots": {} }
    }}});
    assert_eq!(stripped(&spelled, ALL).1, 2);
}

#[test]
fn other_places_and_odd_shapes_are_left_alone() {
    for body in [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "x/y", "params": { "capabilities": { "roots": {} } } }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize" }),
        initialize(&json!("sampling")),
        initialize(&json!(["sampling"])),
        initialize(&json!({ "tasks": [], "a": { "tasks": { "requests": 1 } } })),
        initialize(&json!({ "tasks": { "requests": ["sampling"] } })),
        modern(&json!(null)),
        json!({ "jsonrpc": "2.0", "id": 1, "result": { "sampling": {} } }),
    ] {
        assert_eq!(stripped(&body, ALL), (body.clone(), 0));
    }
}
