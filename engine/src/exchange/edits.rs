//! What of a message's body the server gets to see otherwise than it was sent.

use super::{Engine, Waiting};
use crate::binding::capabilities;
use crate::edit::{EditError, Edits};
use crate::mcp::envelope::Envelope;

/// The body as the server gets it, of the same length; `None` if it is the one that came.
pub(super) fn of(
    engine: &Engine,
    waiting: &Waiting,
    body: &[u8],
    envelope: &Envelope<'_>,
) -> Result<Option<Vec<u8>>, EditError> {
    let server = engine.policy.server(waiting.server);
    if server.client_capabilities.stripped().next().is_none() {
        return Ok(None);
    }
    let mut edits = Edits::new(body);
    capabilities::strip(&mut edits, envelope, &server.client_capabilities)?;
    Ok(edits.finish())
}
