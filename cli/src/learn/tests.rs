mod denied;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use toolgate_engine::binding::Secrets;
use toolgate_engine::exchange::{Engine, UnixNanos, explain};
use toolgate_engine::reason::Reason;
use toolgate_engine::store::MemoryStore;

use super::{Kind, Learned, Observed, Unused, draft, narrowed, unused};
use crate::log::Logs;
use crate::policy_file::{Part, PolicyFile};

/// What Envoy wrote while `examples/demo` ran.
const DEMO_LOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/demo/access.jsonl");
const DEMO_POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/demo/policy.json");

#[test]
fn what_the_demo_did_passes_the_learned_policy_and_nothing_else_does() {
    let mut observed = Observed::default();
    let logs = Logs::open(&[PathBuf::from(DEMO_LOG)]).unwrap();
    logs.read(|record, _| observed.take(record)).unwrap();
    assert!(observed.counted > 20, "{observed:?}");
    let base = PolicyFile::load(&[PathBuf::from(DEMO_POLICY)]).unwrap();
    replays(&observed, &draft(&observed));
    replays(&observed, &narrowed(&base, &observed));

    let gone = unused(&base.policy, &observed);
    let pattern = |pattern: &str| Unused::Grant {
        role: "reader".to_owned(),
        list: "allow",
        pattern: pattern.to_owned(),
    };
    assert!(gone.contains(&pattern("everything/test_simple_text")), "{gone:?}");
    assert!(
        !gone.contains(&pattern("everything/test_tool_with_progress")),
        "{gone:?}"
    );
}

#[test]
fn keys_that_use_the_same_share_a_role_with_a_stable_name() {
    let observed = seen(&[
        call("eve", "docs", "a"),
        call("bob", "docs", "b"),
        call("ada", "docs", "b"),
        call("ada", "docs", "b"),
        json!({ "key": "eve", "server": "docs", "mcp.method.name": "resources/read", "object": "file:///x" }),
        json!({ "key": "eve", "server": "docs", "mcp.method.name": "prompts/get", "object": "p q" }),
        // Only looked around.
        json!({ "key": "idle", "server": "docs", "mcp.method.name": "tools/list" }),
    ]);
    let learned = parsed(&draft(&observed));
    assert_eq!(
        learned["roles"],
        json!({
            "ada+bob": { "allow": ["docs/b"] },
            "eve": { "allow": ["docs/a"], "resources": ["docs/file:///x"], "prompts": ["docs/p q"] },
        })
    );
    assert_eq!(learned["keys"]["bob"]["roles"], json!(["ada+bob"]));
    assert_eq!(learned["keys"]["idle"]["roles"], json!([]));
    assert_eq!(
        learned["servers"]["docs"]["methods"],
        json!(["prompts/get", "resources/read", "tools/call", "tools/list"])
    );

    let many = seen(&["a", "b", "c", "d"].map(|key| call(key, "docs", "x")));
    let learned = parsed(&draft(&many));
    assert_eq!(learned["roles"], json!({ "a+3": { "allow": ["docs/x"] } }));
    // A key may be called what a role would be.
    let odd = seen(&[
        call("a", "docs", "x"),
        call("b", "docs", "x"),
        call("a+b", "docs", "y"),
    ]);
    let learned = parsed(&draft(&odd));
    assert_eq!(
        learned["roles"],
        json!({ "a+b": { "allow": ["docs/x"] }, "a+b~2": { "allow": ["docs/y"] } })
    );
    replays(&odd, &draft(&odd));
}

#[test]
fn only_missing_grants_count_of_what_shadow_mode_let_through() {
    let with = |mut record: Value, member: &str, value: &str| {
        record[member] = json!(value);
        record
    };
    let observed = seen(&[
        with(call("k", "docs", "hidden"), "would_deny", "hidden"),
        with(call("k", "docs", "ungranted"), "would_deny", "no_grant"),
        with(call("k", "docs", "method"), "would_deny", "method"),
        with(call("k", "docs", "schema"), "would_deny", "schema"),
        with(call("k", "docs", "quota"), "would_deny", "quota"),
        with(call("k", "docs", "refused"), "decision", "hidden"),
        // Nobody answered.
        with(call("k", "docs", "unknown"), "decision", ""),
    ]);
    let used: Vec<&str> = observed.keys["k"].uses.iter().map(|used| &*used.name).collect();
    assert_eq!(used, ["hidden", "method", "ungranted"]);
    let refused: Vec<(&str, bool)> = observed
        .refused
        .keys()
        .map(|refused| (&*refused.object, refused.shadow))
        .collect();
    assert_eq!(refused, [("quota", true), ("refused", false), ("schema", true)]);
}

