//! `toolgate rollout status` about a real Envoy.

use std::path::PathBuf;

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::time::Instant;
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::toolgate::{Render, toolgate};
use toolgate_tests::upstream::{Upstream, mcp_server};
use toolgate_tests::{SOON, run};

use super::{PATH, Watched, policy};

/// Exit code and document.
fn status(watched: &Watched, policy: Option<&Value>, timeout: &str) -> (Option<i32>, Value) {
    asked(&watched.envoy, policy, timeout)
}

fn asked(envoy: &Envoy, policy: Option<&Value>, timeout: &str) -> (Option<i32>, Value) {
    let file = envoy.directory().join("asked.json");
    let mut arguments: Vec<String> = [
        "rollout",
        "status",
        "--format",
        "json",
        "--timeout",
        timeout,
        "--admin",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(envoy.admin_address().to_string());
    if let Some(policy) = policy {
        std::fs::write(&file, policy.to_string()).expect("written");
        arguments.extend(["--policy".to_owned(), file.display().to_string()]);
    }
    let output = toolgate(arguments);
    let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), said)
}

#[test]
fn tells_whether_a_policy_is_in_force_and_what_was_rejected() {
    for release in Release::ALL {
        run(rollout(release));
    }
}

async fn rollout(release: Release) {
    let upstream = Upstream::start(mcp_server(json!([]))).await;
    let options = Options {
        release,
        ..Options::default()
    };
    let (first, second) = (policy(&["first"]), policy(&["second"]));
    let watched = Watched::start(options, first.clone(), upstream).await;
    let (code, said) = status(&watched, Some(&first), "30s");
    assert_eq!(code, Some(0), "{release:?} {said}");
    assert_eq!(said["envoys"][0]["inForce"], json!([said["policy"]]));
    let (code, said) = status(&watched, Some(&second), "0s");
    assert_eq!(code, Some(1), "{release:?} {said}");
    assert_eq!(said["envoys"][0]["rejected"], 0);

    watched.put(&second).expect("rendered");
    let (code, said) = status(&watched, Some(&second), "30s");
    assert_eq!(code, Some(0), "{release:?} {said}");
    watched.until("second", "allowed").await;

    // It compiles, and this Envoy cannot do what it asks for: its environment lacks the secret.
    let mut third = policy(&["third"]);
    third["sessions"] = json!({ "secretEnv": "TOOLGATE_TEST_UNSET" });
    watched.put(&third).expect("rendered");
    let (code, said) = status(&watched, Some(&third), "3s");
    assert_eq!(code, Some(1), "{release:?} {said}");
    assert_eq!(said["envoys"][0]["rejected"], 1, "{release:?} {said}");
    // The one before is, and nobody is told otherwise.
    let (code, said) = status(&watched, Some(&second), "0s");
    assert_eq!(code, Some(0), "{release:?} {said}");
    assert_eq!(watched.decision("second").await, "allowed");
    // The same again is in force again.
    watched.put(&first).expect("rendered");
    assert_eq!(status(&watched, Some(&first), "30s").0, Some(0), "{release:?}");
}

#[test]
fn an_envoy_that_never_had_a_policy_has_none() {
    run(async {
        let upstream = Upstream::start(mcp_server(json!([]))).await;
        let mut wrong = policy(&["first"]);
        wrong["sessions"] = json!({ "secretEnv": "TOOLGATE_TEST_UNSET" });
        let watched = Watched::start(Options::default(), wrong, upstream).await;
        let (code, said) = status(&watched, None, "1s");
        assert_eq!(code, Some(1), "{said}");
        assert_eq!(said["envoys"][0]["inForce"], json!([]), "{said}");
        assert_eq!(said["envoys"][0]["rejected"], 1, "{said}");
    });
}

