//! Policies that are replaced while Envoy runs, by the tool and by hand.

mod effect;
mod memory;
mod module;
mod rollout;
mod state;
mod traffic;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::envoy::{Envoy, Options};
use toolgate_tests::messages::Era;
use toolgate_tests::paths;
use toolgate_tests::toolgate::{Render, key_digest, toolgate};
use toolgate_tests::upstream::Upstream;

pub(crate) const PATH: &str = "/docs/mcp";
pub(crate) const KEY: &str = "reload-key";

/// Each connection may be another worker's: a policy is in force when so many in a row say so.
const IN_A_ROW: usize = 12;

/// How many directories have been made by hand.
static FORCED: AtomicUsize = AtomicUsize::new(0);

/// An Envoy that watches a directory, and the directory.
pub(crate) struct Watched {
    pub(crate) envoy: Envoy,
    pub(crate) upstream: Upstream,
    scratch: TempDir,
    module: PathBuf,
}

impl Watched {
    /// With the filter as built.
    pub(crate) async fn start(options: Options, policy: Value, upstream: Upstream) -> Self {
        Self::start_with(options, policy, upstream, paths::module()).await
    }

    /// With the filter in this file.
    pub(crate) async fn start_with(
        options: Options,
        policy: Value,
        upstream: Upstream,
        module: PathBuf,
    ) -> Self {
        let scratch = tempfile::tempdir().expect("a directory");
        let watched = scratch.path().join("watched");
        let render = Render::new(policy)
            .upstream("docs", &upstream.url(PATH))
            .arg("--policy-file")
            .arg(watched.display().to_string())
            .wasm(&module);
        let envoy = Envoy::start(options, |listener, admin| {
            render.run(scratch.path(), listener, admin).expect("rendered")
        })
        .await;
        Self {
            envoy,
            upstream,
            scratch,
            module,
        }
    }

    /// The directory.
    pub(crate) fn directory(&self) -> PathBuf {
        self.scratch.path().join("watched")
    }

    /// Replaces the policy as an operator does it; `Err` has what the tool says.
    pub(crate) fn put(&self, policy: &Value) -> Result<(), String> {
        self.put_into(&self.directory(), policy)
    }

    /// Makes another directory with this policy, and returns the file in it.
    pub(crate) fn prepare(&self, name: &str, policy: &Value) -> PathBuf {
        let directory = self.scratch.path().join(name);
        self.put_into(&directory, policy).expect("rendered");
        directory.join("ecds.json")
    }

    fn put_into(&self, directory: &Path, policy: &Value) -> Result<(), String> {
        let file = self.scratch.path().join("next.json");
        std::fs::write(&file, policy.to_string()).expect("written");
        let output = toolgate([
            "render".as_ref(),
            "ecds".as_ref(),
            "--policy".as_ref(),
            file.as_os_str(),
            "--wasm".as_ref(),
            self.module.as_os_str(),
            "--out".as_ref(),
            directory.as_os_str(),
        ]);
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Replaces the file as the kubelet does it, whatever is in it.
    pub(crate) fn force(&self, text: &str) {
        let directory = self.directory();
        let old = std::fs::read_link(directory.join("..data")).expect("a link");
        let new = format!("..forced-{}", FORCED.fetch_add(1, Ordering::Relaxed));
        std::fs::create_dir(directory.join(&new)).expect("made");
        std::fs::write(directory.join(&new).join("ecds.json"), text).expect("written");
        std::os::unix::fs::symlink(&new, directory.join("..data_tmp")).expect("linked");
        std::fs::rename(directory.join("..data_tmp"), directory.join("..data")).expect("renamed");
        std::fs::remove_dir_all(directory.join(old)).expect("removed");
    }

    /// What Envoy reads now.
    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.directory().join("ecds.json")).expect("a file")
    }

    /// The sum of Envoy's counters about this file whose names end like this.
    pub(crate) async fn counted(&self, end: &str) -> u64 {
        let text = self.envoy.admin("/stats?filter=extension_config_discovery").await;
        let values = text.lines().filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.ends_with(end).then(|| value.trim().parse::<u64>().ok())?
        });
        values.sum()
    }

    /// The decision about a call of `tool`.
    pub(crate) async fn decision(&self, tool: &str) -> String {
        self.envoy
            .send(&call(tool), Transport::Length)
            .await
            .header("x-toolgate-decision")
    }

    /// Waits until every worker decides so about `tool`.
    pub(crate) async fn until(&self, tool: &str, decision: &str) {
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut alike = 0;
        while alike < IN_A_ROW {
            assert!(
                Instant::now() < deadline,
                "{tool} is not {decision}: {}",
                self.envoy.log()
            );
            if self.decision(tool).await == decision {
                alike += 1;
            } else {
                alike = 0;
                sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

/// A call.
pub(crate) fn call(tool: &str) -> Request {
    Era::Modern.call(PATH, tool, &json!({})).key(KEY)
}

/// A policy that grants these tools.
pub(crate) fn policy(tools: &[&str]) -> Value {
    let allow: Vec<String> = tools.iter().map(|tool| format!("docs/{tool}")).collect();
    json!({
        "version": 1,
        "servers": { "docs": { "path": PATH } },
        "roles": { "reader": { "allow": allow } },
        "keys": { "ada": { "sha256": [key_digest(KEY)], "roles": ["reader"] } },
    })
}

/// The same with so many keys.
pub(crate) fn with_keys(mut policy: Value, count: usize) -> Value {
    for number in 0..count {
        policy["keys"][format!("key-{number:05}")] =
            json!({ "sha256": [key_digest(&format!("nobody-{number}"))], "roles": ["reader"] });
    }
    policy
}
