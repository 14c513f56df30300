//! Answers of our own: the shapes that clients of every revision hand on to the application.
//!
//! HTTP status is for transport and authentication; what policy refuses is answered with HTTP 200
//! and JSON-RPC, because clients read the body of nothing else reliably.

use std::time::Duration;

use crate::decide::Telling;
use crate::http::LocalReply;
use crate::json::write_str;
use crate::mcp::envelope::{INVALID_PARAMS, METHOD_NOT_FOUND, Rejected};
use crate::mcp::revision::{Era, Revision};
use crate::reason::Reason;

/// JSON-RPC codes of our own are the HTTP status below -31000: outside the range that the
/// protocol reserves.
/// <https://modelcontextprotocol.io/specification/2026-07-28/basic/index#error-codes>
const OWN_CODES: i32 = -31000;

/// `Resource not found` before 2026-07-28.
const RESOURCE_NOT_FOUND: i32 = -32002;

/// What servers say of a session that they do not know.
const SESSION_NOT_FOUND: i32 = -32001;

/// Writes answers for one exchange.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'a> {
    /// Whether operators see the reason in `x-toolgate-decision`.
    pub decision_header: bool,
    /// The era of the request, as far as known.
    pub era: Era,
    /// The request's id token, as received.
    pub id: Option<&'a str>,
}

