//! Who used what, from the records of a log in any order.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use toolgate_engine::mcp::method::{self, Noun};
use toolgate_engine::mcp::names::{is_canonical_template, is_canonical_uri, is_valid_name};
use toolgate_engine::reason::Reason;

use crate::log::{LONGEST_NAME, Record, clipped};

/// Names that are learned; a caller in shadow mode can make up any number of them.
const USES: usize = 100_000;
/// Kinds of refusals, and of what is left out, that are told apart.
const TOLD: usize = 1_000;
/// Keys, servers, methods and paths that are told apart.
const NAMES: usize = 100_000;
/// Longest name that a record has in full: what is longer is cut, and ends with `…`.
const FULL: usize = 256;
/// Longest pattern, and longest name of a server or key, in bytes ([policy](../../../docs/policy.md)).
const PATTERN: usize = 1_024;
const NAME: usize = 128;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Tool,
    Prompt,
    /// By its URI; also a template.
    Resource,
}

/// An object that a key used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Use {
    pub(crate) server: String,
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

/// What was refused, or would have been for another reason than a missing grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Refused {
    pub(crate) key: String,
    pub(crate) server: String,
    pub(crate) method: String,
    pub(crate) object: String,
    pub(crate) reason: String,
    /// The pattern that denies it, of which role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// It went through, in shadow mode.
    pub(crate) shadow: bool,
}

/// What cannot be granted exactly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct LeftOut {
    pub(crate) key: String,
    pub(crate) server: String,
    pub(crate) name: String,
    pub(crate) why: &'static str,
}

/// A key of the log.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) last_ms: i64,
    pub(crate) team: Option<String>,
    pub(crate) uses: BTreeSet<Use>,
}

/// A server of the log.
#[derive(Debug, Default)]
pub(crate) struct Called {
    /// How often each was called.
    pub(crate) paths: BTreeMap<String, u64>,
    /// The methods that need a grant.
    pub(crate) methods: BTreeSet<String>,
}

/// Everything that a log says about use.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// When the first and the last request began, in Unix milliseconds.
    pub(crate) span: Option<(i64, i64)>,
    pub(crate) records: u64,
    /// Those that say what a key needs.
    pub(crate) counted: u64,
    pub(crate) keys: BTreeMap<String, Seen>,
    pub(crate) servers: BTreeMap<String, Called>,
    pub(crate) refused: BTreeMap<Refused, u64>,
    pub(crate) left_out: BTreeMap<LeftOut, u64>,
    /// Of either, those that were too many to be told.
    pub(crate) untold: u64,
    uses: usize,
}

impl Observed {
    /// Takes one record in, whose names are short.
    pub(crate) fn take(&mut self, record: &Record<'_>) {
        self.records += 1;
        let time = record.time_ms;
        let (from, to) = self.span.unwrap_or((time, time));
        self.span = Some((from.min(time), to.max(time)));
        // Without a key or a server there is nobody to grant anything.
        let (Some(key), Some(server), Some(decision)) = (&record.key, &record.server, &record.decision)
        else {
            return;
        };
        let (key, server): (&str, &str) = (key, server);
        if !is_name(key) || !is_name(server) || server.contains(['/', '*']) {
            return self.leave_out(key, server, "", "not names of a policy");
        }
        if !self.see(key, server, record) {
            return self.leave_out(key, server, "", "too many names");
        }
        let would_deny = record.would_deny.as_deref();
        let deny = deny_of(record);
        let missing = would_deny.is_none_or(|reason| is_missing_grant(reason) && deny.is_none());
        if **decision == *Reason::Allowed.as_str() && missing {
            self.counted += 1;
            self.count(key, server, record);
        } else {
            let refused = Refused {
                key: key.to_owned(),
                server: server.to_owned(),
                method: record.rpc_method.as_deref().unwrap_or_default().to_owned(),
                object: object(record).unwrap_or_default().to_owned(),
                reason: would_deny.unwrap_or(decision).to_owned(),
                why: deny.map(|deny| clipped(deny).unwrap_or_else(|| deny.to_owned())),
                shadow: would_deny.is_some(),
            };
            tell(&mut self.refused, refused, &mut self.untold);
        }
    }

    /// Notes that they are there; `false` if there are too many.
    fn see(&mut self, key: &str, server: &str, record: &Record<'_>) -> bool {
        let room = |known: bool, all: usize| known || all < NAMES;
        if !room(self.keys.contains_key(key), self.keys.len())
            || !room(self.servers.contains_key(server), self.servers.len())
        {
            return false;
        }
        let seen = self.keys.entry(key.to_owned()).or_default();
        if record.time_ms >= seen.last_ms {
            seen.last_ms = record.time_ms;
            seen.team = record
                .team
                .as_deref()
                .filter(|team| is_name(team))
                .map(str::to_owned);
        }
        let called = self.servers.entry(server.to_owned()).or_default();
        // One that was cut is not the one that was called.
        if let Some(path) = record.path.as_deref()
            && path.chars().count() <= LONGEST_NAME
            && (called.paths.contains_key(path) || called.paths.len() < 64)
        {
            *called.paths.entry(path.to_owned()).or_default() += 1;
        }
        true
    }

