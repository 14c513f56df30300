//! Tool arguments against JSON Schema.
