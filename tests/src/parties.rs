//! Real MCP servers and clients that no one here wrote, installed by `scripts/setup.sh test`.

mod clients;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

pub use self::clients::{Client, Era, Failure, Order, Outcome, Report};
use crate::client::{Connection, Request, Transport};
use crate::paths;
use crate::ports;
use crate::process::{Process, Program};

/// The real servers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Server {
    /// The official Python SDK's everything server: tools, resources, prompts, completions, both eras; legacy answers
    /// as SSE with a session, modern ones as JSON.
    Everything,
    /// A DuckDB SQL server (`mcp-server-motherduck`): tool `execute_query`, a table `orders` with 3 rows.
    DuckDb,
    /// A small server on the official TypeScript SDK: `echo`, `add`, `delete_everything`; no sessions.
    TypeScript,
    /// The same, but only up to 2025-11-25, with sessions, and with tools that ask the client: `capabilities`, `sample`,
    /// `elicit`.
    TypeScriptSessions,
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct RunningServer {
    address: SocketAddr,
    process: Process,
    _directory: TempDir,
}

impl Server {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Everything,
        Self::DuckDb,
        Self::TypeScript,
        Self::TypeScriptSessions,
    ];

    /// Starts the server and waits until it answers `initialize`.
    ///
    /// # Panics
    ///
    /// When it does not within thirty seconds; the message has its log.
    pub async fn start(self) -> RunningServer {
        let address = ports::free();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let program = self.program(address, &directory);
        let process = Process::start(&program, &directory.path().join("log")).expect("the server starts");
        let mut server = RunningServer {
            address,
            process,
            _directory: directory,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !server.answers().await {
            let running = server.process.exited().is_none() && Instant::now() < deadline;
            assert!(running, "{self:?} does not answer:\n{}", server.log());
            sleep(Duration::from_millis(50)).await;
        }
        server
    }

    fn program(self, address: SocketAddr, directory: &TempDir) -> Program {
        let port = address.port().to_string();
        match self {
            Self::Everything => {
                let sdk = paths::installed("sdk");
                Program::new(sdk.join("bin/python"))
                    .args([
                        "-m",
                        "mcp_everything_server",
                        "--port",
                        &port,
                        "--log-level",
                        "WARNING",
                    ])
                    .current_dir(sdk.join("sdist/examples/servers/everything-server"))
            }
            Self::DuckDb => {
                let database = directory.path().join("orders.duckdb");
                fill(&database);
                Program::new(paths::installed("duckdb").join("bin/mcp-server-motherduck"))
                    .args([
                        "--transport",
                        "http",
                        "--host",
                        "127.0.0.1",
                        "--port",
                        &port,
                        "--db-path",
                    ])
                    .arg(database)
                    // It would look for credentials of a cloud service there.
                    .env("HOME", directory.path())
            }
            Self::TypeScript => typescript(&port),
            Self::TypeScriptSessions => typescript(&port).arg("sessions"),
        }
    }
}

impl RunningServer {
    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    async fn answers(&self) -> bool {
        let initialize = json!({
            "jsonrpc": "2.0",
            "id": 0,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": { "name": "toolgate-tests", "version": "1" },
            },
        });
        let request = Request::json("/mcp", &initialize).authority(&self.address.to_string());
        let Ok(mut connection) = Connection::open(self.address).await else {
            return false;
        };
        let answer = tokio::time::timeout(
            Duration::from_secs(10),
            connection.exchange(&request, Transport::Length),
        );
        answer
            .await
            .is_ok_and(|answer| answer.is_ok_and(|answer| answer.status == 200))
    }
}

fn typescript(port: &str) -> Program {
    Program::new("node")
        .arg(paths::parties().join("ts/server.mjs"))
        .arg(port)
}

fn fill(database: &std::path::Path) {
    let script = "import duckdb, sys\n\
        connection = duckdb.connect(sys.argv[1])\n\
        connection.execute('create table orders (id integer, customer text, total decimal(10, 2))')\n\
        connection.execute(\"insert into orders values (1, 'Ada', 12.5), (2, 'Grace', 99), (3, 'Ada', 7)\")\n";
    let status = std::process::Command::new(paths::installed("duckdb").join("bin/python"))
        .args(["-c", script])
        .arg(database)
        .status()
        .expect("Python starts");
    assert!(status.success(), "the database is not created: {status}");
}
