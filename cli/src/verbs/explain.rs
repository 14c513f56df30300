//! `explain`: the decision on a request, check by check; without one, what a key may do on a server.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use toolgate_engine::binding::Secrets;
use toolgate_engine::decide::{Check, Step};
use toolgate_engine::exchange::{Engine, Explained, LocalReply, explain};
use toolgate_engine::policy::{KeyId, Policy, ServerId};
use toolgate_engine::reason::Reason;
use toolgate_engine::store::MemoryStore;

use super::{Format, now};
use crate::failure::{Failure, NO, Outcome};
use crate::grants::Grants;
use crate::limits::{self, Applied};
use crate::nearest::nearest;
use crate::policy_file::PolicyArgs;
use crate::style::{BAD, DIM, GOOD, NOTE};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyArgs,
    /// The name of a key.
    #[arg(long, value_name = "NAME")]
    key: String,
    /// The name of a server.
    #[arg(long, value_name = "NAME")]
    server: String,
    /// A JSON-RPC message, as it would be POSTed ("-": standard input).
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if args.policy.reads_stdin() && args.request.as_deref() == Some(Path::new("-")) {
        return Err(Failure::usage("both --policy and --request are standard input")
            .fix("name a file for one of them"));
    }
    let policy = args.policy.load()?.policy;
    let key = find_key(&policy, &args.key)?;
    let server = find_server(&policy, &args.server)?;
    let body = args.request.as_deref().map(read_request).transpose()?;
    // No session or task is opened here.
    let engine = Engine::new(policy, Secrets::random([0; 32]));
    let explained = explain(&engine, key, server, body.as_deref(), &MemoryStore::new(), now());
    let grants = match (&body, explained.decision) {
        (None, Reason::Allowed) => Some(Grants::of(engine.policy(), engine.book(), key, server, now())),
        _ => None,
    };
    let limits = match body.as_deref().and_then(tool_called) {
        Some(tool) if explained.steps.iter().any(is_limit) => {
            limits::of_call(engine.book(), key, engine.policy().server(server), &tool)
        }
        _ => Vec::new(),
    };
    let mut out = anstream::stdout().lock();
    match args.format {
        Format::Json => writeln!(out, "{}", to_json(args, &explained, &limits, grants.as_ref()))?,
        Format::Text => {
            tell(&mut out, args, &explained)?;
            if let Some(grants) = grants {
                write!(out, "\n{grants}")?;
            }
        }
    }
    Ok(if explained.decision == Reason::Allowed {
        0
    } else {
        NO
    })
}

/// The key of that name; the failure names the nearest.
pub(super) fn find_key(policy: &Policy, name: &str) -> Outcome<KeyId> {
    policy.key_by_name(name).ok_or_else(|| {
        let near = nearest(name, policy.keys().map(|(_, key)| &*key.name));
        Failure::usage(format!("the policy has no key {name:?}"))
            .maybe_fix(near.map(|near| format!("did you mean {near:?}?")))
    })
}

/// The server of that name; the failure names the nearest.
pub(super) fn find_server(policy: &Policy, name: &str) -> Outcome<ServerId> {
    policy.server_by_name(name).ok_or_else(|| {
        let near = nearest(name, policy.servers().map(|(_, server)| &*server.name));
        Failure::usage(format!("the policy has no server {name:?}"))
            .maybe_fix(near.map(|near| format!("did you mean {near:?}?")))
    })
}

fn read_request(path: &Path) -> Outcome<Vec<u8>> {
    if path == Path::new("-") {
        let mut body = Vec::new();
        std::io::stdin().lock().read_to_end(&mut body)?;
        return Ok(body);
    }
    std::fs::read(path)
        .map_err(|error| Failure::usage(format!("cannot read the request {}: {error}", path.display())))
}

/// Whether it names a quota or budget that counts the call. Whether that has room, nothing here knows.
fn is_limit(step: &Step) -> bool {
    matches!(step.check, Check::Quota | Check::Budget)
}

/// The same, loop guards included.
fn counts(step: &Step) -> bool {
    is_limit(step) || (step.check == Check::Loop && applies(step))
}

/// Whether it names a breaker. Whether that is open, nothing here knows.
fn watches(step: &Step) -> bool {
    step.check == Check::Breaker
}

