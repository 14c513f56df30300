//! What one decision costs: a 1 KB `tools/call`, from head to verdict.
//!
//! The policy grows from 10 keys and 10 tools to 10,000 and 1,000; the cost must not.

use std::fmt::Write;
use std::hint::black_box;
use std::rc::Rc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use toolgate_engine::exchange::{BodyStep, Engine, Exchange, HeadStep, RequestHead, UnixNanos};
use toolgate_engine::json;
use toolgate_engine::policy::Policy;
use toolgate_engine::store::MemoryStore;

const NOW: UnixNanos = UnixNanos(1_767_225_600_000_000_000);

fn policy(keys: usize, tools: usize) -> Vec<u8> {
    let schema = json!({
        "type": "object",
        "properties": {
            "query": { "type": "string", "maxLength": 5000 },
            "limit": { "type": "integer", "minimum": 1, "maximum": 1000 },
            "tags": { "type": "array", "items": { "type": "string" } }
        },
        "required": ["query"],
        "additionalProperties": false
    });
    let tool = |i: usize| (format!("tool_{i}"), json!({ "inputSchema": schema }));
    let key = |i: usize| {
        let mut digest = String::new();
        for byte in Sha256::digest(format!("key-{i}")) {
            let _ = write!(digest, "{byte:02x}");
        }
        (
            format!("key-{i}"),
            json!({ "sha256": [digest], "roles": ["caller"] }),
        )
    };
    let allow: Vec<String> = (0..tools).map(|i| format!("docs/tool_{i}")).collect();
    let document = json!({
        "version": 1,
        "servers": { "docs": { "path": "/docs/mcp", "tools": (0..tools).map(tool).collect::<Map<String, Value>>() } },
        "roles": { "caller": { "allow": allow, "deny": ["*/delete_*"] } },
        "keys": (0..keys).map(key).collect::<Map<String, Value>>()
    });
    document.to_string().into_bytes()
}

fn head(authorization: &str) -> Vec<(&[u8], &[u8])> {
    [
        (":method", "POST"),
        (":path", "/docs/mcp"),
        (":authority", "mcp.example.com"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("authorization", authorization),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "tool_7"),
        ("user-agent", "bench"),
    ]
    .into_iter()
    .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
    .collect()
}

/// About 1 KB, as agents send it.
fn call() -> Vec<u8> {
    json!({
        "jsonrpc": "2.0", "id": 17, "method": "tools/call",
        "params": {
            "name": "tool_7",
            "arguments": { "query": "select ".repeat(90), "limit": 50, "tags": ["one", "two", "three"] },
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {}
            }
        }
    })
    .to_string()
    .into_bytes()
}

fn decide(engine: &Rc<Engine>, store: &MemoryStore, lines: &[(&[u8], &[u8])], body: &[u8]) {
    let mut exchange = Exchange::new(Rc::clone(engine));
    let head = RequestHead {
        headers: lines,
        end_of_stream: false,
        jwt: None,
    };
    let step = exchange.request_head(&head, NOW);
    assert!(matches!(step, HeadStep::Await { .. }), "{step:?}");
    let step = exchange.request_body(body, store, NOW);
    assert!(matches!(step, BodyStep::Forward(_)), "{step:?}");
    black_box(exchange.record());
}

fn decisions(c: &mut Criterion) {
    let (store, body) = (MemoryStore::new(), call());
    let mut group = c.benchmark_group("decide");
    for (name, keys, tools) in [
        ("10 keys, 10 tools", 10, 10),
        ("10000 keys, 1000 tools", 10_000, 1_000),
    ] {
        let engine = Engine::new(Policy::compile(&policy(keys, tools)).expect("a valid policy"));
        let authorization = format!("Bearer key-{}", keys - 1);
        let lines = head(&authorization);
        group.bench_function(name, |b| b.iter(|| decide(&engine, &store, &lines, &body)));
    }
    group.finish();
}

fn gate(c: &mut Criterion) {
    let body = call();
    let mut group = c.benchmark_group("gate");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("1 KB call", |b| {
        b.iter(|| json::parse_message(black_box(&body), &json::Limits::default()).expect("strict JSON"));
    });
    group.finish();
}

fn compile(c: &mut Criterion) {
    let text = policy(10_000, 1_000);
    let mut group = c.benchmark_group("compile");
    group.sample_size(10);
    group.bench_function("10000 keys, 1000 tools", |b| {
        b.iter(|| Policy::compile(black_box(&text)).expect("valid"));
    });
    group.finish();
}

criterion_group!(benches, decisions, gate, compile);
criterion_main!(benches);