    /// What the call needs.
    fn count(&mut self, key: &str, server: &str, record: &Record<'_>) {
        let Some(name) = record.rpc_method.as_deref() else {
            // A stream, or the end of a session.
            return;
        };
        let known = method::all().find(|method| method.name == name);
        if known.is_none_or(|method| !method.always) {
            let called = self.servers.entry(server.to_owned()).or_default();
            if name.contains('*')
                || !is_valid_name(name)
                || name.chars().count() > FULL
                || called.methods.len() >= 1_000
            {
                self.leave_out(key, server, name, "not a method that a pattern can name exactly");
            } else if !called.methods.contains(name) {
                called.methods.insert(name.to_owned());
            }
        }
        let kind = match known.map(|method| method.noun) {
            Some(Noun::Tool) => Kind::Tool,
            Some(Noun::Prompt) => Kind::Prompt,
            Some(Noun::Resource) => Kind::Resource,
            // A caller can name a prompt like a resource.
            Some(Noun::Reference) if object(record).is_some_and(is_canonical_template) => {
                return self.leave_out(
                    key,
                    server,
                    name,
                    "records do not say whether a prompt or a resource",
                );
            }
            Some(Noun::Reference) => Kind::Prompt,
            Some(Noun::Listen) => {
                return self.leave_out(key, server, name, "records do not say which resources");
            }
            Some(Noun::Task | Noun::None) | None => return,
        };
        let name = match kind {
            Kind::Tool => record.tool.as_deref(),
            Kind::Prompt | Kind::Resource => record.object.as_deref(),
        };
        let Some(name) = name else {
            return self.leave_out(key, server, "", "the record does not name it");
        };
        match inexact(server, kind, name) {
            Some(why) => self.leave_out(key, server, name, why),
            None => self.learn(key, server, kind, name),
        }
    }

    fn learn(&mut self, key: &str, server: &str, kind: Kind, name: &str) {
        let used = Use {
            server: server.to_owned(),
            kind,
            name: name.to_owned(),
        };
        let uses = &mut self.keys.entry(key.to_owned()).or_default().uses;
        if uses.contains(&used) {
            return;
        }
        if self.uses >= USES {
            return self.leave_out(key, server, name, "too many names");
        }
        self.uses += 1;
        uses.insert(used);
    }

    fn leave_out(&mut self, key: &str, server: &str, name: &str, why: &'static str) {
        let left = LeftOut {
            key: key.to_owned(),
            server: server.to_owned(),
            name: name.to_owned(),
            why,
        };
        tell(&mut self.left_out, left, &mut self.untold);
    }
}

/// Shadow mode let it through because no role grants it.
fn is_missing_grant(reason: &str) -> bool {
    [Reason::NoGrant, Reason::Hidden, Reason::Method]
        .iter()
        .any(|missing| missing.as_str() == reason)
}

/// `denied by "pattern" of role "role"`, if that is why: no missing grant, but one that somebody decided against. The
/// tool's name before it is quoted, so no name can say so.
fn deny_of<'r>(record: &'r Record<'_>) -> Option<&'r str> {
    let name = record.detail.as_deref()?.strip_prefix('"')?;
    let mut escaped = false;
    let (_, why) = name.split_once(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    why.strip_prefix(": ").filter(|why| why.starts_with("denied by "))
}

fn object<'r>(record: &'r Record<'_>) -> Option<&'r str> {
    record.tool.as_deref().or(record.object.as_deref())
}

/// Why no pattern stands for this name alone.
fn inexact(server: &str, kind: Kind, name: &str) -> Option<&'static str> {
    let sound = match kind {
        Kind::Tool | Kind::Prompt => is_valid_name(name),
        Kind::Resource => is_canonical_uri(name) || is_canonical_template(name),
    };
    if name.chars().count() > FULL {
        Some("too long for the record, which has only the beginning")
    } else if name.contains('*') {
        Some("a * in a pattern stands for any characters")
    } else if server.len() + 1 + name.len() > PATTERN {
        Some("too long for a pattern")
    } else if sound {
        None
    } else {
        Some("never a name to the filter")
    }
}

/// Whether a policy could have it as a name.
fn is_name(name: &str) -> bool {
    is_valid_name(name) && name.len() <= NAME
}

fn tell<T: Ord>(told: &mut BTreeMap<T, u64>, what: T, untold: &mut u64) {
    if told.len() < TOLD || told.contains_key(&what) {
        *told.entry(what).or_default() += 1;
    } else {
        *untold += 1;
    }
}
