//! What came of a request: one closed set of outcomes, found by reading along.
//!
//! ```text
//! body, window by window ──JsonReader──▶ Outcome     constant memory
//! message as a whole     ──Reader──────▶ Reply       none, foreign, or the Outcome
//! ```

mod found;
mod glance;
mod message;
mod quote;
mod reader;
mod scan;
mod unescape;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use glance::is_plain_notification;
pub use message::{Look, Reader, Reply, of_answer, reply};
pub use reader::JsonReader;

/// What came of a request that went to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A result.
    Ok,
    /// A tool result with `isError: true`.
    ToolError,
    /// A JSON-RPC error with this code.
    RpcError(i64),
    /// A result that asks the client for more.
    /// <https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr>
    InputRequired,
    /// A task, whose result comes later.
    Task,
    /// The server took it and answers elsewhere or not at all: 202, or a stream that ended after an event id and can be
    /// resumed.
    Accepted,
    /// An HTTP status that is no success.
    HttpError(u16),
    /// The connection could not be made, or ended before an answer.
    Reset,
    /// No answer in time.
    Timeout,
    /// An answer that cannot be used.
    Malformed,
    /// An answer that ended too early.
    Truncated,
    /// An answer above `limits.resultBytes`.
    TooLarge,
    /// The client left before the answer.
    ClientGone,
}

/// What an outcome says about a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Good,
    /// It failed.
    Bad,
    /// Nothing.
    Unknown,
}

/// `Internal error`. <https://www.jsonrpc.org/specification#error_object>
const INTERNAL_ERROR: i64 = -32603;

impl Outcome {
    /// The name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::ToolError => "tool_error",
            Outcome::RpcError(_) => "rpc_error",
            Outcome::InputRequired => "input_required",
            Outcome::Task => "task",
            Outcome::Accepted => "accepted",
            Outcome::HttpError(_) => "http_error",
            Outcome::Reset => "reset",
            Outcome::Timeout => "timeout",
            Outcome::Malformed => "malformed",
            Outcome::Truncated => "truncated",
            Outcome::TooLarge => "too_large",
            Outcome::ClientGone => "client_gone",
        }
    }

    /// The JSON-RPC error's code, or the HTTP status.
    pub const fn code(self) -> Option<i64> {
        match self {
            Outcome::RpcError(code) => Some(code),
            Outcome::HttpError(status) => Some(status as i64),
            _ => None,
        }
    }

    /// Whether a JSON-RPC response came, whole and readable.
    pub const fn is_answer(self) -> bool {
        matches!(
            self,
            Outcome::Ok | Outcome::ToolError | Outcome::RpcError(_) | Outcome::InputRequired | Outcome::Task
        )
    }

    /// What it says about the server that it came from.
    pub const fn health(self, count_tool_errors: bool) -> Health {
        match self {
            Outcome::RpcError(INTERNAL_ERROR)
            | Outcome::HttpError(500..)
            | Outcome::Reset
            | Outcome::Timeout
            | Outcome::Malformed
            | Outcome::Truncated => Health::Bad,
            Outcome::ToolError if count_tool_errors => Health::Bad,
            Outcome::Ok
            | Outcome::ToolError
            | Outcome::RpcError(_)
            | Outcome::InputRequired
            | Outcome::Task
            | Outcome::Accepted
            | Outcome::HttpError(_)
            | Outcome::TooLarge => Health::Good,
            Outcome::ClientGone => Health::Unknown,
        }
    }
}
