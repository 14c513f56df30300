//! Text to raw: strict JSON first, then the shape.

use serde::Deserialize as _;
use serde_json::Value;

use super::error::{At, Errors, PolicyError, PolicyErrors, quoted};
use super::hash::PolicyHash;
use super::shape::LongNumbers;
use super::{raw, shape};
use crate::json::{self, ErrorKind};

/// Bounds on the document. Ten thousand keys are members of one object.
const LIMITS: json::Limits = json::Limits {
    depth: 64,
    members: 100_000,
};

/// Reads the document, repaired where its shape is wrong. Fails if the errors leave too little to
/// say anything more about.
pub(super) fn read(text: &[u8]) -> Result<(raw::Policy, PolicyHash, Errors), PolicyErrors> {
    let mut errors = Errors::default();
    let Parsed {
        mut document,
        numbers,
        hash,
    } = parse(text)?;
    shape::check(&mut document, &numbers, &mut errors);
    if errors.iter().any(leaves_a_gap) {
        return Err(errors.into_errors());
    }
    match raw::Policy::deserialize(document) {
        Ok(raw) => Ok((raw, hash, errors)),
        // The shape check knows every type that the raw policy has; if ever it does not, this says so.
        Err(error) => {
            errors.add(PolicyError::new(&At::Root, format!("not a policy: {error}")));
            Err(errors.into_errors())
        }
    }
}

/// Whether what refers to other parts of the policy would be reported as unknown only because of
/// this error.
fn leaves_a_gap(error: &PolicyError) -> bool {
    const SECTIONS: [&str; 6] = [
        "identity",
        "servers",
        "roles",
        "teams",
        "keys",
        "rateLimitService",
    ];
    let Some(path) = error.pointer.strip_prefix('/') else {
        return true;
    };
    // An unknown field may be a section under a mistyped name.
    let meant = |section: &&str| error.hint.as_deref().is_some_and(|hint| hint.contains(*section));
    match path.split_once('/') {
        None => SECTIONS.contains(&path) || SECTIONS.iter().any(meant),
        Some((section, _)) => section == "identity",
    }
}

struct Parsed {
    document: Value,
    /// Those of its numbers that only their text tells exactly.
    numbers: LongNumbers,
    hash: PolicyHash,
}

fn parse(text: &[u8]) -> Result<Parsed, PolicyErrors> {
    let strict = json::parse(text, &LIMITS).map_err(|error| {
        let problem = format!("not JSON as it is accepted here: {}", error.kind);
        let key = (error.kind == ErrorKind::DuplicateKey)
            .then(|| key_at(text, error.offset))
            .flatten();
        let place = place(text, error.offset);
        let found = key.map_or(place.clone(), |key| format!("{} {place}", quoted(key)));
        PolicyErrors(vec![PolicyError::new(&At::Root, problem).found(found)])
    });
    let strict = strict?;
    let document = serde_json::from_slice(text)
        .map_err(|error| PolicyErrors(vec![PolicyError::new(&At::Root, format!("not JSON: {error}"))]))?;
    let mut numbers = LongNumbers::new();
    if text
        .chunk_by(|a, b| is_of_number(*a) && is_of_number(*b))
        .any(|run| run.len() > EXACT)
    {
        collect(strict, &At::Root, &mut numbers);
    }
    Ok(Parsed {
        document,
        numbers,
        hash: PolicyHash::of(strict),
    })
}

/// A float gives back every number that is written with this many digits.
const EXACT: usize = 15;

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'.'
}

fn collect(value: json::Value<'_>, at: &At<'_>, numbers: &mut LongNumbers) {
    if let Some(object) = value.as_object() {
        for (name, value) in object.members() {
            collect(value, &at.member(&name), numbers);
        }
    } else if let Some(array) = value.as_array() {
        for (index, value) in array.elements().enumerate() {
            collect(value, &at.element(index), numbers);
        }
    } else if value.kind() == json::Kind::Number && value.raw().len() > EXACT {
        numbers.insert(at.pointer(), value.raw().to_owned());
    }
}

/// Line and column for people, both from 1.
fn place(text: &[u8], offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(before.get(start..).unwrap_or_default())
        .chars()
        .count()
        + 1;
    format!("at line {line}, column {column}")
}

/// The key at an offset, as written between its quotes.
fn key_at(text: &[u8], offset: usize) -> Option<&str> {
    let rest = std::str::from_utf8(text.get(offset..)?).ok()?;
    let rest = rest.strip_prefix('"').unwrap_or(rest);
    let mut escaped = false;
    let end = rest.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    rest.get(..end?)
}