impl Answers<'_> {
    /// 401 with a challenge that starts no OAuth flow.
    pub fn unauthorized(&self, reason: Reason) -> LocalReply {
        let text = match reason {
            Reason::NoKey => "A key is needed: send it as \"Authorization: Bearer <key>\".",
            Reason::ExpiredKey => "The key has expired.",
            Reason::Ambiguous => "The request presents more than one key.",
            _ => "The key is not valid.",
        };
        self.plain(401, reason, text)
            .with("www-authenticate", "Bearer realm=\"toolgate\"")
    }

    /// An HTTP error without a JSON-RPC meaning of its own.
    pub fn plain(&self, status: u16, reason: Reason, text: &str) -> LocalReply {
        self.error(status, OWN_CODES - i32::from(status), text, None, reason)
    }

    /// 404, which tells a client to begin a new session: the same for one that never was, one that has ended, and one of
    /// somebody else. <https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management>
    pub fn no_such_session(&self) -> LocalReply {
        self.error(404, SESSION_NOT_FOUND, "Session not found", None, Reason::Session)
    }

    /// What servers say of a task that they do not know.
    /// <https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks#error-handling>
    pub fn no_such_task(&self) -> LocalReply {
        self.error(200, INVALID_PARAMS, "Task not found", None, Reason::Session)
    }

    /// 405 with what is spoken here.
    pub fn verb_not_allowed(&self, allow: &str) -> LocalReply {
        self.plain(405, Reason::Method, "This HTTP method is not spoken here.")
            .with("allow", allow)
    }

    /// 503, with the time to wait in seconds, and in milliseconds for programs.
    /// <https://www.rfc-editor.org/rfc/rfc9110#section-15.6.4>
    fn unavailable(&self, reason: Reason, text: &str, after: Duration) -> LocalReply {
        let (millis, seconds) = rounded_up(after);
        let data = format!("{{\"toolgate/retryAfterMs\":{millis}}}");
        self.error(503, OWN_CODES - 503, text, Some(data.as_bytes()), reason)
            .with("retry-after", &seconds.to_string())
    }

    /// The same for what expects no answer: nothing but the head.
    pub fn unavailable_notification(&self, reason: Reason, after: Duration) -> LocalReply {
        let (_, seconds) = rounded_up(after);
        self.reply(503, reason, Vec::new())
            .with("retry-after", &seconds.to_string())
    }

    /// A refused notification: 403 and nothing else.
    pub fn forbidden_notification(&self, reason: Reason) -> LocalReply {
        self.reply(403, reason, Vec::new())
    }

    /// What was not accepted as a message at all: 400.
    pub fn rejected(&self, rejected: &Rejected) -> LocalReply {
        let answers = Answers {
            id: rejected.id.as_deref().or(self.id),
            ..*self
        };
        let data = rejected.requested_version.as_deref().map(|requested| {
            let mut data = b"{\"supported\":[".to_vec();
            for (i, revision) in Revision::ALL.iter().rev().enumerate() {
                data.extend_from_slice(if i == 0 { b"" } else { b"," });
                write_str(&mut data, revision.as_str());
            }
            data.extend_from_slice(b"],\"requested\":");
            write_str(&mut data, requested);
            data.push(b'}');
            data
        });
        answers.error(
            400,
            rejected.code,
            &rejected.message,
            data.as_deref(),
            rejected.reason,
        )
    }

    /// What policy refused.
    pub fn refused(&self, reason: Reason, telling: &Telling) -> LocalReply {
        match telling {
            Telling::Forbidden => self.plain(403, reason, "The key has no grant on this server."),
            Telling::UnknownTool(name) => self.error(
                200,
                INVALID_PARAMS,
                &format!("Unknown tool: {name}"),
                None,
                reason,
            ),
            Telling::UnknownPrompt(name) => self.error(
                200,
                INVALID_PARAMS,
                &format!("Unknown prompt: {name}"),
                None,
                reason,
            ),
            Telling::UnknownResource(uri) => {
                let code = if self.era == Era::Modern {
                    INVALID_PARAMS
                } else {
                    RESOURCE_NOT_FOUND
                };
                let mut data = b"{\"uri\":".to_vec();
                write_str(&mut data, uri);
                data.push(b'}');
                self.error(200, code, "Resource not found", Some(&data), reason)
            }
            Telling::UnknownMethod(method) => {
                // Legacy clients take 404 for an ended session.
                let status = if self.era == Era::Modern { 404 } else { 200 };
                self.error(
                    status,
                    METHOD_NOT_FOUND,
                    &format!("Method not found: {method}"),
                    None,
                    reason,
                )
            }
            Telling::ToolError(text) => self.tool_error(reason, text),
            Telling::Unavailable { text, after } => self.unavailable(reason, text, *after),
            Telling::RetryLater { text, after } => self.retry_later(reason, text, *after),
        }
    }

    /// The upstream's answer to this request could not be used.
    pub fn upstream_fault(&self, is_call: bool, text: &str) -> LocalReply {
        if is_call {
            self.tool_error(Reason::Upstream, text)
        } else {
            self.plain(502, Reason::Upstream, text)
        }
    }

    /// A tool result with `isError`: text for the model.
    pub fn tool_error(&self, reason: Reason, text: &str) -> LocalReply {
        self.tool_result(reason, text, None)
    }

    /// The same with the time to wait, for programs: `_meta` in milliseconds, `Retry-After` in seconds, both rounded
    /// up. <https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>
    fn retry_later(&self, reason: Reason, text: &str, after: Option<Duration>) -> LocalReply {
        let Some(after) = after else {
            return self.tool_error(reason, text);
        };
        let (millis, seconds) = rounded_up(after);
        self.tool_result(reason, text, Some(millis))
            .with("retry-after", &seconds.to_string())
    }

    fn tool_result(&self, reason: Reason, text: &str, retry_after_millis: Option<u128>) -> LocalReply {
        let mut body = self.opening();
        body.extend_from_slice(b",\"result\":{");
        if self.era == Era::Modern {
            body.extend_from_slice(b"\"resultType\":\"complete\",");
        }
        body.extend_from_slice(b"\"content\":[{\"type\":\"text\",\"text\":");
        write_str(&mut body, text);
        body.extend_from_slice(b"}],\"isError\":true");
        if let Some(millis) = retry_after_millis {
            body.extend_from_slice(b",\"_meta\":{\"toolgate/retryAfterMs\":");
            body.extend_from_slice(millis.to_string().as_bytes());
            body.push(b'}');
        }
        body.extend_from_slice(b"}}");
        self.reply(200, reason, body)
    }

    fn error(
        &self,
        status: u16,
        code: i32,
        message: &str,
        data: Option<&[u8]>,
        reason: Reason,
    ) -> LocalReply {
        let mut body = self.opening();
        body.extend_from_slice(b",\"error\":{\"code\":");
        body.extend_from_slice(code.to_string().as_bytes());
        body.extend_from_slice(b",\"message\":");
        write_str(&mut body, message);
        if let Some(data) = data {
            body.extend_from_slice(b",\"data\":");
            body.extend_from_slice(data);
        }
        body.extend_from_slice(b"}}");
        self.reply(status, reason, body)
    }

    fn opening(&self) -> Vec<u8> {
        let mut body = b"{\"jsonrpc\":\"2.0\"".to_vec();
        if let Some(id) = self.id {
            body.extend_from_slice(b",\"id\":");
            body.extend_from_slice(id.as_bytes());
        }
        body
    }

    fn reply(&self, status: u16, reason: Reason, body: Vec<u8>) -> LocalReply {
        let reply = LocalReply {
            status,
            headers: Vec::new(),
            body,
        }
        .with("content-type", "application/json")
        .with("cache-control", "no-store");
        if self.decision_header {
            reply.with(DECISION_HEADER, reason.as_str())
        } else {
            reply
        }
    }
}

/// In milliseconds and in seconds, of which it is at least one.
fn rounded_up(after: Duration) -> (u128, u128) {
    let nanos = after.as_nanos();
    (nanos.div_ceil(1_000_000), nanos.div_ceil(1_000_000_000).max(1))
}

/// The header that tells operators why.
pub const DECISION_HEADER: &str = "x-toolgate-decision";
