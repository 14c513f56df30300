//! What a request costs in memory: nothing that grows with its body.

use std::rc::Rc;

use serde_json::json;
use toolgate_engine::binding::Secrets;
use toolgate_engine::exchange::{BodyStep, Engine, Exchange, HeadStep, RequestHead, UnixNanos};
use toolgate_engine::policy::Policy;
use toolgate_engine::store::MemoryStore;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The SHA-256 of `key`.
const KEY: &str = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";

fn engine(tool: &serde_json::Value, arguments: &str) -> Rc<Engine> {
    let policy = json!({
        "version": 1,
        "telemetry": { "arguments": arguments },
        "servers": { "docs": { "path": "/mcp", "tools": { "echo": tool } } },
        "roles": { "all": { "allow": ["docs/*"] } },
        "keys": { "one": { "sha256": [KEY], "roles": ["all"] } }
    });
    Engine::new(
        Policy::compile(policy.to_string().as_bytes()).unwrap(),
        Secrets::random([7; 32]),
    )
}

/// A call whose body has exactly this many bytes.
fn call(size: usize) -> Vec<u8> {
    let body = |text: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"{text}"}}}}}}"#
        )
    };
    body(&"x".repeat(size - body("").len())).into_bytes()
}

/// The most that was allocated at once beyond what was there before.
fn peak_of(engine: &Rc<Engine>, body: &[u8]) -> usize {
    let lines: [(&[u8], &[u8]); 4] = [
        (b":method", b"POST"),
        (b":path", b"/mcp"),
        (b"content-type", b"application/json"),
        (b"authorization", b"Bearer key"),
    ];
    let store = MemoryStore::new();
    let profiler = dhat::Profiler::builder().testing().build();
    let mut exchange = Exchange::new(Rc::clone(engine));
    let step = exchange.request_head(
        &RequestHead {
            headers: &lines,
            end_of_stream: false,
            jwt: None,
        },
        &store,
        UnixNanos(0),
    );
    assert!(matches!(step, HeadStep::Await { .. }), "{step:?}");
    let step = exchange.request_body(body, &store, UnixNanos(0));
    assert!(matches!(step, BodyStep::Forward(_)), "{step:?}");
    let peak = dhat::HeapStats::get().max_bytes;
    drop(profiler);
    peak
}

#[test]
fn reading_a_body_allocates_nothing_that_grows_with_it() {
    const LIMIT: usize = 1_048_576;
    let bare = engine(&json!({}), "off");
    let (small, large) = (peak_of(&bare, &call(1_024)), peak_of(&bare, &call(LIMIT)));
    assert!(large <= small + 256, "1 KiB: {small} bytes, 1 MiB: {large} bytes");
    // A digest is taken of a copy of the arguments in canonical form, which is gone before a schema needs them as a tree.
    for arguments in ["digest", "values"] {
        for tool in [json!({}), json!({ "inputSchema": { "type": "object" } })] {
            let large = peak_of(&engine(&tool, arguments), &call(LIMIT));
            assert!(large <= LIMIT + 64 * 1024, "{arguments} {tool}: {large} bytes");
        }
    }
}
