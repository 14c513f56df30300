//! A closed loop of identical HTTP/1.1 calls over keep-alive connections, and a server that keeps up with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::envoy::{Envoy, Options, Release};

/// The bytes of one call of `tool`, POSTed to `path` with `key`.
pub fn call(path: &str, key: &str, tool: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: mcp.example.com\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: {tool}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What came back: how often each decision, and the last answer.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Answers by `x-toolgate-decision`; by `none` where there is no such header.
    pub decisions: BTreeMap<String, usize>,
    /// The last answer, head and body.
    pub last: String,
    /// How long each call took, from its first byte out to its last byte in.
    pub took: Vec<Duration>,
}

impl Tally {
    /// How many answers had this decision.
    pub fn of(&self, decision: &str) -> usize {
        self.decisions.get(decision).copied().unwrap_or(0)
    }
}

/// Sends `requests` over `connections` connections, each of them one after the other from the list in turn, `count` in
/// all.
///
/// # Panics
///
/// When a request is not answered with 200.
pub async fn run(to: SocketAddr, requests: &[Vec<u8>], connections: usize, count: usize) -> Tally {
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..connections {
        let requests = requests.to_vec();
        let share = count / connections + usize::from(index < count % connections);
        tasks.spawn(async move { connection(to, &requests, index, share).await });
    }
    let mut sum = Tally::default();
    while let Some(tally) = tasks.join_next().await {
        let tally = tally.expect("no task panics").expect("every request is answered");
        for (decision, count) in tally.decisions {
            *sum.decisions.entry(decision).or_default() += count;
        }
        sum.last = tally.last;
        sum.took.extend(tally.took);
    }
    sum
}

async fn connection(
    to: SocketAddr,
    requests: &[Vec<u8>],
    first: usize,
    count: usize,
) -> std::io::Result<Tally> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let mut tally = Tally::default();
    let mut answer = Vec::with_capacity(4096);
    for request in requests
        .iter()
        .cycle()
        .skip(first % requests.len().max(1))
        .take(count)
    {
        let begun = Instant::now();
        stream.write_all(request).await?;
        answer.clear();
        while !is_complete(&answer) {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        tally.took.push(begun.elapsed());
        tally.last = String::from_utf8_lossy(&answer).into_owned();
        *tally.decisions.entry(decision(&tally.last)).or_default() += 1;
    }
    Ok(tally)
}

fn decision(answer: &str) -> String {
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-toolgate-decision: "));
    line.unwrap_or("none").to_owned()
}

fn is_complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    assert!(head.starts_with("HTTP/1.1 200") && length.is_some(), "{text}");
    length.is_some_and(|length| body.len() >= length)
}

/// An Envoy that answers every POST by itself with the result of a tool, behind a buffer: it reads every request to its
/// end. `http.upstream.downstream_rq_completed` counts what it received.
pub async fn answering_envoy() -> Envoy {
    let options = Options {
        release: Release::V1_40,
        concurrency: 1,
    };
    Envoy::start(options, answering_bootstrap).await
}

fn answering_bootstrap(listener: SocketAddr, admin: SocketAddr) -> String {
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
