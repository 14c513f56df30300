//! An Envoy that has something to tell in every family.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::envoy::{Envoy, Options};
use toolgate_tests::messages::Era;
use toolgate_tests::rate_limit::{Answer as Verdict, FakeService};
use toolgate_tests::toolgate::{Render, key_digest};
use toolgate_tests::upstream::{Answer, Upstream, mcp_server};
use toolgate_tests::{load, paths};

use crate::policy_in_force::Ecds;

/// The families that `docs/metrics.md` names.
pub(super) fn families() -> BTreeSet<String> {
    let page = std::fs::read_to_string(paths::workspace().join("docs/metrics.md")).expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `toolgate_"));
    let names = rows.filter_map(|row| row.split_once('`'));
    let families: BTreeSet<String> = names.map(|(name, _)| format!("toolgate_{name}")).collect();
    assert!(families.len() > 10, "{families:?}");
    families
}

/// An Envoy, its servers, and a rate limit service that fails now and then.
pub(super) struct Stand {
    envoy: Envoy,
    render: Render,
    directory: TempDir,
    service: FakeService,
    _upstream: Upstream,
}

impl Stand {
    pub(super) async fn start() -> Self {
        let upstream = Upstream::start(mcp_server(json!([]))).await;
        upstream.answer("breaks-server", |_| Answer::new(500));
        let service = FakeService::start(Verdict::ok).await;
        let directory = tempfile::tempdir().expect("a directory");
        let render = Render::new(policy("first"))
            .upstream("docs", &upstream.url("/docs/mcp"))
            .upstream("files", &upstream.url("/files/mcp"))
            .arg("--rate-limit-service")
            .arg(service.address().to_string());
        let ecds = Ecds::of(directory.path(), render.clone());
        ecds.put(&policy("first").to_string());
        let envoy = Envoy::start(Options::default(), |listener, admin| {
            let mut bootstrap: Value = serde_json::from_str(&ecds.bootstrap(listener, admin)).expect("JSON");
            // Histograms are shown when they are flushed.
            bootstrap["stats_flush_interval"] = "1s".into();
            bootstrap.to_string()
        })
        .await;
        Self {
            envoy,
            render,
            directory,
            service,
            _upstream: upstream,
        }
    }

    /// Where Prometheus scrapes.
    pub(super) fn admin(&self) -> SocketAddr {
        self.envoy.admin_address()
    }

    /// Makes traffic of all kinds, with a policy that is refused at its end.
    pub(super) async fn make(&self, round: u32) {
        for (server, key, tool, label, expected) in [
            ("docs", "alice", "search", "", "allowed"),
            ("docs", "alice", "unknown", "", "hidden"),
            ("docs", "shy", "unknown", "", "allowed"),
            ("docs", "nobody", "search", "", "key"),
            ("docs", "alice", "global", "", "allowed"),
        ] {
            let decision = self.call(server, key, tool, label).await;
            assert_eq!(
                decision == "allowed",
                expected == "allowed",
                "{key} {tool}: {decision}"
            );
        }
        for _ in 0..4 {
            self.call("files", "alice", "read", "breaks-server").await;
        }
        self.service.script(|_| Verdict::unavailable());
        self.call("docs", "alice", "global", "").await;
        self.service.script(Verdict::ok);
        self.meet().await;
        let ecds = Ecds::of(self.directory.path(), self.render.clone());
        let before = self.refused().await;
        ecds.put(&json!({ "version": round + 2 }).to_string());
        self.refuses_more_than(before).await;
        ecds.put(&policy(&format!("round {round}")).to_string());
    }

    async fn call(&self, server: &str, key: &str, tool: &str, label: &str) -> String {
        let answer = self
            .envoy
            .send(&request(server, key, tool, label), Transport::Length)
            .await;
        answer.header("x-toolgate-decision")
    }

    /// Makes calls until two workers have met while they charged.
    async fn meet(&self) {
        let before = self.envoy.stat("wasmcustom.toolgate_store_conflicts_total").await;
        let body = json!({
            "jsonrpc": "2.0", "id": 17, "method": "tools/call",
            "params": { "name": "search", "arguments": {}, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            } },
        });
        let busy = [load::call("/docs/mcp", "busy-key", "search", &body)];
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.envoy.stat("wasmcustom.toolgate_store_conflicts_total").await <= before {
            assert!(Instant::now() < deadline, "no two workers met");
            load::run(self.envoy.address(), &busy, 32, 1_000).await;
        }
    }

    async fn refused(&self) -> u64 {
        self.envoy.stat("wasmcustom.toolgate_policy_rejected_total").await
    }

    async fn refuses_more_than(&self, before: u64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.refused().await <= before {
            assert!(Instant::now() < deadline, "{}", self.envoy.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn request(server: &str, key: &str, tool: &str, label: &str) -> Request {
    Era::Modern
        .call(&format!("/{server}/mcp"), tool, &json!({ "query": label }))
        .key(&format!("{key}-key"))
}

/// Keys with budgets, a shadow, a breaker and a global limit. Every `name` makes it another policy.
fn policy(name: &str) -> Value {
    let key = |name: &str, more: Value| {
        let mut key = more;
        key["sha256"] = json!([key_digest(&format!("{name}-key"))]);
        key["roles"] = json!(["reader"]);
        key
    };
    json!({
        "version": 1,
        "servers": {
            "docs": { "path": "/docs/mcp", "tools": { "search": { "cost": 0.01 }, "global": {} } },
            "files": { "path": "/files/mcp", "breaker": { "each": "tool", "failures": 2, "open": "1s" }, "tools": { "read": {} } },
        },
        "roles": { "reader": { "allow": ["docs/search", "docs/global", "files/*"] } },
        "teams": { "red": { "budget": { "limit": 100_000, "per": "month" } } },
        "rateLimitService": { "cluster": "ratelimit", "domain": "toolgate", "timeout": "5s", "onError": "deny" },
        "keys": {
            "alice": key("alice", json!({ "team": "red", "labels": { "policy": name }, "quotas": [
                { "limit": 1000, "per": "minute", "on": "docs/global", "scope": "global" },
            ] })),
            "shy": key("shy", json!({ "mode": "shadow" })),
            "busy": key("busy", json!({ "team": "red", "quotas": [{ "limit": 4_000_000, "per": "day" }] })),
        },
    })
}
