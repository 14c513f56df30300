use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use toolgate_engine::exchange::{FIELDS, Field};

use super::*;

fn line(key: &str) -> String {
    json!({ "time": "2026-11-20T21:24:09.914Z", "decision": "allowed", "key": key }).to_string()
}

/// The keys that are read, and what else was found. Names are without the directory.
fn read(files: &[(&str, &[u8])]) -> (Vec<String>, Summary) {
    let directory = TempDir::new().unwrap();
    let mut paths = Vec::new();
    for (name, bytes) in files {
        paths.push(directory.path().join(name));
        std::fs::write(paths.last().unwrap(), bytes).unwrap();
    }
    let mut keys = Vec::new();
    let logs = Logs::open(&paths).unwrap();
    let mut summary = logs
        .read(|record, _| keys.push(record.key.as_deref().unwrap_or("?").to_owned()))
        .unwrap();
    for (place, _) in &mut summary.damaged.first {
        *place = place.rsplit('/').next().unwrap().to_owned();
    }
    (keys, summary)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn parse(record: &Value) -> Result<(), String> {
    Record::parse(record.to_string().as_bytes()).map(|_| ())
}

#[test]
fn a_record_of_today_and_one_with_every_field_are_read() {
    let text = json!({
        "time": "2026-11-20T21:24:09.914Z", "status": 200, "method": "POST", "path": "/docs/mcp", "duration_ms": "12", "client": "-",
        "decision": "allowed", "key": "a\"b", "cost_micros": "50000",
        "result_tokens": 7, "gen_ai.tool.name": "search", "jsonrpc.request.id": 3, "chain_seq": "2",
        "chain_prev": null, "not_yet_known": { "x": [1] },
    })
    .to_string();
    let record = Record::parse(text.as_bytes()).unwrap();
    assert_eq!(record.time_ms, 1_795_209_849_914);
    assert_eq!((record.status, record.duration_ms), (Some(200), Some(12)));
    assert_eq!(record.key.as_deref(), Some("a\"b"));
    assert_eq!(
        (record.cost_micros(), record.result_tokens(), record.chain_seq()),
        (Some(50_000), Some(7), Some(2))
    );
    assert!(record.chain_prev.is_none());
    let states: Vec<_> = record.states().collect();
    assert_eq!(
        states,
        [
            ("decision", "allowed"),
            ("key", "a\"b"),
            ("tool", "search"),
            ("id", "3"),
            ("cost_micros", "50000"),
            ("result_tokens", "7"),
            ("chain_seq", "2"),
        ]
    );
}

/// Digests take them in this order, all but the last.
#[test]
fn states_are_those_of_the_engine_in_its_order() {
    let fields = FIELDS;
    let mut line = json!({ "time": "2026-11-20T21:24:09Z" });
    for field in fields {
        line[field.log] = json!("1");
    }
    let text = line.to_string();
    let record = Record::parse(text.as_bytes()).unwrap();
    let read: Vec<_> = record.states().map(|(name, _)| name).collect();
    let exported: Vec<_> = fields.iter().map(Field::name).collect();
    assert_eq!(read, exported);
    assert_eq!(exported.last(), Some(&toolgate_engine::chain::DIGEST));
}

#[test]
fn lines_that_are_no_records_say_why() {
    let good = json!({ "time": "2026-11-20T21:24:09Z", "decision": null });
    parse(&good).unwrap();
    for (member, value, why) in [
        ("time", json!("yesterday"), "a time like"),
        ("time", Value::Null, "invalid type: null"),
        ("status", json!("often"), "a number"),
        ("key", json!({}), "expected text"),
        (
            "cost_micros",
            json!("much"),
            "\"cost_micros\" is \"much\" and not a number",
        ),
        ("cost_micros", json!(-1), "not a number"),
    ] {
        let mut wrong = good.clone();
        wrong[member] = value;
        let said = parse(&wrong).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
    for (text, why) in [
        (r#"{"time":"2026-11-20T21:24:09Z","deci"#, "cut off in the middle"),
        (r#"{"time":"2026-11-20T21:24:09Z"}"#, "missing field `decision`"),
        (
            r#"{"time":"2026-11-20T21:24:09Z","decision":null,"key":"a","key":"b"}"#,
            "duplicate field `key`",
        ),
        ("[2026-11-20] starting", "not a JSON object"),
        ("{\"time\": yes}", "not JSON at byte 10"),
        ("\0\0\0", "not a JSON object"),
    ] {
        let said = Record::parse(text.as_bytes()).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn damaged_lines_are_counted_and_the_first_ones_named() {
    let text = format!(
        "{}\n{{\"time\n\n{}\r\n{}{}",
        line("a"),
        line("b"),
        "\u{1b}[2J\n".repeat(7),
        &line("c")[..30]
    );
    let (keys, summary) = read(&[
        ("access.log", text.as_bytes()),
        ("other.log", line("d").as_bytes()),
    ]);
    assert_eq!(keys, ["a", "b", "d"]);
    assert_eq!((summary.records, summary.damaged.lines), (3, 9));
    assert_eq!(summary.damaged.first.len(), NAMED);
    assert_eq!(
        summary.damaged.first[0],
        ("access.log:2".to_owned(), "cut off in the middle".to_owned())
    );
    assert_eq!(summary.damaged.first[1].0, "access.log:5");
    let said = summary.damaged.to_string();
    assert!(
        said.ends_with("and 4 more\n") && !said.contains('\u{1b}'),
        "{said}"
    );
}

#[test]
fn an_unfinished_last_line_may_be_being_written() {
    let (keys, summary) = read(&[("access.log", &line("a").as_bytes()[..20])]);
    assert!(keys.is_empty());
    assert!(summary.damaged.first[0].1.starts_with("not finished"));
}

#[test]
fn compressed_logs_are_read_whatever_their_name_and_as_far_as_they_go() {
    let mut two = gzip(&format!("{}\n", line("a")));
    two.extend(gzip(&format!("{}\n", line("b"))));
    // Random keys do not compress: the cut falls between lines.
    let mut text = String::new();
    for number in 0..20_000_u64 {
        text += &line(&format!("{:x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        text.push('\n');
    }
    let whole = gzip(&text);
    let (keys, summary) = read(&[("access.log.1", &two), ("cut.gz", &whole[..whole.len() / 2])]);
    assert_eq!(keys[..2], ["a", "b"]);
    assert!(keys.len() > 5_000 && keys.len() < 20_000, "{}", keys.len());
    assert!((1..=2).contains(&summary.damaged.lines));
    let (place, why) = summary.damaged.first.last().unwrap();
    assert!(
        place.starts_with("cut.gz:") && why.starts_with("cannot be read from here on"),
        "{why}"
    );
}

#[test]
fn what_cannot_be_opened_is_a_wrong_question() {
    let directory = TempDir::new().unwrap();
    let open = |paths: &[PathBuf]| Logs::open(paths).err().unwrap();
    assert_eq!(
        open(&[directory.path().join("no.log")]).code,
        crate::failure::USAGE
    );
    let said = open(&[directory.path().to_owned()]).to_string();
    assert!(said.contains("it is a directory"), "{said}");
    let said = open(&["-".into(), "-".into()]).to_string();
    assert!(said.contains("only once"), "{said}");
}

#[test]
fn what_is_empty_has_no_value() {
    let mut record = json!({ "time": "2026-11-20T21:24:09.914Z", "status": "", "client": "" });
    for field in FIELDS {
        record[field.log] = json!("");
    }
    let text = record.to_string();
    let record = Record::parse(text.as_bytes()).unwrap();
    assert_eq!(
        (record.states().count(), record.status, record.client.is_some()),
        (0, None, false)
    );
}
