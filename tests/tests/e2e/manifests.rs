//! The YAML of manifests, read by programs that have nothing to do with its writer, by the rules of YAML 1.1 (as
//! PyYAML has them) and of YAML 1.2 (ruamel.yaml).

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use toolgate_tests::client::Transport;
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::messages::Era;
use toolgate_tests::toolgate::{Render, key_digest, toolgate};
use toolgate_tests::upstream::{Answer, Upstream, mcp_server};
use toolgate_tests::{paths, run};

/// What both print must be the same: the documents as JSON, one line for each reader.
const READERS: &str = r#"
import json, sys
import yaml
from ruamel.yaml import YAML
text = sys.stdin.read()
print(json.dumps(list(yaml.safe_load_all(text))))
reader = YAML(typ="safe", pure=True)
reader.version = (1, 2)
print(json.dumps(list(reader.load_all(text))))
"#;

/// Texts that some reader of YAML takes for something else, unless they are quoted.
const STRANGE: &[&str] = &[
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "Y",
    "NO",
    "true",
    "False",
    "null",
    "~",
    "Null",
    "1e3",
    "1_000",
    "0x1f",
    "0o17",
    "017",
    "0b11",
    "1:30",
    "190:20:30",
    "2026-11-20",
    "2026-11-20T10:00:00Z",
    ".inf",
    "-.inf",
    ".nan",
    "+1",
    "-1",
    "1.",
    ".5",
    "=",
    "<<",
    "-",
    "- a",
    "?",
    "? a",
    ":",
    ": a",
    "a: b",
    "a #b",
    "#a",
    "&a",
    "*a",
    "!a",
    "!!str",
    "|",
    ">",
    "%a",
    "@a",
    "`a",
    "'a'",
    "\"a\"",
    "[a]",
    "{a}",
    ",a",
    "a,b",
    "---",
    "...",
    "--- a",
    "é",
    "日本",
    "a\u{2028}b",
    "a\u{7f}b",
    "a\u{85}b",
    "\u{feff}a",
    "line\nbreak",
    "tail\n",
    "tab\tin",
    "back\\slash",
    "a ",
    "12e456789",
    "1e-7",
    "00012",
];

/// A policy in which such texts are names and values, and numbers of every kind.
fn policy(hold: &str) -> Value {
    // Names have no control characters, values may.
    let names = STRANGE.iter().filter(|text| !text.contains(char::is_control));
    let enumerated: Vec<Value> = STRANGE.iter().map(|text| json!(text)).collect();
    let properties: serde_json::Map<String, Value> = names
        .map(|text| ((*text).to_owned(), json!({ "title": text })))
        .collect();
    json!({
        "version": 1,
        "hold": hold,
        "limits": { "bigIntegers": true },
        "servers": { "yes": { "path": "/docs/mcp", "tools": { "1e3": { "inputSchema": {
            "type": "object",
            "properties": properties,
            "enum": enumerated,
            "minimum": -1.5e-7, "maximum": 1e21, "multipleOf": 0.1, "exclusiveMinimum": -9_007_199_254_740_992_i64,
        } } } } },
        "roles": { "on": { "allow": ["yes/*"] } },
        "keys": { "0x1f": { "sha256": [key_digest("k")], "roles": ["on"] } },
    })
}

/// The documents as each of the readers sees them.
fn read(text: &str) -> [Value; 2] {
    let mut child = Command::new(paths::installed("yaml").join("bin/python"))
        .args(["-c", READERS])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts: run scripts/setup.sh test");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(text.as_bytes())
        .expect("written");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let mut lines = said.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    [
        lines.next().expect("PyYAML read it"),
        lines.next().expect("ruamel.yaml read it"),
    ]
}

fn render(policy: &Value, target: &[&str]) -> [Value; 2] {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), policy.to_string()).expect("written");
    let path = file.path().display().to_string();
    let mut arguments = vec!["render"];
    arguments.extend(target);
    arguments.extend(["--policy", &path]);
    let output = toolgate(arguments);
    assert!(output.status.success(), "{output:?}");
    read(&String::from_utf8(output.stdout).expect("UTF-8"))
}

#[test]
fn a_policy_inside_a_manifest_is_the_same_to_every_reader() {
    let image = ["--image", "oci://registry.example/toolgate:1"];
    for documents in render(&policy("headers"), &[&["wasmplugin"][..], &image].concat()) {
        assert_same(&documents[0]["spec"]["pluginConfig"], &policy("body"));
    }
    for documents in render(&policy("body"), &[&["envoy-gateway"][..], &image].concat()) {
        assert_same(&documents[0]["spec"]["wasm"][0]["config"], &policy("body"));
    }
}

