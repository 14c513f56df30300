//! The image that `make image` leaves, in a registry, and who can read it.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use toolgate_tests::process::{Process, Program};
use toolgate_tests::toolgate::digest;
use toolgate_tests::{paths, ports, run_within};

use crate::program;

#[test]
fn istio_finds_the_module_in_the_image() {
    run_within(Duration::from_mins(1), async {
        let registry = Registry::start().await;
        let output = Command::new(program("istio"))
            .args(["fetch", &registry.reference()])
            .output();
        let output = output.expect("it starts");
        let module = std::fs::read(paths::module()).expect("the module");
        let digest = digest(&module);
        // Istio logs to standard output, too.
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text.lines().last(), Some(digest.as_str()), "{output:?}");
    });
}

/// A registry with the image in it.
pub(crate) struct Registry {
    address: SocketAddr,
    process: Process,
    _directory: TempDir,
}

impl Registry {
    /// Starts one and waits until the image is there.
    pub(crate) async fn start() -> Self {
        let image = paths::given("TOOLGATE_IMAGE").unwrap_or_else(|| paths::workspace().join("dist/image"));
        assert!(image.exists(), "{} is missing: run make image", image.display());
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = ports::free();
        let server = Program::new(program("istio"))
            .arg("registry")
            .arg(address.to_string())
            .arg(image);
        let mut process = Process::start(&server, &directory.path().join("registry.log")).expect("it starts");
        let deadline = Instant::now() + Duration::from_secs(30);
        while !process.log().lines().any(|line| line.starts_with("ready ")) {
            assert!(
                process.exited().is_none() && Instant::now() < deadline,
                "{}",
                process.log()
            );
            sleep(Duration::from_millis(50)).await;
        }
        Self {
            address,
            process,
            _directory: directory,
        }
    }

    /// The image, as manifests name it behind `oci://`.
    pub(crate) fn reference(&self) -> String {
        format!("{}/toolgate:test", self.address)
    }

    /// Whether somebody has fetched a layer since the image came.
    pub(crate) fn was_asked_for_the_module(&self) -> bool {
        let log = self.log();
        let since = log.split_once("\nready ").map_or("", |(_, since)| since);
        since
            .lines()
            .any(|line| line.starts_with("GET /v2/toolgate/blobs/"))
    }

    /// The requests that came.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}
