//! What a change of policy means: who gains, who loses.
//!
//! The rule is to be conservative: what is not certainly no widening is called one, with the reason. So a change that
//! is not called wider lets nobody do what they could not do before.
//!
//! ```text
//! settings   the whole policy: mode, identity, limits, telemetry
//! servers    places, methods, schemas, breakers, prices
//! teams      what their keys share
//! keys       credentials, ends, limits, and by grants: the tools, prompts and resources of each
//! unknown    every member of the format that none of these has read
//! ```

mod grants;
mod keys;
mod language;
mod limits;
#[cfg(test)]
mod properties;
mod resilience;
mod servers;
mod settings;
mod teams;
#[cfg(test)]
mod tests;
mod unknown;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use toolgate_engine::policy::Policy;

use crate::policy_file::PolicyFile;

/// What a change does to what can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Effect {
    /// Something passes that did not, or that is not excluded.
    Wider,
    /// Something no longer passes.
    Narrower,
    /// Neither.
    Other,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub(crate) effect: Effect,
    /// What it is about: `policy`, `server`, `role`, `team` or `key`.
    pub(crate) kind: &'static str,
    /// The name of the server, role, team or key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// What changed.
    pub(crate) what: String,
    /// Why it has this effect, where that does not go without saying.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

/// Everything that differs, by what it is about.
pub(crate) fn changes(old: &PolicyFile, new: &PolicyFile) -> Vec<Change> {
    let (old, new) = (Side::of(old), Side::of(new));
    let mut changes = Vec::new();
    settings::compare(&old, &new, &mut About::policy(&mut changes));
    servers::compare(&old, &new, &mut changes);
    keys::roles(&old, &new, &mut changes);
    teams::compare(&old, &new, &mut changes);
    keys::compare(&old, &new, &mut changes);
    unknown::compare(&old, &new, &mut About::policy(&mut changes));
    changes
}

/// A policy, compiled and as written.
struct Side<'p> {
    policy: &'p Policy,
    document: Value,
}

impl<'p> Side<'p> {
    fn of(file: &'p PolicyFile) -> Self {
        Self {
            policy: &file.policy,
            // A policy that compiles is JSON.
            document: serde_json::from_str(&file.document).unwrap_or_default(),
        }
    }

    /// What is written at a pointer; null if nothing is.
    fn written(&self, pointer: &str) -> &Value {
        static NOTHING: Value = Value::Null;
        self.document.pointer(pointer).unwrap_or(&NOTHING)
    }

    /// The strings of the list at a pointer.
    fn texts(&self, pointer: &str) -> BTreeSet<&str> {
        let list = self.written(pointer).as_array();
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

/// Collects changes about one thing.
struct About<'c> {
    kind: &'static str,
    name: Option<&'c str>,
    changes: &'c mut Vec<Change>,
}

impl<'c> About<'c> {
    fn policy(changes: &'c mut Vec<Change>) -> Self {
        Self {
            kind: "policy",
            name: None,
            changes,
        }
    }

    fn new(kind: &'static str, name: &'c str, changes: &'c mut Vec<Change>) -> Self {
        Self {
            kind,
            name: Some(name),
            changes,
        }
    }

    fn say(&mut self, effect: Effect, what: impl Into<String>) {
        self.add(effect, what.into(), None);
    }

    fn because(&mut self, effect: Effect, what: impl Into<String>, why: impl Into<String>) {
        self.add(effect, what.into(), Some(why.into()));
    }

    fn add(&mut self, effect: Effect, what: String, why: Option<String>) {
        self.changes.push(Change {
            effect,
            kind: self.kind,
            name: self.name.map(str::to_owned),
            what,
            why,
        });
    }

    /// A choice or an amount of which more lets more pass.
    fn grows<T: PartialOrd + Copy>(&mut self, what: &str, old: T, new: T, show: impl Fn(T) -> String) {
        let Some(order) = old.partial_cmp(&new) else {
            return;
        };
        let effect = match order {
            std::cmp::Ordering::Less => Effect::Wider,
            std::cmp::Ordering::Greater => Effect::Narrower,
            std::cmp::Ordering::Equal => return,
        };
        self.say(effect, format!("{what}: {} → {}", show(old), show(new)));
    }

    /// A choice whose values, from the narrowest on, are `from_narrow`.
    fn choice<T: PartialEq + Copy + Debug>(&mut self, what: &str, old: T, new: T, from_narrow: &[T]) {
        let rank = |value: T| from_narrow.iter().position(|one| *one == value);
        let show = || format!("{} → {}", word(old), word(new));
        if old == new {
            return;
        }
        match (rank(old), rank(new)) {
            (Some(a), Some(b)) if a > b => self.say(Effect::Narrower, format!("{what}: {}", show())),
            (Some(_), Some(_)) => self.say(Effect::Wider, format!("{what}: {}", show())),
            // A value that came to the format later.
            _ => self.because(Effect::Wider, format!("{what}: {}", show()), UNCLEAR),
        }
    }

    /// A change that means nothing to what passes.
    fn aside(&mut self, what: &str, old: bool, new: bool) {
        if old != new {
            self.say(Effect::Other, format!("{what}: {old} → {new}"));
        }
    }

    /// Entries of a list that came and went.
    fn list(&mut self, what: &str, old: &BTreeSet<&str>, new: &BTreeSet<&str>, effects: (Effect, Effect)) {
        let (added, removed) = effects;
        for entry in new.difference(old) {
            self.say(added, format!("{what}: {entry:?} added"));
        }
        for entry in old.difference(new) {
            self.say(removed, format!("{what}: {entry:?} removed"));
        }
    }
}

/// Why something is called wider that may not be.
const UNCLEAR: &str = "in doubt, this counts as wider";

/// A choice as the policy writes it.
fn word(choice: impl Debug) -> String {
    let name = format!("{choice:?}");
    let mut chars = name.chars();
    chars
        .next()
        .map(|first| first.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}

/// A time as policies write it.
fn time(duration: Duration) -> String {
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
        (1, "ms"),
    ];
    let length = duration.as_millis();
    let fitting = units
        .into_iter()
        .find(|(unit, _)| length >= *unit && length.is_multiple_of(*unit));
    fitting.map_or_else(
        || "0s".to_owned(),
        |(unit, name)| format!("{}{name}", length / unit),
    )
}

/// The names on either side, in order.
fn names<'a>(old: impl Iterator<Item = &'a str>, new: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    old.chain(new).collect()
}

/// A pointer with one more step ([RFC 6901 §3](https://www.rfc-editor.org/rfc/rfc6901#section-3)).
fn pointer(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}
