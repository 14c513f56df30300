//! Chains: the records of one run of an agent, numbered and linked by digests, so that a log shows whether something is
//! missing from it or was changed.
//!
//! A chain is the calls of one key in one session, or without a session in one trace. Each is numbered when it has
//! ended and everything about it is known, over all workers. State is kept for the chains that were continued last; one
//! that is forgotten begins anew, under another id.

mod digest;
mod record;
#[cfg(test)]
mod tests;

use sha2::{Digest as _, Sha256};

use crate::slots::{self, Change, Contention};
use crate::store::{Store, StoreError};
use crate::time::UnixNanos;

pub use digest::digest;
pub(crate) use digest::push_hex;
use digest::{hex, write};
use record::Record;

/// The fields of a link, in the order in which its digest takes them, after all others.
pub const ID: &str = "chain_id";
/// See [`ID`].
pub const SEQ: &str = "chain_seq";
/// See [`ID`].
pub const PREV: &str = "chain_prev";
/// See [`ID`].
pub const AT: &str = "chain_at";
/// The one that no digest takes.
pub const DIGEST: &str = "chain_digest";

/// What a chain's calls have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run<'a> {
    /// This session of this server.
    Session {
        /// The server's name.
        server: &'a str,
        /// The session, as the server knows it.
        id: &'a [u8],
    },
    /// This trace, in hexadecimal digits.
    Trace(&'a [u8; 32]),
}

/// Which chain a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    id: [u8; 8],
    slot: u16,
}

/// A record's place in its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// When it was numbered, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The chain: 16 hexadecimal digits that say whose it is, and after a hyphen when it began, in hexadecimal
    /// nanoseconds since the Unix epoch: replicas may begin one within the same millisecond.
    pub id: String,
    /// Its number, from 1.
    pub seq: u64,
    /// The digest of the record before; `None` for the first.
    pub prev: Option<String>,
    /// Its own digest.
    pub digest: String,
}

impl Chain {
    /// The chain of a key's run.
    pub fn of(key: &str, run: Run<'_>) -> Chain {
        let (kind, server, id): (u8, &str, &[u8]) = match run {
            Run::Session { server, id } => (b's', server, id),
            Run::Trace(id) => (b't', "", id),
        };
        // Each but the last with its length, so that no two lists of parts read the same. Most are one block of SHA-256.
        let mut parts = Vec::with_capacity(64);
        parts.push(kind);
        for part in [key, server] {
            parts.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            parts.extend_from_slice(part.as_bytes());
        }
        parts.extend_from_slice(id);
        let digest = Sha256::digest(&parts).into();
        Chain {
            id: slots::id(&digest).to_le_bytes(),
            slot: slots::slot(&digest),
        }
    }

    /// Adds a record to its chain. `fields` are all that its digest covers but the link's own.
    ///
    /// On an error the record is in no chain, and the next one follows the one before.
    pub fn link<'a>(
        &self,
        fields: impl IntoIterator<Item = (&'a str, impl AsRef<str>)>,
        store: &dyn Store,
        now: UnixNanos,
    ) -> Result<Link, StoreError> {
        let mut text = Vec::with_capacity(1024);
        for (name, value) in fields {
            write(name, value.as_ref(), &mut text);
        }
        let known = text.len();
        let at = now.0 / 1_000_000;
        let name = hex(&self.id);
        slots::update(
            self.slot,
            store,
            &mut Contention::default(),
            |record: &mut Record| {
                let step = record.begin_step(u64::from_le_bytes(self.id), now.0);
                let mut link = Link {
                    at,
                    id: format!("{name}-{:x}", step.start),
                    seq: step.seq,
                    prev: step.prev.map(|digest| hex(&digest)),
                    digest: String::new(),
                };
                text.truncate(known);
                link.each_but_digest(|name, value| write(name, value, &mut text));
                let digest = digest::of_text(&text);
                link.digest = hex(&digest);
                record.end_step(&step, digest);
                Ok(Change::Write(link))
            },
        )
    }
}

impl Link {
    fn each_but_digest(&self, mut tell: impl FnMut(&'static str, &str)) {
        tell(ID, &self.id);
        tell(SEQ, itoa::Buffer::new().format(self.seq));
        if let Some(prev) = &self.prev {
            tell(PREV, prev);
        }
        tell(AT, itoa::Buffer::new().format(self.at));
    }
}
