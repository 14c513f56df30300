//! `who-can`: the keys that can call a tool, through which grant, and who is stopped by what.

use std::io::Write;

use serde_json::{Value, json};
use toolgate_engine::decide::{Access, item_access};
use toolgate_engine::identity::as_key;
use toolgate_engine::mcp::method::List;
use toolgate_engine::policy::{Key, KeyId, Mode, Policy, Server};
use toolgate_engine::quota::Book;

use super::explain::find_server;
use super::{Format, now};
use crate::failure::{Failure, NO, Outcome};
use crate::limits::{self, Applied};
use crate::policy_file::PolicyArgs;
use crate::style::{BAD, DIM, GOOD, NOTE};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyArgs,
    /// The tool.
    #[arg(value_name = "SERVER/TOOL")]
    tool: String,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let policy = args.policy.load()?.policy;
    let Some((server, tool)) = args.tool.split_once('/') else {
        return Err(
            Failure::usage(format!("{:?} is not a tool of a server", args.tool))
                .fix("write it as SERVER/TOOL, for example docs/search"),
        );
    };
    let server = policy.server(find_server(&policy, server)?);
    let book = Book::new(&policy);
    let standings: Vec<Standing<'_>> = policy
        .keys()
        .map(|(id, key)| standing(&policy, &book, id, key, server, tool))
        .collect();
    let can = standings.iter().filter(|standing| standing.can()).count();
    let mut out = anstream::stdout().lock();
    match args.format {
        Format::Json => {
            let keys = |wanted: bool| -> Vec<Value> {
                standings
                    .iter()
                    .filter(|at| at.can() == wanted)
                    .map(Standing::to_json)
                    .collect()
            };
            writeln!(
                out,
                "{}",
                json!({ "tool": args.tool, "can": keys(true), "cannot": keys(false) })
            )?;
        }
        Format::Text => {
            for standing in &standings {
                standing.tell(&mut out)?;
            }
            writeln!(out, "{can} of {} keys can call {}", standings.len(), args.tool)?;
            if let Some(claim) = policy
                .identity()
                .jwt
                .as_ref()
                .and_then(|jwt| jwt.roles_claim.as_deref())
            {
                writeln!(
                    out,
                    "{DIM}not counted: roles that the JWT claim {claim:?} adds{DIM:#}"
                )?;
            }
        }
    }
    Ok(if can > 0 { 0 } else { NO })
}

/// How one key stands to the tool.
struct Standing<'p> {
    key: &'p str,
    team: Option<&'p str>,
    verdict: Verdict<'p>,
    /// What counts the call, if it can be made.
    limits: Vec<Applied>,
}

enum Verdict<'p> {
    /// The key cannot call anything.
    NoCaller(&'static str),
    Access(Access<'p>),
}

fn standing<'p>(
    policy: &'p Policy,
    book: &Book,
    id: KeyId,
    key: &'p Key,
    server: &'p Server,
    tool: &str,
) -> Standing<'p> {
    let (verdict, counted) = match as_key(policy, id, now()) {
        Ok(caller) => {
            let access = item_access(policy, &caller, server, List::Tools, tool);
            // What only the key's own shadow mode lets through counts against nothing.
            let counted = match access {
                Access::Granted { .. } => true,
                Access::Refused { .. } => access.is_listed() && caller.mode == Mode::Enforce,
            };
            (Verdict::Access(access), counted)
        }
        Err(no_caller) => (Verdict::NoCaller(no_caller.why), false),
    };
    Standing {
        key: &key.name,
        team: key.team.as_deref(),
        verdict,
        limits: if counted {
            limits::of_call(book, id, server, tool)
        } else {
            Vec::new()
        },
    }
}

impl Standing<'_> {
    /// A shadowed refusal lets the call through.
    fn can(&self) -> bool {
        match self.verdict {
            Verdict::NoCaller(_) => false,
            Verdict::Access(access) => access.is_listed(),
        }
    }

    fn tell(&self, out: &mut impl Write) -> std::io::Result<()> {
        let name = self.key;
        let team = self
            .team
            .map(|team| format!(" {DIM}(team {team}){DIM:#}"))
            .unwrap_or_default();
        match self.verdict {
            Verdict::Access(Access::Granted { role, pattern }) => {
                writeln!(
                    out,
                    "{GOOD}✓{GOOD:#} {name}{team}  allowed by {pattern:?} of role {role:?}"
                )
            }
            Verdict::Access(Access::Refused {
                why,
                mode: Mode::Shadow,
            }) => {
                writeln!(
                    out,
                    "{NOTE}~{NOTE:#} {name}{team}  only while in shadow mode: {why}"
                )
            }
            Verdict::Access(Access::Refused {
                why,
                mode: Mode::Enforce,
            }) => {
                writeln!(out, "{BAD}✗{BAD:#} {name}{team}  {why}")
            }
            Verdict::NoCaller(why) => writeln!(out, "{BAD}✗{BAD:#} {name}{team}  {why}"),
        }?;
        self.limits
            .iter()
            .try_for_each(|limit| writeln!(out, "    {DIM}{}{DIM:#}", limit.text))
    }

    fn to_json(&self) -> Value {
        let mut entry = json!({ "key": self.key, "team": self.team });
        match self.verdict {
            Verdict::NoCaller(why) => entry["why"] = json!(why),
            Verdict::Access(Access::Granted { role, pattern }) => {
                entry["role"] = json!(role);
                entry["pattern"] = json!(pattern);
            }
            Verdict::Access(Access::Refused { why, mode }) => {
                entry["why"] = json!(why.to_string());
                entry["shadow"] = json!(mode == Mode::Shadow);
            }
        }
        if self.can() {
            entry["limits"] = self.limits.iter().map(Applied::to_json).collect();
        }
        entry
    }
}
