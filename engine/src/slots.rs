//! Bounded records in the shared store.
