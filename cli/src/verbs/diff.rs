//! `diff`: what the change from one policy to another means.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::Format;
use crate::diff::{Change, Effect, changes};
use crate::failure::{NO, Outcome};
use crate::policy_file::PolicyFile;
use crate::style::{BAD, DIM, GOOD, NOTE, PLACE, steers};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy that is in force.
    #[arg(required_unless_present = "old_parts", value_name = "OLD")]
    old: Option<PathBuf>,
    /// The policy that is to follow.
    #[arg(required_unless_present = "new_parts", value_name = "NEW")]
    new: Option<PathBuf>,
    /// A part of the old policy, if it is written in several files; repeat it for each.
    #[arg(
        long = "old",
        value_name = "FILE",
        conflicts_with = "old",
        requires = "new_parts"
    )]
    old_parts: Vec<PathBuf>,
    /// A part of the new policy.
    #[arg(
        long = "new",
        value_name = "FILE",
        conflicts_with = "new",
        requires = "old_parts"
    )]
    new_parts: Vec<PathBuf>,
    /// Exit with 1 if anything passes under the new policy that the old one refuses, or may: for pipelines.
    #[arg(long)]
    fail_on_widening: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let load = |one: &Option<PathBuf>, parts: &[PathBuf]| match one {
        Some(file) => PolicyFile::load(std::slice::from_ref(file)),
        None => PolicyFile::load(parts),
    };
    let old = load(&args.old, &args.old_parts)?;
    let new = load(&args.new, &args.new_parts)?;
    let changes = changes(&old, &new);
    let wider = count(&changes, Effect::Wider) > 0;
    let mut out = anstream::stdout().lock();
    match args.format {
        Format::Json => writeln!(out, "{}", json!({ "wider": wider, "changes": changes }))?,
        Format::Text => tell(&mut out, &changes)?,
    }
    Ok(if wider && args.fail_on_widening { NO } else { 0 })
}

fn tell(out: &mut impl Write, changes: &[Change]) -> std::io::Result<()> {
    let mut heading = None;
    for change in changes {
        let about = (change.kind, &change.name);
        if heading != Some(about) {
            heading = Some(about);
            match &change.name {
                Some(name) => writeln!(out, "{} {PLACE}{}{PLACE:#}", change.kind, shown(name))?,
                None => writeln!(out, "{PLACE}{}{PLACE:#}", change.kind)?,
            }
        }
        let (style, word) = match change.effect {
            Effect::Wider => (BAD, "wider"),
            Effect::Narrower => (GOOD, "narrower"),
            Effect::Other => (NOTE, "other"),
        };
        write!(out, "  {style}{word:<8}{style:#}  {}", shown(&change.what))?;
        match &change.why {
            Some(why) => writeln!(out, "  {DIM}({why}){DIM:#}")?,
            None => writeln!(out)?,
        }
    }
    if changes.is_empty() {
        return writeln!(out, "no difference");
    }
    let number = |effect| count(changes, effect);
    writeln!(
        out,
        "{} wider, {} narrower, {} other",
        number(Effect::Wider),
        number(Effect::Narrower),
        number(Effect::Other)
    )
}

fn count(changes: &[Change], effect: Effect) -> usize {
    changes.iter().filter(|change| change.effect == effect).count()
}

/// Names of tools can hold anything; a terminal obeys some of it.
fn shown(text: &str) -> String {
    text.chars()
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect()
}
