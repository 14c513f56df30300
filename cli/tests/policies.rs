//! The ready-made policies: each compiles, and does what its entry in `policies/README.md` says.

mod common;

use std::path::{Path, PathBuf};

use common::Bench;
use serde_json::{Value, json};

/// What one `toolgate explain` must say.
struct Expectation {
    key: &'static str,
    server: &'static str,
    tool: &'static str,
    arguments: Value,
    decision: &'static str,
    would_deny: Option<&'static str>,
}

fn expect(key: &'static str, tool: &'static str, arguments: Value, decision: &'static str) -> Expectation {
    let (server, tool) = tool.split_once('/').unwrap();
    Expectation {
        key,
        server,
        tool,
        arguments,
        decision,
        would_deny: None,
    }
}

fn shadowed(
    key: &'static str,
    tool: &'static str,
    arguments: Value,
    would_deny: &'static str,
) -> Expectation {
    Expectation {
        would_deny: Some(would_deny),
        ..expect(key, tool, arguments, "allowed")
    }
}

fn holds(policy: &str, expectations: Vec<Expectation>) {
    let bench = Bench::new(&read(policy));
    for expected in expectations {
        let Expectation {
            key,
            server,
            tool,
            arguments,
            ..
        } = &expected;
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": tool, "arguments": arguments } });
        bench.write("request.json", &request.to_string());
        let said = bench.run(&format!(
            "explain --policy policy.json --key {key} --server {server} --request request.json --format json"
        ));
        let told = said.json();
        assert_eq!(
            (told["decision"].as_str(), told["would_deny"].as_str()),
            (Some(expected.decision), expected.would_deny),
            "{policy}: {key} {server}/{tool} {arguments}: {told:#}"
        );
    }
}

#[test]
fn read_only_sql() {
    let sql = |text: &str| json!({ "sql": text });
    let mut expectations = vec![
        expect("catalogue-bot", "sql/list_tables", json!({}), "allowed"),
        expect("catalogue-bot", "sql/execute_query", sql("SELECT 1"), "hidden"),
        expect("analyst", "sql/switch_database_connection", json!({}), "hidden"),
        expect("analyst", "sql/execute_query", json!({}), "schema"),
        expect(
            "analyst",
            "sql/execute_query",
            json!({ "sql": "SELECT 1", "x": 1 }),
            "schema",
        ),
        expect(
            "analyst",
            "sql/execute_query",
            sql(&format!("SELECT {}", "1".repeat(4000))),
            "schema",
        ),
    ];
    for text in ["SELECT 1", " select\n*\nfrom t;\n", "Explain  Select 1"] {
        expectations.push(expect("analyst", "sql/execute_query", sql(text), "allowed"));
    }
    for text in [
        "DROP TABLE t",
        "SELECT 1; DROP TABLE t",
        "selected",
        "/* SELECT */ DELETE FROM t",
        "COPY t TO 'x'",
    ] {
        expectations.push(expect("analyst", "sql/execute_query", sql(text), "schema"));
    }
    holds("read-only-sql.json", expectations);
}

