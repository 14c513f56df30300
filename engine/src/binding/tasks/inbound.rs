//! Task ids from a client.

#[cfg(test)]
mod tests;

use super::{RELATED, string_in};
use crate::binding::{Owner, Secrets, is_spelling_of, named};
use crate::edit::{EditError, Edits};
use crate::json::Value;
use crate::mcp::envelope::{Envelope, Shape};
use crate::mcp::method::{Noun, find};

/// A task that its owner names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The tool whose call made it; empty if that is not known.
    pub tool: String,
    /// The server's id.
    pub id: String,
}

/// A task is named that is not the caller's, or is none at all. The answer must not tell which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Task not found")]
pub struct UnknownTask;

/// Puts the server's ids in the place of those that a client's message has, wherever the message can name a task, and
/// returns those that it is about: one for `tasks/get` and its like, any number for `subscriptions/listen`.
///
/// Metadata with an id that does not open: a request is refused; on `tasks/*`, where the specification has the metadata
/// ignored, and on responses and notifications, where the id may be one of a client's own tasks, it is blanked.
pub fn open<'a>(
    edits: &mut Edits<'a>,
    envelope: &Envelope<'a>,
    secrets: &Secrets,
    owner: &Owner<'_>,
) -> Result<Vec<Task>, UnknownTask> {
    let mut opener = Opener {
        edits,
        secrets,
        owner,
    };
    let unopened = match &envelope.shape {
        Shape::Request { method, .. } if method.starts_with("tasks/") => Unopened::Ignored,
        Shape::Request { .. } => Unopened::Refused,
        Shape::Notification { .. } | Shape::Response { .. } => Unopened::Blanked,
    };
    let result_meta = envelope.result.and_then(|result| result.get("_meta"));
    for meta in envelope.params.get("_meta").into_iter().chain(result_meta) {
        opener.related(meta, unopened)?;
    }
    let Shape::Request { method, .. } = &envelope.shape else {
        return Ok(Vec::new());
    };
    match find(method).map(|method| method.noun) {
        Some(Noun::Task) => {
            let id = envelope.params.get("taskId").ok_or(UnknownTask)?;
            opener.named(id).map(|task| vec![task])
        }
        Some(Noun::Listen) => {
            let notifications = envelope.params.get("notifications");
            let Some(ids) = notifications.and_then(|notifications| notifications.get("taskIds")) else {
                return Ok(Vec::new());
            };
            let ids = ids.as_array().ok_or(UnknownTask)?;
            ids.elements().map(|id| opener.named(id)).collect()
        }
        // An extension, or one that is about no single task.
        Some(Noun::None | Noun::Tool | Noun::Prompt | Noun::Resource | Noun::Reference) | None => {
            let id = envelope
                .params
                .get("taskId")
                .filter(|_| method.starts_with("tasks/"));
            id.map_or(Ok(Vec::new()), |id| opener.named(id).map(|task| vec![task]))
        }
    }
}

/// What becomes of metadata whose id does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unopened {
    /// The message is refused.
    Refused,
    /// It is blanked.
    Blanked,
    /// It is blanked even if it opens.
    Ignored,
}

struct Opener<'e, 'a, 's> {
    edits: &'e mut Edits<'a>,
    secrets: &'s Secrets,
    owner: &'s Owner<'s>,
}

impl<'a> Opener<'_, 'a, '_> {
    fn named(&mut self, id: Value<'a>) -> Result<Task, UnknownTask> {
        let presented = id.as_str().ok_or(UnknownTask)?;
        let open = self
            .secrets
            .open_task(self.owner, &presented)
            .ok_or(UnknownTask)?;
        self.edits.replace_string(id, open.id)?;
        Ok(Task {
            tool: open.tool,
            id: open.id.to_owned(),
        })
    }

    fn related(&mut self, meta: Value<'a>, unopened: Unopened) -> Result<(), UnknownTask> {
        let Some(related) = named(meta, RELATED).next() else {
            return Ok(());
        };
        let opened = unopened != Unopened::Ignored
            && match only_id_of(meta, related) {
                Some(id) => self.named(id).is_ok(),
                None => false,
            };
        match unopened {
            _ if opened => Ok(()),
            Unopened::Refused => Err(UnknownTask),
            Unopened::Blanked | Unopened::Ignored => {
                self.edits
                    .blank_members(meta, |key| is_spelling_of(key, RELATED))?;
                Ok(())
            }
        }
    }
}

/// The task id of metadata that all readers read alike.
fn only_id_of<'a>(meta: Value<'a>, related: Value<'a>) -> Option<Value<'a>> {
    let alone = named(meta, RELATED).nth(1).is_none() && named(related, "taskId").nth(1).is_none();
    // What another spelling names is not found by its exact name.
    let exact = meta.get(RELATED) == Some(related);
    string_in(related, "taskId").filter(|_| alone && exact)
}

impl From<EditError> for UnknownTask {
    /// An id whose escapes make it longer than with its tag is none that was ever handed out.
    fn from(_: EditError) -> UnknownTask {
        UnknownTask
    }
}
