//! Sessions and tasks, bound to the key that they were made for.
//!
//! A server's session and task ids go to clients with a keyed tag before them, and come back only with it:
//! [`Secrets`]. Nothing is stored, so every process with the same secret accepts what another one tagged. An id without
//! a tag is worth nothing to a client, hence one that cannot be tagged may go out as it is.
//!
//! Beside that: which of a client's [`capabilities`] a server sees, where [`tasks`] are named in messages, and, for
//! messages that name only a task, which tool it was [`remembered`] with.

pub mod capabilities;
pub mod remembered;
mod secrets;
pub mod tasks;

use crate::json::Value;
use crate::json::reserved::fold;

pub use secrets::{MAX_ID, OpenTask, Owner, SecretError, Secrets};

/// The members of an object that some reader takes for `name`: Go's, for one, does not look at case.
fn named<'a>(object: Value<'a>, name: &'static str) -> impl Iterator<Item = Value<'a>> {
    let members = object.as_object().into_iter().flat_map(|object| object.members());
    members
        .filter(move |(key, _)| is_spelling_of(key, name))
        .map(|(_, value)| value)
}

fn is_spelling_of(key: &str, name: &str) -> bool {
    key.chars().map(fold).eq(name.chars().map(fold))
}