#[test]
fn a_policy_that_travels_as_text_is_the_same_to_every_reader() {
    let text = |config: &Value| {
        let text = config["config"]["configuration"]["value"].as_str().expect("text");
        serde_json::from_str::<Value>(text).expect("JSON")
    };
    let policy = policy("headers");
    let image = ["--image", "file:///toolgate.wasm", "--bootstrap"];
    for documents in render(&policy, &[&["envoyfilter"][..], &image].concat()) {
        let resource = &documents[0]["spec"]["configPatches"][0]["patch"]["value"];
        assert_same(&text(&resource["typed_config"]), &policy);
        let bootstrap = documents[1]["data"]["custom_bootstrap.json"]
            .as_str()
            .expect("text");
        serde_json::from_str::<Value>(bootstrap).expect("JSON");
    }
    for documents in render(&policy, &[&["envoy-gateway"][..], &image].concat()) {
        let patch = &documents[0]["spec"]["jsonPatches"][0]["operation"]["value"];
        assert_same(&text(&patch["typed_config"]), &policy);
        let bootstrap = documents[3]["spec"]["bootstrap"]["value"].as_str().expect("text");
        assert!(
            read(bootstrap)
                .iter()
                .all(|found| found[0]["stats_config"]["stats_tags"].is_array())
        );
    }
    for documents in render(&policy, &["configmap", "--wasm", "/toolgate.wasm"]) {
        let file = documents[0]["data"]["ecds.json"].as_str().expect("text");
        let file: Value = serde_json::from_str(file).expect("JSON");
        assert_same(&text(&file["resources"][0]["typed_config"]), &policy);
    }
}

#[test]
fn what_patches_envoy_gateways_listener_is_what_envoy_loads_from_a_url() {
    run(async {
        let module = std::fs::read(paths::module()).expect("a module");
        let digest = hex(&module);
        let upstream = Upstream::start(mcp_server(json!([]))).await;
        upstream.answer("/toolgate.wasm", move |_| Answer::new(200).body(module.clone()));
        let policy = json!({
            "version": 1,
            "servers": { "docs": { "path": "/docs/mcp" } },
            "roles": { "reader": { "allow": ["docs/search"] } },
            "keys": { "k": { "sha256": [key_digest("k")], "roles": ["reader"] } },
        });
        let url = upstream.url("/toolgate.wasm");
        let [documents, _] = render(&policy, &["envoy-gateway", "--image", &url, "--sha256", &digest]);
        let patches = &documents[0]["spec"]["jsonPatches"];
        let (cluster, filter) = (
            &patches[0]["operation"]["value"],
            &patches[1]["operation"]["value"],
        );
        let scratch = tempfile::tempdir().expect("a directory");
        let bootstraps = Render::new(policy).upstream("docs", &upstream.url("/docs/mcp"));
        for release in Release::ALL {
            let options = Options {
                release,
                ..Options::default()
            };
            let envoy = Envoy::start(options, |listener, admin| {
                let bootstrap = bootstraps.run(scratch.path(), listener, admin).expect("rendered");
                let mut bootstrap: Value = serde_json::from_str(&bootstrap).expect("JSON");
                let resources = &mut bootstrap["static_resources"];
                resources["clusters"]
                    .as_array_mut()
                    .expect("clusters")
                    .push(cluster.clone());
                let chain = &mut resources["listeners"][0]["filter_chains"][0];
                chain["filters"][0]["typed_config"]["http_filters"][0] = filter.clone();
                bootstrap.to_string()
            })
            .await;
            for (tool, decision) in [("search", "allowed"), ("write", "hidden")] {
                let request = Era::Modern.call("/docs/mcp", tool, &json!({})).key("k");
                let answer = envoy.send(&request, Transport::Length).await;
                assert_eq!(
                    answer.header("x-toolgate-decision"),
                    decision,
                    "{release:?} {answer:?}"
                );
            }
        }
    });
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Numbers are compared as doubles: 1e21 is an integer to one reader and a float to another.
fn assert_same(found: &Value, expected: &Value) {
    fn doubles(value: &Value) -> Value {
        match value {
            Value::Number(number) => json!(number.as_f64()),
            Value::Array(items) => items.iter().map(doubles).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), doubles(value)))
                .collect(),
            other => other.clone(),
        }
    }
    assert_eq!(doubles(found), doubles(expected));
}
