//! Breakers, loop guards and sessions: what `explain` says of them, and where the secret of sessions has to be.
#![cfg(unix)]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{Bench, Said, limited, policy};
use serde_json::{Value, json};

const BOTH: &str = "--upstream docs=http://127.0.0.1:3000/mcp --upstream files=http://127.0.0.1:3001/";
const VARIABLE: &str = "TOOLGATE_TEST_SESSION_SECRET";

/// A key with a loop guard, a server with a breaker for each tool, one of which has its own.
fn guarded() -> Value {
    let mut guarded = policy();
    guarded["servers"]["docs"]["breaker"] = json!({ "failures": 5 });
    guarded["servers"]["docs"]["tools"]["search"]["breaker"] =
        json!({ "ratio": 0.5, "minCalls": 10, "open": "10s", "slow": "2s", "countToolErrors": true });
    guarded["servers"]["files"]["breaker"] = json!({ "each": "server", "failures": 3 });
    guarded["keys"]["ada"]["loops"] =
        json!({ "identicalCalls": 3, "per": "1m", "anyCall": { "limit": 20, "per": "10m" } });
    guarded
}

fn with_secret_env(mut policy: Value) -> Value {
    policy["sessions"] = json!({ "secretEnv": VARIABLE });
    policy
}

fn explain(bench: &Bench, key: &str, server: &str, request: &Value, format: &str) -> Said {
    bench.write("request.json", &request.to_string());
    bench.run(&format!(
        "explain --policy policy.json --key {key} --server {server} --request request.json --format {format}"
    ))
}

fn call(tool: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": tool } })
}

/// What is said of a check.
fn step<'a>(said: &'a Value, check: &str) -> Option<(&'a str, &'a str)> {
    let checks = said["checks"].as_array().unwrap();
    let found = checks.iter().find(|step| step["check"] == check)?;
    Some((
        found["outcome"].as_str().unwrap(),
        found["text"].as_str().unwrap(),
    ))
}

#[test]
fn explain_names_the_loop_guard_and_the_breaker_of_a_call() {
    let bench = Bench::new(&guarded());
    let said = explain(&bench, "ada", "docs", &call("export"), "text");
    let expected = "  \
  • loop      counts against 3 identical calls per minute and 20 calls of one run per 10 minutes, of key \"ada\"
  - schema    does not apply
  • breaker   opens for 30 seconds after 5 failures in a row, of docs/export
  what is left of a limit, and whether a breaker is open, is known where calls are made
";
    assert!(
        said.code == Some(0) && said.out.ends_with(expected),
        "{}",
        said.out
    );

    // A tool's own breaker takes the place of the server's.
    let said = explain(&bench, "ada", "docs", &call("search"), "json").json();
    assert_eq!(
        step(&said, "breaker"),
        Some((
            "watched",
            "opens for 10 seconds when 50 % of 10 or more calls per 30 seconds fail (counting calls over 2 seconds and \
             isError), of docs/search"
        ))
    );
    assert_eq!(step(&said, "loop").unwrap().0, "counted");
    assert_eq!(said["limits"], json!([]), "neither is a quota or a budget");

    // One that watches the server watches every request.
    let list = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list" });
    for request in [call("read"), list.clone()] {
        let said = explain(&bench, "bob", "files", &request, "json").json();
        let (outcome, text) = step(&said, "breaker").unwrap();
        assert_eq!(
            (outcome, text),
            (
                "watched",
                "opens for 30 seconds after 3 failures in a row, of files"
            )
        );
        assert_eq!(
            step(&said, "loop"),
            Some(("skipped", "does not apply")),
            "bob has no guard"
        );
    }
    let said = explain(&bench, "ada", "docs", &list, "json").json();
    assert_eq!(
        step(&said, "breaker"),
        None,
        "the tools' breakers watch calls only"
    );
    assert_eq!(step(&said, "loop"), Some(("skipped", "does not apply")));
}

#[test]
fn what_a_call_does_not_come_to_is_not_named() {
    let bench = Bench::new(&guarded());
    let said = explain(&bench, "ada", "docs", &call("drop_table"), "json").json();
    assert_eq!((step(&said, "loop"), step(&said, "breaker")), (None, None));
    let said = explain(&bench, "old", "docs", &call("search"), "json").json();
    assert_eq!(step(&said, "breaker"), None);

    // What only shadow mode lets through counts nowhere.
    let mut shadow = guarded();
    shadow["keys"]["ada"]["mode"] = json!("shadow");
    let said = explain(&Bench::new(&shadow), "ada", "docs", &call("drop_table"), "json").json();
    assert_eq!(said["would_deny"], "hidden");
    assert_eq!((step(&said, "loop"), step(&said, "breaker")), (None, None));
}