#[test]
fn hostile_names_widen_nothing() {
    let long = "x".repeat(300);
    let cut = format!("{}…", "x".repeat(256));
    let names = ["*", "a*b", " padded", "", "a\u{7}b", &long, &cut];
    let mut records: Vec<Value> = names.map(|name| call("k", "docs", name)).into();
    records.push(call("k", "docs", "a/../\"'\u{202e}✓"));
    records.push(call("k*", "docs", "fine"));
    records.push(call("k", "do*s", "x"));
    records.push(call("k", "d/s", "x"));
    records.push(call("k\n", "docs", "x"));
    records.push(json!({ "key": "k", "server": "docs", "mcp.method.name": "x/*" }));
    records.push(json!({ "key": "k", "server": "docs", "mcp.method.name": "resources/read", "object": "file:///a/../b" }));
    records.push(json!({ "key": "k", "server": "docs", "mcp.method.name": "subscriptions/listen" }));
    let observed = seen(&records);
    assert_eq!(
        observed.left_out.values().sum::<u64>(),
        13,
        "{:?}",
        observed.left_out
    );
    let learned = parsed(&draft(&observed));
    assert_eq!(
        learned["roles"],
        json!({ "k": { "allow": ["docs/a/../\"'\u{202e}✓"] }, "k*": { "allow": ["docs/fine"] } })
    );
    assert_eq!(
        learned["servers"]["docs"]["methods"],
        json!(["resources/read", "subscriptions/listen", "tools/call"])
    );
    replays(&observed, &draft(&observed));
}

#[test]
fn made_up_names_end() {
    let mut observed = Observed::default();
    for number in 0..101_000 {
        let line = line(&call("k", "docs", &format!("t{number}")));
        observed.take(&crate::log::Record::parse(line.as_bytes()).unwrap());
    }
    assert_eq!(observed.keys["k"].uses.len(), 100_000);
    assert_eq!(observed.left_out.len() as u64 + observed.untold, 1_000);
    // And it is a policy.
    parsed(&draft(&observed));
}

#[test]
fn lines_in_any_order_and_half_of_them_say_the_same() {
    let directory = tempfile::TempDir::new().unwrap();
    let read = |lines: &[String]| {
        let path = directory.path().join("log");
        std::fs::write(&path, lines.join("\n")).unwrap();
        let mut observed = Observed::default();
        let summary = Logs::open(&[path])
            .unwrap()
            .read(|record, _| observed.take(record))
            .unwrap();
        (observed, summary.damaged.lines)
    };
    let mut lines: Vec<String> = (0..20_u32)
        .map(|n| {
            let mut record = call(&format!("k{}", n % 3), "docs", &format!("t{}", n % 5));
            record["time"] = json!(format!("2026-11-20T21:24:{:02}Z", 59 - n));
            record
        })
        .map(|record| line(&record))
        .collect();
    let (before, damaged) = read(&lines);
    assert_eq!(damaged, 0);
    lines.reverse();
    lines.swap(3, 11);
    lines.insert(4, r#"{"time":"2026-11-20T21:2"#.to_owned());
    lines.insert(9, "garbage".to_owned());
    let (after, damaged) = read(&lines);
    assert_eq!(damaged, 2);
    assert_eq!(before.span, after.span);
    assert_eq!(draft(&before).text, draft(&after).text);
}

#[test]
fn narrowing_keeps_everything_but_grants() {
    let base = file(
        r#"{ "version": 1, "mode": "shadow", "limits": { "depth": 12 },
          "servers": { "docs": { "path": "/docs", "cost": 0.100000 }, "files": { "path": "/files" } },
          "roles": { "reader": { "allow": ["docs/*"], "prompts": ["docs/*"] }, "nobody": { "allow": ["files/*"] },
                     "both": { "allow": ["docs/a"] } },
          "teams": { "t": { "budget": { "limit": 1000000.000001, "per": "day" } } },
          "keys": {
            "z": { "sha256": ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"], "roles": ["reader"],
                   "team": "t", "quotas": [{ "limit": 10, "per": "minute" }] },
            "y": { "sha256": ["baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"], "roles": ["both"] },
            "x": { "sha256": ["caaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"], "roles": ["both"] } } }"#,
    );
    let observed = seen(&[
        call("z", "docs", "a"),
        call("y", "docs", "b"),
        call("stranger", "docs", "c"),
    ]);
    let learned = narrowed(&base, &observed);
    for kept in [
        "\"cost\": 0.100000",
        "1000000.000001",
        "\"mode\": \"shadow\"",
        "\"limits\": { \"depth\": 12 }",
        "\"quotas\": [{ \"limit\": 10, \"per\": \"minute\" }]",
    ] {
        assert!(learned.text.contains(kept), "{kept}: {}", learned.text);
    }
    let policy = parsed(&learned);
    // The role that is one key's alone keeps its name; of a shared one, each key gets what it used.
    assert_eq!(
        policy["roles"],
        json!({ "reader": { "allow": ["docs/a"] }, "y": { "allow": ["docs/b"] } })
    );
    assert_eq!(policy["keys"]["x"]["roles"], json!([]));
    assert_eq!(policy["servers"]["files"]["methods"], json!([]));
    assert_eq!(
        learned.notes,
        ["the log has a key \"stranger\", which the policy has not"]
    );
    let gone = serde_json::to_value(unused(&base.policy, &observed)).unwrap();
    assert_eq!(
        gone,
        json!([
            { "what": "key", "key": "x", "seen": false },
            // Only x and y have it, and neither used it.
            { "what": "grant", "role": "both", "list": "allow", "pattern": "docs/a" },
            { "what": "role", "role": "nobody" },
            { "what": "grant", "role": "reader", "list": "prompts", "pattern": "docs/*" },
        ])
    );
}

