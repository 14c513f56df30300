//! The decision on a call: the checks in their order, each with one verdict.
//!
//! The same functions decide whether an item is listed and whether it can be used.

mod access;
mod arguments;
mod loops;
mod trace;

pub use access::{Access, Why, item_access, reaching_role};
pub use trace::{Check, Step, Trace, Watch};

use std::cell::OnceCell;
use std::time::Duration;

use crate::canonical;
use crate::identity::Caller;
use crate::json::Value;
use crate::mcp::call::{Call, Object};
use crate::mcp::envelope::{Params, clip};
use crate::mcp::method::{self, List};
use crate::mcp::revision::Era;
use crate::policy::{Mode, Policy, Server};
use crate::reason::Reason;
use crate::schema::Advertised;
use crate::store::Store;
use crate::time::UnixNanos;

/// A refusal by policy, and how the caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// What the caller is told.
    pub telling: Telling,
    /// Whether it is carried out or only recorded.
    pub mode: Mode,
    /// For operators: which pattern, which place. Never shown to callers.
    pub detail: String,
}

/// How a refused caller is told.
/// <https://modelcontextprotocol.io/specification/2026-07-28/server/tools#error-handling>
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Telling {
    /// The key has nothing on this server: 403.
    Forbidden,
    /// A tool that does not exist, as far as this key can know.
    UnknownTool(String),
    /// The same for a prompt.
    UnknownPrompt(String),
    /// The same for a resource.
    UnknownResource(String),
    /// The method does not exist here.
    UnknownMethod(String),
    /// A tool result with `isError`, whose text is for the model.
    ToolError(String),
    /// The server is spared: 503.
    Unavailable {
        /// For people.
        text: String,
        /// When to try again.
        after: Duration,
    },
    /// A tool result with `isError` for what passes in time.
    RetryLater {
        /// For the model.
        text: String,
        /// When to try again; `None` if waiting does not help.
        after: Option<Duration>,
    },
}

/// The verdict of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict<'p> {
    /// Passes.
    Passes(Pass<'p>),
    /// The check has nothing to say about this call.
    NotApplicable,
    /// Refuses.
    Refused(Refusal),
}

/// What let a call pass a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass<'p> {
    /// This role has grants on the server.
    Role(&'p str),
    /// This pattern of this role allows the item.
    Grant {
        /// The role.
        role: &'p str,
        /// The pattern as written.
        pattern: &'p str,
    },
    /// The method is granted.
    Method,
    /// It was not made too often.
    Loops,
    /// The arguments fit the written schema, the advertised one, or both.
    Schema,
}

/// What a judgement needs besides the call.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The server called.
    pub server: &'a Server,
    /// Who calls.
    pub caller: &'a Caller,
    /// The era of the request.
    pub era: Era,
    /// What servers advertised.
    pub advertised: &'a Advertised,
    /// Shared state.
    pub store: &'a dyn Store,
    /// The time of the verdict.
    pub now: UnixNanos,
    /// `params` of the request.
    pub params: &'a Params<'a>,
    /// The session of the request, as the server knows it.
    pub session: Option<&'a [u8]>,
    /// The trace that the client names.
    pub trace: Option<[u8; 32]>,
    /// The digest of the call's arguments, once somebody asks for it.
    pub digest: &'a OnceCell<[u8; 32]>,
    /// Enforcement would have refused the request before: it counts nowhere.
    pub spared: bool,
}

impl Context<'_> {
    /// The digest of the call's arguments ([`canonical::digest`]), which is made only once.
    pub fn digest_of(&self, arguments: Option<Value<'_>>) -> [u8; 32] {
        *self.digest.get_or_init(|| canonical::digest(arguments, &[]))
    }
}

/// The outcome of all checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The refusal that is carried out.
    pub refused: Option<Refusal>,
    /// The first refusal that shadow mode turned into a note.
    pub would_deny: Option<Refusal>,
}

