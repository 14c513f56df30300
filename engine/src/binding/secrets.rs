//! Tags: who may use an id, proven by a keyed hash.
//!
//! ```text
//! session  t1.<22 characters: MAC>.<the server's id>
//! task     t1.<22 characters: MAC>.<base64url: tool>.<the server's id>
//! ```
//!
//! The MAC is HMAC-SHA-256 ([RFC 2104]), cut to 128 bits, over domain, server, key, subject, tool and id, each with its
//! length before it, so that no byte can move from one to the next.
//!
//! [RFC 2104]: https://www.rfc-editor.org/rfc/rfc2104

#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Longest id that is tagged, and longest name of a task's tool, in bytes. What is longer goes out as it is and opens for
/// nobody.
pub const MAX_ID: usize = 1_024;

/// Shortest secret, in bytes: as long as the hash (RFC 2104, section 3).
const MIN_SECRET: usize = 32;

const VERSION: &str = "t1.";
/// Bytes of a MAC in a tag. <https://www.rfc-editor.org/rfc/rfc2104#section-5> asks for at least half of the hash.
const MAC: usize = 16;
/// A MAC in base64url without padding.
const MAC_TEXT: usize = 22;

const SESSION: &[u8] = b"toolgate session 1";
const TASK: &[u8] = b"toolgate task 1";

/// A secret, as HMAC's state after its key: it is prepared once and copied for every tag.
type Keyed = Hmac<Sha256>;

/// What tags are made with.
#[derive(Clone)]
pub struct Secrets {
    signing: Keyed,
    /// The secret before a change, which still opens.
    previous: Option<Keyed>,
}

/// Whom an id belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The server's name in the policy.
    pub server: &'a str,
    /// The key's name in the policy.
    pub key: &'a str,
    /// The verified JWT subject.
    pub subject: Option<&'a str>,
}

/// A task id that its owner has presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTask<'v> {
    /// The tool whose call made the task; empty if that is not known.
    pub tool: String,
    /// The server's id.
    pub id: &'v str,
}

/// Why a text holds no secrets. Shows no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Nothing but white space.
    #[error("the session secret is empty")]
    Empty,
    /// A secret is too short to be one.
    #[error("{} has {bytes} bytes; it needs at least {MIN_SECRET}", which(*.previous))]
    TooShort {
        /// Whether it is the one after the comma.
        previous: bool,
        /// Its length.
        bytes: usize,
    },
    /// More than one comma.
    #[error("there are more than two session secrets; write the new one, a comma and the old one")]
    TooMany,
}

fn which(previous: bool) -> &'static str {
    if previous {
        "the session secret after the comma"
    } else {
        "the session secret"
    }
}

impl Secrets {
    /// Reads one secret, or two with a comma between them: the first makes tags, both open them. White space around a
    /// secret is not part of it.
    pub fn parse(text: &str) -> Result<Secrets, SecretError> {
        if text.trim().is_empty() {
            return Err(SecretError::Empty);
        }
        let mut parts = text.split(',');
        let signing = parts.next().unwrap_or_default();
        let previous = parts.next();
        if parts.next().is_some() {
            return Err(SecretError::TooMany);
        }
        Ok(Secrets {
            signing: read_secret(signing, false)?,
            previous: previous.map(|text| read_secret(text, true)).transpose()?,
        })
    }

    /// A secret of random bytes.
    pub fn random(bytes: [u8; 32]) -> Secrets {
        Secrets {
            signing: keyed(&bytes),
            previous: None,
        }
    }

    /// What a client gets to see of a session id. One that is longer than [`MAX_ID`] is returned as it is: it opens for
    /// nobody, so the session ends with its first answer.
    pub fn tag_session(&self, owner: &Owner<'_>, id: &[u8]) -> Vec<u8> {
        if id.len() > MAX_ID {
            return id.to_vec();
        }
        let mut out = self.head(SESSION, owner, None, id).into_bytes();
        out.extend_from_slice(id);
        out
    }

    /// The server's session id, if this owner was given what is presented.
    pub fn open_session<'v>(&self, owner: &Owner<'_>, presented: &'v [u8]) -> Option<&'v [u8]> {
        let rest = presented.strip_prefix(VERSION.as_bytes())?;
        let (mac, rest) = rest.split_at_checked(MAC_TEXT)?;
        let id = rest.strip_prefix(b".")?;
        (id.len() <= MAX_ID && self.verifies(mac, SESSION, owner, None, id)).then_some(id)
    }