#[test]
fn servers_on_one_path_are_told_apart() {
    let at = |server: &str| {
        let mut record = call("k", server, "x");
        record["path"] = json!("/mcp");
        record
    };
    let learned = draft(&seen(&[at("a"), at("b"), call("k", "c", "x")]));
    let policy = parsed(&learned);
    assert_eq!(policy["servers"]["a"]["path"], "/mcp");
    assert_eq!(policy["servers"]["b"]["host"], "server-1.invalid");
    assert_eq!(policy["servers"]["c"]["path"], "/c/mcp");
    assert_eq!(learned.fill_in, ["/keys/k/sha256", "/servers/b/host"]);
}

/// Every use passes, and no other key, server or tool that anybody names.
fn replays(observed: &Observed, learned: &Learned) {
    let file = file(&learned.text);
    let engine = Engine::new(file.policy, Secrets::random([0; 32]));
    let policy = engine.policy();
    let mut names: BTreeSet<(&str, &str)> = BTreeSet::new();
    for used in observed.keys.values().flat_map(|seen| &seen.uses) {
        names.insert((&used.server, &used.name));
        names.insert((&used.server, "nobody_used_this"));
    }
    for (key, seen) in &observed.keys {
        let id = policy.key_by_name(key).unwrap();
        for (server, name) in &names {
            let used = |kind: Kind| {
                let mut uses = seen.uses.iter();
                uses.any(|used| used.kind == kind && used.server == *server && used.name == *name)
            };
            for (kind, method, params) in [
                (
                    Kind::Tool,
                    "tools/call",
                    json!({ "name": name, "arguments": { "sql": "select 1" } }),
                ),
                (Kind::Prompt, "prompts/get", json!({ "name": name })),
                (Kind::Resource, "resources/read", json!({ "uri": name })),
            ] {
                let body =
                    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
                let server = policy.server_by_name(server).unwrap();
                let (store, now) = (MemoryStore::new(), UnixNanos(1_800_000_000_000_000_000));
                let explained = explain(&engine, id, server, Some(body.as_bytes()), &store, now);
                let reason = explained.would_deny.unwrap_or(explained.decision);
                let granted = !matches!(
                    reason,
                    Reason::NoGrant | Reason::Hidden | Reason::Method | Reason::Malformed
                );
                assert_eq!(
                    granted,
                    used(kind),
                    "{key} {method} {name:?}: {reason}\n{}",
                    learned.text
                );
            }
        }
    }
}

fn call(key: &str, server: &str, tool: &str) -> Value {
    json!({ "key": key, "server": server, "mcp.method.name": "tools/call", "gen_ai.tool.name": tool })
}

/// A line with what every record has.
fn line(record: &Value) -> String {
    let mut line = json!({ "time": "2026-11-20T21:24:09.914Z", "decision": "allowed" });
    for (name, value) in record.as_object().unwrap() {
        line[name] = value.clone();
    }
    line.to_string()
}

fn seen(records: &[Value]) -> Observed {
    let mut observed = Observed::default();
    for record in records {
        let line = line(record);
        observed.take(&crate::log::Record::parse(line.as_bytes()).unwrap());
    }
    observed
}

fn file(text: &str) -> PolicyFile {
    let part = Part {
        path: PathBuf::from("p.json"),
        text: text.as_bytes().to_vec(),
    };
    PolicyFile::of(&[part]).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

/// The document, which must be a policy.
fn parsed(learned: &Learned) -> Value {
    file(&learned.text);
    serde_json::from_str(&learned.text).unwrap()
}
