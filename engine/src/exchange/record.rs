//! What is known about an exchange: for logs, filter state and headers.

use std::borrow::Cow;
use std::rc::Rc;

use super::message::logged;
use crate::binding::tasks::Task;
use crate::outcome::Outcome;
use crate::reason::Reason;

/// The record of one exchange; grows as the exchange goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
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
}

impl Record {
    /// The known fields as (filter state name, value). The host puts `wasm.` in front.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, Cow<'_, [u8]>)> {
        [
            ("toolgate.decision", self.decision.map(|r| r.as_str().as_bytes())),
            (
                "toolgate.would_deny",
                self.would_deny.map(|r| r.as_str().as_bytes()),
            ),
            ("toolgate.detail", self.detail.as_deref().map(str::as_bytes)),
            ("toolgate.key", self.key.as_deref().map(str::as_bytes)),
            ("toolgate.team", self.team.as_deref().map(str::as_bytes)),
            ("toolgate.server", self.server.as_deref().map(str::as_bytes)),
            ("toolgate.method", self.method.as_deref().map(str::as_bytes)),
            ("toolgate.tool", self.tool.as_deref().map(str::as_bytes)),
            ("toolgate.object", self.object.as_deref().map(str::as_bytes)),
            ("toolgate.id", self.id.as_deref().map(str::as_bytes)),
            ("toolgate.protocol", self.protocol.map(str::as_bytes)),
            ("toolgate.session", self.session.as_deref()),
            ("toolgate.limit", self.limit.as_deref().map(str::as_bytes)),
            ("toolgate.outcome", self.outcome.map(|o| o.as_str().as_bytes())),
            (
                "toolgate.rate_limit",
                self.rate_limit.as_deref().map(str::as_bytes),
            ),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, Cow::Borrowed(value))))
        .chain(self.numbers())
    }

    fn numbers(&self) -> impl Iterator<Item = (&'static str, Cow<'_, [u8]>)> {
        let code = self.outcome.and_then(Outcome::code);
        [
            ("toolgate.cost_micros", self.cost_micros),
            ("toolgate.store_conflicts", self.store_conflicts.map(u64::from)),
            ("toolgate.result_bytes", self.result_bytes),
            ("toolgate.result_tokens", self.result_tokens),
            ("toolgate.first_byte_ms", self.first_byte_ms),
            ("toolgate.duration_ms", self.duration_ms),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value.to_string())))
        .chain(code.map(|code| ("toolgate.outcome_code", code.to_string())))
        .map(|(name, value)| (name, Cow::Owned(value.into_bytes())))
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
