//! Envoy's memory under a long stream.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use toolgate_tests::client::Transport;
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::measure::{memory, reset_peak};
use toolgate_tests::run;
use toolgate_tests::upstream::{Action, Answer};

/// Kilobytes that a stream may add to what Envoy needs at rest.
const ALLOWED_KB: u64 = 8 * 1024;

/// Events of the long stream, 4 KB each: 64 MB.
const EVENTS: usize = 16_384;

#[test]
fn a_long_stream_leaves_envoys_memory_flat() {
    run(async {
        // An Envoy of its own, and the default bound of 8 MiB for a result.
        let mut policy = super::policy("headers");
        policy["limits"] = json!({});
        let options = Options {
            release: Release::V1_40,
            concurrency: 1,
        };
        let frame = super::event(
            &json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": "" } }),
        );
        let padding = "x".repeat(4096 - frame.len());
        let event = frame.replace("\"\"", &format!("\"{padding}\""));
        assert_eq!(event.len(), 4096);
        let gate = Gate::start(options, policy, move |received| {
            let times = if received.mentions("warm-up") {
                EVENTS / 64
            } else {
                EVENTS
            };
            Answer::sse::<&str>([]).then(Action::Repeat(event.clone().into(), times))
        })
        .await;
        download(&gate.envoy, "warm-up", EVENTS / 64).await;
        let rest = memory(gate.envoy.id(), "VmRSS");
        reset_peak(gate.envoy.id());
        download(&gate.envoy, "long", EVENTS).await;
        let peak = memory(gate.envoy.id(), "VmHWM");
        let grown = peak.saturating_sub(rest);
        assert!(grown < ALLOWED_KB, "it grew by {grown} kB from {rest} kB");
    });
}

#[test]
fn a_held_list_may_be_larger_than_what_envoy_reads_at_once() {
    run(async {
        let mut list = super::list();
        list["result"]["x"] = "x".repeat(4 << 20).into();
        let scripted = list.clone();
        let options = Options {
            release: Release::V1_40,
            concurrency: 1,
        };
        let mut policy = super::policy("headers");
        policy["limits"] = json!({});
        let gate = Gate::start(options, policy, move |_| Answer::json(&scripted)).await;
        let answer = gate
            .send(&super::post("tools/list", "large-list"), Transport::Length)
            .await;
        list["result"]["tools"] = super::rest()["result"]["tools"].clone();
        assert!(
            answer.status == 200 && answer.json() == list,
            "{} and {} bytes",
            answer.status,
            answer.body.len()
        );
    });
}

/// Reads a whole stream and keeps nothing of it.
async fn download(envoy: &Envoy, label: &str, events: usize) {
    let body = super::post("tools/call", label).body.expect("a post");
    let head = format!(
        "POST /docs/mcp HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-label: {label}\r\n\
         authorization: Bearer key\r\nmcp-protocol-version: 2025-11-25\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(envoy.address()).await?;
        stream.write_all(&[head.as_bytes(), &body].concat()).await?;
        let mut buffer = vec![0; 256 * 1024];
        let mut received = 0;
        loop {
            match stream.read(&mut buffer).await? {
                0 => return std::io::Result::Ok(received),
                count => received += count,
            }
        }
    };
    let received = tokio::time::timeout(Duration::from_mins(1), exchange).await;
    let received = received.expect("it takes less than a minute").expect("readable");
    assert!(received >= events * 4096, "{label}: {received} bytes");
}
