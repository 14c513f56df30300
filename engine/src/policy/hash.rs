//! Which policy this is: one hash, wherever the document has travelled.
//!
//! On its way to a proxy a document may lose its white space and the order of its members, and Istio's control plane, which
//! keeps it as a [`google.protobuf.Struct`], turns every number into a double and writes it in a way of its own. All of
//! that is without meaning, so the hash is taken of the form that [RFC 8785] gives the document. Two members are left out:
//! `$schema` is for editors, and `hold` says how a proxy waits, not what it decides; a manifest for a host that cannot hold
//! heads has to change it.
//!
//! [RFC 8785]: https://www.rfc-editor.org/rfc/rfc8785
//! [`google.protobuf.Struct`]: https://protobuf.dev/reference/protobuf/google.protobuf/#struct

use std::fmt::{self, Write as _};
use std::rc::Rc;

use sha2::{Digest, Sha256};

use crate::canonical;
use crate::json::Value;

/// Bytes of the digest that are shown, each as two hex digits.
const SHOWN: usize = 8;
/// Members of the document that make no difference.
const LEFT_OUT: [&str; 2] = ["$schema", "hold"];

/// The first 16 hex digits of the SHA-256 of a policy in canonical form, with numbers as doubles and without `$schema` and
/// `hold`. Amounts with more digits than a double keeps can differ without a difference here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PolicyHash(Rc<str>);

impl PolicyHash {
    /// The hash of a document, which should be an object.
    pub(super) fn of(document: Value<'_>) -> Self {
        let mut canonical = Vec::with_capacity(document.raw().len());
        match document.as_object() {
            None => canonical::write_rounded(document, &mut canonical),
            Some(object) => {
                let members = object.members();
                let mut members: Vec<_> = members
                    .filter(|(name, _)| !LEFT_OUT.contains(&&**name))
                    .map(|(name, value)| (name.encode_utf16().collect::<Vec<u16>>(), name, value))
                    .collect();
                members.sort_unstable_by(|(a, ..), (b, ..)| a.cmp(b));
                let mut before = b'{';
                for (_, name, value) in members {
                    canonical.push(std::mem::replace(&mut before, b','));
                    // serde_json escapes as little as RFC 8785 does, and in the same way.
                    canonical.extend_from_slice(serde_json::Value::from(&*name).to_string().as_bytes());
                    canonical.push(b':');
                    canonical::write_rounded(value, &mut canonical);
                }
                if before == b'{' {
                    canonical.push(before);
                }
                canonical.push(b'}');
            }
        }
        let mut text = String::with_capacity(2 * SHOWN);
        for byte in Sha256::digest(&canonical).iter().take(SHOWN) {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        PolicyHash(text.into())
    }

    /// The 16 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
