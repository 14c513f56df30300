//! Strict JSON (RFC 8259) over raw bytes.
