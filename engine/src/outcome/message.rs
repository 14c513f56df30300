//! The outcome in a message that is at hand as a whole.

use super::Outcome;
use super::found::{Expected, Found, Member, Place, SHORT, Seen};
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
/// It agrees with [`JsonReader`](super::JsonReader) about every text that [`json::parse_answer`](crate::json::parse_answer)
/// accepts, except that what the reader calls malformed for its id or for not being a response is told apart here.
pub fn reply(message: Value<'_>, expected_id: Option<&str>) -> Reply {
    Reader::new(expected_id).reply(message)
}

/// The outcome, if the message is a response to the request with this id token (to any if `None`).
pub fn of_answer(message: Value<'_>, expected_id: Option<&str>) -> Option<Outcome> {
    match reply(message, expected_id) {
        Reply::Own(outcome) => Some(outcome),
        Reply::None | Reply::Foreign => None,
    }
}

/// [`reply`] for many messages.
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

    /// What a message is to the request. An array is none: see its elements.
    pub fn reply(&self, message: Value<'_>) -> Reply {
        let mut read = Read {
            found: Found::default(),
            expected: &self.expected,
            is_expected: matches!(self.expected, Expected::Any),
        };
        read.object(Place::Answer, message);
        if !read.found.is_response() {
            Reply::None
        } else if !read.is_expected {
            Reply::Foreign
        } else {
            Reply::Own(read.found.outcome())
        }
    }
}

struct Read<'r> {
    found: Found,
    expected: &'r Expected,
    is_expected: bool,
}

impl Read<'_> {
    /// Recurses as deep as [`Place`]s do.
    fn object(&mut self, place: Place, object: Value<'_>) {
        for (key, value) in object.as_object().into_iter().flat_map(|object| object.members()) {
            let Some(member) = place.member(key.as_bytes()) else {
                continue;
            };
            // A validated text has no key twice.
            self.found.begin(member);
            self.value(member, value);
            match member.inside() {
                Place::Elsewhere => {}
                inside => self.object(inside, value),
            }
        }
    }

    fn value(&mut self, member: Member, value: Value<'_>) {
        match value.kind() {
            Kind::String => {
                let text = value.as_str().unwrap_or_default();
                if member == Member::Id {
                    self.is_expected |= self.expected.is_text(text.as_bytes());
                } else if text.len() <= SHORT {
                    self.found.value(member, Seen::Text(text.as_bytes()));
                } else {
                    self.found.value(member, Seen::LongText);
                }
            }
            Kind::Number => {
                let token = value.raw().as_bytes();
                if token.len() > SHORT {
                    self.found.value(member, Seen::Other);
                } else if member == Member::Id {
                    self.is_expected |= self.expected.is_number(token);
                } else {
                    self.found.value(member, Seen::Number(token));
                }
            }
            Kind::Bool if value.as_bool() == Some(true) => self.found.value(member, Seen::True),
            Kind::Object => self.found.value(member, Seen::Object),
            Kind::Null | Kind::Bool | Kind::Array => self.found.value(member, Seen::Other),
        }
    }
}
