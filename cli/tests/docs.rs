//! What the documentation shows is what happens: every policy in it compiles, every command prints what it is said to.
//!
//! - A fenced `json` block with `"version": 1` is a policy.
//! - A fenced `console` block has lines `$ toolgate …` (or `$ dist/toolgate …`; a backslash continues a line), each
//!   followed by what it prints, where `…` stands for anything. In the command's directory are `policy.json` and
//!   `request.json`, the last policy and the last JSON-RPC message shown above it, and the repository's `policies`,
//!   `examples` and `engine`.
//! - What is not to be run is fenced as `text`.
#![cfg(unix)]

mod common;

use std::path::{Path, PathBuf};

use common::{Bench, policy};
use toolgate_engine::outcome::{Health, Outcome};
use toolgate_engine::telemetry::{Family, Kind};

struct Block {
    /// File and line, for the message.
    place: String,
    language: String,
    text: String,
}

#[test]
fn every_policy_compiles() {
    let mut seen = 0;
    for block in documents().iter().flat_map(|path| blocks(path)).filter(is_policy) {
        seen += 1;
        let bench = Bench::new(&policy());
        bench.write("shown.json", &block.text);
        let said = bench.run("check shown.json");
        assert_eq!(said.code, Some(0), "{}: {}{}", block.place, said.out, said.err);
    }
    assert!(seen >= 2, "found {seen} policies in the documentation");
}

#[test]
fn every_command_prints_what_is_shown() {
    let mut seen = 0;
    for document in documents() {
        let bench = Bench::new(&policy());
        for name in ["policies", "examples", "engine"] {
            std::os::unix::fs::symlink(root().join(name), bench.path(name)).unwrap();
        }
        for block in blocks(&document) {
            if is_policy(&block) {
                bench.write("policy.json", &block.text);
            } else if block.language == "json" && block.text.contains("\"jsonrpc\"") {
                bench.write("request.json", &block.text);
            } else if block.language == "console" {
                for (command, shown) in commands(&block) {
                    seen += 1;
                    let said = bench.run(&command);
                    let printed = format!("{}{}", said.out, said.err);
                    assert!(
                        matches(shown.trim(), printed.trim()),
                        "{}: toolgate {command}\nprints:\n{printed}\nand not:\n{shown}",
                        block.place
                    );
                }
            }
        }
    }
    assert!(seen >= 2, "found {seen} commands in the documentation");
}

#[test]
fn every_outcome_is_explained_with_what_it_says_of_the_server() {
    let outcomes = [
        Outcome::Ok,
        Outcome::ToolError,
        Outcome::RpcError(-32602),
        Outcome::InputRequired,
        Outcome::Task,
        Outcome::Accepted,
        Outcome::HttpError(404),
        Outcome::Reset,
        Outcome::Timeout,
        Outcome::Malformed,
        Outcome::Truncated,
        Outcome::TooLarge,
        Outcome::ClientGone,
    ];
    let text = std::fs::read_to_string(root().join("docs/outcomes.md")).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip_while(|line| !line.starts_with("| Outcome |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), outcomes.len(), "{rows:?}");
    for outcome in outcomes {
        let name = format!("`{}`", outcome.as_str());
        let row = rows
            .iter()
            .find(|row| row[1] == name)
            .unwrap_or_else(|| panic!("{name}"));
        let says = match outcome.health(false) {
            Health::Good => "works",
            Health::Bad => "fails",
            Health::Unknown => "says nothing",
        };
        // The 4xx of `http_error` stands behind its 5xx.
        let told =
            row[3].starts_with(says) || (outcome == Outcome::HttpError(404) && row[3].ends_with("work"));
        assert!(told, "{name}: {}", row[3]);
    }
    assert_eq!(Outcome::HttpError(500).health(false), Health::Bad);
    assert_eq!(Outcome::RpcError(-32603).health(false), Health::Bad);
    assert_eq!(Outcome::ToolError.health(true), Health::Bad);
}

#[test]
fn every_metric_is_explained_with_its_labels_and_buckets() {
    let text = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    for family in Family::ALL {
        let kind = match family.kind() {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<_> = family.labels().iter().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{}` | {kind} | {} |", family.name(), labels.join(", ")).replace("|  |", "| |");
        assert!(text.contains(&row), "{row}");
        if !family.buckets().is_empty() {
            let bounds: Vec<_> = family.buckets().iter().map(u32::to_string).collect();
            let row = format!("| `{}` | {} |", family.name(), bounds.join(", "));
            assert!(text.contains(&row), "{row}");
        }
    }
    let named = text
        .lines()
        .filter(|line| line.starts_with("| `toolgate_"))
        .count();
    let histograms = Family::ALL
        .iter()
        .filter(|family| !family.buckets().is_empty())
        .count();
    assert_eq!(named, Family::ALL.len() + histograms);
}

#[test]
fn an_ellipsis_stands_for_anything() {
    for (shown, printed) in [
        ("a", "a"),
        ("a…c", "abc"),
        ("a…", "a\nb"),
        ("…", ""),
        ("…b", "ab b"),
        ("a…b…c", "a b b c"),
    ] {
        assert!(matches(shown, printed), "{shown:?} {printed:?}");
    }
    for (shown, printed) in [
        ("a", "ab"),
        ("a…c", "ab"),
        ("a…", "ba"),
        ("…b", "bc"),
        ("a…a", "a"),
        ("", "a"),
    ] {
        assert!(!matches(shown, printed), "{shown:?} {printed:?}");
    }
}

fn is_policy(block: &Block) -> bool {
    block.language == "json" && block.text.contains("\"version\": 1")
}

/// Each command without its program, and what is shown as printed by it.
fn commands(block: &Block) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    let mut continues = false;
    for line in block.text.lines() {
        let command = line.strip_prefix("$ ");
        match (commands.last_mut(), command) {
            (Some((last, _)), _) if continues => last.push_str(line),
            (_, Some(line)) => commands.push((program_removed(line, block), String::new())),
            (Some((_, shown)), None) => {
                shown.push_str(line);
                shown.push('\n');
            }
            (None, None) => panic!("{}: a console block starts with a command", block.place),
        }
        continues = match commands.last_mut() {
            Some((last, shown)) if shown.is_empty() && last.ends_with('\\') => last.pop().is_some(),
            _ => false,
        };
    }
    commands
}

fn program_removed(line: &str, block: &Block) -> String {
    let rest = line
        .strip_prefix("dist/")
        .unwrap_or(line)
        .strip_prefix("toolgate ");
    let rest =
        rest.unwrap_or_else(|| panic!("{}: only toolgate runs in console blocks: {line}", block.place));
    assert!(
        !rest.contains(['"', '\'', '|', '>', '<', '$', '*']),
        "{}: there is no shell here: {line}",
        block.place
    );
    rest.to_owned()
}

/// Whether `printed` is `shown`, where `…` stands for any run of characters.
fn matches(shown: &str, printed: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|first| printed.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            match rest.split_once(middle) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

fn blocks(path: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(language)) => {
                let block = Block {
                    place: format!("{}:{number}", path.display()),
                    language: language.trim().to_owned(),
                    text: String::new(),
                };
                // In a list, the whole block is indented.
                open = Some((line.len() - line.trim_start().len(), block));
            }
            (Some((indent, block)), None) => {
                block.text += line.get(*indent..).unwrap_or_default();
                block.text.push('\n');
            }
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a fence is not closed", path.display());
    blocks
}

/// Every page for people.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = ["README.md", "docs", "envoy", "policies", "examples"]
        .map(|name| root().join(name))
        .to_vec();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    assert!(found.len() >= 5, "{found:?}");
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}
