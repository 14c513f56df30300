use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;
use toolgate_engine::exchange::FIELDS;

use super::*;

/// Records of two chains and of none, as Envoy writes them.
fn log() -> Vec<Value> {
    let mut lines = Vec::new();
    let mut last: [Option<String>; 2] = [None, None];
    for number in 0_u64..12 {
        let which = usize::from(number % 3 == 2);
        let mut line = json!({
            "time": format!("2026-11-20T21:24:{number:02}.914Z"), "status": 200, "method": "POST",
            "decision": "allowed", "key": "ada", "server": "docs", "mcp.method.name": "tools/call",
            "gen_ai.tool.name": format!("search\u{e9}{number}"), "jsonrpc.request.id": number.to_string(),
            "cost_micros": "2000", "outcome": "ok", "outcome_code": null, "policy": "0123456789abcdef",
            "mcp.session.id": which.to_string(),
            "arguments_digest": format!("sha256:{}", "ab".repeat(32)),
            "chain_id": format!("00000000deadbeef-{which}"), "chain_at": "1795209849914",
            "chain_seq": (if which == 1 { number / 3 + 1 } else { number - number / 3 + 1 }).to_string(),
            "chain_prev": last[which],
        });
        let text = line.to_string();
        let digest = chain::digest(&Record::parse(text.as_bytes()).unwrap());
        line["chain_digest"] = json!(digest);
        last[which] = Some(digest);
        lines.push(line);
    }
    lines.push(
        json!({ "time": "2026-11-20T21:25:00Z", "decision": "allowed", "mcp.method.name": "tools/list" }),
    );
    lines
}

fn verified(lines: &[Value], partial: bool) -> (Audit, Vec<String>) {
    let file = NamedTempFile::new().unwrap();
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(file.path(), lines.join("\n") + "\n").unwrap();
    let logs = Logs::open(&[file.path().to_owned()]).unwrap();
    let audit = verify(&logs, partial).unwrap();
    let path = file.path().display().to_string();
    let said = audit.findings.iter().map(|finding| {
        let (place, what) = (logs.name(finding.place), finding.said(&logs));
        format!("{place}: {what}").replace(&path, "log")
    });
    let said = said.collect();
    (audit, said)
}

fn wrong(lines: &[Value]) -> Vec<String> {
    let (audit, said) = verified(lines, false);
    assert!(!audit.is_whole() && !said.is_empty(), "{lines:#?}");
    said
}

/// Fields that the filter exports, under the names of the log.
fn covered(line: &Value) -> Vec<String> {
    let envoys = ["time", "status", "method"];
    let fields = line.as_object().unwrap().iter();
    fields
        .filter(|(name, value)| !envoys.contains(&name.as_str()) && !value.is_null())
        .map(|(name, _)| name.clone())
        .collect()
}

