//! `check`, `explain`, `who-can`, `keygen` and `schema`: what they say and how they exit.

mod common;

use common::{Bench, limited, policy};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use toolgate_engine::policy::Policy;

#[test]
fn check_says_yes_and_no_with_every_error() {
    let bench = Bench::new(&policy());
    let said = bench.run("check policy.json");
    let compiled = Policy::compile(policy().to_string().as_bytes()).unwrap();
    let hash = compiled.hash();
    assert_eq!(
        (said.code, said.out),
        (
            Some(0),
            format!(
                "warning: policy.json: /sessions: without \"secretEnv\", sessions end with the process and do not cross replicas\n\
                 warning: policy.json: /keys/old/expires: the key has expired\n\
                 valid: policy.json: 2 servers, 2 roles, 1 team, 4 keys, hash {hash}\n"
            )
        )
    );

    let mut wrong = policy();
    wrong["servers"]["docs"]["toolz"] = json!({});
    wrong["roles"]["reader"]["allow"] = json!(["dcos/*"]);
    bench.write("wrong.json", &wrong.to_string());
    let said = bench.run("check policy.json wrong.json");
    assert_eq!(said.code, Some(1));
    for part in [
        "/servers/docs/toolz",
        "did you mean \"tools\"?",
        "/roles/reader/allow/0",
        "wrong.json: 2 errors",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert!(!said.out.contains('\u{1b}'), "no colours outside of a terminal");

    let said = bench.run("check wrong.json policy.json --format json");
    assert_eq!(said.code, Some(1));
    let report = said.json();
    assert_eq!(report["valid"], false);
    assert_eq!(report["files"][0]["errors"][0]["pointer"], "/servers/docs/toolz");
    let valid = &report["files"][1];
    assert_eq!((&valid["valid"], &valid["errors"]), (&json!(true), &json!([])));
    assert_eq!(valid["hash"], hash.as_str());
    assert_eq!(report["files"][0]["hash"], Value::Null);
    let pointers: Vec<&Value> = valid["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| &warning["pointer"])
        .collect();
    assert_eq!(pointers, ["/sessions", "/keys/old/expires"]);

    bench.run("check nowhere.json").is_usage(&["nowhere.json"]);
    bench.run("check").is_usage(&["FILE"]);
}

#[test]
fn explain_tells_a_decision_check_by_check() {
    let bench = Bench::new(&policy());
    let call = |name: &str, arguments: Value| {
        let request = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": { "name": name, "arguments": arguments } });
        bench.write("request.json", &request.to_string());
    };
    let outcomes = |said: &common::Said| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let checks = said.json();
        let checks = checks["checks"].as_array().unwrap().clone();
        checks
            .iter()
            .map(|check| (text(&check["check"]), text(&check["outcome"])))
            .collect()
    };
    let explain = |key: &str| {
        bench.run(&format!(
            "explain --policy policy.json --key {key} --server docs --request request.json --format json"
        ))
    };

    call("search", json!({ "q": "x" }));
    let said = explain("ada");
    assert_eq!(
        (said.code, said.json()["decision"].as_str()),
        (Some(0), Some("allowed"))
    );
    assert!(
        outcomes(&said).contains(&("schema".to_owned(), "passed".to_owned())),
        "{said:?}"
    );

    call("search", json!({ "q": 1 }));
    let said = explain("ada");
    assert_eq!(
        (said.code, said.json()["decision"].as_str()),
        (Some(1), Some("schema"))
    );
    assert_eq!(
        outcomes(&said).last(),
        Some(&("schema".to_owned(), "refused".to_owned()))
    );
    let answer: Value = serde_json::from_str(said.json()["answer"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&answer["id"], &answer["result"]["isError"]),
        (&json!(7), &json!(true))
    );

    call("drop_table", json!({}));
    let said = explain("ada");
    assert_eq!(
        (said.code, said.json()["decision"].as_str()),
        (Some(1), Some("hidden"))
    );
    let said = explain("try");
    assert_eq!(
        (said.code, said.json()["would_deny"].as_str()),
        (Some(0), Some("hidden"))
    );
    assert!(
        outcomes(&said).contains(&("grant".to_owned(), "shadowed".to_owned())),
        "{said:?}"
    );

    for (key, reason) in [("bob", "no_grant"), ("old", "expired_key")] {
        let said = explain(key);
        assert_eq!(
            (said.code, said.json()["decision"].as_str()),
            (Some(1), Some(reason))
        );
    }
    let said = bench.run("explain --policy policy.json --key ada --server docs --request request.json");
    assert!(
        said.code == Some(1) && said.out.starts_with("refused  ada on docs: hidden\n"),
        "{said:?}"
    );
    assert!(
        said.out.contains("denied by \"*/drop_*\" of role \"reader\""),
        "{said:?}"
    );
}

#[test]
fn explain_without_a_request_tells_what_the_key_may_do() {
    let bench = Bench::new(&policy());
    let said = bench.run("explain --policy policy.json --key ada --server docs --format json");
    assert_eq!(said.code, Some(0));
    let grants = &said.json()["grants"];
    assert_eq!(
        grants["allow"],
        json!([{ "role": "reader", "pattern": "docs/*" }])
    );
    assert_eq!(
        grants["deny"],
        json!([{ "role": "reader", "pattern": "*/drop_*" }])
    );
    assert_eq!(
        grants["resources"],
        json!([{ "role": "reader", "pattern": "docs/file:///srv/*" }])
    );
    assert_eq!(grants["prompts"], json!([]));
    let visible: Vec<_> = grants["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|at| (&at["tool"], &at["visible"]))
        .collect();
    assert_eq!(
        visible,
        [
            (&json!("drop_table"), &json!(false)),
            (&json!("search"), &json!(true))
        ]
    );

    bench
        .run("explain --policy policy.json --key adda --server docs")
        .is_usage(&["\"adda\"", "\"ada\"?"]);
    bench
        .run("explain --policy policy.json --key ada --server doc")
        .is_usage(&["\"doc\"", "\"docs\"?"]);
}

#[test]
fn who_can_names_the_grant_of_each_and_what_stops_the_others() {
    let bench = Bench::new(&policy());
    let said = bench.run("who-can --policy policy.json docs/search --format json");
    assert_eq!(said.code, Some(0));
    let report = said.json();
    let ada = json!({ "key": "ada", "team": "eng", "role": "reader", "pattern": "docs/*", "limits": [] });
    assert_eq!(report["can"][0], ada);
    let why: Vec<_> = report["cannot"]
        .as_array()
        .unwrap()
        .iter()
        .map(|at| &at["why"])
        .collect();
    assert_eq!(
        why,
        [
            &json!("no role of the key allows it"),
            &json!("the key has expired")
        ]
    );

    let said = bench.run("who-can --policy policy.json docs/drop_table");
    assert_eq!(said.code, Some(0), "the shadow key still can");
    assert!(
        said.out
            .contains("✗ ada (team eng)  denied by \"*/drop_*\" of role \"reader\""),
        "{said:?}"
    );
    assert!(said.out.contains("~ try  only while in shadow mode"), "{said:?}");
    assert!(
        said.out.ends_with("1 of 4 keys can call docs/drop_table\n"),
        "{said:?}"
    );

    assert_eq!(
        bench.run("who-can --policy policy.json files/drop_all").code,
        Some(0)
    );
    let mut without_bob = policy();
    without_bob["keys"]["bob"]["disabled"] = json!(true);
    without_bob["keys"]["try"]["mode"] = json!("enforce");
    assert_eq!(
        Bench::new(&without_bob)
            .run("who-can --policy policy.json files/read")
            .code,
        Some(1)
    );
    bench
        .run("who-can --policy policy.json docs")
        .is_usage(&["SERVER/TOOL"]);
    bench
        .run("who-can --policy policy.json dcos/x")
        .is_usage(&["\"docs\"?"]);
}

#[test]
fn keygen_makes_a_new_key_each_time_and_the_entry_that_accepts_it() {
    let bench = Bench::new(&policy());
    let made = bench.run("keygen --name eve --format json").json();
    let key = made["key"].as_str().unwrap();
    // 256 bits are 43 characters of base64.
    assert!(key.starts_with("tg_") && key.len() == 3 + 43, "{key}");
    let digest = Sha256::digest(key.as_bytes());
    let digest = digest
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat();
    assert_eq!(
        made["keys"],
        json!({ "eve": { "sha256": [digest], "roles": [] } })
    );
    assert_ne!(bench.run("keygen --format json").json()["key"], key);

    let text = bench.run("keygen --name eve").out;
    let entry = text.lines().find(|line| line.starts_with("  \"eve\": ")).unwrap();
    let mut with_eve = policy();
    let entry: Value = serde_json::from_str(&format!("{{{entry}}}")).unwrap();
    with_eve["keys"]["eve"] = entry["eve"].clone();
    bench.write("with-eve.json", &with_eve.to_string());
    assert_eq!(bench.run("check with-eve.json").code, Some(0));
}

#[test]
fn the_committed_schema_is_current() {
    let said = Bench::new(&policy()).run("schema");
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../policies/policy.schema.json");
    let committed = std::fs::read_to_string(committed).unwrap();
    assert!(
        said.out == committed,
        "renew it: toolgate schema > policies/policy.schema.json"
    );
}

#[test]
fn the_schema_accepts_what_compiles_and_refuses_an_unknown_field() {
    let schema = Bench::new(&policy()).run("schema").json();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    assert!(
        validator.is_valid(&policy()),
        "{:?}",
        validator.iter_errors(&policy()).collect::<Vec<_>>()
    );
    assert!(validator.is_valid(&limited()));
    let mut wrong = policy();
    wrong["servers"]["docs"]["toolz"] = json!({});
    assert!(!validator.is_valid(&wrong));
    for (pointer, value) in [
        ("/keys/ada/quotas/0/limit", json!(0)),
        ("/keys/ada/quotas/0/per", json!("week")),
        ("/keys/ada/budget/per", json!("hour")),
        ("/teams/all/budget/scope", json!("world")),
        ("/rateLimitService/cluster", json!("")),
    ] {
        let mut wrong = limited();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert!(!validator.is_valid(&wrong), "{pointer}");
    }
}

#[test]
fn check_says_what_an_envoy_cannot_do() {
    let bench = Bench::new(&policy());
    let check = |version: &str| bench.run(&format!("check policy.json --envoy-version {version}"));
    for version in ["1.36", "v1.36.2", "1.36.2-dev", "1.40.0"] {
        let said = check(version);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(!said.out.contains("Envoy"), "{said:?}");
    }
    let said = check("1.34.1");
    assert_eq!(said.code, Some(1));
    for part in [
        "error: policy.json: \"hold\": \"headers\" needs the plugin setting allow_on_headers_stop_iteration",
        "error: policy.json: Envoy 1.34.1 is not supported",
        "    fix:     use Envoy 1.36 or later\n",
        "policy.json: 2 errors\n",
    ] {
        assert!(said.out.contains(part), "{part}: {said:?}");
    }
    let said = check("1.38.3");
    assert_eq!(
        said.code,
        Some(0),
        "other builds of it have WebAssembly: {said:?}"
    );
    assert!(
        said.out
            .contains("warning: policy.json: the build of Envoy 1.38.3"),
        "{said:?}"
    );

    let report = bench
        .run("check policy.json --envoy-version 1.35.0 --format json")
        .json();
    assert_eq!(report["valid"], false);
    let lacks = report["files"][0]["envoy"].as_array().unwrap();
    assert_eq!((lacks.len(), &lacks[0]["certain"]), (1, &json!(true)));

    for nonsense in ["latest", "1", "1.36.x"] {
        check(nonsense).is_usage(&["not a version of Envoy", "1.36.2-dev"]);
    }
}
