//! `render ecds`, `render configmap` and `render envoy --policy-file`: the policy as a file that Envoy watches.
#![cfg(unix)]

mod common;

use std::path::Path;

use common::{Bench, policy};
use serde_json::{Value, json};

const UPSTREAMS: &str = "--upstream docs=http://127.0.0.1:3000/mcp --upstream files=http://127.0.0.1:3001/";
/// SHA-256 of no bytes.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ECDS: &str = "render ecds --policy policy.json --wasm toolgate.wasm --out dir";

fn filter(bootstrap: &Value) -> &Value {
    let chain = &bootstrap["static_resources"]["listeners"][0]["filter_chains"][0];
    &chain["filters"][0]["typed_config"]["http_filters"][0]
}

/// The filter's configuration in a file that Envoy watches.
fn delivered(text: &str) -> Value {
    let response: Value = serde_json::from_str(text).unwrap();
    let resource = &response["resources"][0];
    assert_eq!(
        resource["@type"],
        "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
    );
    assert_eq!(resource["name"], "toolgate");
    resource["typed_config"].clone()
}

fn read(bench: &Bench) -> String {
    std::fs::read_to_string(bench.path("dir/ecds.json")).unwrap()
}

#[test]
fn what_is_discovered_is_what_is_inlined_otherwise() {
    let bench = Bench::new(&policy());
    let inline = bench.bootstrap(UPSTREAMS);
    let bootstrap = bench.bootstrap(&format!("{UPSTREAMS} --policy-file dir"));
    let directory = bench.path("dir");
    let discovery = &filter(&bootstrap)["config_discovery"];
    let source = &discovery["config_source"]["path_config_source"];
    assert_eq!(source["path"], directory.join("ecds.json").to_str().unwrap());
    assert_eq!(source["watched_directory"]["path"], directory.to_str().unwrap());
    let mut expected = filter(&inline)["typed_config"].clone();
    // What Envoy sees change when the module does.
    expected["config"]["vm_config"]["environment_variables"] =
        json!({ "key_values": { "TOOLGATE_MODULE_SHA256": EMPTY } });
    assert_eq!(delivered(&read(&bench)), expected);
    assert_eq!(
        discovery["type_urls"],
        json!([filter(&inline)["typed_config"]["@type"]])
    );
    assert_eq!(bootstrap["node"]["id"], "toolgate");
    assert!(inline.get("node").is_none());

    // The same by itself, and the same again changes nothing.
    let stamp = std::fs::read_link(bench.path("dir/..data")).unwrap();
    let said = bench.run(ECDS);
    assert_eq!(
        (said.code, said.out.as_str(), said.err.as_str()),
        (Some(0), "", "")
    );
    assert_eq!(std::fs::read_link(bench.path("dir/..data")).unwrap(), stamp);
    bench.write("toolgate.wasm", "another");
    assert_eq!(bench.run(ECDS).code, Some(0));
    assert_ne!(std::fs::read_link(bench.path("dir/..data")).unwrap(), stamp);
}

#[test]
fn a_policy_with_errors_leaves_the_one_before_in_force() {
    let bench = Bench::new(&policy());
    assert_eq!(bench.run(ECDS).code, Some(0));
    let before = read(&bench);
    let mut wrong = policy();
    wrong["keys"]["ada"]["roles"] = json!(["raeder"]);
    bench.write("policy.json", &wrong.to_string());
    for command in [
        ECDS.to_owned(),
        format!(
            "{} --wasm toolgate.wasm",
            ECDS.replace(" --wasm toolgate.wasm", "")
        ),
    ] {
        let said = bench.run(&command);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains("/keys/ada/roles/0"), "{said:?}");
        assert_eq!(read(&bench), before);
    }
    assert_eq!(
        bench.render(&format!("{UPSTREAMS} --policy-file dir")).code,
        Some(1)
    );
    assert_eq!(read(&bench), before);
    bench.write("policy.json", &policy().to_string());
    bench
        .run(&ECDS.replace("toolgate.wasm", "nowhere.wasm"))
        .is_usage(&["--wasm nowhere.wasm"]);
    bench.render("--policy-file dir").is_usage(&["has no upstream"]);
    assert_eq!(read(&bench), before);
}

#[test]
fn a_file_that_somebody_else_put_there_stays() {
    let bench = Bench::new(&policy());
    std::fs::create_dir(bench.path("dir")).unwrap();
    bench.write("dir/ecds.json", "mine");
    bench
        .run(ECDS)
        .is_usage(&["dir/ecds.json is there already", "another directory"]);
    assert_eq!(read(&bench), "mine");
}

