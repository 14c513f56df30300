//! Where messages name tasks: opened on the way in, tagged on the way out.
//!
//! Tasks are those of a server here. Since 2025-11-25 a client may have tasks of its own, for what a server asks of it;
//! their ids pass as they are, but for metadata, where they cannot be told apart.

mod inbound;
mod outbound;

pub use inbound::{Task, UnknownTask, open};
pub use outbound::{Place, Rewritten, Tagging, rewrite};

use crate::json::{Kind, Value};

/// In the metadata of a message that belongs to a task.
/// <https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks#related-task-metadata>
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// A member of an object that is a string.
fn string_in<'a>(object: Value<'a>, key: &str) -> Option<Value<'a>> {
    object.get(key).filter(|value| value.kind() == Kind::String)
}
