//! `rollout`: whether a policy is in force in a running Envoy.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anstream::println;
use clap::Subcommand;
use serde_json::json;

use super::Format;
use crate::failure::{Failure, NO, Outcome};
use crate::policy_file::PolicyFile;
use crate::rollout::{Admin, Problem, Rejection, Status};
use crate::style::{BAD, DIM, GOOD, NOTE, clean};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(250);
/// For one round of questions, where nothing is said.
const ONE_ROUND: Duration = Duration::from_secs(10);
/// A mistyped duration is not waited for.
const LONGEST: Duration = Duration::from_hours(24);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// Exit 0 if the policy is in force everywhere, 1 if not.
    Status(StatusArgs),
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// An Envoy's admin interface; repeat it for each replica.
    #[arg(long, value_name = "URL", required = true)]
    admin: Vec<Admin>,
    /// The policy that is to be in force, repeated for each part [default: any].
    #[arg(long = "policy", value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// Wait for it so long, for example 30s or 2m.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// How to say it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// One Envoy's answer.
struct Answer<'a> {
    admin: &'a Admin,
    status: Result<Status, Problem>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let Question::Status(args) = &args.question;
    let wanted = match args.policy.as_slice() {
        [] => None,
        files => Some(PolicyFile::load(files)?.policy.hash().to_string()),
    };
    let answers = wait(args, wanted.as_deref());
    for answer in &answers {
        if let Err(Problem::NotEnvoy(why)) = &answer.status {
            return Err(
                Failure::usage(format!("{} is not Envoy's admin interface: {why}", answer.admin))
                    .fix("give the address of \"admin\" in Envoy's bootstrap"),
            );
        }
    }
    let done = answers.iter().all(|answer| answer.is_in_force(wanted.as_deref()));
    match args.format {
        Format::Text => {
            for answer in &answers {
                println!("{}", answer.text(wanted.as_deref()));
            }
        }
        Format::Json => println!("{}", document(&answers, wanted.as_deref(), done)),
    }
    Ok(if done { 0 } else { NO })
}

/// Asks everybody until all have it, or time is up.
fn wait<'a>(args: &'a StatusArgs, wanted: Option<&str>) -> Vec<Answer<'a>> {
    let until = Instant::now() + args.timeout.unwrap_or_default();
    loop {
        let round = args.timeout.map_or(ONE_ROUND, |_| {
            until
                .saturating_duration_since(Instant::now())
                .max(Duration::from_secs(1))
        });
        let answers = ask(&args.admin, round);
        let settled = answers
            .iter()
            .all(|answer| answer.is_in_force(wanted) || matches!(answer.status, Err(Problem::NotEnvoy(_))));
        if settled || Instant::now() + PAUSE >= until {
            return answers;
        }
        thread::sleep(PAUSE);
    }
}

/// All at once: one that is silent does not use up the others' time.
fn ask(admins: &[Admin], within: Duration) -> Vec<Answer<'_>> {
    thread::scope(|scope| {
        let asked: Vec<_> = admins
            .iter()
            .map(|admin| (admin, scope.spawn(move || Status::of(admin, within))))
            .collect();
        let answers = asked.into_iter().map(|(admin, asked)| {
            let died = || Err(Problem::Unreachable("the question was not finished".into()));
            Answer {
                admin,
                status: asked.join().unwrap_or_else(|_| died()),
            }
        });
        answers.collect()
    })
}

impl Answer<'_> {
    fn is_in_force(&self, wanted: Option<&str>) -> bool {
        let Ok(status) = &self.status else {
            return false;
        };
        let policy = match wanted {
            Some(hash) => status.in_force.len() == 1 && status.in_force.contains(hash),
            None => !status.in_force.is_empty(),
        };
        policy && status.state == "LIVE"
    }

    fn text(&self, wanted: Option<&str>) -> String {
        let admin = self.admin;
        let status = match &self.status {
            Ok(status) => status,
            Err(Problem::Unreachable(why) | Problem::NotEnvoy(why)) => {
                return format!("{admin}: {BAD}no answer{BAD:#}: {why}");
            }
        };
        let found: Vec<&str> = status.in_force.iter().map(String::as_str).collect();
        let found = found.join(", ");
        let mut text = match (self.is_in_force(wanted), wanted) {
            (true, _) => format!("{admin}: policy {found} is {GOOD}in force{GOOD:#}"),
            (false, _) if status.state != "LIVE" => {
                format!("{admin}: {BAD}not in force{BAD:#}: Envoy is {}", status.state)
            }
            (false, _) if found.is_empty() => {
                format!("{admin}: {BAD}not in force{BAD:#}: no policy is in force in this Envoy")
            }
            (false, wanted) => {
                let wanted = wanted.unwrap_or_default();
                format!("{admin}: policy {wanted} is {BAD}not in force{BAD:#}: {found} is")
            }
        };
        // Writing to a string cannot fail.
        let _ = write!(text, " {DIM}(Envoy {}){DIM:#}", status.envoy);
        if status.rejected > 0 {
            let times = if status.rejected == 1 {
                "1 update"
            } else {
                &format!("{} updates", status.rejected)
            };
            let _ = write!(
                text,
                "\n  {NOTE}{times} rejected{NOTE:#} since it started; its log says why: look for \"toolgate: policy refused\""
            );
        }
        for error in &status.errors {
            let Rejection {
                listener,
                at,
                details,
            } = error;
            let _ = write!(
                text,
                "\n  {} at {}: {}",
                clean(listener),
                clean(at),
                clean(details)
            );
        }
        text
    }
}

fn document(answers: &[Answer<'_>], wanted: Option<&str>, done: bool) -> serde_json::Value {
    let each = answers.iter().map(|answer| {
        let mut one = match &answer.status {
            Ok(status) => json!(status),
            Err(Problem::Unreachable(why) | Problem::NotEnvoy(why)) => json!({ "error": why }),
        };
        one["admin"] = json!(answer.admin.to_string());
        one["ok"] = json!(answer.is_in_force(wanted));
        one
    });
    json!({ "ok": done, "policy": wanted, "envoys": each.collect::<Vec<_>>() })
}

/// A whole number of seconds, minutes or hours.
fn duration(text: &str) -> Result<Duration, String> {
    let hint = "write a number with s, m or h, up to 24h, for example 30s";
    let split = text.len().saturating_sub(1);
    let (number, unit) = text.split_at_checked(split).ok_or(hint)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(hint.into()),
    };
    let number: u64 = number.parse().map_err(|_| hint)?;
    let found = number.checked_mul(seconds).map(Duration::from_secs);
    found
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| hint.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn durations_have_a_unit_and_an_end() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        for bad in ["", "30", "s", "-1s", "1.5s", "25h", "18446744073709551615h", "3é"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
