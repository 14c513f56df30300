//! What of a message's body the server gets to see otherwise than it was sent.

use super::{Engine, Waiting};
use crate::binding::capabilities;
use crate::binding::tasks::{self, Task, UnknownTask};
use crate::edit::{EditError, Edits};
use crate::mcp::envelope::Envelope;

/// A body as the server gets it.
pub(super) struct Edited {
    /// Of the same length; `None` if it is the one that came.
    pub(super) body: Option<Vec<u8>>,
    /// The tasks that it is about.
    pub(super) tasks: Vec<Task>,
}

/// Why a body cannot go on.
pub(super) enum Problem {
    /// It names a task that is not the caller's.
    UnknownTask,
    /// It could not be edited.
    Edit(EditError),
}

/// Opens the tasks that a message names, and takes away the capabilities that the server must not see.
pub(super) fn of(
    engine: &Engine,
    waiting: &Waiting,
    body: &[u8],
    envelope: &Envelope<'_>,
) -> Result<Edited, Problem> {
    let server = engine.policy.server(waiting.server);
    let owner = engine.owner(waiting.server, &waiting.caller);
    let mut edits = Edits::new(body);
    let tasks = tasks::open(&mut edits, envelope, &engine.secrets, &owner)?;
    capabilities::strip(&mut edits, envelope, &server.client_capabilities)?;
    Ok(Edited {
        body: edits.finish(),
        tasks,
    })
}

impl From<UnknownTask> for Problem {
    fn from(UnknownTask: UnknownTask) -> Self {
        Problem::UnknownTask
    }
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Self {
        Problem::Edit(error)
    }
}
