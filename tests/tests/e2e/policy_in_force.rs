//! What happens when a policy does not compile: it never replaces a good one, and never means no policy.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use toolgate_tests::client::Transport;
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::messages::Era;
use toolgate_tests::run;
use toolgate_tests::toolgate::{Render, key_digest, toolgate};
use toolgate_tests::upstream::{Upstream, mcp_server};

const KEY: &str = "force-key";

#[test]
fn rendering_refuses_a_policy_that_does_not_compile() {
    let directory = tempfile::tempdir().expect("a directory");
    for (text, pointer, reason) in broken_policies() {
        let file = directory.path().join("policy.json");
        std::fs::write(&file, &text).expect("written");
        let file = file.display().to_string();
        let wasm = toolgate_tests::paths::module().display().to_string();
        let output = toolgate([
            "render",
            "envoy",
            "--policy",
            &file,
            "--wasm",
            &wasm,
            "--listen",
            "127.0.0.1:8080",
            "--admin",
            "127.0.0.1:9901",
            "--upstream",
            "docs=http://127.0.0.1:1/mcp",
        ]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}: {said}");
        assert!(output.stdout.is_empty(), "{text}");
        assert!(said.contains(pointer) && said.contains(reason), "{text}: {said}");
    }
}

#[test]
fn an_envoy_that_is_given_a_broken_policy_at_its_start_forwards_nothing() {
    run(async {
        let upstream = Upstream::start(mcp_server(json!([]))).await;
        for (release, (text, pointer, reason)) in Release::ALL.into_iter().zip(broken_policies()) {
            let directory = tempfile::tempdir().expect("a directory");
            let render = Render::new(policy("search")).upstream("docs", &upstream.url("/mcp"));
            let started = Envoy::refusal(options(release), |listener, admin| {
                let bootstrap = render.run(directory.path(), listener, admin).expect("rendered");
                with_policy(&bootstrap, &text).to_string()
            })
            .await;
            let log = match started {
                Err(envoy) => {
                    assert_serves_nobody(&envoy, &text).await;
                    envoy.log()
                }
                Ok(log) => log,
            };
            assert!(log.contains(pointer) && log.contains(reason), "{text}: {log}");
        }
        assert_eq!((upstream.received().len(), upstream.connections()), (0, 0));
    });
}

#[test]
fn a_broken_update_leaves_the_previous_policy_in_force() {
    run(async {
        for (index, release) in Release::ALL.into_iter().enumerate() {
            let upstream = Upstream::start(mcp_server(json!([]))).await;
            let directory = tempfile::tempdir().expect("a directory");
            let ecds = Ecds::new(directory.path(), &upstream);
            ecds.put(&policy("search").to_string());
            let envoy = Envoy::start(options(release), |listener, admin| {
                ecds.bootstrap(listener, admin)
            })
            .await;
            assert_only_granted(&envoy, &upstream, "search", "write").await;
            // Half of them for each: an update makes new VMs, which takes Envoy about a second.
            let broken = broken_policies().into_iter().skip(index).step_by(2);
            for (number, (text, pointer, reason)) in broken.enumerate() {
                ecds.put(&text);
                wait("the update is rejected", || async {
                    envoy
                        .admin("/stats?filter=update_rejected")
                        .await
                        .lines()
                        .any(|line| {
                            line.starts_with("extension_config_discovery")
                                && line.ends_with(&format!(": {}", number + 1))
                        })
                })
                .await;
                assert!(envoy.log().contains(pointer), "{text}: {}", envoy.log());
                assert!(envoy.log().contains(reason), "{text}: {}", envoy.log());
                // On every worker: each connection may be another's.
                for _ in 0..4 {
                    assert_only_granted(&envoy, &upstream, "search", "write").await;
                }
            }
            ecds.put(&policy("write").to_string());
            wait("the next good policy is in force", || async {
                decision(&envoy, "write", "x").await == "allowed"
            })
            .await;
            wait("on every worker", || async {
                let mut hidden = true;
                for _ in 0..4 {
                    hidden &= decision(&envoy, "search", "x").await == "hidden";
                }
                hidden
            })
            .await;
            assert_only_granted(&envoy, &upstream, "write", "search").await;
        }
    });
}

#[test]
fn a_broken_first_policy_that_is_discovered_serves_nobody_until_a_good_one_comes() {
    run(async {
        let upstream = Upstream::start(mcp_server(json!([]))).await;
        let directory = tempfile::tempdir().expect("a directory");
        let ecds = Ecds::new(directory.path(), &upstream);
        let [(text, pointer, reason), ..] = broken_policies();
        ecds.put(&text);
        let envoy = Envoy::start(options(Release::V1_40), |listener, admin| {
            ecds.bootstrap(listener, admin)
        })
        .await;
        assert_serves_nobody(&envoy, &text).await;
        assert_eq!(upstream.received().len(), 0);
        let log = envoy.log();
        assert!(log.contains(pointer) && log.contains(reason), "{log}");
        ecds.put(&policy("search").to_string());
        wait("the good policy is in force", || async {
            decision(&envoy, "search", "x").await == "allowed"
        })
        .await;
        assert_only_granted(&envoy, &upstream, "search", "write").await;
    });
}

