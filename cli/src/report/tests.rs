use std::collections::BTreeSet;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// What hostile callers call their tools.
pub(super) const HOSTILE: [&str; 9] = [
    "</script><script>document.title='owned'</script>",
    "\"><img src=x onerror=\"document.title='owned'\">",
    "'><svg/onload=document.title='owned'>",
    "</style><style>*{display:none}",
    "]]><!--",
    "\u{202e}gnp.exe",
    "a\u{0}b\u{1b}[2J\u{9b}1m",
    "=cmd|' /C calc'!A0",
    "&lt;b&gt;&#x3c;script>",
];

fn record(number: usize) -> Value {
    json!({
        "time": format!("2026-11-20T21:{:02}:{:02}.914Z", number / 60 % 60, number % 60), "status": 200,
        "decision": "allowed", "key": "ada", "team": "eng", "server": "docs", "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "search", "cost_micros": "2000", "result_tokens": "7", "outcome": "ok",
        "call_duration_ms": "20", "mcp.session.id": "s1",
    })
}

fn with(number: usize, members: &[(&str, Value)]) -> Value {
    let mut record = record(number);
    for (name, value) in members {
        record[*name] = value.clone();
    }
    record
}

fn collected<T>(lines: &[Value], policy: Option<&Policy>, then: impl FnOnce(&Report) -> T) -> T {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("access.log");
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let report = Report::collect(&Logs::open(&[path]).unwrap(), policy, None).unwrap();
    then(&report)
}

fn document(lines: &[Value]) -> Value {
    collected(lines, None, Report::to_json)
}

#[test]
fn what_is_counted_is_what_happened() {
    let lines = [
        record(0),
        with(
            1,
            &[
                ("decision", json!("quota")),
                ("outcome", Value::Null),
                ("cost_micros", Value::Null),
            ],
        ),
        with(
            2,
            &[
                ("would_deny", json!("rule")),
                ("key", json!("bob")),
                ("team", Value::Null),
            ],
        ),
        with(
            3,
            &[("outcome", json!("timeout")), ("call_duration_ms", json!("900"))],
        ),
        with(
            4,
            &[
                ("mcp.method.name", json!("tools/list")),
                ("decision", json!("no_key")),
                ("key", Value::Null),
            ],
        ),
        with(5, &[("decision", Value::Null), ("mcp.method.name", Value::Null)]),
    ];
    let said = document(&lines);
    let all = &said["all"];
    let counts = [
        "calls",
        "refused",
        "would_deny",
        "failed",
        "cost_micros",
        "result_tokens",
    ]
    .map(|name| all[name].as_u64().unwrap());
    assert_eq!(counts, [4, 1, 1, 1, 6_000, 28]);
    assert_eq!(said["refused"], json!({ "quota": 1, "no_key": 1 }));
    assert_eq!(said["would_deny"], json!({ "rule": 1 }));
    assert_eq!(said["undecided"], 1);
    assert_eq!(said["methods"], json!({ "tools/call": 4, "tools/list": 1 }));
    let keys = &said["keys"]["named"];
    assert_eq!((&keys[0]["name"], &keys[0]["calls"]), (&json!("ada"), &json!(3)));
    assert_eq!((&keys[1]["name"], &keys[1]["calls"]), (&json!("bob"), &json!(1)));
    assert_eq!(said["teams"]["without_name"]["calls"], 1);
    let tool = &said["tools"]["named"][0];
    assert_eq!(
        (&tool["name"], &tool["outcomes"]),
        (&json!("docs/search"), &json!({ "ok": 2, "timeout": 1 }))
    );
    assert_eq!(tool["times"]["p50_ms"], 20);
    assert_eq!(all["series"]["calls"], json!([1, 1, 1, 1, 0, 0]));
    assert_eq!(said["refusals"][0]["count"], 1);
    let steps = said["traces"][0]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 6);
    assert_eq!(
        (&said["traces"][0]["kind"], &steps[1]["decision"]),
        (&json!("session"), &json!("quota"))
    );
}

#[test]
fn a_trace_that_spans_sessions_is_one() {
    let trace = json!("4bf92f3577b34da6a3ce929d0e0e4736");
    let lines = [
        with(5, &[("trace_id", trace.clone()), ("mcp.session.id", json!("s2"))]),
        with(1, &[("trace_id", trace.clone())]),
        record(2),
    ];
    let said = document(&lines);
    assert_eq!(said["traces_and_sessions"], 2);
    assert_eq!(
        (&said["traces"][0]["id"], &said["traces"][0]["kind"]),
        (&trace, &json!("trace"))
    );
    let times: Vec<_> = said["traces"][0]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["time_ms"].as_i64())
        .collect();
    assert!(times.is_sorted() && times.len() == 2);
}

