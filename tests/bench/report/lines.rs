//! Access logs as an Envoy with the filter writes them, of any length and always the same.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::json;
use sha2::{Digest as _, Sha256};

/// What is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A day of some agents: seven keys, nine tools, sessions of a hundred calls.
    Usual,
    /// No tool, key or session twice.
    Hostile,
}

/// Server, tool, usual milliseconds, and what a call costs.
const TOOLS: [(&str, &str, u64, u64); 9] = [
    ("docs", "search_docs", 40, 2_000),
    ("docs", "get_page", 25, 0),
    ("sql", "run_sql", 300, 50_000),
    ("sql", "list_tables", 15, 0),
    ("files", "read_file", 12, 0),
    ("files", "write_file", 30, 0),
    ("crm", "lookup_customer", 120, 1_000),
    ("crm", "export_all", 4_000, 500_000),
    ("mail", "send", 700, 10_000),
];
const KEYS: [(&str, &str); 7] = [
    ("eng-prod", "engineering"),
    ("eng-staging", "engineering"),
    ("eng-ada", "engineering"),
    ("fin-bot", "finance"),
    ("fin-close", "finance"),
    ("support-agent", "support"),
    ("ci-bot", "engineering"),
];
/// Milliseconds of a day.
const DAY: u64 = 86_400_000;
/// Calls of one session.
const SESSION: u64 = 100;

/// Writes a log and returns its bytes.
pub(crate) fn write(path: &Path, count: u64, kind: Kind) -> io::Result<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut random = Random(20_261_120);
    let mut before = String::new();
    let mut bytes = 0;
    for number in 0..count {
        let line = line(number, count, kind, &mut random, &mut before);
        bytes += line.len() as u64;
        file.write_all(line.as_bytes())?;
    }
    file.flush()?;
    Ok(bytes)
}

/// A policy that knows the usual names.
pub(crate) fn policy() -> String {
    let servers = TOOLS.map(|(server, ..)| (server.to_owned(), json!({ "path": format!("/{server}/mcp") })));
    let keys = KEYS.iter().enumerate().map(|(number, (key, _))| {
        let digest = format!("{number:064x}");
        (
            (*key).to_owned(),
            json!({ "sha256": [digest], "roles": ["all", "idle"] }),
        )
    });
    json!({
        "version": 1,
        "servers": serde_json::Map::from_iter(servers),
        "roles": { "all": { "allow": ["docs/*", "sql/*", "files/*", "crm/*", "mail/*"] }, "idle": { "allow": ["sql/drop_*"] } },
        "keys": keys.collect::<serde_json::Map<_, _>>(),
    })
    .to_string()
}

fn line(number: u64, count: u64, kind: Kind, random: &mut Random, before: &mut String) -> String {
    let session = number / SESSION;
    let (key, team) = KEYS[random.below(7)];
    let (server, tool, usual, cost) = TOOLS[random.below(9)];
    let new = kind == Kind::Hostile;
    let key = if new {
        format!("key-{number}")
    } else {
        key.to_owned()
    };
    let tool = if new {
        format!("{tool}-{number}")
    } else {
        tool.to_owned()
    };
    let session = if new { number } else { session };
    let refused = ["hidden", "quota", "schema"].get(random.below(100));
    let outcome = if random.below(50) == 0 { "tool_error" } else { "ok" };
    let took = 1 + usual * (50 + random.below(150) as u64) / 100;
    let first = new || number.is_multiple_of(SESSION);
    if first {
        before.clear();
    }
    let seq = if new { 1 } else { number % SESSION + 1 };
    let went_on = |value: String| if refused.is_some() { String::new() } else { value };
    let at = number * DAY / count;
    let fields = [
        ("decision", refused.copied().unwrap_or("allowed").to_owned()),
        (
            "detail",
            refused
                .map(|_| "100 per minute of the key".to_owned())
                .unwrap_or_default(),
        ),
        ("key", key.clone()),
        ("team", team.to_owned()),
        ("server", server.to_owned()),
        ("method", "tools/call".to_owned()),
        ("tool", tool.clone()),
        ("id", number.to_string()),
        ("protocol", "2025-11-25".to_owned()),
        ("session", format!("{session:032x}")),
        ("cost_micros", went_on(cost.to_string())),
        ("outcome", went_on(outcome.to_owned())),
        ("result_bytes", went_on(random.below(9_000).to_string())),
        ("result_tokens", went_on(random.below(2_200).to_string())),
        ("first_byte_ms", went_on(took.to_string())),
        ("duration_ms", went_on(took.to_string())),
        ("policy", "8f1d2c3b4a596877".to_owned()),
        ("arguments_digest", format!("sha256:{number:064x}")),
        ("chain_id", format!("{session:016x}-19a9f0c3b2a")),
        ("chain_seq", seq.to_string()),
        ("chain_prev", before.clone()),
        ("chain_at", (1_795_132_800_000 + at).to_string()),
    ];
    *before = digest(&fields);
    let (seconds, ms) = (at / 1000, at % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut line = format!(
        "{{\"time\":\"2026-11-20T{hour:02}:{minute:02}:{second:02}.{ms:03}Z\",\"status\":200,\"method\":\"POST\",\
         \"path\":\"/{server}/mcp\",\"duration_ms\":{took},\"request_bytes\":312,\"response_bytes\":1234,\
         \"details\":\"via_upstream\",\"flags\":\"-\",\"upstream\":\"10.0.0.7:9001\",\"client\":\"10.2.3.4\",\
         \"request_id\":\"0f7a9c1e-6d1b-4b0e-9a51-{number:012x}\",\"would_deny\":\"\",\"object\":\"\",\"limit\":\"\",\
         \"rate_limit\":\"\",\"store_conflicts\":\"\",\"outcome_code\":\"\",\"arguments\":\"\",\"trace_id\":\"\""
    );
    for (name, value) in &fields {
        let name = match *name {
            "method" => "mcp.method.name",
            "tool" => "gen_ai.tool.name",
            "id" => "jsonrpc.request.id",
            "protocol" => "mcp.protocol.version",
            "session" => "mcp.session.id",
            "duration_ms" => "call_duration_ms",
            name => name,
        };
        let _ = write!(line, ",\"{name}\":\"{value}\"");
    }
    let _ = writeln!(line, ",\"chain_digest\":\"{before}\"}}");
    line
}

/// As `docs/access-log.md` has it.
fn digest(fields: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}={}:{value}", value.len());
    }
    let digest = Sha256::digest(text);
    let mut hex = String::new();
    for byte in digest.iter().take(16) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// Numbers that look random. <https://en.wikipedia.org/wiki/Lehmer_random_number_generator>
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0 * 48_271 % 2_147_483_647;
        usize::try_from(self.0).unwrap_or_default() % bound
    }
}
