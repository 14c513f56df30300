//! The head of an answer: how its body is read, and what of it the client sees.

use super::TOO_LARGE;
use crate::answer::DECISION_HEADER;
use crate::exchange::head::SESSION_ID;
use crate::exchange::{Asked, Engine, Forwarded, HeaderEdit, ResponseHead};
use crate::mcp::headers::{self, Single, essence, single};
use crate::mcp::revision::Era;
use crate::outcome::Outcome;
use crate::reason::Reason;

/// The media types a server may answer with.
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// Digests and validators that a filtered body no longer fits.
const BODY_HEADERS: &[&str] = &["content-digest", "repr-digest", "digest", "content-md5", "etag"];

pub(super) enum Action {
    /// Nothing of it matters.
    Pass,
    /// It passes and is read along.
    Read,
    /// It is filtered event by event.
    Stream,
    /// It is held to be judged as a whole.
    Await,
}

type Fault = (Outcome, &'static str);

pub(super) fn judge_head(
    head: &ResponseHead<'_>,
    forwarded: &Forwarded,
    result_bytes: usize,
) -> Result<Action, Fault> {
    let lines = head.headers;
    let media_type = match single(lines, "content-type") {
        Single::One(value) => essence(value),
        Single::Absent | Single::Repeated => None,
    };
    let encoded = headers::all(lines, "content-encoding").any(|v| !v.eq_ignore_ascii_case(b"identity"));
    let success = is_success(head);
    let is_events = media_type.as_deref() == Some(EVENTS);
    if encoded && !head.end_of_stream && (success || is_events) {
        let why = "it is compressed although nothing compressed was asked for";
        return Err((Outcome::Malformed, why));
    }
    if is_events && !head.end_of_stream {
        return Ok(Action::Stream);
    }
    let is_json = media_type.as_deref() == Some(JSON) && !head.end_of_stream;
    let answers_request = forwarded.asked.expects_answer();
    if !success {
        let readable = answers_request && is_json && !encoded;
        return Ok(match readable {
            true if is_rewritten(forwarded) => Action::Await,
            true => Action::Read,
            false => Action::Pass,
        });
    }
    if forwarded.asked == Asked::Listen {
        return Err((Outcome::Malformed, "a stream of events was asked for"));
    }
    if !answers_request {
        return Ok(Action::Pass);
    }
    if !is_json {
        let accepted = matches!(single(lines, ":status"), Single::One(b"202"));
        let outcome = if accepted {
            Outcome::Accepted
        } else {
            Outcome::Malformed
        };
        return Err((outcome, "it is neither JSON nor a stream of events"));
    }
    match single(lines, "content-length") {
        Single::One(value) if exceeds(value, result_bytes) => Err((Outcome::TooLarge, TOO_LARGE)),
        // Without a length it may still turn out too large, and then the client has to be told so.
        Single::One(_) if !is_rewritten(forwarded) => Ok(Action::Read),
        Single::One(_) | Single::Absent | Single::Repeated => Ok(Action::Await),
    }
}

/// Whether the answer may have to be changed, and is therefore held.
fn is_rewritten(forwarded: &Forwarded) -> bool {
    forwarded.may_make_task || forwarded.asked.is_about_tasks() || matches!(forwarded.asked, Asked::List(_))
}

pub(super) fn status(head: &ResponseHead<'_>) -> Option<u16> {
    match single(head.headers, ":status") {
        Single::One(status) => std::str::from_utf8(status).ok()?.parse().ok(),
        Single::Absent | Single::Repeated => None,
    }
}

pub(super) fn is_success(head: &ResponseHead<'_>) -> bool {
    matches!(single(head.headers, ":status"), Single::One([b'2', _, _]))
}

fn exceeds(content_length: &[u8], limit: usize) -> bool {
    let length = std::str::from_utf8(content_length).ok().map(str::parse::<u64>);
    // What is too long for a number is too long.
    !matches!(length, Some(Ok(length)) if length <= limit as u64)
}

/// What every forwarded answer carries and does not carry.
pub(super) fn stamp(head: &ResponseHead<'_>, decision_header: bool) -> Vec<HeaderEdit> {
    let mut edits = Vec::new();
    if decision_header {
        edits.push(HeaderEdit::Set(
            DECISION_HEADER.to_owned(),
            Reason::Allowed.as_str().as_bytes().to_vec(),
        ));
    } else {
        edits.extend(unstamp(head));
    }
    edits
}

/// Ties the session that a server names to the caller. What nobody can read in one way, and what 2026-07-28 does not
/// have, goes.
///
/// Returns the session, and what the client gets to see of it.
pub(super) fn bind_session(
    engine: &Engine,
    head: &ResponseHead<'_>,
    forwarded: &Forwarded,
) -> Option<(Option<Vec<u8>>, HeaderEdit)> {
    let name = SESSION_ID.to_owned();
    match single(head.headers, SESSION_ID) {
        Single::Absent => None,
        Single::One(id) if forwarded.era == Era::Legacy && id.iter().all(u8::is_ascii_graphic) => {
            let tagged = engine.tag_session(forwarded.server, &forwarded.caller, id);
            Some((Some(id.to_vec()), HeaderEdit::Set(name, tagged)))
        }
        Single::One(_) | Single::Repeated => Some((None, HeaderEdit::Remove(name))),
    }
}

/// Takes away a decision that is not ours.
pub(super) fn unstamp(head: &ResponseHead<'_>) -> Vec<HeaderEdit> {
    let claimed = headers::has(head.headers, DECISION_HEADER);
    claimed
        .then(|| HeaderEdit::Remove(DECISION_HEADER.to_owned()))
        .into_iter()
        .collect()
}

/// Headers that a body we may change must lose, if they are there.
pub(super) fn body_edits(head: &ResponseHead<'_>, length_too: bool) -> impl Iterator<Item = HeaderEdit> {
    let length = length_too.then_some("content-length");
    BODY_HEADERS
        .iter()
        .copied()
        .chain(length)
        .filter(|name| headers::has(head.headers, name))
        .map(|name| HeaderEdit::Remove(name.to_owned()))
}
