//! `report`: what agents did and what it cost, from access logs.

use std::fs::Permissions;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};
use crate::log::Logs;
use crate::policy_file::PolicyFile;
use crate::report::Report;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Access logs, also gzipped, - for standard input.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Where the report goes [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also tell which of a policy's grants nobody needed; repeat it for a policy in parts.
    #[arg(long = "policy", value_name = "FILE")]
    policies: Vec<PathBuf>,
    /// Of the traces, show this one: a trace id, or the id of a session.
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// For whom the report is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// People: one page that needs nothing else.
    #[default]
    Html,
    /// Programs: one document.
    Json,
    /// Spreadsheets: one table.
    Csv,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if args.format == Format::Html && args.output.is_none() && std::io::stdout().is_terminal() {
        return Err(
            Failure::usage("a page is nothing for a terminal").fix("say where it goes with -o report.html")
        );
    }
    let file = match args.policies.as_slice() {
        [] => None,
        paths => Some(PolicyFile::load(paths)?),
    };
    let logs = Logs::open(&args.logs)?;
    let report = Report::collect(
        &logs,
        file.as_ref().map(|file| &file.policy),
        args.trace.as_deref(),
    )?;
    let text = match args.format {
        Format::Html => report.to_html(),
        Format::Json => format!("{}\n", report.to_json()),
        Format::Csv => report.to_csv(),
    };
    match &args.output {
        Some(path) => write(path, &text)
            .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))?,
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
    }
    let damaged = report.damaged.lines;
    if damaged > 0 {
        let lines = if damaged == 1 { "line" } else { "lines" };
        anstream::eprint!(
            "warning: {damaged} damaged {lines}, not counted:\n{}",
            report.damaged
        );
    }
    Ok(0)
}

/// Nobody sees half a report: it is written beside its place and put there whole. What is no file, such as a pipe, is
/// written to as it is.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    // Behind a link, the file is replaced and not the link.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.exists() && !path.is_file() {
        return std::fs::write(path, text);
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".toolgate-report-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