#[test]
fn a_spike_is_told_with_its_series() {
    let mut lines: Vec<Value> = (0..120).map(record).collect();
    lines.extend((0..60).map(|_| with(77, &[("key", json!("bob")), ("decision", json!("quota"))])));
    let said = document(&lines);
    let spikes = said["spikes"].as_array().unwrap();
    assert!(
        spikes
            .iter()
            .any(|at| at["measure"] == "refused" && at["name"] == "bob"),
        "{spikes:#?}"
    );
    assert_eq!(spikes[0]["spikes"][0]["peak"], 60);
    collected(&lines, None, |report| {
        assert!(report.to_html().contains("60 refused calls"));
    });
}

#[test]
fn grants_that_nobody_needed_are_told() {
    let key = |letter: &str, roles: Value| json!({ "sha256": [letter.repeat(64)], "roles": roles });
    let policy = json!({
        "version": 1,
        "servers": { "docs": { "path": "/docs" } },
        "roles": {
            "reader": { "allow": ["docs/search", "docs/get_*"], "resources": ["docs/file:///srv/*"] },
            "writer": { "allow": ["docs/*"] },
            "idle": { "allow": ["docs/put"] },
            "idler": { "allow": ["docs/*"] },
        },
        "keys": { "ada": key("a", json!(["reader", "idle"])), "bob": key("b", json!(["writer"])), "eve": key("e", json!(["reader"])) },
    });
    let policy = Policy::compile(policy.to_string().as_bytes()).unwrap();
    let lines = [
        record(0),
        with(1, &[("key", json!("bob")), ("gen_ai.tool.name", json!("put"))]),
        // Refused, and let through by shadow mode though a rule refuses it: neither needs a grant.
        with(
            2,
            &[
                ("key", json!("eve")),
                ("gen_ai.tool.name", json!("get_x")),
                ("decision", json!("hidden")),
            ],
        ),
        with(
            3,
            &[
                ("key", json!("eve")),
                ("gen_ai.tool.name", json!("get_x")),
                ("would_deny", json!("rule")),
            ],
        ),
        with(4, &[("key", json!("gone"))]),
    ];
    let unused = collected(&lines, Some(&policy), Report::to_json)["unused"].clone();
    let told: Vec<String> = unused["grants"]
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    assert_eq!(told.len(), 5, "{told:#?}");
    for part in [
        "docs/get_*",
        "docs/file:///srv/*",
        "docs/put",
        "\"eve\"",
        "\"idler\"",
    ] {
        assert!(told.iter().any(|at| at.contains(part)), "{part}: {told:#?}");
    }
    assert_eq!(unused["unknown_keys"], json!(["gone"]));
}

#[test]
fn hostile_names_stay_text_everywhere() {
    let mut lines = Vec::new();
    for (number, name) in HOSTILE.iter().enumerate() {
        let name = json!(name);
        lines.push(with(
            number,
            &[
                ("gen_ai.tool.name", name.clone()),
                ("key", name.clone()),
                ("team", name.clone()),
                ("server", name.clone()),
            ],
        ));
        let everywhere = [
            ("decision", name.clone()),
            ("detail", name.clone()),
            ("mcp.session.id", name.clone()),
            ("arguments", name.clone()),
            ("mcp.method.name", name.clone()),
            ("policy", name.clone()),
        ];
        lines.push(with(number, &everywhere));
        lines.push(with(
            number,
            &[
                ("would_deny", name.clone()),
                ("outcome", name.clone()),
                ("key", json!("x".repeat(256))),
            ],
        ));
    }
    collected(&lines, None, |report| {
        let page = report.to_html();
        // The one style sheet, and nothing that runs.
        assert_eq!(
            (page.matches("<style").count(), page.matches("<script").count()),
            (1, 0)
        );
        assert!(!page.contains("<img") && !page.contains("<svg/"));
        assert!(
            !page.chars().any(|c| c != '\n' && crate::style::steers(c)),
            "nothing hides or turns"
        );
        let table = report.to_csv();
        assert!(table.lines().all(|line| {
            line.split(',')
                .all(|cell| !cell.starts_with(['=', '+', '@', '\t']))
        }));
        assert!(!table.chars().any(|c| c != '\n' && crate::style::steers(c)));
        let text = report.to_json().to_string();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), report.to_json());
    });
}

