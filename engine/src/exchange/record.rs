//! What is known about an exchange: for logs, filter state and headers.

use std::borrow::Cow;
use std::rc::Rc;

use super::message::logged;
use crate::binding::tasks::Task;
use crate::chain::{self, Link};
use crate::outcome::Outcome;
use crate::policy::PolicyHash;
use crate::reason::Reason;

/// The record of one exchange; grows as the exchange goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The hash of the policy that decided.
    pub policy: Option<PolicyHash>,
    /// The decision; `None` before there is one.
    pub decision: Option<Reason>,
    /// What enforcement would have said where shadow mode let it through.
    pub would_deny: Option<Reason>,
    /// Which pattern or place, for operators. Holds no credential and no argument value.
    pub detail: Option<String>,
    /// The virtual key's name.
    pub key: Option<Rc<str>>,
    /// Its team.
    pub team: Option<Rc<str>>,
    /// The server.
    pub server: Option<Rc<str>>,
    /// The JSON-RPC method as sent.
    pub method: Option<String>,
    /// The tool called, or the one whose task this is about.
    pub tool: Option<String>,
    /// The prompt, resource or task named; a task as the server knows it, or where it is refused, as sent.
    pub object: Option<String>,
    /// The JSON-RPC id token.
    pub id: Option<String>,
    /// The revision spoken.
    pub protocol: Option<&'static str>,
    /// The session: as the server knows it, or where it is refused, as sent.
    pub session: Option<Vec<u8>>,
    /// The trace that it is part of, in hexadecimal digits: the host's span, or else what the client says.
    pub trace_id: Option<[u8; 32]>,
    /// `sha256:` and the SHA-256 of a call's arguments in canonical form, in hexadecimal digits.
    pub arguments_digest: Option<String>,
    /// A call's arguments, masked, as JSON text; at most 16 KiB.
    pub arguments: Option<String>,
    /// The limit that refused or would have, as a JSON Pointer into the policy.
    pub limit: Option<String>,
    /// What the call was charged, in millionths of a currency unit.
    pub cost_micros: Option<u64>,
    /// Compare-and-swaps that met another worker's, if any did.
    pub store_conflicts: Option<u32>,
    /// What came of the request, if it went on.
    pub outcome: Option<Outcome>,
    /// Bytes of response body that the server sent.
    pub result_bytes: Option<u64>,
    /// About how many tokens a model would read: a quarter of the bytes of the message that holds the answer.
    pub result_tokens: Option<u64>,
    /// From the verdict to the head of the answer, in milliseconds.
    pub first_byte_ms: Option<u64>,
    /// From the verdict to the end of the answer, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What the rate limit service said: `within`, `over`, or what went wrong.
    pub rate_limit: Option<String>,
    /// The place in its chain; known once the exchange has ended.
    pub link: Option<Link>,
}

/// A field of a record.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in access logs and spans.
    pub log: &'static str,
    /// The name of its filter state; the host puts `wasm.` in front.
    pub state: &'static str,
    value: fn(&Record) -> Option<Cow<'_, str>>,
}

