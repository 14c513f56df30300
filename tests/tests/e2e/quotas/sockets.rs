//! A server behind a Unix domain socket, whose connections have no local address to be known by.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinHandle;
use toolgate_tests::client::{Connection, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::run;
use toolgate_tests::upstream::{Answer, Received, Upstream, mcp_server};

use super::{call, policy};

#[test]
fn a_server_behind_a_socket_is_paid_where_it_was_reached_and_only_there() {
    for release in Release::ALL {
        run(async {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let socket = directory.path().join("mcp.sock");
            let upstream =
                Upstream::start(
                    |received: &Received| match received.json()["params"]["name"].as_str() {
                        Some("reset") => Answer::reset(),
                        Some("silent") => Answer::silence(),
                        _ => mcp_server(json!([]))(received),
                    },
                )
                .await;
            let mut policy = policy(
                &json!({ "ada": { "budget": { "limit": 1, "per": "total" } } }),
                &json!({}),
            );
            policy["servers"]["docs"]["cost"] = json!(0.25);
            let options = Options {
                release,
                ..Options::default()
            };
            let gate = Gate::start_before(
                upstream,
                options,
                policy,
                |render| render,
                |bootstrap| at_socket(&bootstrap, &socket),
            )
            .await;
            // Nobody listens yet: that is given back.
            for label in ["away-1", "away-2", "away-3", "away-4", "away-5"] {
                let (status, _) = decision(&gate, "reset", label).await;
                assert_eq!(status, 503, "{release:?}");
                assert!(gate.upstream.labelled(label).is_empty());
            }
            let relay = relay(&socket, &gate.upstream);
            assert_eq!(decision(&gate, "search", "1").await, (200, "allowed".to_owned()));
            assert_eq!(decision(&gate, "reset", "2").await.0, 503, "{release:?}");
            let mut client = Connection::open(gate.envoy.address()).await.expect("connects");
            let silent = call("ada", "silent", "left-3");
            client.request(&silent, Transport::Length).await.expect("sent");
            gate.upstream.wait_for("left-3", 1).await;
            drop(client);
            while gate.envoy.stat("http.toolgate.downstream_rq_active").await > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(
                decision(&gate, "search", "7").await,
                (200, "allowed".to_owned()),
                "{release:?}"
            );
            assert_eq!(decision(&gate, "search", "8").await.1, "budget", "{release:?}");
            relay.abort();
        });
    }
}

async fn decision(gate: &Gate, tool: &str, label: &str) -> (u16, String) {
    let answer = gate.send(&call("ada", tool, label), Transport::Length).await;
    (answer.status, answer.header("x-toolgate-decision"))
}

/// Passes on what comes to a socket, one connection for each, which ends when either side ends it.
fn relay(socket: &Path, upstream: &Upstream) -> JoinHandle<()> {
    let listener = UnixListener::bind(socket).expect("a socket");
    let address = upstream.address();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut to = TcpStream::connect(address).await?;
                copy_bidirectional(&mut from, &mut to).await
            });
        }
    })
}

/// The bootstrap with the server `docs` at a socket.
fn at_socket(bootstrap: &str, socket: &Path) -> String {
    let mut bootstrap: Value = serde_json::from_str(bootstrap).expect("JSON");
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut();
    let docs = clusters
        .into_iter()
        .flatten()
        .find(|cluster| cluster["name"] == "docs")
        .expect("the cluster of docs");
    docs["type"] = json!("STATIC");
    docs["load_assignment"]["endpoints"] =
        json!([{ "lb_endpoints": [{ "endpoint": { "address": { "pipe": { "path": socket } } } }] }]);
    bootstrap.to_string()
}
