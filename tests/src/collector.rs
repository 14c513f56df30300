//! A real OpenTelemetry Collector as a child process, which writes what it receives to a file.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::process::{Process, Program};
use crate::{paths, ports};

/// Envoy sends spans every five seconds.
const PATIENCE: Duration = crate::SOON;

/// A running collector. Dropping it kills it.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    directory: TempDir,
    _process: Process,
}

/// A log record or a span, and what sent it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Attributes of what sent it.
    pub resource: Value,
    /// Its own attributes.
    pub attributes: Value,
    /// As it was sent.
    pub whole: Value,
}

impl Collector {
    /// Starts one, and waits until it accepts connections.
    ///
    /// # Panics
    ///
    /// When it does not; the message has its log.
    pub async fn start() -> Self {
        let program = paths::installed("collector").join("collector");
        assert!(
            program.exists(),
            "{} is missing: run scripts/setup.sh collector",
            program.display()
        );
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = ports::free();
        let file = |name: &str| directory.path().join(name);
        let pipeline = json!({ "receivers": ["otlp"], "exporters": ["file"] });
        let config = json!({
            "receivers": { "otlp": { "protocols": { "grpc": { "endpoint": address.to_string() } } } },
            "exporters": { "file": { "path": file("received.json"), "flush_interval": "20ms" } },
            "service": {
                "telemetry": { "metrics": { "level": "none" } },
                "pipelines": { "logs": pipeline, "traces": pipeline },
            },
        });
        fs::write(file("config.yaml"), config.to_string()).expect("written");
        let program = Program::new(program).arg("--config").arg(file("config.yaml"));
        let process = Process::start(&program, &file("collector.log")).expect("the collector starts");
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).await.is_err() {
            assert!(
                Instant::now() < deadline,
                "the collector is not ready:\n{}",
                process.log()
            );
            sleep(Duration::from_millis(25)).await;
        }
        Self {
            address,
            directory,
            _process: process,
        }
    }

    /// Where it takes OTLP over gRPC.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits a while for so many log records.
    ///
    /// # Panics
    ///
    /// When they do not come, or more do.
    pub async fn logs(&self, count: usize) -> Vec<Sent> {
        self.wait_for(count, ["resourceLogs", "scopeLogs", "logRecords"])
            .await
    }

    /// The same for spans.
    ///
    /// # Panics
    ///
    /// As [`Self::logs`].
    pub async fn spans(&self, count: usize) -> Vec<Sent> {
        self.wait_for(count, ["resourceSpans", "scopeSpans", "spans"])
            .await
    }

    async fn wait_for(&self, count: usize, levels: [&str; 3]) -> Vec<Sent> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let sent = self.received(levels);
            if sent.len() >= count {
                assert_eq!(sent.len(), count, "{sent:#?}");
                return sent;
            }
            assert!(
                Instant::now() < deadline,
                "{} of {count} came: {sent:#?}",
                sent.len()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn received(&self, [resources, scopes, items]: [&str; 3]) -> Vec<Sent> {
        let text = fs::read_to_string(self.directory.path().join("received.json")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let batches = whole.lines().map(|line| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        });
        let mut sent = Vec::new();
        for batch in batches {
            for resource in elements(&batch[resources]) {
                let of = attributes(&resource["resource"]);
                let scopes = elements(&resource[scopes]);
                for item in scopes.flat_map(|scope| elements(&scope[items])) {
                    sent.push(Sent {
                        resource: of.clone(),
                        attributes: attributes(item),
                        whole: item.clone(),
                    });
                }
            }
        }
        sent
    }
}

fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Attributes as an object, whose values are text.
fn attributes(of: &Value) -> Value {
    let pairs = elements(&of["attributes"]).map(|pair| {
        let key = pair["key"].as_str().unwrap_or_default().to_owned();
        (key, pair["value"]["stringValue"].clone())
    });
    Value::Object(pairs.collect())
}
