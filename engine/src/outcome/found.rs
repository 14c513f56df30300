//! What a message holds that decides its outcome.

use super::Outcome;
use crate::mcp::method::List;
use memchr::memmem;

/// An object of a message that is looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing in it matters.
    Elsewhere,
    /// The root of an answer.
    Answer,
    /// Its `result`.
    Result,
    /// Its `error`.
    Error,
    /// The `task` of a result of 2025-11-25.
    Task,
    /// The `result` inlined in the state of a task.
    Inlined,
    /// The `error` inlined in the state of a task.
    InlinedError,
    /// The root of what may be a notification.
    Notification,
    /// Its `params`.
    Params,
    /// Their `_meta`.
    Meta,
}

/// A member that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Id,
    Method,
    Result,
    Error,
    Code,
    IsError,
    ResultType,
    Task,
    TaskTaskId,
    TaskId,
    Status,
    Inlined,
    InlinedIsError,
    InlinedError,
    InlinedCode,
    Params,
    Meta,
    /// What no plain notification has.
    Foreign,
    /// What no plain response has.
    Touched,
}

/// Longest key, short text or number that is looked at, in bytes. Whatever is longer is none that is looked for.
pub(super) const SHORT: usize = 40;

/// Ties a message to a task in 2025-11-25, where every message about the task carries it.
/// <https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks#related-task-metadata>
const RELATED_TASK: &[u8] = b"io.modelcontextprotocol/related-task";

impl Place {
    /// The member with this key.
    pub(super) fn member(self, key: &[u8]) -> Option<Member> {
        Some(match (self, key) {
            (Place::Answer, b"id") => Member::Id,
            (Place::Answer | Place::Notification, b"method") => Member::Method,
            (Place::Answer, b"result") => Member::Result,
            (Place::Answer, b"error") => Member::Error,
            (Place::Error, b"code") => Member::Code,
            (Place::Result, b"isError") => Member::IsError,
            (Place::Result, b"resultType") => Member::ResultType,
            (Place::Result, b"task") => Member::Task,
            (Place::Result, b"taskId") => Member::TaskId,
            (Place::Result, b"status") => Member::Status,
            (Place::Result, b"result") => Member::Inlined,
            (Place::Result, b"error") => Member::InlinedError,
            (Place::Task, b"taskId") => Member::TaskTaskId,
            (Place::Inlined, b"isError") => Member::InlinedIsError,
            (Place::InlinedError, b"code") => Member::InlinedCode,
            (Place::Result, b"tasks" | b"_meta") => Member::Touched,
            (Place::Result, key) if List::ALL.iter().any(|list| list.member().as_bytes() == key) => {
                Member::Touched
            }
            (Place::Notification, b"params") => Member::Params,
            (Place::Params, b"_meta") => Member::Meta,
            (Place::Notification, b"id" | b"result" | b"error") | (Place::Meta, RELATED_TASK) => {
                Member::Foreign
            }
            _ => return None,
        })
    }

    /// Whether its keys are read only as far as they are plainly spelled.
    pub(super) const fn is_plain(self) -> bool {
        matches!(self, Place::Notification | Place::Params | Place::Meta)
    }
}

