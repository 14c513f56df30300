//! Text to raw: strict JSON first, then the shape.

use serde::Deserialize as _;

use super::error::{At, Errors, PolicyError};
use super::{raw, shape};
use crate::json;

/// Bounds on the document. Ten thousand keys are members of one object.
const LIMITS: json::Limits = json::Limits {
    depth: 64,
    members: 100_000,
};

/// Reads the document, repaired where its shape is wrong; nothing if the errors leave too little
/// to say anything more about.
pub(super) fn read(text: &[u8], errors: &mut Errors) -> Option<raw::Policy> {
    if let Err(error) = json::parse(text, &LIMITS) {
        let problem = format!("not the JSON that is accepted: {error}");
        errors.add(PolicyError::new(&At::Root, problem).found(place(text, error.offset)));
        return None;
    }
    let mut document: serde_json::Value = match serde_json::from_slice(text) {
        Ok(document) => document,
        Err(error) => {
            errors.add(PolicyError::new(&At::Root, format!("not JSON: {error}")));
            return None;
        }
    };
    shape::check(&mut document, errors);
    // What refers to a section that is broken as a whole would all be reported as unknown.
    let whole_section = |pointer: &str| pointer.matches('/').count() < 2 || pointer.starts_with("/identity/");
    if errors.iter().any(|error| whole_section(&error.pointer)) {
        return None;
    }
    raw::Policy::deserialize(document)
        .map_err(|error| errors.add(PolicyError::new(&At::Root, format!("not a policy: {error}"))))
        .ok()
}

/// Line and column for people, both from 1.
fn place(text: &[u8], offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    format!("at line {line}, column {column}")
}
