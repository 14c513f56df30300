//! What is told about calls, as compiled.

use super::choices::choices;
use super::glob::GlobSet;

choices! {
    /// What the record says about a call's arguments.
    Arguments {
        /// The SHA-256 of their canonical form.
        #[default]
        Digest,
        /// The digest, and the arguments themselves, except what is masked.
        Values,
        /// Nothing.
        Off,
    }
}

/// What metrics and records say about calls.
#[derive(Debug)]
pub struct Telemetry {
    /// Whether there are metrics with the label `key`.
    pub per_key: bool,
    /// What the record says about arguments.
    pub arguments: Arguments,
    /// What is hidden of arguments that are recorded as they are: up to 256 places.
    pub masks: Vec<Mask>,
    /// Whether records are numbered and linked.
    pub chains: bool,
}

impl Telemetry {
    /// The masks for the arguments of a tool.
    pub fn masks_for<'a>(&'a self, server: &'a str, tool: &'a str) -> impl Iterator<Item = &'a Mask> {
        self.masks.iter().filter(move |mask| mask.covers(server, tool))
    }
}

/// A place in the arguments of some tools that is not shown.
#[derive(Debug)]
pub struct Mask {
    /// The tools; `None` for all.
    pub(super) on: Option<GlobSet>,
    pub(super) path: Box<[Segment]>,
}

impl Mask {
    /// Whether it is about this tool.
    pub fn covers(&self, server: &str, tool: &str) -> bool {
        self.on.as_ref().is_none_or(|on| on.matches(server, tool))
    }

    /// The way from the arguments to the place: at least one step, at most 64.
    pub fn path(&self) -> &[Segment] {
        &self.path
    }
}

/// One step of a JSON Pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// `*`: any one member or item.
    Any,
    /// The member of this name, or the item whose index this is.
    Named(Box<str>),
}

impl Segment {
    /// Whether the step leads to this member of an object.
    pub fn is_member(&self, name: &str) -> bool {
        match self {
            Segment::Any => true,
            Segment::Named(named) => **named == *name,
        }
    }

    /// Whether the step leads to this item of an array. Indices are decimal, without leading zeros.
    pub fn is_item(&self, index: usize) -> bool {
        match self {
            Segment::Any => true,
            Segment::Named(named) => {
                let plain = **named == *"0" || !named.starts_with(['0', '+']);
                plain && named.parse() == Ok(index)
            }
        }
    }
}