/// Texts that are no policy; what the pointer and the reason of each must contain.
fn broken_policies() -> [(String, &'static str, &'static str); 4] {
    let with = |change: fn(&mut Value)| {
        let mut policy = policy("*");
        change(&mut policy);
        policy.to_string()
    };
    [
        (
            // Read carelessly, it grants everything.
            with(|policy| policy["roles"]["reader"] = json!({ "allow": ["*/*"], "toolz": [] })),
            "/roles/reader/toolz",
            "unknown field",
        ),
        (
            with(|policy| policy["keys"]["k"]["rules"] = json!([])),
            "/keys/k/rules",
            "not supported yet",
        ),
        (
            with(|policy| policy["keys"]["k"]["roles"] = json!(["raeder"])),
            "/keys/k/roles/0",
            "reader",
        ),
        ("{\"version\": 1,".to_owned(), "not JSON", "line"),
    ]
}

fn options(release: Release) -> Options {
    Options {
        release,
        ..Options::default()
    }
}

/// The rendered filter, delivered by extension configuration discovery from a file.
/// <https://www.envoyproxy.io/docs/envoy/latest/configuration/overview/extension>
pub(crate) struct Ecds<'a> {
    directory: &'a Path,
    render: Render,
}

impl<'a> Ecds<'a> {
    pub(crate) fn new(directory: &'a Path, upstream: &Upstream) -> Self {
        let render = Render::new(policy("search")).upstream("docs", &upstream.url("/mcp"));
        Self::of(directory, render)
    }

    /// Rendered like this.
    pub(crate) fn of(directory: &'a Path, render: Render) -> Self {
        Self { directory, render }
    }

    /// Replaces the file in one step.
    pub(crate) fn put(&self, policy: &str) {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let bootstrap = self
            .render
            .run(self.directory, nowhere, nowhere)
            .expect("rendered");
        let mut bootstrap = with_policy(&bootstrap, policy);
        let filter = filter(&mut bootstrap).take();
        let resource = json!({
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": filter["name"],
            "typed_config": filter["typed_config"],
        });
        let (new, file) = (self.directory.join("new.json"), self.directory.join("ecds.json"));
        std::fs::write(&new, json!({ "resources": [resource] }).to_string()).expect("written");
        std::fs::rename(new, file).expect("moved");
    }

    pub(crate) fn bootstrap(&self, listener: SocketAddr, admin: SocketAddr) -> String {
        let bootstrap = self
            .render
            .run(self.directory, listener, admin)
            .expect("rendered");
        let mut bootstrap: Value = serde_json::from_str(&bootstrap).expect("JSON");
        bootstrap["node"] = json!({ "id": "tests", "cluster": "tests" });
        let filter = filter(&mut bootstrap);
        let file = self.directory.join("ecds.json");
        *filter = json!({
            "name": filter["name"],
            "config_discovery": {
                "config_source": { "resource_api_version": "V3", "path_config_source": { "path": file } },
                "type_urls": [filter["typed_config"]["@type"]],
            },
        });
        bootstrap.to_string()
    }
}

/// The bootstrap with this text as the filter's policy.
fn with_policy(bootstrap: &str, policy: &str) -> Value {
    let mut bootstrap = serde_json::from_str(bootstrap).expect("JSON");
    let value = &mut filter(&mut bootstrap)["typed_config"]["config"]["configuration"]["value"];
    assert!(value.is_string());
    *value = policy.into();
    bootstrap
}

fn filter(bootstrap: &mut Value) -> &mut Value {
    let chain = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0];
    let filters = chain["filters"][0]["typed_config"]["http_filters"].as_array_mut();
    let filters = filters.into_iter().flatten();
    let mut ours = filters.filter(|filter| filter["name"] == "toolgate");
    ours.next().expect("the rendered filter")
}

async fn decision(envoy: &Envoy, tool: &str, label: &str) -> String {
    let request = Era::Legacy
        .call("/docs/mcp", tool, &json!({ "q": label }))
        .key(KEY);
    envoy
        .send(&request, Transport::Length)
        .await
        .header("x-toolgate-decision")
}

async fn assert_only_granted(envoy: &Envoy, upstream: &Upstream, granted: &str, hidden: &str) {
    let count = || upstream.received_for("in-force").len();
    let before = count();
    assert_eq!(decision(envoy, granted, "in-force").await, "allowed");
    assert_eq!(decision(envoy, hidden, "in-force").await, "hidden");
    assert_eq!(count(), before + 1, "the granted call and nothing else arrives");
}

/// Whatever is asked, with and without the key, is answered with a server error.
async fn assert_serves_nobody(envoy: &Envoy, why: &str) {
    for (path, key) in [("/docs/mcp", KEY), ("/docs/mcp", "other"), ("/", KEY)] {
        for transport in [Transport::Length, Transport::Http2] {
            let request = Era::Legacy.call(path, "search", &json!({})).key(key);
            let answer = envoy.send(&request, transport).await;
            assert!((500..600).contains(&answer.status), "{why}: {answer:?}");
        }
    }
}

async fn wait<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    // Making a filter takes seconds where the machine is busy.
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn policy(tool: &str) -> Value {
    json!({
        "version": 1,
        "servers": { "docs": { "path": "/docs/mcp" } },
        "roles": { "reader": { "allow": [format!("docs/{tool}")] } },
        "keys": { "k": { "sha256": [key_digest(KEY)], "roles": ["reader"] } },
    })
}