/// Whoever writes the configuration by hand may use either of the types that Envoy unwraps.
#[test]
fn a_policy_is_in_force_as_text_and_as_bytes() {
    run(async {
        let upstream = Upstream::start(mcp_server(json!([]))).await;
        let directory = tempfile::tempdir().expect("a directory");
        let policy = policy(&["first"]);
        let text = policy.to_string();
        let written = [
            ("StringValue", json!(text)),
            (
                "BytesValue",
                json!(base64::engine::general_purpose::STANDARD.encode(&text)),
            ),
        ];
        for (name, value) in written {
            let configuration =
                json!({ "@type": format!("type.googleapis.com/google.protobuf.{name}"), "value": value });
            let envoy = Envoy::start(Options::default(), |listener, admin| {
                let render = Render::new(policy.clone()).upstream("docs", &upstream.url(PATH));
                let text = render.run(directory.path(), listener, admin).expect("rendered");
                let mut bootstrap = serde_json::from_str(&text).expect("JSON");
                assert_eq!(configure(&mut bootstrap, &configuration), 1);
                bootstrap.to_string()
            })
            .await;
            let (code, said) = asked(&envoy, Some(&policy), "30s");
            assert_eq!(code, Some(0), "{name}: {said}");
        }
    });
}

/// Gives every Wasm filter this configuration, and says how many there are.
fn configure(value: &mut Value, configuration: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter_mut().map(|item| configure(item, configuration)).sum(),
        Value::Object(members) if members.contains_key("vm_config") => {
            members.insert("configuration".to_owned(), configuration.clone());
            1
        }
        Value::Object(members) => members
            .values_mut()
            .map(|member| configure(member, configuration))
            .sum(),
        _ => 0,
    }
}

/// A filter takes its policy before its listener is complete, and the metrics say so.
#[test]
fn a_listener_that_is_refused_or_removed_has_no_policy_in_force() {
    run(async {
        let upstream = Upstream::start(mcp_server(json!([]))).await;
        let directory = tempfile::tempdir().expect("a directory");
        let listeners = Listeners {
            file: directory.path().join("lds.json"),
        };
        let (first, second) = (policy(&["first"]), policy(&["second"]));
        let rendered = |policy: &Value, listener, admin| -> Value {
            let render = Render::new(policy.clone()).upstream("docs", &upstream.url(PATH));
            let text = render.run(directory.path(), listener, admin).expect("rendered");
            serde_json::from_str(&text).expect("JSON")
        };
        let envoy = Envoy::start(Options::default(), |listener, admin| {
            let mut bootstrap = rendered(&first, listener, admin);
            listeners.put("1", &[listener_of(&mut bootstrap)]);
            bootstrap["node"] = json!({ "id": "test", "cluster": "test" });
            bootstrap["dynamic_resources"]["lds_config"] =
                json!({ "path_config_source": { "path": listeners.file }, "resource_api_version": "V3" });
            bootstrap.to_string()
        })
        .await;
        let (code, said) = asked(&envoy, Some(&first), "30s");
        assert_eq!(code, Some(0), "{said}");
        let before = said["policy"].clone();

        let mut wrong = listener_of(&mut rendered(&second, envoy.address(), envoy.admin_address()));
        let chain = wrong["filter_chains"][0].clone();
        wrong["filter_chains"] = json!([chain, chain]);
        listeners.put("2", &[wrong]);
        let (code, said) = asked(&envoy, Some(&second), "5s");
        assert_eq!(code, Some(1), "{said}");
        let said = &said["envoys"][0];
        assert_eq!(
            (&said["rejected"], &said["inForce"]),
            (&json!(1), &json!([before])),
            "the listener is as it was: {said}"
        );
        assert!(
            said["errors"][0]["details"].to_string().contains("filter chain"),
            "{said}"
        );

        listeners.put("3", &[]);
        let deadline = Instant::now() + SOON;
        while asked(&envoy, None, "0s").0 == Some(0) {
            assert!(Instant::now() < deadline, "still in force");
        }
    });
}

/// A file of listeners that Envoy watches.
struct Listeners {
    file: PathBuf,
}

impl Listeners {
    fn put(&self, version: &str, listeners: &[Value]) {
        let next = self.file.with_extension("next");
        let text = json!({ "version_info": version, "resources": listeners }).to_string();
        std::fs::write(&next, text).expect("written");
        std::fs::rename(next, &self.file).expect("moved");
    }
}

fn listener_of(bootstrap: &mut Value) -> Value {
    let mut listener = bootstrap["static_resources"]["listeners"][0].take();
    bootstrap["static_resources"]["listeners"] = json!([]);
    listener["name"] = "toolgate".into();
    listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
    listener
}
