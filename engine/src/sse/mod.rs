//! Server-sent events, read and rewritten incrementally.
