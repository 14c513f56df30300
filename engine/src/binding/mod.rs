//! Sessions and tasks, bound to the key that they were made for.
//!
//! A server's session and task ids go to clients with a keyed tag before them, and come back only with it:
//! [`Secrets`]. Nothing is stored, so every process with the same secret accepts what another one tagged. An id without
//! a tag is worth nothing to a client, hence one that cannot be tagged may go out as it is.
//!
//! Beside that: which of a client's [`capabilities`] a server sees, and where [`tasks`] are named in messages.

pub mod capabilities;
mod secrets;

pub use secrets::{MAX_ID, OpenTask, Owner, SecretError, Secrets};
