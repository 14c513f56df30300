//! Envoy's access log, as `--access-log` has it written.

use crate::SOON;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::toolgate::Render;

/// An access log in a directory of its own.
#[derive(Debug)]
pub struct AccessLog {
    directory: TempDir,
}

impl AccessLog {
    /// An empty one.
    ///
    /// # Panics
    ///
    /// When there can be no temporary directory.
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// Has Envoy write it.
    pub fn written_by(&self, render: Render) -> Render {
        render.arg("--access-log").arg(self.path().display().to_string())
    }

    /// The lines so far.
    ///
    /// # Panics
    ///
    /// When one of them is no JSON.
    pub fn lines(&self) -> Vec<Value> {
        self.containing("")
    }

    /// Waits a while for the lines of which this is true, until there are so many of them.
    ///
    /// # Panics
    ///
    /// When they are not written, or more are.
    pub async fn wait_for(&self, count: usize, is_meant: impl Fn(&Value) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + SOON;
        loop {
            let mut lines = self.lines();
            lines.retain(&is_meant);
            if lines.len() >= count {
                assert_eq!(lines.len(), count, "{lines:#?}");
                return lines;
            }
            assert!(
                Instant::now() < deadline,
                "{count} lines are not written: {:#?}",
                self.lines().last()
            );
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits a while for the one line of the request with this JSON-RPC id.
    ///
    /// # Panics
    ///
    /// When it is not written.
    pub async fn of_request(&self, id: u64) -> Value {
        let is_meant = format!("\"jsonrpc.request.id\":\"{id}\"");
        let deadline = Instant::now() + SOON;
        loop {
            let mut lines = self.containing(&is_meant);
            match lines.len() {
                0 => {}
                1 => return lines.remove(0),
                _ => panic!("{lines:#?}"),
            }
            assert!(Instant::now() < deadline, "{is_meant} is not written");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whole lines that contain `part`.
    fn containing(&self, part: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path()).unwrap_or_default();
        // Envoy may be in the middle of the last one.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines().filter(|line| line.contains(part));
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("access.log")
    }
}

impl Default for AccessLog {
    fn default() -> Self {
        Self::new()
    }
}
