//! A real Envoy as a child process.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::client::{Request, Response, Transport};
use crate::process::{Process, Program};
use crate::{paths, ports};

/// The releases that are tested: the oldest and the newest that are supported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Release {
    /// 1.36
    V1_36,
    /// 1.40
    V1_40,
}

impl Release {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::V1_36, Self::V1_40];

    /// The program: `TOOLGATE_ENVOY_1_36` or `TOOLGATE_ENVOY_1_40`, or what `scripts/setup.sh` installed.
    pub fn program(self) -> PathBuf {
        let (variable, name) = match self {
            Self::V1_36 => ("TOOLGATE_ENVOY_1_36", "envoy-1.36"),
            Self::V1_40 => ("TOOLGATE_ENVOY_1_40", "envoy-1.40"),
        };
        paths::given(variable).unwrap_or_else(|| paths::installed(name).join("envoy"))
    }
}

/// How an Envoy is started.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Which Envoy.
    pub release: Release,
    /// Number of worker threads.
    pub concurrency: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            release: Release::V1_40,
            concurrency: 2,
        }
    }
}

/// A running Envoy. Dropping it kills it.
#[derive(Debug)]
pub struct Envoy {
    listener: SocketAddr,
    admin: SocketAddr,
    process: Process,
    directory: TempDir,
}

impl Envoy {
    /// Starts an Envoy with the bootstrap (YAML or JSON) that `bootstrap` makes from a listener address and an admin
    /// address, and waits until it is ready.
    ///
    /// A port that was free a moment ago may be taken by the time Envoy binds it, so there are three attempts.
    ///
    /// # Panics
    ///
    /// When it does not get ready; the message has its log.
    pub async fn start(options: Options, bootstrap: impl Fn(SocketAddr, SocketAddr) -> String) -> Self {
        Self::start_in(&[], options, bootstrap).await
    }

    /// [`Self::start`] with these environment variables, names and values, beside the test's own.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub async fn start_in(
        environment: &[(&str, &str)],
        options: Options,
        bootstrap: impl Fn(SocketAddr, SocketAddr) -> String,
    ) -> Self {
        let mut refusals = String::new();
        for _ in 0..3 {
            match Self::attempt(environment, options, &bootstrap).await {
                Ok(envoy) => return envoy,
                Err(log) if log.contains("Address already in use") => refusals = log,
                Err(log) => panic!("{options:?} is not ready:\n{log}"),
            }
        }
        panic!("{options:?} found no free port:\n{refusals}");
    }

    /// Starts an Envoy that is expected to refuse its bootstrap, and returns its log; `Err` has the Envoy if it is ready.
    pub async fn refusal(
        options: Options,
        bootstrap: impl Fn(SocketAddr, SocketAddr) -> String,
    ) -> Result<String, Box<Self>> {
        Self::refusal_in(&[], options, bootstrap).await
    }

    /// [`Self::refusal`] with these environment variables.
    pub async fn refusal_in(
        environment: &[(&str, &str)],
        options: Options,
        bootstrap: impl Fn(SocketAddr, SocketAddr) -> String,
    ) -> Result<String, Box<Self>> {
        match Self::attempt(environment, options, &bootstrap).await {
            Ok(envoy) => Err(Box::new(envoy)),
            Err(log) => Ok(log),
        }
    }

    /// Has `release` check a bootstrap without starting it; `Err` has what it says.
    ///
    /// # Panics
    ///
    /// When Envoy cannot be started.
    pub fn validate(release: Release, bootstrap: &str) -> Result<(), String> {
        let file = tempfile::NamedTempFile::with_suffix(".json").expect("a temporary file");
        fs::write(file.path(), bootstrap).expect("the bootstrap is written");
        let output = Command::new(release.program())
            .args(["--mode", "validate", "--log-level", "warning", "-c"])
            .arg(file.path())
            .output()
            .expect("Envoy starts");
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Where its listener listens.
    pub fn address(&self) -> SocketAddr {
        self.listener
    }

    /// Where its admin interface listens.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Its URL for `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listener)
    }

    /// What Envoy and the filter have logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// A directory that lives as long as this Envoy.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends a request over `transport`.
    pub async fn send(&self, request: &Request, transport: Transport) -> Response {
        request.send(self.listener, transport).await
    }

    /// The text that the admin interface gives for `path`.
    pub async fn admin(&self, path: &str) -> String {
        self.ask_admin(&Request::new("GET", path)).await.text()
    }

    /// What the admin interface answers to `request`.
    pub async fn ask_admin(&self, request: &Request) -> Response {
        request.send(self.admin, Transport::Length).await
    }

    /// The value of the counter or gauge `name`, 0 if there is none.
    pub async fn stat(&self, name: &str) -> u64 {
        let text = self.admin("/stats").await;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    }

    /// Ends Envoy in an orderly way, so that buffered access logs are written.
    pub fn terminate(mut self) -> String {
        self.process.terminate();
        self.process.log()
    }

    async fn attempt(
        environment: &[(&str, &str)],
        options: Options,
        bootstrap: &impl Fn(SocketAddr, SocketAddr) -> String,
    ) -> Result<Self, String> {
        let (listener, admin) = (ports::free(), ports::free());
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("envoy.yaml");
        fs::write(&file, bootstrap(listener, admin)).expect("the bootstrap is written");
        let program = options.release.program();
        assert!(
            program.exists(),
            "{} is missing: run scripts/setup.sh test",
            program.display()
        );
        let program = Program::new(program)
            .arg("-c")
            .arg(&file)
            .args(["--concurrency", &options.concurrency.to_string()])
            // No shared memory that a killed Envoy would leave behind, and no base id to collide on.
            .arg("--disable-hot-restart")
            // Access logs are read while Envoy runs; Envoy's default is ten seconds.
            .args(["--file-flush-interval-msec", "20"])
            .args(["--log-level", "info"]);
        let program = environment
            .iter()
            .fold(program, |program, (name, value)| program.env(name, value));
        let process = Process::start(&program, &directory.path().join("envoy.log")).expect("Envoy starts");
        let mut envoy = Self {
            listener,
            admin,
            process,
            directory,
        };
        if envoy.ready().await {
            Ok(envoy)
        } else {
            Err(envoy.failure())
        }
    }

    /// Waits until the admin interface says that Envoy is live, or Envoy ends, or a minute has passed: one that is told by a
    /// control plane to load the filter compiles it before.
    async fn ready(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.process.exited().is_none() && Instant::now() < deadline {
            if let Ok(mut connection) = crate::client::Connection::open(self.admin).await {
                let answer = connection
                    .exchange(&Request::new("GET", "/ready"), Transport::Length)
                    .await;
                if answer.is_ok_and(|answer| answer.status == 200) {
                    return true;
                }
            }
            sleep(Duration::from_millis(25)).await;
        }
        false
    }

    fn failure(&mut self) -> String {
        let mut log = self.process.log();
        let _ = writeln!(log, "exit status: {:?}", self.process.exited());
        log
    }
}