#[test]
fn explain_says_what_it_cannot_know() {
    let mut only_limits = limited();
    only_limits["sessions"] = json!({ "secretEnv": VARIABLE });
    let mut only_breaker = guarded();
    only_breaker["keys"]["ada"]
        .as_object_mut()
        .unwrap()
        .remove("loops");
    for (policy, unknown) in [
        (
            only_limits,
            Some("what is left of a limit is known where calls are made"),
        ),
        (
            only_breaker,
            Some("whether a breaker is open is known where calls are made"),
        ),
        (policy(), None),
    ] {
        let said = explain(&Bench::new(&policy), "ada", "docs", &call("search"), "text");
        match unknown {
            Some(unknown) => assert!(said.out.contains(&format!("  {unknown}\n")), "{}", said.out),
            None => assert!(!said.out.contains("is known where"), "{}", said.out),
        }
    }
}

#[test]
fn the_filter_sees_the_variable_that_sessions_name_and_no_other() {
    let environment = |policy: &Value| {
        let bootstrap = Bench::new(policy).bootstrap(BOTH);
        let manager = &bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
        let filters = manager["typed_config"]["http_filters"]
            .as_array()
            .unwrap()
            .clone();
        let filter = filters
            .into_iter()
            .find(|filter| filter["name"] == "toolgate")
            .unwrap();
        filter["typed_config"]["config"]["vm_config"]["environment_variables"].clone()
    };
    assert_eq!(
        environment(&with_secret_env(policy())),
        json!({ "host_env_keys": [VARIABLE] })
    );
    assert_eq!(environment(&policy()), Value::Null);
}

#[test]
fn run_wants_the_secret_before_it_starts_envoy() {
    let bench = Bench::new(&with_secret_env(policy()));
    let script = bench.write(
        "envoy",
        "#!/bin/sh\necho \"$TOOLGATE_TEST_SESSION_SECRET\" >&2; exit 1\n",
    );
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let run = |secret: Option<&str>| -> Said {
        let mut command = bench.command(&format!(
            "run --policy policy.json --wasm toolgate.wasm --envoy ./envoy {BOTH}"
        ));
        match secret {
            Some(secret) => command.env(VARIABLE, secret),
            None => command.env_remove(VARIABLE),
        };
        command.output().unwrap().into()
    };
    let long = "0123456789abcdef0123456789abcdef";
    let with_short_old = format!("{long},hunter2");
    for (secret, why) in [
        (None, "is not set"),
        (Some(""), "is empty"),
        (Some("hunter2"), "has 7 bytes; it needs at least 32"),
        (Some(with_short_old.as_str()), "after the comma has 7 bytes"),
    ] {
        let said = run(secret);
        said.is_usage(&[VARIABLE, why, "openssl rand -base64 32"]);
        assert!(
            !said.err.contains("hunter2") && !said.err.contains(long),
            "{said:?}"
        );
    }
    let said = run(Some(long));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains(&format!("envoy: {long}")),
        "Envoy inherits it: {said:?}"
    );
}

#[test]
fn render_warns_of_a_secret_that_is_not_here() {
    let bench = Bench::new(&with_secret_env(policy()));
    let render = |secret: Option<&str>| -> Said {
        let mut command = bench.command(&format!(
            "render envoy --policy policy.json --wasm toolgate.wasm --listen 127.0.0.1:1 --admin 127.0.0.1:2 {BOTH}"
        ));
        match secret {
            Some(secret) => command.env(VARIABLE, secret),
            None => command.env_remove(VARIABLE),
        };
        command.output().unwrap().into()
    };
    for (secret, why) in [(None, "is not set"), (Some("hunter2"), "has 7 bytes")] {
        let said = render(secret);
        assert_eq!(said.code, Some(0), "Envoy may run elsewhere: {said:?}");
        assert!(
            said.err.contains("warning: ") && said.err.contains(why),
            "{said:?}"
        );
        assert!(!said.err.contains("hunter2"), "{said:?}");
    }
    let secret = "0123456789abcdef0123456789abcdef";
    let said = render(Some(secret));
    assert_eq!(said.err, "");
    assert!(
        !said.out.contains(secret),
        "the bootstrap names the variable only"
    );
}

#[test]
fn histograms_have_buckets_that_suit_them() {
    let bootstrap = Bench::new(&policy()).bootstrap(BOTH);
    let settings = bootstrap["stats_config"]["histogram_bucket_settings"]
        .as_array()
        .unwrap();
    let buckets = |name: &str| -> Vec<u64> {
        let prefix = format!("wasmcustom.{name}");
        let setting = settings
            .iter()
            .find(|setting| setting["match"]["prefix"] == prefix)
            .unwrap();
        let buckets = setting["buckets"].as_array().unwrap();
        buckets.iter().map(|bound| bound.as_u64().unwrap()).collect()
    };
    let (bytes, millis) = (
        buckets("toolgate_result_bytes"),
        buckets("toolgate_call_duration_ms"),
    );
    assert_eq!((bytes[0], bytes[bytes.len() - 1]), (256, 64 << 20));
    assert_eq!((millis[0], millis[millis.len() - 1]), (1, 300_000));
    assert!(bytes.is_sorted() && millis.is_sorted());
}