fn applies(step: &Step) -> bool {
    step.refused.is_none() && step.text != NOT_APPLICABLE
}

/// The tool that a message calls. The engine has read it more strictly before.
fn tool_called(body: &[u8]) -> Option<String> {
    let message: Value = serde_json::from_slice(body).ok()?;
    message
        .pointer("/params/name")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

fn tell(out: &mut impl Write, args: &Args, explained: &Explained) -> std::io::Result<()> {
    let Args { key, server, .. } = args;
    match (explained.decision, explained.would_deny) {
        (Reason::Allowed, None) => writeln!(out, "{GOOD}allowed{GOOD:#}  {key} on {server}")?,
        (Reason::Allowed, Some(reason)) => {
            writeln!(
                out,
                "{NOTE}allowed{NOTE:#}  {key} on {server}; enforced it would be refused: {reason}"
            )?;
        }
        (reason, _) => writeln!(out, "{BAD}refused{BAD:#}  {key} on {server}: {reason}")?,
    }
    for step in &explained.steps {
        let (style, mark) = match (step.refused, step.shadow) {
            (None, _) if step.text == NOT_APPLICABLE => (DIM, "-"),
            (None, _) if counts(step) || watches(step) => (NOTE, "•"),
            (None, _) => (GOOD, "✓"),
            (Some(_), true) => (NOTE, "~"),
            (Some(_), false) => (BAD, "✗"),
        };
        writeln!(
            out,
            "  {style}{mark}{style:#} {:<9} {}",
            step.check.as_str(),
            step.text
        )?;
    }
    if let Some(unknown) = unknown(&explained.steps) {
        writeln!(out, "  {DIM}{unknown} is known where calls are made{DIM:#}")?;
    }
    explained
        .reply
        .as_ref()
        .map_or(Ok(()), |reply| tell_reply(out, reply))
}

/// What nothing here knows of what was named.
fn unknown(steps: &[Step]) -> Option<&'static str> {
    match (steps.iter().any(counts), steps.iter().any(watches)) {
        (true, true) => Some("what is left of a limit, and whether a breaker is open,"),
        (true, false) => Some("what is left of a limit"),
        (false, true) => Some("whether a breaker is open"),
        (false, false) => None,
    }
}

/// What the engine says of a check that has nothing to say.
const NOT_APPLICABLE: &str = "does not apply";

fn tell_reply(out: &mut impl Write, reply: &LocalReply) -> std::io::Result<()> {
    writeln!(out, "  answer: HTTP {}", reply.status)?;
    for (name, value) in &reply.headers {
        writeln!(out, "  {DIM}{name}: {value}{DIM:#}")?;
    }
    if reply.body.is_empty() {
        return Ok(());
    }
    writeln!(out, "  {}", String::from_utf8_lossy(&reply.body))
}

fn to_json(args: &Args, explained: &Explained, limits: &[Applied], grants: Option<&Grants<'_>>) -> Value {
    json!({
        "key": args.key,
        "server": args.server,
        "decision": explained.decision.as_str(),
        "would_deny": explained.would_deny.map(Reason::as_str),
        "checks": explained.steps.iter().map(step_json).collect::<Vec<_>>(),
        "limits": limits.iter().map(Applied::to_json).collect::<Vec<_>>(),
        "answer": explained.reply.as_ref().map(reply_json),
        "grants": grants.map(Grants::to_json),
    })
}

fn step_json(step: &Step) -> Value {
    let outcome = match (step.refused, step.shadow) {
        (None, _) if step.text == NOT_APPLICABLE => "skipped",
        (None, _) if counts(step) => "counted",
        (None, _) if watches(step) => "watched",
        (None, _) => "passed",
        (Some(_), true) => "shadowed",
        (Some(_), false) => "refused",
    };
    json!({
        "check": step.check.as_str(),
        "outcome": outcome,
        "reason": step.refused.map(Reason::as_str),
        "text": step.text,
    })
}

fn reply_json(reply: &LocalReply) -> Value {
    json!({
        "status": reply.status,
        "headers": reply.headers.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
        "body": String::from_utf8_lossy(&reply.body),
    })
}
