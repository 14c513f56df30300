//! The policy, from one file or from several that are its parts.
//!
//! ```text
//! files ──read──▶ parts ──merge──▶ one document ──compile──▶ Policy
//!                            └────────────┴──▶ problems, each with its file and the pointer in it
//! ```

mod merge;
mod origin;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use toolgate_engine::policy::Policy;

use crate::failure::{Failure, Outcome};

pub(crate) use origin::{Origins, Problem};

/// The policy that a verb needs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PolicyArgs {
    /// The policy; repeat it for each part of one that is written in several files ("-": standard input).
    #[arg(long = "policy", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

impl PolicyArgs {
    /// Reads, merges and compiles; the failure lists all errors.
    pub(crate) fn load(&self) -> Outcome<PolicyFile> {
        PolicyFile::load(&self.files)
    }

    /// Whether a part is standard input.
    pub(crate) fn reads_stdin(&self) -> bool {
        self.files.iter().any(|path| is_stdin(path))
    }
}

/// A policy that compiles.
#[derive(Debug)]
pub(crate) struct PolicyFile {
    /// The document without white space between its tokens; of several parts, with the names of all of them.
    pub(crate) document: String,
    /// What it means.
    pub(crate) policy: Policy,
    /// Which part says what.
    pub(crate) origins: Origins,
}

impl PolicyFile {
    /// Reads and compiles the policy that these files are together; the failure lists all of its errors.
    pub(crate) fn load(paths: &[PathBuf]) -> Outcome<Self> {
        let parts = read(paths)?;
        Self::of(&parts).map_err(|problems| broken(&parts, &problems))
    }

    /// Merges and compiles.
    pub(crate) fn of(parts: &[Part]) -> Result<Self, Vec<Problem>> {
        let (text, origins) = match parts {
            [part] => (part.text.clone(), Origins::one(&part.path)),
            parts => merge::merge(parts).map(|(text, origins)| (text.into_bytes(), origins))?,
        };
        match Policy::compile(&text) {
            Ok(policy) => Ok(Self {
                // A policy that compiles is JSON, and therefore UTF-8.
                document: compact(&String::from_utf8_lossy(&text)),
                policy,
                origins,
            }),
            Err(errors) => Err(errors
                .0
                .into_iter()
                .map(|error| Problem::of(error, &origins))
                .collect()),
        }
    }
}

/// A file, as read.
#[derive(Debug)]
pub(crate) struct Part {
    /// Where it is; `-` for standard input.
    pub(crate) path: PathBuf,
    /// What it says.
    pub(crate) text: Vec<u8>,
}

/// The files of one policy, each of them once.
pub(crate) fn read(paths: &[PathBuf]) -> Outcome<Vec<Part>> {
    if paths.is_empty() {
        return Err(Failure::usage("no policy is given").fix("name its file with --policy FILE"));
    }
    let mut seen = Vec::with_capacity(paths.len());
    let mut parts = Vec::with_capacity(paths.len());
    for path in paths {
        // What cannot be resolved cannot be read either, and that is what will be said.
        let file = path.canonicalize().unwrap_or_else(|_| path.clone());
        if seen.contains(&file) {
            return Err(
                Failure::usage(format!("the file {} is given twice", path.display()))
                    .fix("name each part of a policy once"),
            );
        }
        seen.push(file);
        parts.push(Part {
            path: path.clone(),
            text: bytes(path)?,
        });
    }
    Ok(parts)
}

fn bytes(path: &Path) -> Outcome<Vec<u8>> {
    let mut text = Vec::new();
    let read = if is_stdin(path) {
        std::io::stdin().lock().read_to_end(&mut text).map(|_| text)
    } else {
        std::fs::read(path)
    };
    read.map_err(|error| {
        let failure = Failure::usage(format!("cannot read the policy {}: {error}", path.display()));
        failure.maybe_fix(
            path.is_dir()
                .then(|| "name each file in it: a policy in parts has several --policy".to_owned()),
        )
    })
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn broken(parts: &[Part], problems: &[Problem]) -> Failure {
    let names: Vec<String> = parts.iter().map(|part| part.path.display().to_string()).collect();
    let mut message = match names.as_slice() {
        [name] => format!("the policy {name} is not valid"),
        names => format!("the policy of {} is not valid", names.join(", ")),
    };
    for problem in problems {
        // One file is named above. Writing to a string cannot fail.
        let _ = match (&problem.file, names.len()) {
            (Some(file), 2..) => write!(message, "\n  {}: {problem}", file.display()),
            _ => write!(message, "\n  {problem}"),
        };
    }
    Failure::no(message)
}

/// Valid JSON without the white space between its tokens. Every token stays as written, so that
/// numbers keep their digits and members their order.
fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            quoted = c == '"';
            if c.is_ascii_whitespace() {
                continue;
            }
        }
        out.push(c);
    }
    out
}