#[test]
fn logs_of_every_size_make_a_page() {
    for lines in [
        vec![],
        vec![record(0)],
        vec![record(0), with(0, &[("time", json!("2031-01-01T00:00:00Z"))])],
    ] {
        collected(&lines, None, |report| {
            let page = report.to_html();
            assert!(page.ends_with("</html>") && !page.contains("NaN"));
            assert_eq!(page.contains("There is no record in the log."), lines.is_empty());
            assert!(report.to_csv().starts_with("dimension,name"));
        });
    }
}

#[test]
fn memory_is_bounded_whatever_names_there_are() {
    let lines: Vec<Value> = (0..30_000_usize)
        .map(|number| {
            let name = json!(format!("name{number}"));
            with(
                number,
                &[
                    ("gen_ai.tool.name", name.clone()),
                    ("key", name.clone()),
                    ("mcp.session.id", name.clone()),
                    ("decision", json!("hidden")),
                    ("outcome", name.clone()),
                    ("mcp.method.name", json!("tools/call")),
                    ("policy", name),
                ],
            )
        })
        .collect();
    collected(&lines, None, |report| {
        assert_eq!(report.total.counts.calls, 30_000);
        assert!(report.tools.len() <= 2 * tally::KEPT && report.keys.len() <= 2 * tally::KEPT);
        assert!(report.policies.sorted().len() <= 64 && report.policies.total() == 30_000);
        assert!(report.trails.len() <= trails::SHOWN && report.refusals.len() <= 100);
        assert!(report.to_html().len() < 2_000_000);
    });
}

#[test]
fn names_as_long_as_lines_are_kept_short_and_apart() {
    let long = "x".repeat(200_000);
    let names = ["a", "b"].map(|end| format!("{long}{end}"));
    let fields = [
        "gen_ai.tool.name",
        "key",
        "team",
        "server",
        "mcp.method.name",
        "outcome",
        "policy",
        "mcp.session.id",
        "trace_id",
        "would_deny",
        "path",
        "object",
        "decision",
    ];
    let lines: Vec<Value> = fields
        .iter()
        .flat_map(|field| names.iter().map(|name| with(0, &[(field, json!(name))])))
        .collect();
    let report = document(&lines);
    assert!(report.to_string().len() < 100_000, "{}", report.to_string().len());
    for dimension in ["keys", "teams", "tools"] {
        let of_x = |entry: &&Value| entry["name"].as_str().is_some_and(|name| name.contains("xxx"));
        let entries = report[dimension]["named"].as_array().unwrap();
        let most = if dimension == "tools" { 4 } else { 2 };
        assert_eq!(entries.iter().filter(of_x).count(), most, "{dimension}");
    }

    // Each is one name to all parts of the report.
    let steps: Vec<&Value> = report["traces"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|trail| trail["steps"].as_array().unwrap())
        .collect();
    let are = |member: &str| -> BTreeSet<&str> {
        let all = steps.iter().filter_map(|step| step[member].as_str());
        all.filter(|name| name.contains("xxx")).collect()
    };
    let count = |member: &str| are(member).len();
    assert_eq!((count("key"), count("decision"), count("method")), (2, 2, 2));
    for key in are("key") {
        let mut all = report["keys"]["named"].as_array().unwrap().iter();
        assert!(all.any(|entry| entry["name"] == *key), "{key}");
    }
    for tool in are("what").iter().filter(|what| what.contains("docs/x")) {
        let mut all = report["tools"]["named"].as_array().unwrap().iter();
        assert!(all.any(|entry| entry["name"] == **tool), "{tool}");
    }

    // And who asks for one by its whole name finds it.
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("access.log");
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let logs = Logs::open(&[path]).unwrap();
    let report = Report::collect(&logs, None, Some(&names[1])).unwrap();
    let [trail] = report.trails.as_slice() else {
        panic!("{:?}", report.trails)
    };
    assert_eq!((trail.steps.len(), trail.more), (2, 0));
    // As well as by the one that is shown.
    let again = Report::collect(&logs, None, Some(&trail.id)).unwrap();
    assert_eq!(again.trails.len(), 1);
}
