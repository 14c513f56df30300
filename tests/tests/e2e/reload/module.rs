//! The filter itself is replaced while Envoy runs.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use toolgate_tests::client::{Connection, Request, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::paths;
use toolgate_tests::run;
use toolgate_tests::upstream::{Upstream, mcp_server};

use super::{Watched, policy};

fn counted(marker: &str) -> Value {
    let mut policy = policy(&["counted", marker]);
    policy["keys"]["ada"]["quotas"] = json!([{ "limit": 3, "per": "365d", "on": "docs/counted" }]);
    policy
}

#[test]
fn another_module_in_the_same_file_takes_over_the_counts() {
    for release in Release::ALL {
        run(replace(release));
    }
}

async fn replace(release: Release) {
    let scratch = tempfile::tempdir().expect("a directory");
    let module = scratch.path().join("toolgate.wasm");
    std::fs::copy(paths::module(), &module).expect("copied");
    let upstream = Upstream::start(mcp_server(json!([]))).await;
    let options = Options {
        release,
        concurrency: 2,
    };
    let watched = Watched::start_with(options, counted("before"), upstream, module.clone()).await;
    assert_eq!(watched.decision("counted").await, "allowed");
    let created = vms(&watched).await;
    exchange(&module, "second");
    // The same policy: that the module is another one is reason enough.
    watched.put(&counted("before")).expect("rendered");
    wait_for_vms(&watched, created).await;
    assert_eq!(watched.decision("counted").await, "allowed", "{release:?}");
    // What is no module is refused, and the one before goes on.
    std::fs::write(scratch.path().join("new"), "no module").expect("written");
    std::fs::rename(scratch.path().join("new"), &module).expect("renamed");
    watched
        .put(&counted("never"))
        .expect("the tool does not look into it");
    while stat(&watched, "http_filter.toolgate.update_rejected").await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(watched.decision("never").await, "hidden", "{release:?}");
    let created = vms(&watched).await;
    exchange(&module, "third");
    watched.put(&counted("after")).expect("rendered");
    watched.until("after", "allowed").await;
    assert!(vms(&watched).await > created, "{release:?}");
    // Three in all, over three modules.
    assert_eq!(watched.decision("counted").await, "allowed", "{release:?}");
    assert_eq!(watched.decision("counted").await, "quota", "{release:?}");
}

/// Puts a module with the same code and another custom section (which has no meaning) into its place, in one step.
/// <https://webassembly.github.io/spec/core/binary/modules.html#custom-section>
fn exchange(module: &Path, name: &str) {
    let mut bytes = std::fs::read(paths::module()).expect("a module");
    let name = name.as_bytes();
    let length = u8::try_from(name.len()).expect("short");
    bytes.extend([0, length + 1, length]);
    bytes.extend(name);
    let new = module.with_extension("new");
    std::fs::write(&new, bytes).expect("written");
    std::fs::rename(new, module).expect("renamed");
}

/// How many VMs Envoy has made.
async fn vms(watched: &Watched) -> u64 {
    stat(watched, "wasm.envoy.wasm.runtime.v8.created").await
}

async fn wait_for_vms(watched: &Watched, before: u64) {
    while vms(watched).await == before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    watched.until("before", "allowed").await;
}

/// A counter. The thread that answers is the one that compiles modules, which takes it seconds.
async fn stat(watched: &Watched, end: &str) -> u64 {
    let asked = async {
        let mut connection = Connection::open(watched.envoy.admin_address()).await?;
        let request = Request::new("GET", "/stats");
        connection.exchange(&request, Transport::Length).await
    };
    let answer = tokio::time::timeout(Duration::from_mins(1), asked).await;
    let text = answer.expect("within a minute").expect("an answer").text();
    let values = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.ends_with(end).then(|| value.trim().parse::<u64>().ok())?
    });
    values.sum()
}
