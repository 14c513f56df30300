//! Which revision a POSTed message speaks, and whether its headers agree with its body.
//!
//! Servers choose differently (some by body, some by header), so every disagreement is refused:
//! <https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning>.

use super::envelope::{Envelope, INVALID_PARAMS, Rejected, Shape, invalid};
use super::headers::{Single, decode_mirror, single};
use super::revision::{Era, Revision};
use crate::http::HeaderLines;
use crate::json::Kind;
use crate::reason::Reason;

/// `HeaderMismatch`.
pub(crate) const HEADER_MISMATCH: i32 = -32020;
/// `UnsupportedProtocolVersion`.
pub(crate) const UNSUPPORTED_VERSION: i32 = -32022;

/// The `_meta` member that makes a request modern.
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// What `MCP-Protocol-Version` says, before any body was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declared {
    /// No header.
    Nothing,
    /// A revision spoken here.
    Known(Revision),
    /// Something else; the text is safe to echo.
    Unknown(String),
    /// Repeated, or not text.
    Unreadable,
}

impl Declared {
    /// Reads the header.
    pub fn read(headers: &HeaderLines<'_>) -> Declared {
        match single(headers, "mcp-protocol-version") {
            Single::Absent => Declared::Nothing,
            Single::Repeated => Declared::Unreadable,
            Single::One(value) => match std::str::from_utf8(value) {
                Ok(text) if text.len() <= 64 && !text.chars().any(char::is_control) => {
                    Revision::parse(text).map_or_else(|| Declared::Unknown(text.to_owned()), Declared::Known)
                }
                _ => Declared::Unreadable,
            },
        }
    }

    /// The era that the header alone points to. The body must agree in the end.
    pub fn era(&self) -> Era {
        match self {
            Declared::Known(revision) => revision.era(),
            Declared::Nothing | Declared::Unknown(_) | Declared::Unreadable => Era::Legacy,
        }
    }

    /// Why a GET or DELETE with this header cannot be accepted; it has no body to compare with.
    pub fn rejects_stream(&self) -> Option<Rejected> {
        match self {
            Declared::Nothing | Declared::Known(_) => None,
            Declared::Unknown(text) => Some(unsupported(text, None)),
            Declared::Unreadable => Some(unreadable(None)),
        }
    }
}

/// The revision of a message, or why it has none.
pub fn revision_of(declared: &Declared, envelope: &Envelope<'_>) -> Result<Revision, Rejected> {
    let id = id_of(envelope);
    let claimed = claimed_version(envelope)?;
    if let Some(claimed) = claimed {
        return match declared {
            Declared::Unreadable => Err(unreadable(id)),
            Declared::Known(revision) if revision.as_str() == claimed => {
                modern(*revision, envelope, &claimed)
            }
            Declared::Unknown(text) if *text == claimed => Err(unsupported(&claimed, id)),
            _ => Err(mismatch(
                "MCP-Protocol-Version and params._meta name different revisions",
                id,
            )),
        };
    }
    match declared {
        Declared::Unreadable => Err(unreadable(id)),
        Declared::Unknown(text) => Err(unsupported(text, id)),
        Declared::Known(revision) if revision.era() == Era::Modern => without_claim(*revision, envelope),
        Declared::Known(revision) => Ok(proposed(envelope).unwrap_or(*revision)),
        Declared::Nothing => Ok(proposed(envelope).unwrap_or(Revision::ASSUMED)),
    }
}

