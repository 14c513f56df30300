//! `check`: everything that is wrong with a policy, and what is probably not meant.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use toolgate_engine::policy::{Policy, PolicyError, Scope, Warning, lint};

use super::{Format, now};
use crate::failure::{NO, Outcome};
use crate::policy_file;
use crate::style::{BAD, GOOD, NOTE, PLACE};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Policies; each is checked on its own.
    #[arg(required = true, value_name = "FILE")]
    policies: Vec<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let reports = args
        .policies
        .iter()
        .map(|path| Report::of(path))
        .collect::<Outcome<Vec<_>>>()?;
    let valid = reports.iter().all(|report| report.errors.is_empty());
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

struct Report<'a> {
    path: &'a Path,
    summary: String,
    errors: Vec<PolicyError>,
    warnings: Vec<Warning>,
}

impl<'a> Report<'a> {
    fn of(path: &'a Path) -> Outcome<Self> {
        let text = policy_file::read(path)?;
        Ok(match Policy::compile(&text) {
            Ok(policy) => Self {
                path,
                summary: summary(&policy),
                errors: Vec::new(),
                warnings: lint(&policy, now().seconds()),
            },
            Err(errors) => Self {
                path,
                summary: String::new(),
                errors: errors.0,
                warnings: Vec::new(),
            },
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "file": self.path,
            "valid": self.errors.is_empty(),
            "errors": self.errors,
            "warnings": self.warnings,
        })
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.path.display();
        for error in &self.errors {
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
        for Warning { pointer, message } in &self.warnings {
            writeln!(
                f,
                "{NOTE}warning{NOTE:#}: {file}: {PLACE}{pointer}{PLACE:#}: {message}"
            )?;
        }
        match self.errors.len() {
            0 => writeln!(f, "{GOOD}valid{GOOD:#}: {file}: {}", self.summary),
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