impl Judgement {
    /// Takes one verdict in; `true` while the checks go on.
    pub fn take(&mut self, verdict: Verdict<'_>) -> bool {
        let Verdict::Refused(refusal) = verdict else {
            return true;
        };
        if refusal.mode == Mode::Shadow && refusal.reason.can_be_shadowed() {
            self.would_deny.get_or_insert(refusal);
            return true;
        }
        self.refused = Some(refusal);
        false
    }
}

type Run = for<'a> fn(&Context<'a>, &Call<'_>) -> Verdict<'a>;

/// The checks on a call, in the order in which they apply.
const CHECKS: &[(Check, Run)] = &[
    (Check::Method, check_method),
    (Check::Grant, check_object),
    (Check::Loop, loops::check),
    (Check::Schema, arguments::check),
];

/// Judges a request or notification whose shape is already accepted, on a server that
/// [`check_server`] let the caller reach.
#[must_use]
pub fn judge(context: &Context<'_>, call: &Call<'_>, watch: &mut dyn Watch) -> Judgement {
    let mut judgement = Judgement::default();
    for (check, run) in CHECKS {
        if *check == Check::Loop && (context.spared || judgement.would_deny.is_some()) {
            continue;
        }
        let verdict = run(context, call);
        watch.saw(*check, &verdict);
        if !judgement.take(verdict) {
            break;
        }
    }
    judgement
}

/// Whether the key has anything on this server at all.
pub fn check_server<'p>(policy: &'p Policy, caller: &Caller, server: &Server) -> Verdict<'p> {
    match reaching_role(policy, caller, server) {
        Some(role) => Verdict::Passes(Pass::Role(&role.name)),
        None => Verdict::Refused(Refusal {
            reason: Reason::NoGrant,
            telling: Telling::Forbidden,
            mode: caller.mode,
            detail: format!("no role of the key has a grant on server {:?}", server.name),
        }),
    }
}

/// Whether the method is in the granted set of the server.
fn check_method<'a>(context: &Context<'a>, call: &Call<'_>) -> Verdict<'a> {
    let granted = match (call.known, &context.server.methods) {
        (Some(method), _) if !method.in_era(context.era) => false,
        (Some(method), _) if method.always => true,
        (Some(_), None) => true,
        (None, None) => false,
        (None, Some(_)) if method::is_variant(&call.method) => false,
        (_, Some(globs)) => globs.matches_text(&call.method),
    };
    if granted {
        return Verdict::Passes(Pass::Method);
    }
    Verdict::Refused(Refusal {
        reason: Reason::Method,
        telling: Telling::UnknownMethod(call.method.clone().into_owned()),
        mode: context.caller.mode,
        detail: format!(
            "{:?} is not a method of server {:?}",
            clip(&call.method),
            context.server.name
        ),
    })
}

/// Whether the key may use the object that the call names.
fn check_object<'a>(context: &Context<'a>, call: &Call<'_>) -> Verdict<'a> {
    match &call.object {
        // A task carries no name to judge: the call that made it was judged.
        Object::None | Object::Task(_) => Verdict::NotApplicable,
        Object::Tool { name, .. } => verdict(context, List::Tools, name),
        Object::Prompt(name) => verdict(context, List::Prompts, name),
        Object::Resource(uri) => verdict(context, List::Resources, uri),
        Object::Template(template) => verdict(context, List::Templates, template),
        Object::Resources(uris) => uris
            .iter()
            .map(|uri| verdict(context, List::Resources, uri))
            .find(|verdict| matches!(verdict, Verdict::Refused(_)))
            .unwrap_or(Verdict::NotApplicable),
    }
}

fn verdict<'a>(context: &Context<'a>, list: List, name: &str) -> Verdict<'a> {
    match item_access(context.policy, context.caller, context.server, list, name) {
        Access::Granted { role, pattern } => Verdict::Passes(Pass::Grant { role, pattern }),
        Access::Refused { why, mode } => Verdict::Refused(Refusal {
            reason: Reason::Hidden,
            telling: match list {
                List::Tools => Telling::UnknownTool(name.to_owned()),
                List::Prompts => Telling::UnknownPrompt(name.to_owned()),
                List::Resources | List::Templates => Telling::UnknownResource(name.to_owned()),
            },
            mode,
            detail: format!("{:?}: {why}", clip(name)),
        }),
    }
}
