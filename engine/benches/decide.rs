//! What one decision costs: a 1 KB `tools/call`, from head to verdict.
//!
//! The policy grows from 10 keys and 10 tools to 10,000 and 1,000; the cost must not.

use std::fmt::Write;
use std::hint::black_box;
use std::rc::Rc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use toolgate_engine::binding::Secrets;
use toolgate_engine::exchange::{BodyStep, Engine, Exchange, HeadStep, RequestHead, UnixNanos};
use toolgate_engine::json;
use toolgate_engine::policy::{Policy, Scope};
use toolgate_engine::quota::{Book, Call};
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
    let step = exchange.request_head(&head, store, NOW);
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
        let engine = Engine::new(
            Policy::compile(&policy(keys, tools)).expect("a valid policy"),
            Secrets::random([7; 32]),
        );
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

/// What local limits add to a call: the bill, one read and one write for each record, and the arithmetic.
fn charge(c: &mut Criterion) {
    // None is ever used up: each call comes a millisecond after the one before.
    let quota = |n: u32| json!({ "limit": 1_000_000, "per": format!("{n}s") });
    let key = |quotas: u32, team: bool| {
        let mut key = json!({
            "sha256": ["0".repeat(64)],
            "roles": ["caller"],
            "quotas": (1..=quotas).map(quota).collect::<Vec<_>>()
        });
        if team {
            key["team"] = json!("team");
        }
        key
    };
    let mut group = c.benchmark_group("charge");
    for (name, key) in [
        ("1 limit", key(1, false)),
        ("2 limits", key(2, false)),
        ("4 limits", key(4, false)),
        ("1 limit, and 1 of the team", key(1, true)),
        ("2 limits, and 1 of the team", key(2, true)),
    ] {
        let document = json!({
            "version": 1,
            "servers": { "docs": { "path": "/docs/mcp" } },
            "roles": { "caller": { "allow": ["docs/*"] } },
            "teams": { "team": { "quotas": [quota(1)] } },
            "keys": { "key": key }
        });
        let policy = Policy::compile(document.to_string().as_bytes()).expect("a valid policy");
        let (book, store) = (Book::new(&policy), MemoryStore::new());
        let call = Call {
            key: policy.key_by_name("key").expect("the key"),
            subject: None,
            server: policy.server(policy.server_by_name("docs").expect("the server")),
            tool: "tool_7",
        };
        let mut now = NOW;
        group.bench_function(name, |b| {
            b.iter(|| {
                now.0 += 1_000_000;
                let bill = book.bill(black_box(&call)).expect("limits");
                book.charge(&bill, Scope::Local, &store, now).expect("room")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decisions, charge, gate, compile);
criterion_main!(benches);
