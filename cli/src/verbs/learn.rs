//! `learn`: the least-privilege policy that observed traffic needs, and the grants that nobody used.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Format;
use crate::failure::{Failure, Outcome};
use crate::learn::{Learned, Observed, Unused, draft, narrowed, unused};
use crate::log::{Logs, Summary};
use crate::policy_file::{Part, PolicyFile};
use crate::style::{DIM, NOTE, PLACE, steers};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Access logs, also gzipped, - for standard input; in any order.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// The policy to narrow to what was used; repeat it for its parts. Without one, a policy is drafted.
    #[arg(long = "policy", value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// Where the policy goes [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// With json: the report, with the policy as a member unless it goes to a file.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let base = match args.policy.as_slice() {
        [] => None,
        files => Some(PolicyFile::load(files)?),
    };
    let logs = Logs::open(&args.logs)?;
    let mut observed = Observed::default();
    let summary = logs.read_names(|record| observed.take(record))?;
    if observed.keys.is_empty() {
        return Err(Failure::no(format!(
            "nothing to learn from: none of {} names a key and a server",
            counted(summary.records, "record")
        ))
        .fix("give the access log that Toolgate's fields are in: \"decision\", \"key\", \"server\" (docs/access-log.md)"));
    }
    let learned = base
        .as_ref()
        .map_or_else(|| draft(&observed), |base| narrowed(base, &observed));
    sound(&learned)?;
    let report = Report {
        unused: base
            .map(|base| unused(&base.policy, &observed))
            .unwrap_or_default(),
        summary,
        observed,
        learned,
    };
    if let Some(path) = &args.output {
        std::fs::write(path, &report.learned.text)
            .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))?;
    }
    match (args.format, &args.output) {
        (Format::Json, output) => {
            writeln!(std::io::stdout().lock(), "{}", report.to_json(output.is_none()))?;
        }
        (Format::Text, output) => {
            anstream::eprint!("{}", report.told());
            if output.is_none() {
                std::io::stdout()
                    .lock()
                    .write_all(report.learned.text.as_bytes())?;
            }
        }
    }
    Ok(0)
}

/// Whether `check` accepts what was learned. It does; should it ever not, nothing is written.
fn sound(learned: &Learned) -> Outcome<()> {
    let part = Part {
        path: PathBuf::from("the learned policy"),
        text: learned.text.clone().into_bytes(),
    };
    PolicyFile::of(&[part]).map(drop).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::no(format!(
            "what was learned is not a policy: {}",
            problems.join("; ")
        ))
    })
}

struct Report {
    observed: Observed,
    summary: Summary,
    learned: Learned,
    unused: Vec<Unused>,
}

impl Report {
    fn to_json(&self, with_policy: bool) -> Value {
        let Self {
            observed,
            summary,
            learned,
            unused,
        } = self;
        let counts = |entry: Value, count: &u64| {
            let mut entry = entry;
            entry["count"] = json!(count);
            entry
        };
        let span = observed
            .span
            .map(|(from, to)| json!({ "from": date(from), "to": date(to) }));
        let keys: Vec<Value> = observed
            .keys
            .iter()
            .map(|(key, seen)| json!({ "key": key, "last_seen": date(seen.last_ms), "uses": seen.uses }))
            .collect();
        let refused: Vec<Value> = observed
            .refused
            .iter()
            .map(|(entry, n)| counts(json!(entry), n))
            .collect();
        let left_out: Vec<Value> = observed
            .left_out
            .iter()
            .map(|(entry, n)| counts(json!(entry), n))
            .collect();
        let mut report = json!({
            "span": span,
            "records": observed.records,
            "counted": observed.counted,
            "damaged": summary.damaged.to_json(),
            "keys": keys,
            "unused": unused,
            "refused": refused,
            "left_out": left_out,
            "untold": observed.untold,
            "fill_in": learned.fill_in,
            "notes": learned.notes,
        });
        if with_policy {
            report["policy"] = serde_json::from_str(&learned.text).unwrap_or_default();
        }
        report
    }

    /// For people, on standard error: the policy is on standard output.
    fn told(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.tell(&mut text);
        text
    }

    fn tell(&self, out: &mut String) -> std::fmt::Result {
        let observed = &self.observed;
        if let Some((from, to)) = observed.span {
            writeln!(
                out,
                "{PLACE}learned{PLACE:#} from {} of {}, {} to {}: {}",
                observed.counted,
                counted(observed.records, "record"),
                date(from),
                date(to),
                counted(observed.keys.len() as u64, "key")
            )?;
        }
        for line in self.summary.damaged.to_string().lines() {
            writeln!(out, "{NOTE}damaged{NOTE:#}   {line}")?;
        }
        for unused in &self.unused {
            writeln!(
                out,
                "{NOTE}unused{NOTE:#}    {}",
                shown(&self.unused_text(unused))
            )?;
        }
        for (refused, count) in &observed.refused {
            let verb = if refused.shadow {
                "would be refused"
            } else {
                "refused"
            };
            let method = Some(refused.method.as_str()).filter(|method| !method.is_empty());
            let object = Some(refused.object.as_str()).filter(|object| !object.is_empty());
            let what = [
                method.unwrap_or("request"),
                "of",
                &refused.key,
                "to",
                &refused.server,
            ]
            .join(" ");
            let object = object.map(|object| format!(", {object:?}")).unwrap_or_default();
            let why = refused
                .why
                .as_ref()
                .map(|why| format!(": {why}"))
                .unwrap_or_default();
            let what = shown(&format!("{what}{object}: {verb}, {}{why}", refused.reason));
            writeln!(out, "{NOTE}not taken{NOTE:#} {what}  {DIM}{count} ×{DIM:#}")?;
        }
        for (left, count) in &observed.left_out {
            writeln!(
                out,
                "{NOTE}left out{NOTE:#}  {}  {DIM}{count} ×{DIM:#}",
                shown(&format!(
                    "{:?} on {} for {}: {}",
                    left.name, left.server, left.key, left.why
                ))
            )?;
        }
        if observed.untold > 0 {
            writeln!(out, "{NOTE}and{NOTE:#}       {} more", observed.untold)?;
        }
        for pointer in &self.learned.fill_in {
            writeln!(out, "{NOTE}fill in{NOTE:#}   {}", shown(pointer))?;
        }
        for note in &self.learned.notes {
            writeln!(out, "{NOTE}note{NOTE:#}      {}", shown(note))?;
        }
        Ok(())
    }

    fn unused_text(&self, unused: &Unused) -> String {
        match unused {
            Unused::Key { key, seen: false } => format!("key {key:?}: not in the log"),
            Unused::Key { key, seen: true } => {
                let last = self.observed.keys.get(key).map(|seen| date(seen.last_ms));
                format!(
                    "key {key:?}: used nothing, last seen {}",
                    last.unwrap_or_default()
                )
            }
            Unused::Role { role } => format!("role {role:?}: no key has it"),
            Unused::Grant { role, list, pattern } => format!("role {role:?}: {list} {pattern:?}"),
            Unused::Tool { server, tool } => format!("tool {server}/{tool}: nobody called it"),
        }
    }
}

/// RFC 3339, in UTC.
fn date(unix_ms: i64) -> String {
    let nanos = i128::from(unix_ms) * 1_000_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    time.and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{unix_ms} ms"))
}

fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Names off the wire can hold anything; a terminal obeys some of it.
fn shown(text: &str) -> String {
    text.chars()
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect()
}
