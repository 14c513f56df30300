//! Edits of a request body that keep its length.
