//! What the end-to-end tests stand on: a real Envoy with the filter in it, scripted and real MCP servers behind it,
//! scripted and real MCP clients in front of it.
//!
//! Everything listens on loopback, on ports found free at run time. Every process dies with the value that stands for
//! it, and at the latest with the test process.

pub mod access_log;
pub mod client;
pub mod collector;
pub mod envoy;
pub mod gate;
pub mod jwt;
pub mod load;
pub mod measure;
pub mod messages;
pub mod parties;
pub mod paths;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod rate_limit;
pub mod rmcp_client;
pub mod session;
pub mod tls;
pub mod toolgate;
pub mod upstream;
pub mod wire;

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// No test needs longer than this, on the busiest machine; a hang becomes a failure that names itself.
pub const TEST_TIMEOUT: Duration = Duration::from_mins(4);

/// What is to happen soon happens within this, on the busiest machine; what does not happen is said here.
pub const SOON: Duration = Duration::from_secs(30);

/// Runs one test's future on the runtime that all tests share.
///
/// Shared, because one Envoy and its scripted upstream serve many tests: on a runtime per test, the upstream would end
/// with the test that happened to start it.
///
/// # Panics
///
/// When the future takes longer than [`TEST_TIMEOUT`].
pub fn run<F: Future>(test: F) -> F::Output {
    run_within(TEST_TIMEOUT, test)
}

/// [`run`] for what takes longer: measurements and long runs.
///
/// # Panics
///
/// When the future takes longer than `limit`.
pub fn run_within<F: Future>(limit: Duration, test: F) -> F::Output {
    runtime().block_on(async {
        tokio::time::timeout(limit, test)
            .await
            .unwrap_or_else(|_| panic!("it took longer than {limit:?}"))
    })
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a tokio runtime")
    })
}
