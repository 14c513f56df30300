//! The JSON-RPC envelope of a client's message.
//! <https://www.jsonrpc.org/specification>, narrowed by MCP: `params` is an object, ids are
//! strings or integers, and there are exactly four shapes.

use std::borrow::Cow;

use crate::json::reserved::variant_of;
use crate::json::{self, Kind, Member, Value};
use crate::reason::Reason;

/// Longest id echoed, in bytes of its token.
const MAX_ID: usize = 1024;
/// Longest method name, in bytes.
const MAX_METHOD: usize = 256;

/// A client's message whose shape has one reading.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    /// What it is.
    pub shape: Shape<'a>,
    /// The members of `params`; empty when absent.
    pub params: Params<'a>,
    /// The `result` of a response that has one: an object.
    pub result: Option<Value<'a>>,
}

/// The shapes a client may send.
#[derive(Clone, Debug)]
pub enum Shape<'a> {
    /// Expects an answer.
    Request {
        /// The id token, as received.
        id: &'a str,
        /// The method.
        method: Cow<'a, str>,
    },
    /// Expects none.
    Notification {
        /// The method, which starts with `notifications/`.
        method: Cow<'a, str>,
    },
    /// The client's answer to a request of the server (legacy revisions only).
    Response {
        /// The id token, as received.
        id: &'a str,
    },
}

/// The members of `params`.
#[derive(Clone, Debug, Default)]
pub struct Params<'a> {
    members: Vec<Member<'a>>,
}

impl<'a> Params<'a> {
    /// A member of `params`.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.members.iter().find(|m| m.key == key).map(|m| m.value)
    }

    /// A member of `params` that is a string.
    pub fn string(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key).and_then(|v| v.as_str())
    }
}

/// Why a message was not accepted, with the id if it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// JSON-RPC error code.
    pub code: i32,
    /// Reason for headers and logs.
    pub reason: Reason,
    /// A sentence for the sender.
    pub message: String,
    /// The id token to echo.
    pub id: Option<String>,
    /// For an unsupported revision: what was asked for.
    pub requested_version: Option<String>,
}

pub(crate) const PARSE_ERROR: i32 = -32700;
pub(crate) const INVALID_REQUEST: i32 = -32600;
pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
pub(crate) const INVALID_PARAMS: i32 = -32602;

/// Reads a body as one message.
pub fn read<'a>(body: &'a [u8], limits: &json::Limits) -> Result<Envelope<'a>, Rejected> {
    let message = json::parse_message(body, limits).map_err(|e| not_json(&e))?;
    if message.root.kind() == Kind::Array {
        return Err(invalid(
            "batches are not accepted here: send one message per request",
            None,
        ));
    }
    if message.root.kind() != Kind::Object {
        return Err(invalid("the body must be a JSON-RPC object", None));
    }
    let root = Root {
        members: &message.members,
    };
    let id = root.get("id").and_then(id_token);
    shape_of(&root, id)
        .and_then(|shape| {
            let params = params_of(&root, message.params)?;
            let result = root.get("result");
            Ok(Envelope {
                shape,
                params,
                result,
            })
        })
        .map_err(|rejected| Rejected {
            id: id.map(str::to_owned),
            ..rejected
        })
}

struct Root<'m, 'a> {
    members: &'m [Member<'a>],
}

impl<'a> Root<'_, 'a> {
    fn get(&self, key: &str) -> Option<Value<'a>> {
        self.members.iter().find(|m| m.key == key).map(|m| m.value)
    }
}

fn shape_of<'a>(root: &Root<'_, 'a>, id: Option<&'a str>) -> Result<Shape<'a>, Rejected> {
    refuse_variants(root.members)?;
    for member in root.members {
        if !matches!(
            &*member.key,
            "jsonrpc" | "id" | "method" | "params" | "result" | "error"
        ) {
            return Err(invalid(
                &format!("unknown member {:?} in the JSON-RPC envelope", clip(&member.key)),
                None,
            ));
        }
    }
    if root.get("jsonrpc").and_then(|v| v.as_str()).as_deref() != Some("2.0") {
        return Err(invalid("\"jsonrpc\" must be \"2.0\"", None));
    }
    if root.get("id").is_some() && id.is_none() {
        return Err(invalid(
            "\"id\" must be a string or an integer within ±(2^53-1), written without fraction or exponent",
            None,
        ));
    }
    let outcomes = usize::from(root.get("result").is_some()) + usize::from(root.get("error").is_some());
    match (root.get("method"), outcomes, id) {
        (Some(method), 0, id) => call_shape(method, id),
        (None, 1, Some(id)) if root.get("params").is_none() => response_shape(root, id),
        _ => Err(invalid(
            "the message must be exactly one of request, notification, result or error",
            None,
        )),
    }
}

