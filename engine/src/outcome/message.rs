//! What a message is that is at hand as a whole.

use super::Outcome;
use super::found::{Expected, Found, Place};
use super::scan::Scan;
use crate::json::{Kind, Value};

/// What a message is to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// No response: a notification, a request, or nothing that has a result or an error.
    None,
    /// A response to something else.
    Foreign,
    /// Its response.
    Own(Outcome),
}

/// Reads one message as the answer to a request with this id token (any if `None`).
///
/// It reads as [`JsonReader`](super::JsonReader) does, but tells apart what that calls malformed for its id or for not
/// being a response.
pub fn reply(message: Value<'_>, expected_id: Option<&str>) -> Reply {
    Reader::new(expected_id).look(message).reply
}

/// The outcome, if the message is a response to the request with this id token (to any if `None`).
pub fn of_answer(message: Value<'_>, expected_id: Option<&str>) -> Option<Outcome> {
    match reply(message, expected_id) {
        Reply::Own(outcome) => Some(outcome),
        Reply::None | Reply::Foreign => None,
    }
}

/// What one look at a message shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it is to the request.
    pub reply: Reply,
    /// Whether it is a response whose result has neither a list, nor a task, nor metadata: nothing that depends on who
    /// asked.
    pub plain_response: bool,
}

/// Looks at many messages.
#[derive(Clone, Debug)]
pub struct Reader {
    expected: Expected,
}

impl Reader {
    /// For the request with this id token; any if `None`.
    pub fn new(expected_id: Option<&str>) -> Reader {
        Reader {
            expected: Expected::new(expected_id),
        }
    }

    /// Looks at a message, which no array is: look at its elements. One pass over its text.
    pub fn look(&self, message: Value<'_>) -> Look {
        let mut scan = Scan::new(Place::Answer, self.expected.clone());
        if message.kind() == Kind::Object {
            scan.push(message.raw().as_bytes());
        }
        // Of a validated text only one that is nested too deeply is refused.
        let reply = match scan.found() {
            None => Reply::Own(Outcome::Malformed),
            Some(found) if !found.is_response() => Reply::None,
            Some(_) if !scan.is_expected() => Reply::Foreign,
            Some(found) => Reply::Own(found.outcome()),
        };
        Look {
            reply,
            plain_response: scan.found().is_some_and(Found::is_plain_response),
        }
    }
}