/// Checks that `Mcp-Method` and `Mcp-Name` say what a modern body says. `name` is the object the
/// method names and whether its mirror is mandatory.
pub fn check_mirrors(
    headers: &HeaderLines<'_>,
    envelope: &Envelope<'_>,
    name: &Mirror<'_>,
) -> Result<(), Rejected> {
    let id = id_of(envelope);
    let (method, is_request) = match &envelope.shape {
        Shape::Request { method, .. } => (&**method, true),
        Shape::Notification { method } => (&**method, false),
        Shape::Response { .. } => return Ok(()),
    };
    match single(headers, "mcp-method") {
        Single::One(value) if value == method.as_bytes() => {}
        Single::Absent if !is_request => {}
        Single::Absent => return Err(mismatch("the header Mcp-Method is missing", id)),
        Single::One(_) => {
            return Err(mismatch(
                "the header Mcp-Method differs from the body's method",
                id,
            ));
        }
        Single::Repeated => return Err(mismatch("the header Mcp-Method is sent more than once", id)),
    }
    let value = match single(headers, "mcp-name") {
        Single::Repeated => return Err(mismatch("the header Mcp-Name is sent more than once", id)),
        Single::Absent => None,
        Single::One(value) => Some(value),
    };
    match (name, value) {
        (Mirror::Undefined | Mirror::Optional(_) | Mirror::Extension, None)
        | (Mirror::Extension, Some(_)) => Ok(()),
        (Mirror::Required(_), None) => Err(mismatch("the header Mcp-Name is missing", id)),
        (Mirror::Undefined, Some(_)) => Err(mismatch("this method has no Mcp-Name", id)),
        (Mirror::Required(name) | Mirror::Optional(name), Some(value)) => match decode_mirror(value) {
            Some(decoded) if decoded == *name => Ok(()),
            Some(_) => Err(mismatch("the header Mcp-Name differs from the body", id)),
            None => Err(mismatch("the header Mcp-Name is not properly encoded", id)),
        },
    }
}

/// What `Mcp-Name` has to say for a method.
#[derive(Clone, Copy, Debug)]
pub enum Mirror<'a> {
    /// The catalogue defines none.
    Undefined,
    /// A method outside the catalogue: it may define its own.
    Extension,
    /// Must equal this if sent.
    Optional(&'a str),
    /// Must be sent and equal this.
    Required(&'a str),
}

fn claimed_version(envelope: &Envelope<'_>) -> Result<Option<String>, Rejected> {
    let Some(claim) = envelope
        .params
        .get("_meta")
        .and_then(|meta| meta.get(META_VERSION))
    else {
        return Ok(None);
    };
    match claim.as_str() {
        Some(text) if claim.kind() == Kind::String => Ok(Some(text.into_owned())),
        _ => Err(invalid_params(
            "the protocol version in params._meta must be a string",
            id_of(envelope),
        )),
    }
}

fn modern(revision: Revision, envelope: &Envelope<'_>, claimed: &str) -> Result<Revision, Rejected> {
    if revision.era() == Era::Modern {
        return Ok(revision);
    }
    // The metadata exists since 2026-07-28 only: older revisions are negotiated by `initialize`.
    Err(unsupported(claimed, id_of(envelope)))
}

fn without_claim(revision: Revision, envelope: &Envelope<'_>) -> Result<Revision, Rejected> {
    match &envelope.shape {
        Shape::Notification { .. } => Ok(revision),
        Shape::Request { id, .. } => Err(invalid_params(
            "params._meta must carry the protocol version in this revision",
            Some(id),
        )),
        Shape::Response { id } => Err(invalid("this revision has no posted responses", Some(id))),
    }
}

/// What an `initialize` asks for. The answer settles it, so an unknown proposal passes.
fn proposed(envelope: &Envelope<'_>) -> Option<Revision> {
    match &envelope.shape {
        Shape::Request { method, .. } if method == "initialize" => envelope
            .params
            .string("protocolVersion")
            .and_then(|v| Revision::parse(&v))
            // A handshake is legacy whatever it proposes: the server settles for less.
            .filter(|revision| revision.era() == Era::Legacy),
        _ => None,
    }
}

pub(crate) fn id_of<'e>(envelope: &'e Envelope<'_>) -> Option<&'e str> {
    match &envelope.shape {
        Shape::Request { id, .. } | Shape::Response { id } => Some(id),
        Shape::Notification { .. } => None,
    }
}

fn mismatch(message: &str, id: Option<&str>) -> Rejected {
    Rejected {
        code: HEADER_MISMATCH,
        reason: Reason::Mismatch,
        ..invalid(message, id)
    }
}

fn unreadable(id: Option<&str>) -> Rejected {
    mismatch(
        "the header MCP-Protocol-Version must be sent once, as plain text",
        id,
    )
}

fn unsupported(requested: &str, id: Option<&str>) -> Rejected {
    Rejected {
        code: UNSUPPORTED_VERSION,
        reason: Reason::Mismatch,
        requested_version: Some(requested.to_owned()),
        ..invalid("Unsupported protocol version", id)
    }
}

fn invalid_params(message: &str, id: Option<&str>) -> Rejected {
    Rejected {
        code: INVALID_PARAMS,
        ..invalid(message, id)
    }
}