#[test]
fn a_directory_that_cannot_be_written_is_said() {
    let bench = Bench::new(&policy());
    bench.write("dir", "a file");
    let said = bench.run(ECDS);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("cannot write dir/ecds.json"), "{said:?}");
}

#[test]
fn a_configmap_has_the_same_file_with_the_proxys_path() {
    let bench = Bench::new(&policy());
    let said = bench.run(
        "render configmap --policy policy.json --wasm /opt/toolgate/toolgate.wasm --name yes --namespace 1e3",
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    let map: Value = serde_saphyr::from_str(&said.out).unwrap();
    assert_eq!(map["kind"], "ConfigMap");
    assert_eq!(map["metadata"], json!({ "name": "yes", "namespace": "1e3" }));
    let config = delivered(map["data"]["ecds.json"].as_str().unwrap());
    assert_eq!(
        config["config"]["vm_config"]["code"]["local"]["filename"],
        "/opt/toolgate/toolgate.wasm"
    );
    let text = config["config"]["configuration"]["value"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), policy());
    bench
        .run("render configmap --policy policy.json --wasm toolgate.wasm")
        .is_usage(&["not an absolute path"]);
    bench
        .run("render configmap --policy policy.json --wasm /x --name Toolgate")
        .is_usage(&["lower case"]);
}

#[test]
fn a_policy_that_is_too_large_for_a_configmap_is_refused_with_its_size() {
    let mut large = policy();
    for number in 0..10_000 {
        large["keys"][format!("key-{number:05}")] =
            json!({ "sha256": [format!("{number:064x}")], "roles": ["reader"] });
    }
    let bench = Bench::new(&large);
    let said = bench.run("render configmap --policy policy.json --wasm /opt/toolgate.wasm");
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert_eq!(bench.run(ECDS).code, Some(0), "a directory has no such limit");
    let wasm = bench.path("toolgate.wasm").display().to_string();
    // What only a module that is at hand has.
    let digest =
        format!("\"environment_variables\":{{\"key_values\":{{\"TOOLGATE_MODULE_SHA256\":\"{EMPTY}\"}}}},");
    let text = read(&bench);
    assert!(text.contains(&digest));
    let bytes = text
        .replace(&wasm, "/opt/toolgate.wasm")
        .replace(&digest, "")
        .len();
    assert!(bytes > 1_048_576);
    assert!(
        said.err.contains(&format!("{bytes} bytes")) && said.err.contains("render ecds"),
        "{said:?}"
    );

    large["keys"]
        .as_object_mut()
        .unwrap()
        .retain(|name, _| name.as_str() < "key-05000");
    bench.write("policy.json", &large.to_string());
    let said = bench.run("render configmap --policy policy.json --wasm /opt/toolgate.wasm");
    assert_eq!(said.code, Some(0));
    assert!(said.err.contains("kubectl apply --server-side"), "{}", said.err);
}

#[test]
fn elsewhere_nothing_is_looked_for_and_nothing_is_written() {
    let bench = Bench::new(&policy());
    let arguments = |paths: &str| {
        format!(
            "render envoy --policy policy.json --listen 0.0.0.0:8080 --admin 127.0.0.1:9901 \
             --upstream docs=https://docs.example/mcp --upstream files=http://127.0.0.1:3001/ --elsewhere {paths}"
        )
    };
    let said = bench.run(&arguments(
        "--wasm /opt/t.wasm --policy-file /nowhere/policy --tls-cert /tls/tls.crt --tls-key /tls/tls.key --access-log /dev/stdout",
    ));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!Path::new("/nowhere").exists());
    let bootstrap = said.json();
    let source = &filter(&bootstrap)["config_discovery"]["config_source"]["path_config_source"];
    assert_eq!(source["path"], "/nowhere/policy/ecds.json");
    for found in [
        "/tls/tls.crt",
        "/etc/ssl/certs/ca-certificates.crt",
        "/dev/stdout",
    ] {
        assert!(said.out.contains(found), "{found}");
    }
    for relative in [
        "--wasm t.wasm",
        "--wasm /t.wasm --policy-file dir",
        "--wasm /t.wasm --access-log log",
    ] {
        bench
            .run(&arguments(relative))
            .is_usage(&["not an absolute path"]);
    }
}