/// All fields, in the order in which the digest of a chain's record takes them ([`chain::digest`]), which is all but the
/// last.
///
/// Names are those of OpenTelemetry where it has them: <https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/>
pub const FIELDS: &[Field] = &[
    field("decision", "toolgate.decision", |r| {
        text(r.decision.map(Reason::as_str))
    }),
    field("would_deny", "toolgate.would_deny", |r| {
        text(r.would_deny.map(Reason::as_str))
    }),
    field("detail", "toolgate.detail", |r| text(r.detail.as_deref())),
    field("key", "toolgate.key", |r| text(r.key.as_deref())),
    field("team", "toolgate.team", |r| text(r.team.as_deref())),
    field("server", "toolgate.server", |r| text(r.server.as_deref())),
    field("mcp.method.name", "toolgate.method", |r| {
        text(r.method.as_deref())
    }),
    field("gen_ai.tool.name", "toolgate.tool", |r| text(r.tool.as_deref())),
    field("object", "toolgate.object", |r| text(r.object.as_deref())),
    field("jsonrpc.request.id", "toolgate.id", |r| text(r.id.as_deref())),
    field("mcp.protocol.version", "toolgate.protocol", |r| text(r.protocol)),
    field("mcp.session.id", "toolgate.session", |r| {
        r.session.as_deref().map(String::from_utf8_lossy)
    }),
    field("limit", "toolgate.limit", |r| text(r.limit.as_deref())),
    field("cost_micros", "toolgate.cost_micros", |r| number(r.cost_micros)),
    field("rate_limit", "toolgate.rate_limit", |r| {
        text(r.rate_limit.as_deref())
    }),
    field("store_conflicts", "toolgate.store_conflicts", |r| {
        number(r.store_conflicts)
    }),
    field("outcome", "toolgate.outcome", |r| {
        text(r.outcome.map(Outcome::as_str))
    }),
    field("outcome_code", "toolgate.outcome_code", |r| {
        number(r.outcome.and_then(Outcome::code))
    }),
    field("result_bytes", "toolgate.result_bytes", |r| {
        number(r.result_bytes)
    }),
    field("result_tokens", "toolgate.result_tokens", |r| {
        number(r.result_tokens)
    }),
    field("first_byte_ms", "toolgate.first_byte_ms", |r| {
        number(r.first_byte_ms)
    }),
    field("call_duration_ms", "toolgate.duration_ms", |r| {
        number(r.duration_ms)
    }),
    field("policy", "toolgate.policy", |r| {
        text(r.policy.as_ref().map(PolicyHash::as_str))
    }),
    field("arguments_digest", "toolgate.arguments_digest", |r| {
        text(r.arguments_digest.as_deref())
    }),
    field("arguments", "toolgate.arguments", |r| {
        text(r.arguments.as_deref())
    }),
    field("trace_id", "toolgate.trace_id", |r| {
        text(r.trace_id.as_ref().and_then(|id| std::str::from_utf8(id).ok()))
    }),
    field(chain::ID, "toolgate.chain_id", |r| {
        text(link(r).map(|link| &*link.id))
    }),
    field(chain::SEQ, "toolgate.chain_seq", |r| {
        number(link(r).map(|link| link.seq))
    }),
    field(chain::PREV, "toolgate.chain_prev", |r| {
        text(link(r).and_then(|link| link.prev.as_deref()))
    }),
    field(chain::AT, "toolgate.chain_at", |r| {
        number(link(r).map(|link| link.at))
    }),
    field(chain::DIGEST, "toolgate.chain_digest", |r| {
        text(link(r).map(|link| &*link.digest))
    }),
];

const fn field(log: &'static str, state: &'static str, value: fn(&Record) -> Option<Cow<'_, str>>) -> Field {
    Field { log, state, value }
}

fn text(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(Cow::Borrowed)
}

fn number<'r>(number: Option<impl itoa::Integer>) -> Option<Cow<'r, str>> {
    number.map(|number| Cow::Owned(itoa::Buffer::new().format(number).to_owned()))
}

fn link(record: &Record) -> Option<&Link> {
    record.link.as_ref()
}

impl Field {
    /// Its name in digests: the state's, without the `toolgate.` of all.
    pub fn name(&self) -> &'static str {
        self.state.strip_prefix("toolgate.").unwrap_or(self.state)
    }
}

impl Record {
    /// The fields that have a value, in the order of [`FIELDS`].
    pub fn fields(&self) -> impl Iterator<Item = (&'static Field, Cow<'_, str>)> {
        FIELDS
            .iter()
            .filter_map(|field| Some((field, (field.value)(self)?)))
    }

    /// The one task that a request is about is known to be the caller's.
    pub(super) fn name_task(&mut self, tasks: &[Task]) {
        // A listener may hear of many.
        let (Some(object), [task]) = (&mut self.object, tasks) else {
            return;
        };
        *object = logged(&task.id);
        self.tool = Some(logged(&task.tool)).filter(|tool| !tool.is_empty());
    }
}
