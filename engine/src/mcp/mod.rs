//! MCP semantics: revisions, methods, message shapes, header mirrors, object names.
//!
//! Everything here reads; nothing here decides. Tables follow the published revisions
//! (<https://modelcontextprotocol.io/specification>).

pub mod call;
pub mod classify;
pub mod envelope;
pub mod headers;
pub mod method;
pub mod names;
pub mod revision;
pub mod trace;
