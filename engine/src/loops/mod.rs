//! Loop guards.
