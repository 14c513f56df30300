//! What is wrong with a chain, and where.

use std::fmt;

use serde_json::{Value, json};

use crate::log::{Logs, Place};
use crate::style::clean;

/// One thing that is wrong.
#[derive(Debug)]
pub(crate) struct Finding {
    /// The line that shows it.
    pub(crate) place: Place,
    /// The chain, if its name is known.
    pub(crate) chain: Option<Box<str>>,
    pub(crate) kind: Kind,
}

/// What can be wrong.
#[derive(Debug)]
pub(crate) enum Kind {
    /// The record's own digest is not that of its fields.
    Changed { number: u64 },
    /// `chain_prev` is not the digest of the record before.
    Unlinked { number: u64, other: Option<Place> },
    /// Numbers between two records.
    Missing { from: u64, to: u64, after: Place },
    /// The chain's first record here is not number 1.
    NoBeginning { number: u64 },
    /// A number that was there before; `other` where that is still known.
    Repeated { number: u64, other: Option<Place> },
    /// A field of the chain is missing or is not what it has to be.
    Incomplete(&'static str),
    /// The chain is in too many pieces to go on.
    Scattered { number: u64 },
}

impl Finding {
    pub(super) fn at(place: Place, kind: Kind) -> Self {
        Self {
            place,
            chain: None,
            kind,
        }
    }

    pub(super) fn in_chain(mut self, id: &str) -> Self {
        self.chain = Some(clean(id).into());
        self
    }

    /// For programs.
    pub(crate) fn to_json(&self, logs: &Logs) -> Value {
        json!({
            "kind": self.kind.name(),
            "place": logs.name(self.place),
            "chain": self.chain,
            "message": self.said(logs).to_string(),
        })
    }

    /// For people, with the names of the files.
    pub(crate) fn said<'a>(&'a self, logs: &'a Logs) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| self.kind.say(f, logs))
    }
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "changed",
            Self::Unlinked { .. } => "unlinked",
            Self::Missing { .. } => "missing",
            Self::NoBeginning { .. } => "no_beginning",
            Self::Repeated { .. } => "repeated",
            Self::Incomplete(_) => "incomplete",
            Self::Scattered { .. } => "scattered",
        }
    }

    fn say(&self, f: &mut fmt::Formatter<'_>, logs: &Logs) -> fmt::Result {
        let other =
            |place: &Option<Place>| place.map_or_else(String::new, |at| format!(" ({})", logs.name(at)));
        match self {
            Self::Changed { number } => {
                write!(
                    f,
                    "number {number} was changed: its digest is not that of its fields"
                )
            }
            Self::Unlinked { number: 1, .. } => {
                write!(f, "number 1 names a record before it, and there can be none")
            }
            Self::Unlinked { number, other: place } => {
                let before = number - 1;
                write!(
                    f,
                    "number {number} follows another record than number {before}{}",
                    other(place)
                )
            }
            Self::Missing { from, to, after } => {
                let after = logs.name(*after);
                if from == to {
                    write!(f, "number {from} is missing, between {after} and this line")
                } else {
                    write!(
                        f,
                        "numbers {from} to {to} are missing, between {after} and this line"
                    )
                }
            }
            Self::NoBeginning { number } => write!(
                f,
                "begins with number {number}: what was before is not in these logs (name older ones too, or accept it \
                 with --partial)"
            ),
            Self::Repeated { number, other: place } => {
                write!(f, "number {number} is there already{}", other(place))
            }
            Self::Incomplete(field) => write!(f, "{field} is missing, or is not one"),
            Self::Scattered { number } => write!(
                f,
                "number {number} is not looked at: the chain is in too many pieces, name the logs oldest first"
            ),
        }
    }
}
