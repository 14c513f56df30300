//! What an exchange remembers between its callbacks.

use std::rc::Rc;

use super::learned::Learned;
use super::stream::Stream;
use crate::binding::tasks::Task;
use crate::breaker::Permit;
use crate::decide::Refusal;
use crate::identity::Caller;
use crate::mcp::classify::Declared;
use crate::mcp::method::{List, Method};
use crate::mcp::revision::Era;
use crate::policy::ServerId;
use crate::quota::{Ask, Bill, Receipt};
use crate::time::UnixNanos;

#[derive(Debug)]
pub(super) enum State {
    /// Nothing seen yet.
    New,
    /// The head is accepted; the body decides.
    Waiting(Box<Waiting>),
    /// The call waits for the rate limit service.
    Asking(Box<Asking>),
    /// The request went on; its answer is to come.
    Forwarded(Box<Forwarded>),
    /// Answered here, or not ours.
    Finished,
}

/// A call that waits for the rate limit service. Its local limits are charged.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) forwarded: Box<Forwarded>,
    pub(super) bill: Bill,
    pub(super) receipt: Receipt,
    /// The questions that are not answered, the one that is out last.
    pub(super) asks: Vec<Ask>,
}

/// What the head of a request said that its body must fit.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) server: ServerId,
    pub(super) caller: Caller,
    pub(super) verb: Verb,
    pub(super) declared: Declared,
    /// The lines of `Mcp-Method` and `Mcp-Name`.
    pub(super) mirrors: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) would_deny: Option<Refusal>,
    /// The session, as the server knows it.
    pub(super) session: Option<Vec<u8>>,
    /// The trace that the headers name.
    pub(super) trace: Option<[u8; 32]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Post,
    Get,
    Delete,
}

/// What the response needs to know about its request.
#[derive(Debug)]
pub(super) struct Forwarded {
    pub(super) server: ServerId,
    pub(super) caller: Caller,
    pub(super) era: Era,
    pub(super) asked: Asked,
    /// The id token of a request.
    pub(super) id: Option<String>,
    pub(super) stream: Option<Stream>,
    /// The tool called, or the one whose task this is about.
    pub(super) tool: Option<Rc<str>>,
    /// When it went on.
    pub(super) started: UnixNanos,
    /// The tasks that it is about.
    pub(super) tasks: Vec<Task>,
    /// It may be answered with a task.
    pub(super) may_make_task: bool,
    /// What goes on in place of the body that came.
    pub(super) body: Option<Vec<u8>>,
    /// What its breaker is to be told of.
    pub(super) permit: Option<Permit>,
    /// What is known of its answer.
    pub(super) learned: Learned,
    /// What was charged for it.
    pub(super) charged: Option<Box<Charged>>,
}

impl Forwarded {
    /// Whether the server has asked the client something before it answered.
    pub(super) fn asks_the_client(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::asks_the_client)
    }
}

/// What was charged for a call that goes on.
#[derive(Debug)]
pub(super) struct Charged {
    pub(super) bill: Bill,
    pub(super) receipt: Receipt,
}

/// What a forwarded request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// `tools/call`.
    Call,
    /// A list.
    List(List),
    /// The result of a task: that of its call.
    TaskResult,
    /// The state of a task, which may hold the result.
    TaskState,
    /// Something else about tasks.
    Tasks,
    /// News for as long as the client listens: `subscriptions/listen`.
    Subscription,
    /// Another request.
    Request,
    /// A notification or a posted response: no answer is expected.
    Nothing,
    /// A stream of server messages.
    Listen,
    /// The end of a session.
    End,
}

impl Asked {
    /// By a request with this method.
    pub(super) fn of(method: &Method) -> Asked {
        match method.name {
            "tools/call" => Asked::Call,
            "tasks/result" => Asked::TaskResult,
            "tasks/get" => Asked::TaskState,
            "tasks/list" | "tasks/cancel" | "tasks/update" => Asked::Tasks,
            "subscriptions/listen" => Asked::Subscription,
            _ => method.list.map_or(Asked::Request, Asked::List),
        }
    }

    /// Whether an answer is to come.
    pub(super) fn expects_answer(self) -> bool {
        !matches!(self, Asked::Nothing | Asked::Listen | Asked::End)
    }

    /// Whether the answer shows if the server works. A subscription is answered when it ends, whoever ends it.
    pub(super) fn shows_health(self) -> bool {
        self.expects_answer() && self != Asked::Subscription
    }

    /// Whether it is about tasks.
    pub(super) fn is_about_tasks(self) -> bool {
        matches!(self, Asked::TaskResult | Asked::TaskState | Asked::Tasks)
    }

    /// Whether the answer may be, or hold, the result of a task.
    pub(super) fn fetches_result(self) -> bool {
        matches!(self, Asked::TaskResult | Asked::TaskState)
    }

    /// Whether the answer is a tool result, which can say `isError`.
    pub(super) fn is_tool_result(self) -> bool {
        matches!(self, Asked::Call | Asked::TaskResult)
    }
}

/// What the response will need to know about its request.
pub(super) fn forwarded(waiting: &Waiting, era: Era, asked: Asked, id: Option<String>) -> Forwarded {
    Forwarded {
        server: waiting.server,
        caller: waiting.caller.clone(),
        era,
        asked,
        id,
        stream: None,
        tool: None,
        started: UnixNanos::default(),
        tasks: Vec::new(),
        may_make_task: false,
        body: None,
        permit: None,
        learned: Learned::default(),
        charged: None,
    }
}
