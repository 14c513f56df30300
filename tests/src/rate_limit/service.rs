//! The real envoyproxy/ratelimit as a child process.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{RateLimitClient, Redis};
use crate::client::{Connection, Request, Transport};
use crate::process::{Process, Program};
use crate::{paths, ports};

/// What operators are told to set, as environment variables, so that limits hold exactly. See
/// [the service's README](https://github.com/envoyproxy/ratelimit#readme).
pub const RECOMMENDED: [(&str, &str); 7] = [
    // Look before counting: a refused call does not count against its other limits.
    ("STOP_CACHE_KEY_INCREMENT_WHEN_OVERLIMIT", "true"),
    // A local cache refuses everything once one call has been refused, also a cheaper one that would still fit.
    ("LOCAL_CACHE_SIZE_IN_BYTES", "0"),
    // Both would answer OK beyond the limit.
    ("SHADOW_MODE", "false"),
    ("QUOTA_MODE", "false"),
    // Not ready, and so not asked, before a domain is there, or while Redis is away.
    ("FORCE_START_WITHOUT_INITIAL_CONFIG", "false"),
    ("HEALTHY_WITH_AT_LEAST_ONE_CONFIG_LOADED", "true"),
    ("REDIS_HEALTH_CHECK_ACTIVE_CONNECTION", "true"),
];

/// Environment variables of the service.
#[derive(Clone, Debug)]
pub struct Settings(BTreeMap<String, String>);

impl Default for Settings {
    /// The [`RECOMMENDED`] ones.
    fn default() -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self(RECOMMENDED.into_iter().map(own).collect())
    }
}

impl Settings {
    /// None: the service's own defaults.
    pub fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Sets one.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// A running service. Dropping it kills it.
#[derive(Debug)]
pub struct RateLimitService {
    grpc: SocketAddr,
    http: SocketAddr,
    debug: SocketAddr,
    redis: SocketAddr,
    settings: Settings,
    directory: TempDir,
    process: Option<Process>,
}

impl RateLimitService {
    /// Starts a service before `redis` with one configuration file, or with none, and waits until it accepts calls.
    ///
    /// # Panics
    ///
    /// When it does not; the message has its log.
    pub async fn start(redis: &Redis, domain: Option<&str>, settings: Settings) -> Self {
        let mut refusals = String::new();
        for _ in 0..3 {
            let mut service = Self {
                grpc: ports::free(),
                http: ports::free(),
                debug: ports::free(),
                redis: redis.address(),
                settings: settings.clone(),
                directory: tempfile::tempdir().expect("a temporary directory"),
                process: None,
            };
            service.configure(domain);
            match service.attempt().await {
                Ok(()) => return service,
                Err(log) if log.contains("address already in use") => refusals = log,
                Err(log) => panic!("the rate limit service is not ready:\n{log}"),
            }
        }
        panic!("the rate limit service found no free port:\n{refusals}");
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same ports, after killing it if it still runs, with this configuration file or none.
    ///
    /// # Panics
    ///
    /// When it does not get ready.
    pub async fn restart(&mut self, domain: Option<&str>) {
        self.kill();
        self.configure(domain);
        if let Err(log) = self.attempt().await {
            panic!("the rate limit service is not ready again:\n{log}");
        }
    }

    /// Where it speaks the protocol.
    pub fn address(&self) -> SocketAddr {
        self.grpc
    }

    /// A client connected to it.
    ///
    /// # Panics
    ///
    /// When it cannot be connected to.
    pub async fn client(&self) -> RateLimitClient {
        RateLimitClient::connect(self.grpc).await.expect("it listens")
    }

    /// Whether it says that it is ready for calls.
    pub async fn healthy(&self) -> bool {
        status(self.http, "/healthcheck").await == Some(200)
    }

    /// The configuration that is in force, in the service's words.
    pub async fn configuration(&self) -> String {
        let request = Request::new("GET", "/rlconfig");
        request.send(self.debug, Transport::Length).await.text()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// The process id, 0 while it does not run.
    pub fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, Process::id)
    }

    fn configure(&self, domain: Option<&str>) {
        let directory = self.directory.path().join("runtime/config");
        // What a volume that is no longer mounted leaves: an empty directory.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("the configuration's directory is created");
        if let Some(domain) = domain {
            fs::write(directory.join("toolgate.yaml"), domain).expect("the configuration is written");
        }
    }

    async fn attempt(&mut self) -> Result<(), String> {
        let binary = paths::installed("ratelimit").join("ratelimit");
        assert!(
            binary.exists(),
            "{} is missing: run scripts/setup.sh ratelimit",
            binary.display()
        );
        let program = self.program(&binary);
        let log = self.directory.path().join("log");
        let process = Process::start(&program, &log).expect("the rate limit service starts");
        let process = self.process.insert(process);
        let deadline = Instant::now() + crate::SOON;
        while process.exited().is_none() && Instant::now() < deadline {
            // Without a domain it says that it is not healthy and takes calls nevertheless.
            let listens = RateLimitClient::connect(self.grpc).await.is_ok();
            if listens && status(self.http, "/healthcheck").await.is_some() {
                return Ok(());
            }
            sleep(Duration::from_millis(25)).await;
        }
        Err(process.log())
    }

    fn program(&self, binary: &Path) -> Program {
        let port = |address: SocketAddr| address.port().to_string();
        let program = Program::new(binary)
            // Otherwise it looks for a statsd, or logs what each call took.
            .env("DISABLE_STATS", "true")
            .env("LOG_LEVEL", "warn")
            .env("REDIS_SOCKET_TYPE", "tcp")
            .env("REDIS_URL", self.redis.to_string())
            .env("RUNTIME_ROOT", self.directory.path().join("runtime"))
            .env("RUNTIME_SUBDIRECTORY", ".")
            .env("RUNTIME_APPDIRECTORY", "config")
            .env("RUNTIME_WATCH_ROOT", "false")
            .env("HOST", "127.0.0.1")
            .env("PORT", port(self.http))
            .env("GRPC_HOST", "127.0.0.1")
            .env("GRPC_PORT", port(self.grpc))
            .env("DEBUG_HOST", "127.0.0.1")
            .env("DEBUG_PORT", port(self.debug));
        let settings = self.settings.0.iter();
        settings.fold(program, |program, (name, value)| program.env(name, value))
    }
}

/// The status that the server at `address` answers for `path`, if it answers.
async fn status(address: SocketAddr, path: &str) -> Option<u16> {
    let mut connection = Connection::open(address).await.ok()?;
    let request = Request::new("GET", path);
    let answer = connection.exchange(&request, Transport::Length).await.ok()?;
    Some(answer.status)
}
