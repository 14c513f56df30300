//! The verdict on a POSTed message.

use std::cell::OnceCell;

use super::arguments::Told;
use super::{Engine, Record, UnixNanos, Waiting};
use crate::decide::{Context, Judgement, Watch, judge as judge_call};
use crate::json;
use crate::mcp::call::{Call, Object};
use crate::mcp::classify::{check_mirrors, revision_of};
use crate::mcp::envelope::{self, Envelope, PARSE_ERROR, Rejected, Shape, clip_to, invalid};
use crate::mcp::revision::{Era, Revision};
use crate::mcp::trace;
use crate::store::Store;

/// What a body turned out to be. Lives only as long as the verdict on it.
#[allow(
    clippy::large_enum_variant,
    reason = "never stored, and the large one is the usual one; how large depends on the target"
)]
pub(super) enum Judged<'a> {
    /// Not accepted as a message.
    Rejected(Rejected),
    /// The client's answer to a request of the server.
    Response { id: &'a str, envelope: Envelope<'a> },
    /// A request or notification, judged.
    Call(Called<'a>),
}

/// A request or notification, and the verdict on it.
pub(super) struct Called<'a> {
    pub(super) revision: Revision,
    pub(super) call: Call<'a>,
    pub(super) id: Option<&'a str>,
    pub(super) envelope: Envelope<'a>,
    pub(super) judgement: Judgement,
    /// The trace that the client names.
    pub(super) trace: Option<[u8; 32]>,
    /// What the record says of its arguments.
    pub(super) told: Told,
}

/// Reads and judges a body that came with its headers.
pub(super) fn judge<'a>(
    engine: &Engine,
    waiting: &Waiting,
    body: &'a [u8],
    store: &dyn Store,
    now: UnixNanos,
    watch: &mut dyn Watch,
) -> Judged<'a> {
    conclude(
        engine,
        waiting,
        read(engine, waiting, body, true),
        store,
        now,
        watch,
    )
}

/// The same for a body alone: nothing to compare with `Mcp-Method` and `Mcp-Name`.
pub(super) fn judge_body<'a>(
    engine: &Engine,
    waiting: &Waiting,
    body: &'a [u8],
    store: &dyn Store,
    now: UnixNanos,
    watch: &mut dyn Watch,
) -> Judged<'a> {
    conclude(
        engine,
        waiting,
        read(engine, waiting, body, false),
        store,
        now,
        watch,
    )
}

fn conclude<'a>(
    engine: &Engine,
    waiting: &Waiting,
    read: Result<Read<'a>, Rejected>,
    store: &dyn Store,
    now: UnixNanos,
    watch: &mut dyn Watch,
) -> Judged<'a> {
    match read {
        Err(rejected) => Judged::Rejected(rejected),
        Ok(Read::Response { id, envelope }) => Judged::Response { id, envelope },
        Ok(Read::Call {
            revision,
            call,
            id,
            envelope,
        }) => {
            let trace = waiting.trace.or_else(|| trace::in_meta(&envelope.params));
            let digest = OnceCell::new();
            let context = Context {
                policy: &engine.policy,
                server: engine.policy.server(waiting.server),
                caller: &waiting.caller,
                era: revision.era(),
                advertised: &engine.advertised,
                store,
                now,
                params: &envelope.params,
                session: waiting.session.as_deref(),
                trace,
                digest: &digest,
                spared: waiting.would_deny.is_some(),
            };
            let judgement = judge_call(&context, &call, watch);
            let told = Told::of(&context, &call);
            Judged::Call(Called {
                revision,
                call,
                id,
                envelope,
                judgement,
                trace,
                told,
            })
        }
    }
}

/// A POST without a body.
pub(super) fn empty_body() -> Rejected {
    Rejected {
        code: PARSE_ERROR,
        ..invalid("the body is empty", None)
    }
}

enum Read<'a> {
    Response {
        id: &'a str,
        envelope: Envelope<'a>,
    },
    Call {
        revision: Revision,
        call: Call<'a>,
        id: Option<&'a str>,
        envelope: Envelope<'a>,
    },
}

fn read<'a>(
    engine: &Engine,
    waiting: &Waiting,
    body: &'a [u8],
    with_headers: bool,
) -> Result<Read<'a>, Rejected> {
    let limits = json::Limits {
        depth: engine.policy.limits().depth,
        ..json::Limits::default()
    };
    if body.is_empty() {
        return Err(empty_body());
    }
    let envelope = envelope::read(body, &limits)?;
    let revision = revision_of(&waiting.declared, &envelope)?;
    let Some(call) = Call::read(&envelope)? else {
        return match envelope.shape {
            Shape::Response { id } => Ok(Read::Response { id, envelope }),
            Shape::Request { .. } | Shape::Notification { .. } => Err(invalid("not a message", None)),
        };
    };
    if with_headers && revision.era() == Era::Modern {
        let mirrors: Vec<(&[u8], &[u8])> = waiting.mirrors.iter().map(|(n, v)| (&**n, &**v)).collect();
        check_mirrors(&mirrors, &envelope, &call.mirror())?;
    }
    let id = match envelope.shape {
        Shape::Request { id, .. } => Some(id),
        Shape::Notification { .. } | Shape::Response { .. } => None,
    };
    Ok(Read::Call {
        revision,
        call,
        id,
        envelope,
    })
}

impl Judged<'_> {
    /// Writes down what is known of the message.
    pub(super) fn describe(&mut self, record: &mut Record) {
        match self {
            Judged::Rejected(rejected) => record.id.clone_from(&rejected.id),
            Judged::Response { id, .. } => record.id = Some((*id).to_owned()),
            Judged::Call(Called {
                revision,
                call,
                id,
                trace,
                told,
                ..
            }) => {
                record.trace_id = record.trace_id.or(*trace);
                record.arguments_digest = told.digest.take();
                record.arguments = told.values.take();
                record.protocol = Some(revision.as_str());
                record.method = Some(call.method.clone().into_owned());
                record.id = id.map(str::to_owned);
                match &call.object {
                    Object::Tool { name, .. } => record.tool = Some(logged(name)),
                    Object::Prompt(name)
                    | Object::Resource(name)
                    | Object::Template(name)
                    | Object::Task(name) => {
                        record.object = Some(logged(name));
                    }
                    Object::Resources(_) | Object::None => {}
                }
            }
        }
    }
}

/// A name for the record: a caller chooses it, and logs have to keep it.
pub(super) fn logged(name: &str) -> String {
    clip_to(name, 256).into_owned()
}
