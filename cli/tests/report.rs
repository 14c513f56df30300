//! `report` and `audit verify`: what they say, what they write, and how they exit.

mod common;

use common::{Bench, policy};
use serde_json::json;

fn line(second: u32, tool: &str) -> String {
    let record = json!({
        "time": format!("2026-11-20T21:24:{second:02}.914Z"), "status": 200, "decision": "allowed", "key": "ada",
        "team": "eng", "server": "docs", "mcp.method.name": "tools/call", "gen_ai.tool.name": tool,
        "cost_micros": "2000", "outcome": "ok", "call_duration_ms": "20", "mcp.session.id": "s1",
    });
    format!("{record}\n")
}

fn bench() -> Bench {
    let bench = Bench::new(&policy());
    bench.write(
        "access.log",
        &format!("{}{}", line(1, "search"), line(2, "search")),
    );
    bench
}

#[test]
fn a_page_is_written_whole_and_says_nothing() {
    let bench = bench();
    bench.write("report.html", "of yesterday");
    let said = bench.run("report access.log -o report.html");
    assert_eq!(
        (said.code, said.out.as_str(), said.err.as_str()),
        (Some(0), "", "")
    );
    let page = std::fs::read_to_string(bench.path("report.html")).unwrap();
    assert!(
        page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>") && page.contains("docs/<wbr>search")
    );
    let left = std::fs::read_dir(bench.path("")).unwrap();
    let left = left.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with(".toolgate")
    });
    assert_eq!(left.count(), 0);
    // Where nobody asked for a file, it is the output.
    assert_eq!(bench.run("report access.log").out, page);
}

#[test]
fn a_report_that_cannot_be_written_leaves_the_old_one() {
    let bench = bench();
    bench
        .run("report access.log -o no/report.html")
        .is_usage(&["cannot write no/report.html"]);
    bench
        .run("report no.log -o report.html")
        .is_usage(&["cannot read the log no.log"]);
    bench.run("report access.log -o .").is_usage(&["cannot write ."]);
    assert!(!bench.path("report.html").exists());
}

#[cfg(unix)]
#[test]
fn a_link_leads_to_the_report_and_stays() {
    let bench = bench();
    bench.write("real.html", "of yesterday");
    std::os::unix::fs::symlink("real.html", bench.path("report.html")).unwrap();
    assert_eq!(bench.run("report access.log -o report.html").code, Some(0));
    assert!(
        std::fs::symlink_metadata(bench.path("report.html"))
            .unwrap()
            .is_symlink()
    );
    assert!(
        std::fs::read_to_string(bench.path("real.html"))
            .unwrap()
            .starts_with("<!DOCTYPE")
    );
}

#[test]
fn programs_and_spreadsheets_get_the_same_numbers() {
    let bench = bench();
    let said = bench
        .run("report access.log --format json --policy policy.json")
        .json();
    assert_eq!(
        (&said["all"]["calls"], &said["all"]["cost_micros"]),
        (&json!(2), &json!(4000))
    );
    assert_eq!(
        said["unused"]["grants"][0],
        json!({ "what": "key", "key": "bob", "seen": false })
    );
    let said = bench.run("report access.log --format csv");
    let rows: Vec<&str> = said.out.lines().collect();
    assert_eq!(rows[1], "all,,2,0,0,0,4000,0,20,20,20");
    assert!(
        rows.contains(&"tool,docs/search,2,0,0,0,4000,0,20,20,20"),
        "{rows:?}"
    );
}

#[test]
fn one_trace_can_be_asked_for() {
    let bench = bench();
    let said = bench.run("report access.log --format json --trace s1").json();
    assert_eq!(said["traces"][0]["steps"].as_array().unwrap().len(), 2);
    let said = bench.run("report access.log -o report.html --trace s2");
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains("no record of trace or session \"s2\""),
        "{}",
        said.err
    );
}

#[test]
fn damaged_lines_are_told_and_not_fatal() {
    let bench = bench();
    bench.write(
        "damaged.log",
        &format!("{}{{\"time\u{1b}[2J\n", line(3, "search")),
    );
    let said = bench.run("report access.log damaged.log -o report.html");
    assert_eq!(said.code, Some(0));
    assert_eq!(
        said.err,
        "warning: 1 damaged line, not counted:\ndamaged.log:2: not JSON at byte 7: control character (\\u0000-\\u001F) \
         found while parsing a string\n"
    );
}

#[test]
fn audit_says_whole_or_not() {
    let bench = bench();
    // Calls of a session that could be in a chain, and are not.
    let said = bench.run("audit verify access.log");
    assert_eq!(said.code, Some(1));
    assert!(
        said.out
            .contains("not chained: 0 records in 0 chains, 2 in no chain"),
        "{}",
        said.out
    );
    bench.write("empty.log", "");
    let said = bench.run("audit verify empty.log --format json");
    assert_eq!((said.code, &said.json()["whole"]), (Some(0), &json!(true)));
    bench
        .run("audit verify no.log")
        .is_usage(&["cannot read the log no.log"]);
    bench.run("audit verify").is_usage(&["<LOG>"]);
}

/// As `docs/report.md` shows it.
#[test]
fn audit_says_which_line_is_missing_and_which_was_edited() {
    let bench = bench();
    let log = include_str!("../../examples/outage/access.jsonl");
    let mut lines: Vec<String> = log.lines().map(str::to_owned).collect();
    lines[11] = lines[11].replace("\"find_part\"", "\"list_parts\"");
    lines.remove(7);
    bench.write("access.log", &lines.join("\n"));
    let said = bench.run("audit verify access.log");
    let page = include_str!("../../docs/report.md");
    assert_eq!(said.code, Some(1));
    assert!(
        said.out.lines().count() == 3 && page.contains(&said.out),
        "{}",
        said.out
    );
    let said = bench.run("audit verify access.log --format json").json();
    assert_eq!((&said["whole"], &said["found"]), (&json!(false), &json!(2)));
    assert_eq!(
        (&said["findings"][0]["kind"], &said["findings"][1]["place"]),
        (&json!("missing"), &json!("access.log:11"))
    );
}
