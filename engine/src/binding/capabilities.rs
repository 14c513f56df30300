//! Which of a client's capabilities a server sees: it must not use what a client does not declare, so taking a
//! capability away is how a policy forbids the requests that come with it.
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#capability-negotiation>

#[cfg(test)]
mod tests;

use super::{is_spelling_of, named};
use crate::edit::{EditError, Edits};
use crate::mcp::envelope::{Envelope, Shape};
use crate::policy::ClientCapabilities;

/// In a request's metadata since 2026-07-28.
/// <https://modelcontextprotocol.io/specification/2026-07-28/basic/index#meta>
const META: &str = "io.modelcontextprotocol/clientCapabilities";

/// Blanks the capabilities that `rules` take away, wherever a client can declare them: in `initialize` and in the
/// metadata of any message. Says how many there were.
///
/// With each goes its part of the client's `tasks`: a request that may not be made may not be made as a task either.
pub fn strip<'a>(
    edits: &mut Edits<'a>,
    envelope: &Envelope<'a>,
    rules: &ClientCapabilities,
) -> Result<usize, EditError> {
    if rules.stripped().next().is_none() {
        return Ok(0);
    }
    let stripped = |key: &str| rules.stripped().any(|name| is_spelling_of(key, name));
    let declared = envelope
        .params
        .get("capabilities")
        .filter(|_| is_handshake(envelope));
    let in_meta = envelope.params.get("_meta").into_iter();
    let mut removed = 0;
    for capabilities in declared
        .into_iter()
        .chain(in_meta.flat_map(|meta| named(meta, META)))
    {
        if capabilities.as_object().is_none() {
            continue;
        }
        for requests in named(capabilities, "tasks").flat_map(|tasks| named(tasks, "requests")) {
            if requests.as_object().is_some() {
                removed += edits.blank_members(requests, stripped)?;
            }
        }
        removed += edits.blank_members(capabilities, stripped)?;
    }
    Ok(removed)
}

fn is_handshake(envelope: &Envelope<'_>) -> bool {
    matches!(&envelope.shape, Shape::Request { method, .. } if method == "initialize")
}
