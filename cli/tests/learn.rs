//! `learn`: from a real log to a policy that `check` accepts.

mod common;

use std::path::Path;

use common::{Bench, policy};
use serde_json::json;

/// The log of a run of `examples/demo`, and its policy.
fn bench() -> Bench {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bench = Bench::new(&policy());
    std::fs::copy(
        here.join("../examples/demo/access.jsonl"),
        bench.path("access.jsonl"),
    )
    .unwrap();
    std::fs::copy(here.join("../examples/demo/policy.json"), bench.path("demo.json")).unwrap();
    bench
}

#[test]
fn a_log_becomes_a_policy_that_check_accepts() {
    let bench = bench();
    let said = bench.run("learn access.jsonl");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        said.json()["roles"]["analyst"],
        json!({ "allow": ["sql/execute_query"] })
    );
    for part in [
        "learned from 48 of 58 records, 2026-11-21T07:37:43.862Z to 2026-11-21T07:37:48.846Z: 3 keys\n",
        "not taken tools/call of reader to everything, \"test_error_handling\": refused, hidden  2 ×\n",
        "not taken request of analyst to everything: refused, no_grant  2 ×\n",
        "fill in   /keys/reader/sha256\n",
    ] {
        assert!(said.err.contains(part), "{part}: {said:?}");
    }
    bench.write("learned.json", &said.out);
    let said = bench.run("check learned.json");
    assert_eq!(said.code, Some(0), "{said:?}");

    let said = bench.run("learn access.jsonl --policy demo.json -o learned.json");
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{said:?}");
    for part in [
        "unused    role \"reader\": allow \"everything/test_simple_text\"\n",
        "unused    tool sql/list_tables: nobody called it\n",
    ] {
        assert!(said.err.contains(part), "{part}: {said:?}");
    }
    assert_eq!(bench.run("check learned.json").code, Some(0));
    let said = bench.run("diff demo.json learned.json --format json");
    let report = said.json();
    let wider: Vec<_> = report["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|change| change["effect"] == "wider")
        .map(|change| (change["name"].as_str(), change["what"].as_str().unwrap()))
        .collect();
    // The key in shadow mode gets what it used without a grant.
    assert_eq!(wider.len(), 1, "{wider:?}");
    assert_eq!(wider[0].0, Some("trial"));
    assert!(
        wider[0]
            .1
            .starts_with("gains everything/test_multiple_content_types once it is enforced")
    );
}

#[test]
fn programs_read_all_of_it_as_json() {
    let bench = bench();
    let report = bench
        .run("learn access.jsonl --policy demo.json --format json")
        .json();
    assert_eq!(report["span"]["from"], "2026-11-21T07:37:43.862Z");
    assert_eq!(report["policy"]["keys"]["trial"]["mode"], "shadow");
    assert_eq!(report["keys"][0]["key"], "analyst");
    assert_eq!(
        report["keys"][0]["uses"],
        json!([{ "server": "sql", "kind": "tool", "name": "execute_query" }])
    );
    assert_eq!(report["refused"][1]["count"], 4);
    assert!(report["unused"].as_array().unwrap().len() >= 3, "{report}");

    let report = bench
        .run("learn access.jsonl --format json -o learned.json")
        .json();
    assert!(report.get("policy").is_none(), "it went to the file");
    assert_eq!(report["fill_in"].as_array().unwrap().len(), 3);
}

#[test]
fn a_noted_deny_is_told_and_not_granted() {
    let bench = bench();
    let record = json!({
        "time": "2026-11-21T07:37:43Z", "decision": "allowed", "would_deny": "hidden", "key": "trial",
        "server": "everything", "mcp.method.name": "tools/call", "gen_ai.tool.name": "test_audio_content",
        "detail": "\"test_audio_content\": denied by \"everything/test_audio_*\" of role \"reader\"",
    });
    bench.write("denied.jsonl", &format!("{record}\n"));
    let said = bench.run("learn denied.jsonl --policy demo.json");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.err.contains(
            "not taken tools/call of trial to everything, \"test_audio_content\": would be refused, hidden: denied by \
             \"everything/test_audio_*\" of role \"reader\"  1 ×\n"
        ),
        "{said:?}"
    );
    let denied = json!(["everything/test_audio_*"]);
    assert_eq!(said.json()["roles"], json!({ "reader": { "deny": denied } }));
}

#[test]
fn names_as_long_as_lines_are_told_short_and_never_learned() {
    let bench = bench();
    let fields = [
        "path",
        "key",
        "server",
        "mcp.method.name",
        "gen_ai.tool.name",
        "decision",
        "would_deny",
    ];
    let lines = fields.iter().flat_map(|field| {
        ["a", "b"].map(|end| {
            let mut record = json!({
                "time": "2026-11-20T21:24:09.914Z", "decision": "allowed", "key": "k", "server": "s", "path": "/p",
                "mcp.method.name": "tools/call", "gen_ai.tool.name": "t",
            });
            record[field] = json!(format!("/{}{end}", "x".repeat(100_000)));
            record.to_string() + "\n"
        })
    });
    bench.write("long.jsonl", &lines.collect::<String>());
    let report = bench.run("learn long.jsonl --format json").json();
    assert!(report.to_string().len() < 20_000, "{report}");
    assert_eq!(
        report["policy"]["servers"],
        json!({ "s": { "path": "/p", "methods": ["tools/call"] } })
    );
    assert_eq!(report["policy"]["roles"], json!({ "k": { "allow": ["s/t"] } }));
    // Keys, servers, methods and tools; two of each.
    assert_eq!(report["left_out"].as_array().unwrap().len(), 8, "{report}");
    assert_eq!(report["refused"].as_array().unwrap().len(), 4, "{report}");
}

#[test]
fn what_cannot_be_learned_from_is_said() {
    let bench = bench();
    bench.run("learn").is_usage(&["<LOG>"]);
    bench.run("learn nowhere.jsonl").is_usage(&["nowhere.jsonl"]);
    bench
        .run("learn access.jsonl --policy nowhere.json")
        .is_usage(&["nowhere.json"]);
    bench
        .run("learn access.jsonl -o no/such/directory")
        .is_usage(&["cannot write no/such/directory"]);

    bench.write("empty.jsonl", "{\"half\":\nnot a record\n");
    let said = bench.run("learn empty.jsonl");
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    assert!(
        said.err.contains("nothing to learn from: none of 0 records"),
        "{said:?}"
    );

    // Half a line, at the end of a log that was cut.
    let log = std::fs::read_to_string(bench.path("access.jsonl")).unwrap();
    bench.write("cut.jsonl", &log[..log.len() - 100]);
    let said = bench.run("learn cut.jsonl");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.err.contains("damaged") && said.err.contains("cut.jsonl:58"),
        "{said:?}"
    );
}

#[test]
fn names_off_the_wire_cannot_steer_the_terminal() {
    let bench = bench();
    let record = json!({
        "time": "2026-11-20T21:24:09.914Z", "decision": "hidden", "key": "k", "server": "s",
        "mcp.method.name": "tools/call", "gen_ai.tool.name": "a\u{1b}[2J\u{202e}b",
    });
    let used = json!({
        "time": "2026-11-20T21:24:09.914Z", "decision": "allowed", "key": "k", "server": "s",
        "mcp.method.name": "tools/call", "gen_ai.tool.name": "\u{1b}[2J",
    });
    bench.write("hostile.jsonl", &format!("{record}\n{used}\n"));
    let said = bench.run("learn hostile.jsonl");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!said.err.contains(['\u{1b}', '\u{202e}']), "{said:?}");
    assert_eq!(said.json()["roles"], json!({}));
}
