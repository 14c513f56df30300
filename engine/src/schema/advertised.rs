//! Definitions that servers advertised in `tools/list`, shared between workers.
//!
//! Two levels, so that a call costs one small read: `toolgate/schema/<server>/<tool>` holds what is
//! known of a tool (the SHA-256 of its schema's text, or one byte that says why there is none), and
//! `toolgate/schema-text/<server>/<hex digest>` holds the text, which a worker reads and compiles
//! once, at the first call. A list of thousands of tools compiles nothing.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use super::{MAX_SCHEMA_BYTES, Validator};
use crate::store::{Expect, Store, StoreError};

/// Longest tool name that is remembered, in bytes.
const MAX_NAME: usize = 1024;
/// Most tools that one page can teach.
const MAX_TOOLS: usize = 10_000;
/// Most compiled schemas a worker keeps.
const MAX_COMPILED: usize = 512;
/// Most bytes that the compiled ones take, about.
const MAX_COMPILED_BYTES: usize = 32 * 1024 * 1024;
/// Most bytes of one server's definitions in the store. The store forgets nothing, and a server
/// can advertise something new in every list.
const MAX_STORED_BYTES: u64 = 64 * 1024 * 1024;
/// What a stored value takes besides its bytes, about.
const STORED_OVERHEAD: u64 = 256;

/// Stored instead of a digest: two definitions of one name in one page.
const CONFLICT: &[u8] = b"c";
/// Stored instead of a digest: the schema's text is over the bound.
const TOO_LARGE: &[u8] = b"l";
/// Stored instead of a digest: the server advertised more definitions than are remembered.
const TOO_MANY: &[u8] = b"m";
/// Stored instead of a digest: the definition has no input schema (any more).
const NONE: &[u8] = b"n";

/// What is known of a tool's advertised schema.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// No list named it yet, or its definition has no `inputSchema`: only the policy's own
    /// schema applies.
    Unknown,
    /// The schema its server advertised last.
    Valid(Rc<Validator>),
    /// Its calls are to be refused, for this reason (safe to show).
    Broken(String),
}

/// Advertised definitions: a bounded per-worker cache of compiled ones over the shared store.
#[derive(Debug, Default)]
pub struct Advertised {
    compiled: RefCell<Compiled>,
}

impl Advertised {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers what a page of `tools/list` said: each tool's name and the JSON text of its
    /// `inputSchema`, if it has one.
    ///
    /// Two entries of one page with the same name and different schemas are a conflict, and calls
    /// of that tool are refused: client and server may each take another one. A tool whose state
    /// cannot be written keeps the earlier one. Of one server, 64 MiB of definitions are kept
    /// while the process lives; a known tool that changes beyond that is refused.
    pub fn learn<'t>(
        &self,
        store: &dyn Store,
        server: &str,
        tools: impl Iterator<Item = (&'t str, Option<&'t str>)>,
    ) {
        let mut page: HashMap<&str, Entry<'_>> = HashMap::new();
        for (name, text) in tools.take(MAX_TOOLS).filter(|(name, _)| name.len() <= MAX_NAME) {
            let entry = Entry::of(text);
            let known = page.entry(name).or_insert_with(|| entry.clone());
            if known.state != entry.state {
                *known = Entry {
                    state: CONFLICT.to_vec(),
                    text: None,
                };
            }
        }
        for (name, entry) in page {
            // An error leaves the tool as it was: what was learned before still holds.
            let _ = remember(store, server, name, &entry);
        }
    }

    /// What is known for a call of `tool`.
    pub fn lookup(&self, store: &dyn Store, server: &str, tool: &str) -> Lookup {
        if tool.len() > MAX_NAME {
            return Lookup::Unknown;
        }
        let state = match store.get(&state_key(server, tool)) {
            Ok(Some(state)) => state.value,
            Ok(None) => return Lookup::Unknown,
            Err(error) => return Lookup::Broken(unreadable(error)),
        };
        match state.as_slice() {
            NONE => Lookup::Unknown,
            CONFLICT => broken("its server advertises two different definitions under this name"),
            TOO_LARGE => broken(&format!("the schema is larger than {MAX_SCHEMA_BYTES} bytes")),
            TOO_MANY => broken("its definition changed too often to be remembered"),
            digest => match <[u8; 32]>::try_from(digest) {
                Ok(digest) => self.compiled(store, server, digest),
                Err(_) => broken("what is remembered of it cannot be read"),
            },
        }
    }

    fn compiled(&self, store: &dyn Store, server: &str, digest: [u8; 32]) -> Lookup {
        if let Some(known) = self.compiled.borrow().entries.get(&digest) {
            return known.lookup.clone();
        }
        let text = match store.get(&text_key(server, &digest)) {
            Ok(Some(text)) => text.value,
            Ok(None) => return broken("its text is not remembered; list the tools again"),
            Err(error) => return Lookup::Broken(unreadable(error)),
        };
        if digest_of(&text) != digest {
            return broken("what is remembered of it cannot be read");
        }
        let lookup = match compile(&text) {
            Ok(validator) => Lookup::Valid(Rc::new(validator)),
            Err(reason) => broken(&reason),
        };
        let weight = match &lookup {
            Lookup::Valid(validator) => validator.weight(),
            Lookup::Broken(_) | Lookup::Unknown => 1024,
        };
        let weight = weight.saturating_add(text.len());
        self.compiled.borrow_mut().insert(digest, weight, lookup.clone());
        lookup
    }
}

