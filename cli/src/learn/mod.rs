//! The least-privilege policy that observed traffic needs.
//!
//! ```text
//! logs ──observed──▶ who used what ──roles──▶ keys with the same grants share one
//!                          │                      ├──▶ draft     a policy from nothing else
//!                          │                      └──▶ narrowed  a policy with only these grants
//!                          └──unused──▶ grants of a policy that nobody used
//! ```
//!
//! Whatever is written is exact: a name with a `*` in it would stand for others, so it is left out and said.

mod draft;
mod narrowed;
mod node;
mod observed;
mod roles;
#[cfg(test)]
mod tests;
mod unused;

pub(crate) use draft::draft;
pub(crate) use narrowed::narrowed;
pub(crate) use observed::{Kind, Observed, Use};
pub(crate) use unused::{Unused, unused};

/// A policy, and what a person has to do before it can be used.
#[derive(Debug)]
pub(crate) struct Learned {
    /// The document, for people.
    pub(crate) text: String,
    /// What has to be filled in, as JSON Pointers.
    pub(crate) fill_in: Vec<String>,
    /// What else there is to know.
    pub(crate) notes: Vec<String>,
}
