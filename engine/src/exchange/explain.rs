//! The same decision, told check by check.

mod watches;

use super::{Engine, LocalReply, UnixNanos, Verb, Waiting, message};
use crate::answer::Answers;
use crate::decide::{Check, Judgement, Step, Trace, Watch, check_server};
use crate::identity;
use crate::json;
use crate::mcp::call::Object;
use crate::mcp::classify::Declared;
use crate::mcp::revision::{Era, Revision};
use crate::policy::{KeyId, Micros, Mode, ServerId};
use crate::quota;
use crate::reason::Reason;
use crate::store::Store;

/// A decision and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The decision.
    pub decision: Reason,
    /// What enforcement would have said where shadow mode lets it through.
    pub would_deny: Option<Reason>,
    /// Every check that was made, in order.
    pub steps: Vec<Step>,
    /// What the caller would be answered, if refused.
    pub reply: Option<LocalReply>,
}

/// Explains what would happen to `body`, POSTed by `key` to `server` with headers that agree with
/// it. Without a body: whether the key gets to the server at all.
pub fn explain(
    engine: &Engine,
    key: KeyId,
    server: ServerId,
    body: Option<&[u8]>,
    store: &dyn Store,
    now: UnixNanos,
) -> Explained {
    let policy = engine.policy();
    let answers = Answers {
        decision_header: policy.decision_header(),
        era: Era::Legacy,
        id: None,
    };
    let mut trace = Trace::default();
    let caller = match identity::as_key(policy, key, now) {
        Ok(caller) => caller,
        Err(no_caller) => {
            trace.steps.push(Step {
                check: Check::Identity,
                refused: Some(no_caller.reason),
                shadow: false,
                text: no_caller.why.to_owned(),
            });
            return told(
                no_caller.reason,
                None,
                trace,
                Some(answers.unauthorized(no_caller.reason)),
            );
        }
    };
    let name = &policy.key(key).name;
    trace.steps.push(Step {
        check: Check::Identity,
        refused: None,
        shadow: false,
        text: format!("key {name:?}"),
    });
    let mut judgement = Judgement::default();
    let verdict = check_server(policy, &caller, policy.server(server));
    trace.saw(Check::Server, &verdict);
    judgement.take(verdict);
    if let Some(refusal) = judgement.refused {
        let reply = answers.refused(refusal.reason, &refusal.telling);
        return told(refusal.reason, None, trace, Some(reply));
    }
    let would_deny = judgement.would_deny.map(|refusal| refusal.reason);
    let Some(body) = body else {
        return told(Reason::Allowed, would_deny, trace, None);
    };
    let waiting = Waiting {
        server,
        caller,
        verb: Verb::Post,
        declared: declared_by(body),
        mirrors: Vec::new(),
        would_deny: None,
        session: None,
        trace: None,
    };
    conclude(engine, &waiting, body, store, would_deny, now, trace)
}

fn conclude(
    engine: &Engine,
    waiting: &Waiting,
    body: &[u8],
    store: &dyn Store,
    would_deny: Option<Reason>,
    now: UnixNanos,
    mut trace: Trace,
) -> Explained {
    let decision_header = engine.policy().decision_header();
    let answers = |era, id| Answers {
        decision_header,
        era,
        id,
    };
    match message::judge_body(engine, waiting, body, store, now, &mut trace) {
        message::Judged::Rejected(rejected) => {
            trace.steps.insert(
                2.min(trace.steps.len()),
                Step {
                    check: Check::Shape,
                    refused: Some(rejected.reason),
                    shadow: false,
                    text: rejected.message.clone(),
                },
            );
            told(
                rejected.reason,
                would_deny,
                trace,
                Some(answers(waiting.declared.era(), None).rejected(&rejected)),
            )
        }
        message::Judged::Response { .. } => {
            trace.steps.extend(watches::breaker(engine, waiting.server, None));
            told(Reason::Allowed, would_deny, trace, None)
        }
        message::Judged::Call(message::Called {
            revision,
            call,
            id,
            judgement,
            ..
        }) => {
            let would_deny = would_deny.or(judgement.would_deny.map(|refusal| refusal.reason));
            let tool = match &call.object {
                Object::Tool { name, .. } => Some(&**name),
                _ => None,
            };
            if tool.is_some() {
                watches::name_loops(&mut trace.steps, engine.policy().key(waiting.caller.key));
            }
            let Some(refusal) = judgement.refused else {
                // As when it is charged: what enforcement would have refused earlier counts against nothing.
                let spared = waiting.caller.mode == Mode::Shadow && would_deny.is_some();
                if !spared {
                    let called = tool.filter(|_| id.is_some());
                    let breaker = watches::breaker(engine, waiting.server, called);
                    trace.steps.extend(breaker);
                    trace
                        .steps
                        .extend(called.into_iter().flat_map(|tool| limits(engine, waiting, tool)));
                }
                return told(Reason::Allowed, would_deny, trace, None);
            };
            let answers = answers(revision.era(), id);
            let reply = match id {
                Some(_) => answers.refused(refusal.reason, &refusal.telling),
                None => answers.forbidden_notification(refusal.reason),
            };
            told(refusal.reason, would_deny, trace, Some(reply))
        }
    }
}

/// The limits that a call counts against. What was used of them is known where the calls are made.
fn limits(engine: &Engine, waiting: &Waiting, tool: &str) -> Vec<Step> {
    let bill = engine.book.bill(&quota::Call {
        key: waiting.caller.key,
        subject: waiting.caller.subject.as_deref(),
        server: engine.policy.server(waiting.server),
        tool,
    });
    let per_kib = bill.as_ref().map(|bill| bill.cost.per_kib).unwrap_or_default();
    let of_result = match per_kib {
        Micros(0) => String::new(),
        per_kib => format!(", and {per_kib} for each KiB of its result,"),
    };
    let lines = bill.iter().flat_map(|bill| &bill.lines);
    lines
        .filter_map(|line| {
            let (owner, limit) = engine.book.limit(line.limit)?;
            let (check, takes) = if line.budget {
                let amount = Micros(line.amount);
                (Check::Budget, format!("takes {amount}{of_result} of "))
            } else {
                (Check::Quota, "counts against ".to_owned())
            };
            Some(Step {
                check,
                refused: None,
                shadow: false,
                text: format!("{takes}{}", quota::describe(owner, limit)),
            })
        })
        .collect()
}

/// The header that a client sending this body would send with it.
fn declared_by(body: &[u8]) -> Declared {
    let claimed = json::parse(body, &json::Limits::default())
        .ok()
        .and_then(|message| {
            message
                .get("params")?
                .get("_meta")?
                .get("io.modelcontextprotocol/protocolVersion")?
                .as_str()
        });
    match claimed {
        None => Declared::Nothing,
        Some(text) => {
            Revision::parse(&text).map_or_else(|| Declared::Unknown(text.into_owned()), Declared::Known)
        }
    }
}

fn told(decision: Reason, would_deny: Option<Reason>, trace: Trace, reply: Option<LocalReply>) -> Explained {
    Explained {
        decision,
        would_deny,
        steps: trace.steps,
        reply,
    }
}
