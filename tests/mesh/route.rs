//! What must hold on every way from a control plane to a server behind Envoy.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use toolgate_tests::client::{Connection, Request, Transport};
use toolgate_tests::messages::Era;
use toolgate_tests::toolgate::toolgate;
use toolgate_tests::upstream::Upstream;

use crate::policy;

/// What clients and operators see of an Envoy with the filter in it.
#[derive(Clone, Copy)]
pub(crate) struct Route<'a> {
    /// Where clients connect to.
    pub(crate) listener: SocketAddr,
    /// Envoy's admin interface.
    pub(crate) admin: SocketAddr,
    /// What is behind it.
    pub(crate) upstream: &'a Upstream,
    /// Whether not even the head of a refused request gets to the server.
    pub(crate) holds_heads: bool,
}

/// How long a pushed policy may take to be in force. Compiling the module takes seconds on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

impl Route<'_> {
    /// Waits until `granted` may be called, then sees that exactly the granted tool reaches the server, and that the
    /// policy in force is called `hash`.
    pub(crate) async fn is_governed(&self, granted: &str, refused: &str, hash: &str) {
        self.becomes(granted, "allowed").await;
        for transport in [Transport::Length, Transport::ChunkedBytes, Transport::Http2] {
            assert_eq!(
                self.call(granted, transport).await,
                ("allowed".to_owned(), 1),
                "{transport:?}"
            );
            assert_eq!(
                self.call(refused, transport).await,
                ("hidden".to_owned(), 0),
                "{transport:?}"
            );
        }
        let shown = self.policy_info().await;
        let in_force: Vec<_> = shown.iter().filter(|line| line.ends_with(" 1")).collect();
        assert_eq!(
            in_force,
            [&format!("toolgate_policy_info{{hash=\"{hash}\"}} 1")],
            "{shown:?}"
        );
        let said = toolgate([
            "rollout",
            "status",
            "--format",
            "json",
            "--admin",
            &self.admin.to_string(),
        ]);
        let said: Value = serde_json::from_slice(&said.stdout).expect("a document");
        assert_eq!(said["envoys"][0]["inForce"], json!([hash]), "{said}");
        assert_eq!(said["ok"], true, "{said}");
    }

    /// Waits until a call of `tool` is decided so.
    async fn becomes(&self, tool: &str, decision: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.try_call(tool).await;
            if seen.as_deref() == Some(decision) {
                return;
            }
            assert!(Instant::now() < deadline, "{tool} is {seen:?}, not {decision}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The decision on a call, and how many requests arrived at the server for it.
    async fn call(&self, tool: &str, transport: Transport) -> (String, usize) {
        let (label, request) = labelled(tool);
        let answer = request.send(self.listener, transport).await;
        let mut received = self.upstream.labelled(&label);
        if !self.holds_heads {
            received.retain(|request| request.complete || !request.raw_body.is_empty());
        }
        (answer.header("x-toolgate-decision"), received.len())
    }

    /// The decision on a call, if there is an Envoy and a filter in it.
    async fn try_call(&self, tool: &str) -> Option<String> {
        let exchange = async {
            let (_, request) = labelled(tool);
            let mut connection = Connection::open(self.listener).await.ok()?;
            let answer = connection.exchange(&request, Transport::Length).await.ok()?;
            Some(answer.header("x-toolgate-decision"))
        };
        tokio::time::timeout(Duration::from_secs(5), exchange)
            .await
            .ok()
            .flatten()
    }

    /// The policies that were in force, as Prometheus gets to know them.
    async fn policy_info(&self) -> Vec<String> {
        let page = Request::new("GET", "/stats/prometheus");
        let page = page.send(self.admin, Transport::Length).await.text();
        let ours = page
            .lines()
            .filter(|line| line.starts_with("toolgate_policy_info"));
        ours.map(str::to_owned).collect()
    }
}

/// A call of `tool` that can be found again at the server.
fn labelled(tool: &str) -> (String, Request) {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let label = format!("mesh-{}.", LAST.fetch_add(1, Ordering::Relaxed));
    let request = Era::Legacy.call(policy::PATH, tool, &json!({})).key(policy::KEY);
    (label.clone(), request.header("x-label", label))
}