#[test]
fn least_privilege_git() {
    let at = |mut arguments: Value| {
        arguments["path"] = json!("/srv/repos/app");
        arguments
    };
    let mut expectations = vec![
        expect("reviewer", "git/git_log", at(json!({})), "allowed"),
        expect(
            "reviewer",
            "git/git_commit",
            at(json!({ "message": "x" })),
            "hidden",
        ),
        expect(
            "coder",
            "git/git_commit",
            at(json!({ "message": "x" })),
            "allowed",
        ),
        expect(
            "coder",
            "git/git_push",
            at(json!({ "branch": "agent/x" })),
            "hidden",
        ),
        expect(
            "release-bot",
            "git/git_reset",
            at(json!({ "mode": "hard" })),
            "hidden",
        ),
        expect(
            "release-bot",
            "git/git_push",
            at(json!({ "branch": "agent/fix-1" })),
            "allowed",
        ),
    ];
    for arguments in [
        json!({}),
        json!({ "path": "/etc" }),
        json!({ "path": "/srv/repos/../../etc" }),
    ] {
        expectations.push(expect("reviewer", "git/git_log", arguments, "schema"));
    }
    for (name, value) in [("amend", json!(true)), ("noVerify", json!(true))] {
        let arguments = at(json!({ "message": "x", name: value }));
        expectations.push(expect("coder", "git/git_commit", arguments, "schema"));
    }
    for (name, value) in [("mode", "delete"), ("mode", "rename")] {
        expectations.push(expect(
            "coder",
            "git/git_branch",
            at(json!({ name: value })),
            "schema",
        ));
    }
    // A refspec would name another branch on the other side, and a remote may be a URL.
    for (name, value) in [
        ("branch", json!("main")),
        ("branch", json!("agent/x:main")),
        ("branch", json!("+agent/x")),
        ("remoteBranch", json!("main")),
        ("remote", json!("https://elsewhere.example.com/x.git")),
        ("force", json!(true)),
        ("forceWithLease", json!(true)),
        ("delete", json!(true)),
        ("tags", json!(true)),
    ] {
        let mut arguments = at(json!({ "branch": "agent/x" }));
        arguments[name] = value;
        expectations.push(expect("release-bot", "git/git_push", arguments, "schema"));
    }
    holds("least-privilege-git.json", expectations);
}

#[test]
fn shadow_first() {
    let nothing = || json!({});
    holds(
        "shadow-first.json",
        vec![
            expect("search-agent", "docs/search_pages", nothing(), "allowed"),
            shadowed("search-agent", "docs/delete_page", nothing(), "hidden"),
            shadowed("support-agent", "tickets/delete_ticket", nothing(), "hidden"),
            expect("support-agent", "tickets/close_ticket", nothing(), "allowed"),
            expect("reviewed-agent", "docs/search_pages", nothing(), "allowed"),
            expect("reviewed-agent", "docs/delete_page", nothing(), "hidden"),
        ],
    );
}

#[test]
fn usage_limits() {
    let nothing = || json!({});
    holds(
        "usage-limits.json",
        vec![
            expect("support-agent", "search/query", nothing(), "allowed"),
            expect("support-agent", "search/deep_research", nothing(), "hidden"),
            expect("analyst", "search/deep_research", nothing(), "allowed"),
        ],
    );
    let bench = Bench::new(&read("usage-limits.json"));
    let takes = |key: &str, tool: &str| -> Vec<(String, Value)> {
        let request =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool } });
        bench.write("request.json", &request.to_string());
        let said = bench.run(&format!(
            "explain --policy policy.json --key {key} --server search --request request.json --format json"
        ));
        let limits = said.json()["limits"].as_array().unwrap().clone();
        let takes = |limit: &Value| limit.get("cost_micros").unwrap_or(&limit["calls"]).clone();
        limits
            .iter()
            .map(|limit| (limit["pointer"].as_str().unwrap().to_owned(), takes(limit)))
            .collect()
    };
    let expected = |limits: &[(&str, u32)]| -> Vec<(String, Value)> {
        limits
            .iter()
            .map(|(pointer, takes)| ((*pointer).to_owned(), json!(takes)))
            .collect()
    };
    assert_eq!(
        takes("support-agent", "query"),
        expected(&[
            ("/keys/support-agent/quotas/0", 1),
            ("/keys/support-agent/quotas/1", 1),
            ("/teams/support/quotas/0", 1),
            ("/teams/support/budget", 5_000),
            ("/teams/company/budget", 5_000),
        ])
    );
    assert_eq!(
        takes("analyst", "deep_research"),
        expected(&[
            ("/keys/analyst/quotas/0", 1),
            ("/keys/analyst/quotas/1", 1),
            ("/keys/analyst/budget", 500_000),
            ("/teams/company/budget", 500_000),
        ])
    );
    // What is free is counted by quotas only.
    assert_eq!(
        takes("analyst", "list_sources"),
        expected(&[("/keys/analyst/quotas/0", 1)])
    );
    // Nothing that a restart would forget, and nothing in vain.
    let said = bench.run("check policy.json");
    assert!(!said.out.contains("warning"), "{said:?}");
}