/// Compiled schemas by digest; the oldest go first.
#[derive(Debug, Default)]
struct Compiled {
    entries: HashMap<[u8; 32], Known>,
    order: VecDeque<[u8; 32]>,
    bytes: usize,
}

#[derive(Debug)]
struct Known {
    lookup: Lookup,
    bytes: usize,
}

impl Compiled {
    fn insert(&mut self, digest: [u8; 32], bytes: usize, lookup: Lookup) {
        while self.order.len() >= MAX_COMPILED || self.bytes.saturating_add(bytes) > MAX_COMPILED_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some(gone) = self.entries.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(gone.bytes);
            }
        }
        if self.entries.insert(digest, Known { lookup, bytes }).is_none() {
            self.order.push_back(digest);
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }
}

/// What one entry of a page says, in stored form.
#[derive(Clone)]
struct Entry<'t> {
    state: Vec<u8>,
    text: Option<&'t str>,
}

impl<'t> Entry<'t> {
    fn of(text: Option<&'t str>) -> Self {
        match text {
            None => Self {
                state: NONE.to_vec(),
                text: None,
            },
            Some(text) if text.len() > MAX_SCHEMA_BYTES => Self {
                state: TOO_LARGE.to_vec(),
                text: None,
            },
            Some(text) => Self {
                state: digest_of(text.as_bytes()).to_vec(),
                text: Some(text),
            },
        }
    }
}

/// Writes what a page said of one tool, if it is news.
fn remember(store: &dyn Store, server: &str, name: &str, entry: &Entry<'_>) -> Result<(), StoreError> {
    let key = state_key(server, name);
    let known = store.get(&key)?;
    match &known {
        Some(known) if known.value == entry.state => return Ok(()),
        // Most tools that have no schema never had one.
        None if entry.state == NONE => return Ok(()),
        Some(_) | None => {}
    }
    let mut bytes = match known {
        Some(_) => 0,
        None => STORED_OVERHEAD + key.len() as u64,
    };
    let mut news = None;
    if let (Some(text), Ok(digest)) = (entry.text, <[u8; 32]>::try_from(entry.state.as_slice())) {
        let key = text_key(server, &digest);
        if store
            .get(&key)?
            .is_none_or(|stored| stored.value != text.as_bytes())
        {
            bytes += STORED_OVERHEAD + text.len() as u64;
            news = Some((key, text));
        }
    }
    if bytes > 0 && !reserve(store, server, bytes)? {
        return match known {
            // The earlier definition is not the server's any more.
            Some(_) => store.set(&key, TOO_MANY, Expect::Anything),
            None => Ok(()),
        };
    }
    // The text goes first: a worker that sees the digest finds the text.
    if let Some((key, text)) = news {
        store.set(&key, text.as_bytes(), Expect::Anything)?;
    }
    store.set(&key, &entry.state, Expect::Anything)
}

/// Takes `bytes` of what is left to the server; `false` if that is too little.
fn reserve(store: &dyn Store, server: &str, bytes: u64) -> Result<bool, StoreError> {
    const TRIES: usize = 8;
    let key = format!("toolgate/schema-bytes/{server}");
    for _ in 0..TRIES {
        let known = store.get(&key)?;
        let used = known
            .as_ref()
            .and_then(|k| <[u8; 8]>::try_from(k.value.as_slice()).ok());
        let used = used.map_or(0, u64::from_le_bytes).saturating_add(bytes);
        if used > MAX_STORED_BYTES {
            return Ok(false);
        }
        let expect = known.map_or(Expect::Anything, |k| Expect::Version(k.version));
        match store.set(&key, &used.to_le_bytes(), expect) {
            Ok(()) => return Ok(true),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Conflict)
}

fn compile(text: &[u8]) -> Result<Validator, String> {
    let schema = serde_json::from_slice(text).map_err(|_| "the schema is not JSON".to_owned())?;
    Validator::compile(&schema).map_err(|error| error.to_string())
}

fn broken(reason: &str) -> Lookup {
    Lookup::Broken(format!(
        "The input schema that the server advertises for this tool cannot be used: {reason}"
    ))
}

fn unreadable(error: StoreError) -> String {
    format!(
        "What the server advertised for this tool cannot be read just now, so the call is refused: {error}"
    )
}

fn state_key(server: &str, tool: &str) -> String {
    format!("toolgate/schema/{server}/{tool}")
}

fn text_key(server: &str, digest: &[u8; 32]) -> String {
    let mut key = format!("toolgate/schema-text/{server}/");
    for byte in digest {
        let _ = write!(key, "{byte:02x}");
    }
    key
}

fn digest_of(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests;