/// Of a real Envoy.
fn real() -> Vec<Value> {
    let text = include_str!("../../../examples/outage/access.jsonl");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_edit_removal_and_repetition_in_a_real_log_is_found() {
    let lines = real();
    let (audit, _) = verified(&lines, false);
    assert!(audit.is_whole());
    assert_eq!((audit.records, audit.chained, audit.chains), (24, 12, 2));
    let last = |line: usize| {
        let id = &lines[line]["chain_id"];
        lines[line + 1..].iter().all(|other| other["chain_id"] != *id)
    };
    for line in (0..lines.len()).filter(|line| !lines[*line]["chain_id"].is_null()) {
        for field in FIELDS {
            for to in [json!("edited"), json!("1"), Value::Null] {
                let mut edited = lines.clone();
                edited[line][field.log] = to;
                if edited[line] != lines[line] {
                    assert!(!verified(&edited, false).0.is_whole(), "{line} {}", field.log);
                }
            }
        }
        let mut edited = lines.clone();
        edited.remove(line);
        assert_eq!(
            verified(&edited, false).0.is_whole(),
            last(line),
            "{line} removed"
        );
        edited.insert(0, lines[line].clone());
        assert!(verified(&edited, false).0.is_whole(), "{line} moved");
        edited.push(lines[line].clone());
        assert!(!verified(&edited, false).0.is_whole(), "{line} twice");
    }
}

#[test]
fn a_log_as_it_was_written_is_whole_in_any_order() {
    let (audit, _) = verified(&log(), false);
    assert!(audit.is_whole());
    assert_eq!((audit.records, audit.chained, audit.chains), (13, 12, 2));
    let mut reversed = log();
    reversed.reverse();
    assert!(verified(&reversed, false).0.is_whole());
    assert!(verified(&[], false).0.is_whole());
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let mut lines = log();
    lines[3]["cost_micros"] = json!("1");
    assert_eq!(
        wrong(&lines),
        ["log:4: number 3 was changed: its digest is not that of its fields"]
    );

    let mut lines = log();
    lines.remove(3);
    assert_eq!(
        wrong(&lines),
        ["log:4: number 3 is missing, between log:2 and this line"]
    );
    lines.remove(3);
    assert_eq!(
        wrong(&lines),
        ["log:5: numbers 3 to 4 are missing, between log:2 and this line"]
    );

    let mut lines = log();
    lines.insert(7, lines[6].clone());
    assert_eq!(wrong(&lines), ["log:8: number 5 is there already (log:7)"]);

    // Changed by somebody who knows how digests are made.
    let mut lines = log();
    lines[3]["cost_micros"] = json!("1");
    let text = lines[3].to_string();
    lines[3]["chain_digest"] = json!(chain::digest(&Record::parse(text.as_bytes()).unwrap()));
    assert_eq!(
        wrong(&lines),
        ["log:5: number 4 follows another record than number 3 (log:4)"]
    );

    let mut lines = log();
    lines[3].as_object_mut().unwrap().remove("chain_id");
    assert_eq!(wrong(&lines)[0], "log:4: chain_id is missing, or is not one");
}

#[test]
fn a_beginning_that_was_rotated_away_can_be_accepted() {
    let rotated = &log()[3..];
    let said = wrong(rotated);
    assert_eq!(said.len(), 2);
    assert!(said[0].starts_with("log:1: begins with number 3"), "{said:?}");
    let (audit, said) = verified(rotated, true);
    assert!(audit.is_whole() && said.is_empty());
    assert_eq!(audit.partial, 2);
}

#[test]
fn a_log_whose_chains_were_taken_out_is_not_whole() {
    let mut lines = log();
    for line in &mut lines {
        let fields: &mut Map<String, Value> = line.as_object_mut().unwrap();
        fields.retain(|name, _| !name.starts_with("chain_"));
    }
    let (audit, _) = verified(&lines, false);
    assert!(!audit.is_whole() && audit.says_nothing());
    // Nothing to be chained is nothing to complain about.
    assert!(verified(&lines[12..], false).0.is_whole());
}

#[test]
fn a_damaged_line_is_not_whole() {
    let mut lines = log();
    lines.push(json!("cut"));
    let (audit, _) = verified(&lines, false);
    assert!(!audit.is_whole());
    assert_eq!((audit.damaged.lines, audit.found), (1, 0));
}

#[test]
fn a_chain_in_very_many_pieces_takes_bounded_memory() {
    let place = Place::default();
    let link = |number| chain::Link {
        number,
        previous: None,
        digest: chain::Digest::default(),
        changed: false,
        place,
    };
    let mut chain = Chain::new(link(1));
    let scattered = (2..100_000_u64)
        .filter(|number| chain.add(link(number * 2)).is_err())
        .count();
    assert!(scattered > 90_000);
    assert_eq!(chain.gaps().count(), 1023);
}

proptest! {
    /// Whatever single thing is done to whatever line of a chain.
    #[test]
    fn every_edit_is_found(line in 0..12_usize, field in any::<prop::sample::Index>(), to in "[0-9a-f]{0,40}|\\PC{0,9}") {
        let mut lines = log();
        let names = covered(&lines[line]);
        let name = &names[field.index(names.len())];
        prop_assume!(lines[line][name] != json!(to));
        lines[line][name] = json!(to);
        let (audit, _) = verified(&lines, false);
        prop_assert!(!audit.is_whole(), "{name}");
        lines[line][name] = Value::Null;
        let (audit, _) = verified(&lines, false);
        prop_assert!(!audit.is_whole(), "{name}");
    }

    #[test]
    fn every_removal_but_a_chains_last_and_every_repetition_is_found(line in 0..12_usize, at in 0..13_usize) {
        let mut lines = log();
        let taken = lines.remove(line);
        // The last records of the two chains.
        prop_assert_eq!(verified(&lines, false).0.is_whole(), line == 11 || line == 10);
        lines.insert(line, taken.clone());
        lines.insert(at, taken);
        prop_assert!(!verified(&lines, false).0.is_whole());
    }

    /// Exchanging whole lines changes nothing; exchanging what they say does.
    #[test]
    fn every_swap_is_found(one in 0..12_usize, other in 0..12_usize, field in any::<prop::sample::Index>()) {
        let mut lines = log();
        lines.swap(one, other);
        prop_assert!(verified(&lines, false).0.is_whole());
        let names = covered(&lines[one]);
        let name = &names[field.index(names.len())];
        prop_assume!(lines[one][name] != lines[other][name]);
        let value = lines[one][name].take();
        let value = std::mem::replace(&mut lines[other][name], value);
        lines[one][name] = value;
        prop_assert!(!verified(&lines, false).0.is_whole(), "{name}");
    }
}