#[test]
fn every_policy_is_valid_has_no_key_and_has_an_entry() {
    let entries = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let tests = include_str!("policies.rs");
    let mut seen = 0;
    for file in std::fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_none_or(|extension| extension != "json") || name == "policy.schema.json" {
            continue;
        }
        seen += 1;
        let policy = read(&name);
        let said = Bench::new(&policy).run("check policy.json");
        assert_eq!(said.code, Some(0), "{name}: {said:?}");
        assert!(
            entries.contains(&format!("## {name}\n")),
            "policies/README.md says nothing of {name}"
        );
        assert!(tests.contains(&format!("\"{name}\"")), "no test of {name}");
        // A digest in a file that people copy must be nobody's key: these have no known preimage.
        for (key, entry) in policy["keys"].as_object().unwrap() {
            for digest in entry["sha256"].as_array().unwrap() {
                assert!(
                    digest.as_str().unwrap().starts_with(&"0".repeat(60)),
                    "{name}: {key}"
                );
            }
        }
    }
    assert!(seen >= 3, "found {seen} policies in {}", folder().display());
}

fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
}

#[test]
fn failing_servers() {
    let nothing = || json!({});
    holds(
        "failing-servers.json",
        vec![
            expect("analyst", "sql/run_sql", nothing(), "allowed"),
            expect("analyst", "sql/drop_database", nothing(), "hidden"),
            expect("night-job", "sql/run_sql", nothing(), "no_grant"),
            expect("night-job", "search/query", nothing(), "allowed"),
        ],
    );
    let bench = Bench::new(&read("failing-servers.json"));
    let watched = |key: &str, server: &str, request: Value| -> (Option<String>, Option<String>) {
        bench.write("request.json", &request.to_string());
        let said = bench.run(&format!(
            "explain --policy policy.json --key {key} --server {server} --request request.json --format json"
        ));
        let told = said.json();
        let text = |check: &str| {
            let steps = told["checks"].as_array().unwrap().iter();
            let mut named = steps.filter(|step| step["check"] == check && step["outcome"] != "skipped");
            named.next().map(|step| step["text"].as_str().unwrap().to_owned())
        };
        (text("loop"), text("breaker"))
    };
    let call =
        |tool: &str| json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool } });
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let analyst = "counts against 5 identical calls per 5 minutes, of key \"analyst\"";
    let job = "counts against 3 identical calls per 10 minutes and 200 calls of one run per hour, of key \"night-job\"";
    let search = "opens for 1 minute after 10 failures in a row, or when 30 % of 50 or more calls per minute fail, of search";
    for (key, server, request, loops, breaker) in [
        (
            "analyst",
            "sql",
            call("run_sql"),
            Some(analyst),
            Some(
                "opens for 30 seconds when 50 % of 20 or more calls per minute fail (counting calls over 20 seconds), of \
                 sql/run_sql",
            ),
        ),
        (
            "analyst",
            "sql",
            call("list_tables"),
            Some(analyst),
            Some("opens for 30 seconds after 5 failures in a row, of sql/list_tables"),
        ),
        ("night-job", "search", call("query"), Some(job), Some(search)),
        ("night-job", "search", list.clone(), None, Some(search)),
        ("analyst", "sql", list, None, None),
    ] {
        let (said_loops, said_breaker) = watched(key, server, request);
        assert_eq!(
            (said_loops.as_deref(), said_breaker.as_deref()),
            (loops, breaker),
            "{key} {server}"
        );
    }
}
