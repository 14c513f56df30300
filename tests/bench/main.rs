//! Envoy's CPU per request: plain, governed, and with Envoy's own MCP filter, round by round in turn.
//!
//! `tests/bench/README.md` says what is measured and how to read it.

mod load;

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::run;
use toolgate_tests::toolgate::{Render, key_digest};

const CONNECTIONS: usize = 16;

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let (rounds, requests) = if smoke { (1, 200) } else { (9, 16_000) };
    run(async move {
        let upstream = start_upstream().await;
        let mut arrangements = Vec::new();
        for (name, change) in [
            ("plain", plain as fn(&mut Value)),
            ("governed", |_: &mut Value| {}),
            ("Envoy's mcp filter", native_mcp),
        ] {
            arrangements.push((name, start_proxy(&upstream, change).await, Vec::new()));
        }
        let request = load::request(&call());
        for (name, envoy, _) in &arrangements {
            let answered = load::run(envoy.address(), &request, CONNECTIONS, requests / 8).await;
            assert!(answered.contains("\"ok\""), "{name}: {answered}");
        }
        for _ in 0..rounds {
            for (_, envoy, micros) in &mut arrangements {
                let before = cpu(envoy.id());
                load::run(envoy.address(), &request, CONNECTIONS, requests).await;
                let spent = cpu(envoy.id()).saturating_sub(before);
                micros
                    .push(spent.as_secs_f64() * 1e6 / f64::from(u32::try_from(requests).unwrap_or(u32::MAX)));
            }
        }
        report(&arrangements);
    });
}

fn report(arrangements: &[(&str, Envoy, Vec<f64>)]) {
    let plain = arrangements
        .first()
        .map_or(f64::NAN, |(_, _, micros)| median(micros));
    println!(
        "{:<20} {:>10} {:>10} {:>10} {:>8}",
        "", "µs (median)", "least", "most", "ratio"
    );
    for (name, _, micros) in arrangements {
        let (least, most) = micros
            .iter()
            .fold((f64::MAX, 0.0_f64), |(l, m), v| (l.min(*v), m.max(*v)));
        let middle = median(micros);
        println!(
            "{name:<20} {middle:>10.1} {least:>10.1} {most:>10.1} {:>8.2}",
            middle / plain
        );
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// User and system time of a process (`proc_pid_stat(5)`, fields 14 and 15, in ticks of 10 ms).
fn cpu(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("the process runs");
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// About 1 KB, as agents send it.
fn call() -> String {
    json!({
        "jsonrpc": "2.0", "id": 17, "method": "tools/call",
        "params": {
            "name": "search",
            "arguments": { "query": "select ".repeat(90), "limit": 50, "tags": ["one", "two", "three"] },
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {}
            }
        }
    })
    .to_string()
}

fn policy() -> Value {
    json!({
        "version": 1,
        "servers": { "docs": { "path": "/docs/mcp", "tools": { "search": { "inputSchema": {
            "type": "object",
            "properties": {
                "query": { "type": "string", "maxLength": 5000 },
                "limit": { "type": "integer", "minimum": 1, "maximum": 1000 },
                "tags": { "type": "array", "items": { "type": "string" } }
            },
            "required": ["query"],
            "additionalProperties": false
        } } } } },
        "roles": { "reader": { "allow": ["docs/search", "docs/get_*"] } },
        "keys": { "bench": { "sha256": [key_digest("bench-key")], "roles": ["reader"] } }
    })
}

/// An Envoy that answers by itself, behind a buffer: it reads every request to its end.
async fn start_upstream() -> Envoy {
    let options = Options {
        release: Release::V1_40,
        concurrency: 1,
    };
    Envoy::start(options, upstream_bootstrap).await
}

async fn start_proxy(upstream: &Envoy, change: fn(&mut Value)) -> Envoy {
    let options = Options {
        release: Release::V1_40,
        concurrency: 1,
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let render = Render::new(policy()).upstream("docs", &upstream.url("/docs/mcp"));
    Envoy::start(options, |listener, admin| {
        let text = render
            .run(directory.path(), listener, admin)
            .expect("the policy renders");
        let mut bootstrap: Value = serde_json::from_str(&text).expect("the bootstrap is JSON");
        change(filters(&mut bootstrap));
        bootstrap.to_string()
    })
    .await
}

fn filters(bootstrap: &mut Value) -> &mut Value {
    &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
}

/// The same bootstrap without the filter.
fn plain(filters: &mut Value) {
    if let Some(filters) = filters.as_array_mut() {
        filters.retain(|filter| filter["name"] != "toolgate");
    }
}

/// The same bootstrap with Envoy's own parser in the filter's place.
fn native_mcp(filters: &mut Value) {
    plain(filters);
    if let Some(filters) = filters.as_array_mut() {
        filters.insert(
            0,
            json!({ "name": "envoy.filters.http.mcp", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.mcp.v3.Mcp", "traffic_mode": "PASS_THROUGH"
            } }),
        );
    }
}

fn upstream_bootstrap(listener: SocketAddr, admin: SocketAddr) -> String {
    let address = |address: SocketAddr| json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } });
    let answer = r#"{"jsonrpc":"2.0","id":17,"result":{"resultType":"complete","content":[{"type":"text","text":"ok"}]}}"#;
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "upstream",
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [{
            "match": { "prefix": "/" },
            "direct_response": { "status": 200, "body": { "inline_string": answer } },
            "response_headers_to_add": [{ "header": { "key": "content-type", "value": "application/json" } }]
        }] }] },
        "http_filters": [
            { "name": "envoy.filters.http.buffer", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer", "max_request_bytes": 1_048_576
            } },
            { "name": "envoy.filters.http.router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
            } }
        ]
    });
    json!({
        "admin": { "address": address(admin) },
        "static_resources": { "listeners": [{
            "name": "upstream", "address": address(listener), "enable_reuse_port": false,
            "filter_chains": [{ "filters": [{
                "name": "envoy.filters.network.http_connection_manager", "typed_config": manager
            }] }]
        }] }
    })
    .to_string()
}