fn call_shape<'a>(method: Value<'a>, id: Option<&'a str>) -> Result<Shape<'a>, Rejected> {
    let Some(method) = method.as_str() else {
        return Err(invalid("\"method\" must be a string", None));
    };
    if method.is_empty() || method.len() > MAX_METHOD || method.chars().any(char::is_control) {
        return Err(invalid("\"method\" is not a method name", None));
    }
    match (method.starts_with("notifications/"), id) {
        (true, None) => Ok(Shape::Notification { method }),
        (false, Some(id)) => Ok(Shape::Request { id, method }),
        (true, Some(_)) => Err(invalid("a notification must not have an \"id\"", None)),
        (false, None) => Err(invalid("a request must have an \"id\"", None)),
    }
}

fn response_shape<'a>(root: &Root<'_, 'a>, id: &'a str) -> Result<Shape<'a>, Rejected> {
    let outcome = root.get("result").or_else(|| root.get("error"));
    if outcome.is_some_and(|o| o.kind() == Kind::Object) {
        Ok(Shape::Response { id })
    } else {
        Err(invalid("\"result\" and \"error\" must be objects", None))
    }
}

fn params_of<'a>(root: &Root<'_, 'a>, members: Option<Vec<Member<'a>>>) -> Result<Params<'a>, Rejected> {
    let members = match (root.get("params"), members) {
        (None, _) => Vec::new(),
        (Some(_), Some(members)) => members,
        (Some(_), None) => return Err(invalid("\"params\" must be an object", None)),
    };
    refuse_variants(&members)?;
    let params = Params { members };
    for nested in ["_meta", "ref", "notifications"] {
        let Some(value) = params.get(nested) else { continue };
        let Some(object) = value.as_object() else {
            let message = format!("\"params.{nested}\" must be an object");
            return Err(Rejected {
                code: INVALID_PARAMS,
                ..invalid(&message, None)
            });
        };
        for (key, _) in object.members() {
            refuse_variant(&key)?;
        }
    }
    Ok(params)
}

/// Member names that some servers fold to a reserved one (CVE-2026-27896 and its like).
fn refuse_variants(members: &[Member<'_>]) -> Result<(), Rejected> {
    members.iter().try_for_each(|member| refuse_variant(&member.key))
}

fn refuse_variant(key: &str) -> Result<(), Rejected> {
    let Some(reserved) = variant_of(key) else {
        return Ok(());
    };
    let message = format!("the member {:?} can be mistaken for {reserved:?}", clip(key));
    Err(Rejected {
        reason: Reason::Ambiguous,
        ..invalid(&message, None)
    })
}

/// The token of an id that every party reads the same way.
fn id_token(value: Value<'_>) -> Option<&str> {
    let token = value.raw();
    if token.len() > MAX_ID {
        return None;
    }
    match value.kind() {
        Kind::String => value
            .as_str()
            .filter(|s| !s.chars().any(char::is_control))
            .map(|_| token),
        Kind::Number => {
            let number: i64 = token.parse().ok()?;
            (number.unsigned_abs() < (1 << 53) && token != "-0").then_some(token)
        }
        _ => None,
    }
}

fn not_json(error: &json::Error) -> Rejected {
    let reason = if error.kind.is_ambiguity() {
        Reason::Ambiguous
    } else {
        Reason::Malformed
    };
    let code = if error.kind.is_ambiguity() || error.kind.is_limit() {
        INVALID_REQUEST
    } else {
        PARSE_ERROR
    };
    Rejected {
        code,
        reason,
        ..invalid(&error.to_string(), None)
    }
}

pub(crate) fn invalid(message: &str, id: Option<&str>) -> Rejected {
    Rejected {
        code: INVALID_REQUEST,
        reason: Reason::Malformed,
        message: message.to_owned(),
        id: id.map(str::to_owned),
        requested_version: None,
    }
}

/// At most 64 characters of a name that came off the wire.
pub(crate) fn clip(name: &str) -> Cow<'_, str> {
    clip_to(name, 64)
}

/// At most `most` characters of a name that came off the wire.
pub(crate) fn clip_to(name: &str, most: usize) -> Cow<'_, str> {
    match name.char_indices().nth(most) {
        None => Cow::Borrowed(name),
        Some((end, _)) => Cow::Owned(format!("{}…", name.get(..end).unwrap_or_default())),
    }
}
