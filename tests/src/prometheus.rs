//! A real Prometheus that scrapes Envoys, and its `promtool`.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::client::{Connection, Request, Transport};
use crate::process::{Process, Program};
use crate::{paths, ports};

/// How often targets are scraped and rules evaluated.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// Runs `promtool` to its end.
///
/// # Panics
///
/// When it cannot be started.
pub fn promtool<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    Command::new(program("promtool"))
        .args(arguments)
        .output()
        .expect("promtool starts")
}

/// A running Prometheus. Dropping it kills it.
pub struct Prometheus {
    address: SocketAddr,
    process: Process,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes `/stats/prometheus` of each of these admin interfaces, with these rules, and waits until it
    /// is ready.
    ///
    /// # Panics
    ///
    /// When it does not get ready; the message has its log.
    pub async fn start(envoys: &[SocketAddr], rules: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        let interval = format!("{}s", INTERVAL.as_secs());
        let configuration = json!({
            "global": { "scrape_interval": interval, "evaluation_interval": interval },
            "rule_files": [rules],
            "scrape_configs": [{
                "job_name": "envoy",
                "metrics_path": "/stats/prometheus",
                "static_configs": [{ "targets": envoys }],
            }],
        });
        fs::write(at("prometheus.yaml"), configuration.to_string()).expect("written");
        let address = ports::free();
        let server = Program::new(program("prometheus"))
            .arg(format!("--config.file={}", at("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={}", at("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn");
        let process = Process::start(&server, &at("prometheus.log")).expect("Prometheus starts");
        let mut prometheus = Self {
            address,
            process,
            _directory: directory,
        };
        prometheus.ready().await;
        prometheus
    }

    /// What an instant query gives, or why it does not parse or cannot be evaluated.
    pub async fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let data = self
            .get(&format!("/api/v1/query?query={}", encoded(query)))
            .await?;
        match data["resultType"].as_str() {
            Some("vector") => Ok(data["result"].as_array().cloned().unwrap_or_default()),
            // A number.
            _ => Ok(vec![data["result"].clone()]),
        }
    }

    /// The syntax tree of a query. <https://prometheus.io/docs/prometheus/latest/querying/api/#parsing-a-promql-expressions-into-a-abstract-syntax-tree-ast>
    pub async fn parse(&self, query: &str) -> Result<Value, String> {
        self.get(&format!("/api/v1/parse_query?query={}", encoded(query)))
            .await
    }

    /// The rules and how their evaluation went.
    pub async fn rules(&self) -> Result<Vec<Value>, String> {
        let groups = self.get("/api/v1/rules").await?;
        let groups = groups["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups
            .iter()
            .filter_map(|group| group["rules"].as_array().cloned());
        Ok(rules.flatten().collect())
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        let answer = Request::new("GET", path)
            .send(self.address, Transport::Length)
            .await
            .text();
        let mut answer: Value =
            serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}"))?;
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"].take()),
            _ => Err(answer["error"].to_string()),
        }
    }

    async fn ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Ok(mut connection) = Connection::open(self.address).await {
                let request = Request::new("GET", "/-/ready");
                let answer = connection.exchange(&request, Transport::Length).await;
                if answer.is_ok_and(|answer| answer.status == 200) {
                    return;
                }
            }
            assert!(
                self.process.exited().is_none() && Instant::now() < deadline,
                "{}",
                self.process.log()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn program(name: &str) -> PathBuf {
    let program = paths::installed("prometheus").join(name);
    assert!(
        program.exists(),
        "{} is missing: run scripts/setup.sh test",
        program.display()
    );
    program
}

/// Percent-encoded, every byte of it.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
}
