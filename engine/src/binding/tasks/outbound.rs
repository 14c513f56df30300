//! Task ids from a server.

#[cfg(test)]
mod tests;

use memchr::memmem;

use super::{RELATED, string_in};
use crate::edit::Splices;
use crate::json::{Kind, Value};

/// Where a task id stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the answer that makes the task.
    Created,
    /// In the answer to `tasks/get`, or to `tasks/cancel` before 2026-07-28.
    State,
    /// In the answer to `tasks/list`.
    Listed,
    /// In `notifications/tasks` and `notifications/tasks/status`.
    Notified,
    /// Among the tasks that a listener will hear of.
    Subscribed,
    /// In the metadata of any message.
    Related,
}

/// What becomes of a task id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tagging {
    /// It stays as it is, and is worth nothing to the client.
    Keep,
    /// It becomes this.
    Replace(String),
    /// What is about this task goes: the item of a list, the whole of a notification. Elsewhere it is as `Keep`, for
    /// somebody waits for the answer.
    Drop,
}

/// What happened to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Rewritten {
    /// It goes on as it is.
    Unchanged,
    /// It becomes this.
    Changed(Vec<u8>),
    /// The client must not see it: a notification of a task that is not the client's.
    Dropped,
}

/// Finds every task id of a server's message by the message's shape, whatever stream it comes on, and asks `tag` what
/// becomes of it. A batch is rewritten message by message. Everything else stays byte for byte.
///
/// A message without the text `taskId` is not searched: an escaped spelling hides an id from its client only.
pub fn rewrite<'a>(message: Value<'a>, tag: &mut dyn FnMut(Place, &str) -> Tagging) -> Rewritten {
    if memmem::find(message.raw().as_bytes(), b"taskId").is_none() {
        return Rewritten::Unchanged;
    }
    let mut tagger = Tagger {
        splices: Splices::new(message),
        tag,
    };
    let dropped = match message.as_array() {
        Some(_) => tagger.batch(message),
        None => tagger.message(message),
    };
    match dropped {
        true => Rewritten::Dropped,
        false if tagger.splices.is_empty() => Rewritten::Unchanged,
        false => Rewritten::Changed(tagger.splices.finish()),
    }
}

struct Tagger<'a, 't> {
    splices: Splices<'a>,
    tag: &'t mut dyn FnMut(Place, &str) -> Tagging,
}

impl<'a> Tagger<'a, '_> {
    /// Whether nothing is left of a batch.
    fn batch(&mut self, batch: Value<'a>) -> bool {
        let messages = batch.as_array().into_iter().flat_map(|batch| batch.elements());
        let dropped: Vec<bool> = messages.map(|message| self.message(message)).collect();
        let mut drops = dropped.iter().copied();
        self.splices
            .drop_elements(batch, |_| drops.next().unwrap_or_default());
        !dropped.is_empty() && dropped.into_iter().all(|dropped| dropped)
    }

    /// Whether the message is to be dropped.
    fn message(&mut self, message: Value<'a>) -> bool {
        let (mut method, mut params) = (None, None);
        for (key, value) in message
            .as_object()
            .into_iter()
            .flat_map(|object| object.members())
        {
            match &*key {
                "result" => self.result(value),
                "method" => method = value.as_str(),
                "params" => params = Some(value),
                _ => {}
            }
        }
        match (method.as_deref(), params) {
            (Some(method), Some(params)) => self.params(method, params),
            _ => false,
        }
    }

    fn result(&mut self, result: Value<'a>) {
        let (mut id, mut status, mut created) = (None, false, false);
        for (key, value) in result.as_object().into_iter().flat_map(|object| object.members()) {
            match &*key {
                "taskId" if value.kind() == Kind::String => id = Some(value),
                "status" => status = value.kind() == Kind::String,
                "resultType" => created = value.as_str().as_deref() == Some("task"),
                "task" => {
                    if let Some(id) = string_in(value, "taskId") {
                        self.id(Place::Created, id);
                    }
                }
                "tasks" => self.elements(Place::Listed, value, |item| string_in(item, "taskId")),
                "_meta" => self.meta(value),
                // A finished task holds the result of its call.
                "result" => self.meta_in(value),
                _ => {}
            }
        }
        // Every task has a status. Without one this is some server's own member of some other result.
        match (id, created, status) {
            (Some(id), true, _) => drop(self.id(Place::Created, id)),
            (Some(id), false, true) => drop(self.id(Place::State, id)),
            (Some(_), false, false) | (None, _, _) => {}
        }
    }

    /// Whether the message is to be dropped.
    fn params(&mut self, method: &str, params: Value<'a>) -> bool {
        // What a server asks about a client's task.
        if method.starts_with("tasks/") {
            return false;
        }
        self.meta_in(params);
        match method {
            "notifications/tasks" | "notifications/tasks/status" => {
                if let Some(result) = params.get("result") {
                    self.meta_in(result);
                }
                string_in(params, "taskId").is_some_and(|id| self.id(Place::Notified, id))
            }
            "notifications/subscriptions/acknowledged" => {
                let subscribed = params.get("notifications").and_then(|all| all.get("taskIds"));
                if let Some(ids) = subscribed {
                    self.elements(Place::Subscribed, ids, |id| {
                        Some(id).filter(|id| id.kind() == Kind::String)
                    });
                }
                false
            }
            _ => false,
        }
    }

    fn meta_in(&mut self, object: Value<'a>) {
        if let Some(meta) = object.get("_meta") {
            self.meta(meta);
        }
    }

    fn meta(&mut self, meta: Value<'a>) {
        let related = meta.get(RELATED).and_then(|related| string_in(related, "taskId"));
        if let Some(id) = related {
            self.id(Place::Related, id);
        }
    }

    /// Those that have an id, which may be dropped.
    fn elements(&mut self, place: Place, array: Value<'a>, id_of: impl Fn(Value<'a>) -> Option<Value<'a>>) {
        let elements = array.as_array().into_iter().flat_map(|array| array.elements());
        let dropped: Vec<bool> = elements
            .map(|element| id_of(element).is_some_and(|id| self.id(place, id)))
            .collect();
        let mut drops = dropped.into_iter();
        self.splices
            .drop_elements(array, |_| drops.next().unwrap_or_default());
    }

    /// Whether what is about this task is to be dropped.
    fn id(&mut self, place: Place, id: Value<'a>) -> bool {
        let Some(text) = id.as_str() else { return false };
        match (self.tag)(place, &text) {
            Tagging::Keep => false,
            Tagging::Drop => true,
            Tagging::Replace(new) => {
                if new != text {
                    self.splices.string(id, &new);
                }
                false
            }
        }
    }
}
