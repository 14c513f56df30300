//! Policies in parts, through every verb that takes one.

mod common;

use common::{Bench, limited, policy};
use serde_json::{Value, json};

/// `servers.json`, `roles.json`, `keys.json`: the policy that `policy.json` has in one file.
fn parted() -> Bench {
    let whole = limited();
    let bench = Bench::new(&whole);
    let part = |members: &[&str]| {
        let mut part = json!({ "version": 1 });
        for member in members {
            part[member] = whole[member].clone();
        }
        part.to_string()
    };
    bench.write("servers.json", &part(&["servers", "rateLimitService"]));
    bench.write("roles.json", &part(&["roles", "rateLimitService"]));
    bench.write("keys.json", &part(&["keys", "teams"]));
    bench
}

const PARTS: &str = "--policy keys.json --policy servers.json --policy roles.json";

#[test]
fn every_verb_says_of_parts_what_it_says_of_the_whole() {
    let bench = parted();
    for verb in [
        "explain --key ada --server docs",
        "explain --key ada --server docs --format json",
        "who-can docs/search",
        "who-can docs/drop_table --format json",
        "render ratelimit",
        "render envoy --wasm toolgate.wasm --listen 127.0.0.1:8080 --admin 127.0.0.1:9901 \
         --upstream docs=http://127.0.0.1:3000/mcp --upstream files=http://127.0.0.1:3001/mcp \
         --rate-limit-service 127.0.0.1:8081",
    ] {
        let whole = bench.run(&format!("{verb} --policy policy.json"));
        let parts = bench.run(&format!("{verb} {PARTS}"));
        assert!(!whole.out.is_empty(), "{whole:?}");
        if verb.starts_with("render envoy") {
            // The document's members are in the order of the parts; what they say is the same.
            let document = |said: &common::Said| -> Value {
                let text = said
                    .json()
                    .pointer(DOCUMENT)
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .to_owned();
                serde_json::from_str(&text).unwrap()
            };
            assert_eq!(document(&whole), document(&parts));
            let again = bench.run(&format!("{verb} {PARTS}"));
            assert_eq!(parts.out, again.out, "deterministic");
        } else {
            assert_eq!((whole.code, whole.out), (parts.code, parts.out), "{verb}");
        }
    }
}

/// Where a bootstrap has the policy.
const DOCUMENT: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config/configuration/value";

#[test]
fn check_judges_parts_together_and_files_each_on_its_own() {
    let bench = parted();
    let said = bench.run(&format!("check {PARTS}"));
    assert_eq!(said.code, Some(0), "{said:?}");
    let last = said.out.lines().last().unwrap();
    assert!(
        last.starts_with("valid: keys.json, servers.json, roles.json: 2 servers, 2 roles, 2 teams, 4 keys"),
        "{last}"
    );
    assert!(
        said.out
            .contains("warning: keys.json: /keys/old/expires: the key has expired"),
        "{said:?}"
    );
    assert!(
        said.out
            .contains("warning: keys.json, servers.json, roles.json: /sessions: without"),
        "{said:?}"
    );

    // On its own, a part may well say too little.
    let said = bench.run(&format!("check keys.json servers.json {PARTS} --format json"));
    assert_eq!(said.code, Some(1));
    let report = said.json();
    let valid: Vec<&Value> = (0..3).map(|index| &report["files"][index]["valid"]).collect();
    assert_eq!(valid, [false, true, true]);
    assert_eq!(
        report["files"][2]["parts"],
        json!(["keys.json", "servers.json", "roles.json"])
    );
    assert_eq!(report["files"][2]["warnings"][1]["file"], "keys.json");

    let said = bench.run("check --policy policy.json --policy roles.json --format json");
    assert_eq!(said.code, Some(1));
    let error = &said.json()["files"][0]["errors"][0];
    assert_eq!(error["file"], "roles.json");
    assert_eq!(error["pointer"], "/roles/filer");
    assert_eq!(error["found"], "it in policy.json at /roles/filer as well");
}

#[test]
fn a_verb_that_cannot_go_on_says_which_file_and_where() {
    let bench = parted();
    bench.write(
        "more.json",
        r#"{"version": 1, "keys": {"ada": {}}, "mode": "shadow"}"#,
    );
    let said = bench.run(&format!("who-can docs/search {PARTS} --policy more.json"));
    assert_eq!(said.code, Some(1), "{said:?}");
    for part in [
        "the policy of keys.json, servers.json, roles.json, more.json is not valid",
        "\n  more.json: /keys/ada: the key \"ada\" is defined twice; found it in keys.json at /keys/ada as well",
    ] {
        assert!(said.err.contains(part), "{part}: {said:?}");
    }

    bench.run("who-can docs/search").is_usage(&["--policy <FILE>"]);
    bench
        .run("who-can docs/search --policy policy.json --policy ./policy.json")
        .is_usage(&["the file ./policy.json is given twice"]);
    std::fs::create_dir(bench.path("d")).unwrap();
    bench
        .run("who-can docs/search --policy d")
        .is_usage(&["cannot read the policy d: ", "name each file in it"]);
    bench
        .run("who-can docs/search --policy policy.json --policy nowhere.json")
        .is_usage(&["cannot read the policy nowhere.json"]);
}

#[test]
fn a_part_can_be_standard_input() {
    let bench = Bench::new(&policy());
    let piped = |arguments: &str| -> common::Said {
        let input = std::fs::File::open(bench.path("policy.json")).unwrap();
        bench.command(arguments).stdin(input).output().unwrap().into()
    };
    let said = piped("check -");
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains("valid: -: 2 servers"), "{said:?}");
    let said = piped("who-can --policy - docs/search");
    assert_eq!(said.code, Some(0), "{said:?}");
    piped("check --policy - --policy -").is_usage(&["given twice"]);
    piped("explain --policy - --key ada --server docs --request -")
        .is_usage(&["name a file for one of them"]);
}