    /// What a client gets to see of a task id. If it or the tool's name is longer than [`MAX_ID`] it is returned as it
    /// is, and opens for nobody.
    pub fn tag_task(&self, owner: &Owner<'_>, tool: &str, id: &str) -> String {
        if id.len() > MAX_ID || tool.len() > MAX_ID {
            return id.to_owned();
        }
        let mut out = self.head(TASK, owner, Some(tool), id.as_bytes());
        URL_SAFE_NO_PAD.encode_string(tool, &mut out);
        out.push('.');
        out.push_str(id);
        out
    }

    /// The server's task id and its tool, if this owner was given what is presented.
    pub fn open_task<'v>(&self, owner: &Owner<'_>, presented: &'v str) -> Option<OpenTask<'v>> {
        let rest = presented.strip_prefix(VERSION)?;
        let (mac, rest) = rest.split_at_checked(MAC_TEXT)?;
        let (tool, id) = rest.strip_prefix('.')?.split_once('.')?;
        // Base64 takes four characters for three bytes.
        if id.len() > MAX_ID || tool.len() > MAX_ID / 3 * 4 + 4 {
            return None;
        }
        let tool = String::from_utf8(URL_SAFE_NO_PAD.decode(tool).ok()?).ok()?;
        self.verifies(mac.as_bytes(), TASK, owner, Some(&tool), id.as_bytes())
            .then_some(OpenTask { tool, id })
    }

    /// Version and MAC, each with a dot after it.
    fn head(&self, domain: &[u8], owner: &Owner<'_>, tool: Option<&str>, id: &[u8]) -> String {
        let mac = mac_of(&self.signing, domain, owner, tool, id)
            .finalize()
            .into_bytes();
        let mut out = VERSION.to_owned();
        URL_SAFE_NO_PAD.encode_string(mac.get(..MAC).unwrap_or_default(), &mut out);
        out.push('.');
        out
    }

    /// Whether one of the secrets made this MAC. Takes the same time wherever it differs.
    fn verifies(&self, mac: &[u8], domain: &[u8], owner: &Owner<'_>, tool: Option<&str>, id: &[u8]) -> bool {
        let Ok(mac) = URL_SAFE_NO_PAD.decode(mac) else {
            return false;
        };
        let made_it = |secret: &Keyed| {
            mac.len() == MAC
                && mac_of(secret, domain, owner, tool, id)
                    .verify_truncated_left(&mac)
                    .is_ok()
        };
        made_it(&self.signing) || self.previous.as_ref().is_some_and(made_it)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

fn read_secret(text: &str, previous: bool) -> Result<Keyed, SecretError> {
    let secret = text.trim().as_bytes();
    if secret.len() < MIN_SECRET {
        return Err(SecretError::TooShort {
            previous,
            bytes: secret.len(),
        });
    }
    // HMAC hashes what is longer than a block; so every length is one case here.
    Ok(keyed(&Sha256::digest(secret).into()))
}

fn keyed(secret: &[u8; 32]) -> Keyed {
    // A key that is shorter than a block is filled up with zeros (RFC 2104, section 2).
    let mut block = Key::<Keyed>::default();
    for (place, byte) in block.iter_mut().zip(secret) {
        *place = *byte;
    }
    Keyed::new(&block)
}

fn mac_of(secret: &Keyed, domain: &[u8], owner: &Owner<'_>, tool: Option<&str>, id: &[u8]) -> Keyed {
    let mut mac = secret.clone();
    let mut field = |bytes: Option<&[u8]>| {
        // No subject is not the same as an empty one: lengths end below this.
        let length = bytes.map_or(u64::MAX, |bytes| bytes.len() as u64);
        mac.update(&length.to_le_bytes());
        mac.update(bytes.unwrap_or_default());
    };
    field(Some(domain));
    field(Some(owner.server.as_bytes()));
    field(Some(owner.key.as_bytes()));
    field(owner.subject.map(str::as_bytes));
    field(tool.map(str::as_bytes));
    field(Some(id));
    mac
}