impl Member {
    /// The object that is its value.
    pub(super) const fn inside(self) -> Place {
        match self {
            Member::Result => Place::Result,
            Member::Error => Place::Error,
            Member::Task => Place::Task,
            Member::Inlined => Place::Inlined,
            Member::InlinedError => Place::InlinedError,
            Member::Params => Place::Params,
            Member::Meta => Place::Meta,
            _ => Place::Elsewhere,
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A value, as far as outcomes depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen<'a> {
    /// A string, unescaped, of at most [`SHORT`] bytes.
    Text(&'a [u8]),
    /// Any other string.
    LongText,
    /// The token of a number, of at most [`SHORT`] bytes.
    Number(&'a [u8]),
    /// `true`
    True,
    /// An object.
    Object,
    /// Anything else.
    Other,
}

/// The state of a task.
/// <https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks#task-status-lifecycle>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Working,
    InputRequired,
    Completed,
    Failed,
    Cancelled,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// One bit for each [`Member`].
    members: u32,
    /// The method is a text, and nothing that it comes with names tasks.
    plain_method: bool,
    result_is_object: bool,
    code: Option<i64>,
    is_error: bool,
    input_required: bool,
    is_task: bool,
    /// The texts `taskId` and `task.taskId`.
    task_id: bool,
    legacy_task: bool,
    status: Option<Status>,
    inlined: bool,
    inlined_is_error: bool,
    inlined_code: Option<i64>,
}

impl Found {
    /// A member begins. `false` if it did before: readers disagree about which one counts.
    pub(super) const fn begin(&mut self, member: Member) -> bool {
        let first = !self.has(member) || matches!(member, Member::Touched);
        self.members |= member.bit();
        first
    }

    pub(super) const fn has(&self, member: Member) -> bool {
        self.members & member.bit() != 0
    }

    /// Whether clients could take the message for a response.
    pub(super) const fn is_response(&self) -> bool {
        self.has(Member::Result) || self.has(Member::Error)
    }

    /// Whether it is a response that names no task and has neither a list nor metadata.
    pub(super) const fn is_plain_response(&self) -> bool {
        let task = self.has(Member::Task) || self.has(Member::TaskId) || self.has(Member::Inlined);
        self.is_response() && !self.has(Member::Method) && !self.has(Member::Touched) && !task
    }

    /// Whether there is a method whose messages name no tasks but in their metadata.
    pub(super) const fn names_plain_method(&self) -> bool {
        self.plain_method
    }

    /// The value of a member.
    pub(super) fn value(&mut self, member: Member, seen: Seen<'_>) {
        match (member, seen) {
            (Member::Method, Seen::Text(text)) => {
                self.plain_method = !["task", "subscriptions"]
                    .iter()
                    .any(|name| memmem::find(text, name.as_bytes()).is_some());
            }
            (Member::Result, Seen::Object) => self.result_is_object = true,
            (Member::Code, Seen::Number(token)) => self.code = integer(token),
            (Member::IsError, Seen::True) => self.is_error = true,
            (Member::ResultType, Seen::Text(b"input_required")) => self.input_required = true,
            (Member::ResultType, Seen::Text(b"task")) => self.is_task = true,
            (Member::TaskId, Seen::Text(_) | Seen::LongText) => self.task_id = true,
            (Member::TaskTaskId, Seen::Text(_) | Seen::LongText) => self.legacy_task = true,
            (Member::Status, Seen::Text(text)) => self.status = status(text),
            (Member::Inlined, Seen::Object) => self.inlined = true,
            (Member::InlinedIsError, Seen::True) => self.inlined_is_error = true,
            (Member::InlinedCode, Seen::Number(token)) => self.inlined_code = integer(token),
            _ => {}
        }
    }

    /// What it comes to, for the request that it answers. As strict clients do, this takes nothing for an answer that
    /// could be a request as well, or has both a result and an error, or a result that is no object, or an error
    /// without an integer for its code. <https://www.jsonrpc.org/specification#response_object>
    pub(super) fn outcome(&self) -> Outcome {
        match (self.has(Member::Result), self.has(Member::Error)) {
            _ if self.has(Member::Method) => Outcome::Malformed,
            (true, false) if self.result_is_object => self.of_result(),
            (false, true) => self.code.map_or(Outcome::Malformed, Outcome::RpcError),
            _ => Outcome::Malformed,
        }
    }

    fn of_result(&self) -> Outcome {
        let typed = self.has(Member::ResultType);
        match self.status {
            _ if self.input_required => Outcome::InputRequired,
            _ if self.is_task || (self.legacy_task && !typed) => Outcome::Task,
            Some(status) if self.task_id => self.of_task(status),
            _ if self.is_error => Outcome::ToolError,
            _ => Outcome::Ok,
        }
    }

    /// A task that has ended carries how in 2026; before that, it is asked for with `tasks/result`.
    fn of_task(&self, status: Status) -> Outcome {
        match status {
            Status::Completed if self.inlined_is_error => Outcome::ToolError,
            Status::Completed if self.inlined => Outcome::Ok,
            Status::Failed => self.inlined_code.map_or(Outcome::Task, Outcome::RpcError),
            Status::InputRequired => Outcome::InputRequired,
            Status::Completed | Status::Working | Status::Cancelled => Outcome::Task,
        }
    }
}

fn status(text: &[u8]) -> Option<Status> {
    Some(match text {
        b"working" => Status::Working,
        b"input_required" => Status::InputRequired,
        b"completed" => Status::Completed,
        b"failed" => Status::Failed,
        b"cancelled" => Status::Cancelled,
        _ => return None,
    })
}

/// The integer that a token stands for; `1.0` is one, as it is to JavaScript.
fn integer(token: &[u8]) -> Option<i64> {
    let token = std::str::from_utf8(token).ok()?;
    token.parse().ok().or_else(|| {
        let value: f64 = token.parse().ok()?;
        // Prints without a fraction only if there is none.
        (value.abs() < 1e15).then(|| value.to_string().parse().ok())?
    })
}

/// The id that an answer must have.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// Any, or none.
    Any,
    /// A string, unescaped.
    Text(Box<[u8]>),
    /// The token of a number.
    Number(Box<[u8]>),
}

impl Expected {
    /// From the id's token in the request.
    pub(super) fn new(token: Option<&str>) -> Expected {
        match token {
            None => Expected::Any,
            Some(token) => match serde_json::from_str::<String>(token) {
                Ok(text) => Expected::Text(text.into_bytes().into()),
                Err(_) => Expected::Number(token.as_bytes().into()),
            },
        }
    }

    /// Whether a number is it: spelled alike, or the same integer.
    pub(super) fn is_number(&self, token: &[u8]) -> bool {
        let Expected::Number(expected) = self else {
            return false;
        };
        **expected == *token || integer(expected).is_some_and(|id| integer(token) == Some(id))
    }
}
