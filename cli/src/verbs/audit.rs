//! `audit verify`: whether anything is missing from a log, or was changed in it.

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::Format;
use crate::audit::{self, Audit};
use crate::failure::{NO, Outcome};
use crate::log::Logs;
use crate::style::{BAD, GOOD, NOTE, PLACE};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Find holes and edits in the chains of a log: exit code 0 if there are none, 1 if there are.
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// Access logs, also gzipped, - for standard input; the rotated parts of one log together.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Accept chains whose beginning was rotated away.
    #[arg(long)]
    partial: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let What::Verify(args) = &args.what;
    let logs = Logs::open(&args.logs)?;
    let audit = audit::verify(&logs, args.partial)?;
    let mut out = anstream::stdout().lock();
    match args.format {
        Format::Text => tell(&mut out, &audit, &logs)?,
        Format::Json => writeln!(out, "{}", to_json(&audit, &logs))?,
    }
    Ok(if audit.is_whole() { 0 } else { NO })
}

fn tell(out: &mut impl Write, audit: &Audit, logs: &Logs) -> std::io::Result<()> {
    for finding in &audit.findings {
        let (place, what) = (logs.name(finding.place), finding.said(logs));
        let chain = finding.chain.as_deref().unwrap_or("?");
        writeln!(out, "{PLACE}{place}{PLACE:#}: chain {chain}: {what}")?;
    }
    let untold = audit.found - audit.findings.len() as u64;
    if untold > 0 {
        writeln!(out, "and {untold} more")?;
    }
    for line in audit.damaged.to_string().lines() {
        writeln!(out, "{NOTE}damaged{NOTE:#}: {line}")?;
    }
    let looked_at = format!(
        "{} in {}, {} in no chain",
        counted(audit.chained, "record"),
        counted(audit.chains, "chain"),
        audit.records - audit.chained
    );
    if audit.partial > 0 {
        let begin = if audit.partial == 1 { "begins" } else { "begin" };
        writeln!(
            out,
            "{NOTE}partial{NOTE:#}: {} {begin} in the middle",
            counted(audit.partial, "chain")
        )?;
    }
    if audit.unchained_calls > 0 {
        writeln!(
            out,
            "{NOTE}note{NOTE:#}: {} of a session or trace in no chain: nothing can be said about them",
            counted(audit.unchained_calls, "call")
        )?;
    }
    if audit.is_whole() {
        writeln!(out, "{GOOD}whole{GOOD:#}: {looked_at}")
    } else if audit.says_nothing() {
        writeln!(
            out,
            "{BAD}not chained{BAD:#}: {looked_at} (the policy says \"chains\": false, or they were taken out)"
        )
    } else {
        let wrong = audit.found + audit.damaged.lines;
        writeln!(
            out,
            "{BAD}not whole{BAD:#}: {} wrong; {looked_at}",
            counted(wrong, "thing")
        )
    }
}

fn to_json(audit: &Audit, logs: &Logs) -> Value {
    let findings: Vec<Value> = audit
        .findings
        .iter()
        .map(|finding| finding.to_json(logs))
        .collect();
    json!({
        "whole": audit.is_whole(),
        "records": audit.records,
        "chained": audit.chained,
        "chains": audit.chains,
        "partial": audit.partial,
        "unchained_calls": audit.unchained_calls,
        "found": audit.found,
        "findings": findings,
        "damaged": audit.damaged.to_json(),
    })
}

fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
