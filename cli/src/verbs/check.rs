//! `check`: everything that is wrong with a policy, and what is probably not meant.

mod envoy_version;

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};
use toolgate_engine::policy::{Policy, PolicyHash, Scope, Warning, lint};

use envoy_version::{EnvoyVersion, Lack, lacks};

use super::{Format, now};
use crate::failure::{NO, Outcome};
use crate::policy_file::{self, PolicyFile, Problem};
use crate::style::{BAD, GOOD, NOTE, PLACE};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Policies; each is checked on its own ("-": standard input).
    #[arg(required_unless_present = "parts", value_name = "FILE")]
    policies: Vec<PathBuf>,
    /// A part of a policy that is written in several files: they are checked together.
    #[arg(long = "policy", value_name = "FILE")]
    parts: Vec<PathBuf>,
    /// Also say what an Envoy of this version cannot do of it.
    #[arg(long, value_name = "VERSION")]
    envoy_version: Option<EnvoyVersion>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let reports = args
        .policies
        .iter()
        .map(std::slice::from_ref)
        .chain((!args.parts.is_empty()).then_some(args.parts.as_slice()))
        .map(|files| Report::of(files, args.envoy_version))
        .collect::<Outcome<Vec<_>>>()?;
    let valid = reports.iter().all(Report::is_valid);
    let mut out = anstream::stdout().lock();
    match args.format {
        Format::Text => reports.iter().try_for_each(|report| write!(out, "{report}"))?,
        Format::Json => {
            let files: Vec<Value> = reports.iter().map(Report::to_json).collect();
            writeln!(out, "{}", json!({ "valid": valid, "files": files }))?;
        }
    }
    Ok(if valid { 0 } else { NO })
}

/// What there is to say about one policy.
struct Report<'a> {
    files: &'a [PathBuf],
    summary: String,
    /// Which policy it is; `None` if it is none.
    hash: Option<PolicyHash>,
    errors: Vec<Problem>,
    warnings: Vec<Placed>,
    lacks: Vec<Lack>,
}

/// A warning, and which file it is about, if it is about one.
#[derive(Serialize)]
struct Placed {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(flatten)]
    warning: Warning,
}

impl<'a> Report<'a> {
    fn of(files: &'a [PathBuf], envoy: Option<EnvoyVersion>) -> Outcome<Self> {
        let parts = policy_file::read(files)?;
        Ok(match PolicyFile::of(&parts) {
            Ok(file) => Self {
                files,
                summary: summary(&file.policy),
                hash: Some(file.policy.hash().clone()),
                errors: Vec::new(),
                warnings: warnings(&file),
                lacks: envoy.map_or_else(Vec::new, |envoy| lacks(envoy, &file.policy)),
            },
            Err(errors) => Self {
                files,
                summary: String::new(),
                hash: None,
                errors,
                warnings: Vec::new(),
                lacks: Vec::new(),
            },
        })
    }

    fn to_json(&self) -> Value {
        let mut report = json!({
            "valid": self.is_valid(),
            "hash": self.hash.as_ref().map(PolicyHash::as_str),
            "errors": self.errors,
            "warnings": self.warnings,
            "envoy": self.lacks,
        });
        match self.files {
            [file] => report["file"] = json!(file),
            parts => report["parts"] = json!(parts),
        }
        report
    }

    /// Whether it can be used, where an Envoy is named with that one.
    fn is_valid(&self) -> bool {
        self.errors.is_empty() && !self.lacks.iter().any(|lack| lack.certain)
    }

    /// The file that something is about, or all of them.
    fn place(&self, file: Option<&PathBuf>) -> String {
        let names = |files: &[PathBuf]| {
            let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            names.join(", ")
        };
        file.map_or_else(|| names(self.files), |file| file.display().to_string())
    }
}

fn warnings(file: &PolicyFile) -> Vec<Placed> {
    lint(&file.policy, now().seconds())
        .into_iter()
        .map(|warning| Placed {
            file: file.origins.of(&warning.pointer).map(Path::to_owned),
            warning,
        })
        .collect()
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            let file = self.place(error.file.as_ref());
            let at = if error.pointer.is_empty() {
                "(the whole document)"
            } else {
                &error.pointer
            };
            writeln!(
                f,
                "{BAD}error{BAD:#}: {file}: {PLACE}{at}{PLACE:#}: {}",
                error.problem
            )?;
            if !error.found.is_empty() {
                writeln!(f, "    found:   {}", error.found)?;
            }
            if !error.allowed.is_empty() {
                writeln!(f, "    allowed: {}", error.allowed)?;
            }
            if let Some(hint) = &error.hint {
                writeln!(f, "    hint:    {hint}")?;
            }
        }
        for Placed { file, warning } in &self.warnings {
            let file = self.place(file.as_ref());
            let Warning { pointer, message } = warning;
            writeln!(
                f,
                "{NOTE}warning{NOTE:#}: {file}: {PLACE}{pointer}{PLACE:#}: {message}"
            )?;
        }
        let file = self.place(None);
        for Lack {
            certain,
            problem,
            fix,
        } in &self.lacks
        {
            let (style, word) = if *certain {
                (BAD, "error")
            } else {
                (NOTE, "warning")
            };
            writeln!(f, "{style}{word}{style:#}: {file}: {problem}\n    fix:     {fix}")?;
        }
        let errors = self.errors.len() + self.lacks.iter().filter(|lack| lack.certain).count();
        match errors {
            0 => {
                write!(f, "{GOOD}valid{GOOD:#}: {file}: {}", self.summary)?;
                match &self.hash {
                    Some(hash) => writeln!(f, ", hash {hash}"),
                    None => writeln!(f),
                }
            }
            errors => writeln!(f, "{file}: {}", counted(errors, "error")),
        }
    }
}

/// What the policy is made of. Teams and limits are counted where there are any.
fn summary(policy: &Policy) -> String {
    let allowances = || {
        let teams = policy.teams().map(|(_, team)| &team.allowance);
        teams.chain(policy.keys().map(|(_, key)| &key.allowance))
    };
    let quotas = || allowances().flat_map(|allowance| &allowance.quotas);
    let budgets = || allowances().filter_map(|allowance| allowance.budget.as_ref());
    let scopes = quotas()
        .map(|quota| quota.scope)
        .chain(budgets().map(|budget| budget.scope));
    let mut parts = vec![
        counted(policy.servers().count(), "server"),
        counted(policy.roles().count(), "role"),
    ];
    parts.extend(some(policy.teams().count(), "team"));
    parts.push(counted(policy.keys().count(), "key"));
    parts.extend(some(quotas().count(), "quota"));
    parts.extend(some(budgets().count(), "budget"));
    let limits = quotas().count() + budgets().count();
    parts.extend(match scopes.filter(|scope| *scope == Scope::Global).count() {
        0 => None,
        1 if limits == 1 => Some("global".to_owned()),
        all if all == limits => Some("all of them global".to_owned()),
        some => Some(format!("{some} of them global")),
    });
    parts.join(", ")
}

fn some(number: usize, noun: &str) -> Option<String> {
    (number > 0).then(|| counted(number, noun))
}

fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
