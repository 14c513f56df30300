//! The policy, from a file.

use std::fmt::Write as _;
use std::path::Path;

use toolgate_engine::policy::{Policy, PolicyErrors};

use crate::failure::{Failure, Outcome};

/// A policy that compiles.
pub(crate) struct PolicyFile {
    /// The document without white space between its tokens.
    pub(crate) document: String,
    /// What it means.
    pub(crate) policy: Policy,
}

impl PolicyFile {
    /// Reads and compiles a policy; the failure lists all of its errors.
    pub(crate) fn load(path: &Path) -> Outcome<Self> {
        let text = read(path)?;
        let policy = Policy::compile(&text).map_err(|errors| broken(path, &errors))?;
        // A policy that compiles is JSON, and therefore UTF-8.
        let document = compact(&String::from_utf8_lossy(&text));
        Ok(Self { document, policy })
    }
}

/// The bytes of a policy file.
pub(crate) fn read(path: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Failure::usage(format!("cannot read the policy {}: {error}", path.display())))
}

fn broken(path: &Path, errors: &PolicyErrors) -> Failure {
    let mut message = format!("the policy {} is not valid", path.display());
    for error in errors {
        // Writing to a string cannot fail.
        let _ = write!(message, "\n  {error}");
    }
    Failure::no(message)
}

/// Valid JSON without the white space between its tokens. Every token stays as written, so that
/// numbers keep their digits and members their order.
fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            quoted = c == '"';
            if c.is_ascii_whitespace() {
                continue;
            }
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn compacting_keeps_every_token() {
        let text = "{ \"a b\" : [ 1.0 , 1e400,\n\t\"\\\\\\\" x \" ] }";
        assert_eq!(compact(text), "{\"a b\":[1.0,1e400,\"\\\\\\\" x \"]}");
    }
}
