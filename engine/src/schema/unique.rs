//! `uniqueItems` without quadratic cases.
//!
//! The library hashes integers by their double and arrays without their length, so a list of large
//! integers or of nested empty arrays is compared pair by pair: a second for 1 MiB. Here the hash
//! tells such items apart, and is keyed, so that nobody can choose colliding ones.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use jsonschema::paths::Location;
use jsonschema::{Keyword, ValidationError};
use serde_json::{Map, Number, Value};

/// What replaces `uniqueItems`, for `ValidationOptions::with_keyword`.
#[expect(clippy::unnecessary_wraps, reason = "the library's signature")]
pub(super) fn factory<'s>(
    _parent: &'s Map<String, Value>,
    wanted: &'s Value,
    _path: Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'s>> {
    Ok(Box::new(UniqueItems {
        wanted: wanted.as_bool().unwrap_or(false),
    }))
}

struct UniqueItems {
    wanted: bool,
}

impl<'i> Keyword<'i> for UniqueItems {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) {
            Ok(())
        } else {
            Err(ValidationError::custom("must not contain the same item twice"))
        }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        match instance {
            Value::Array(items) if self.wanted && items.len() > 1 => {
                let mut seen = HashSet::with_capacity(items.len());
                items.iter().all(|item| seen.insert(Item(item)))
            }
            _ => true,
        }
    }
}

/// A value under JSON Schema's equality: 1 and 1.0 are the same number, the order of members does
/// not matter (<https://json-schema.org/draft/2020-12/json-schema-core#section-4.2.2>).
#[derive(Clone, Copy)]
struct Item<'v>(&'v Value);

impl PartialEq for Item<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.0, other.0) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Number(a), Value::Number(b)) => Numeric::of(a) == Numeric::of(b),
            (Value::String(a), Value::String(b)) => a == b,
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Item(a) == Item(b))
            }
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|(name, a)| b.get(name).is_some_and(|b| Item(a) == Item(b)))
            }
            _ => false,
        }
    }
}

impl Eq for Item<'_> {}

impl Hash for Item<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.0 {
            Value::Null => state.write_u8(0),
            Value::Bool(value) => (1_u8, value).hash(state),
            Value::Number(number) => (2_u8, Numeric::of(number)).hash(state),
            Value::String(text) => (3_u8, text).hash(state),
            Value::Array(items) => {
                (4_u8, items.len()).hash(state);
                for item in items {
                    Item(item).hash(state);
                }
            }
            Value::Object(members) => {
                (5_u8, members.len()).hash(state);
                let mut members: Vec<_> = members.iter().collect();
                members.sort_unstable_by_key(|(name, _)| *name);
                for (name, value) in members {
                    name.hash(state);
                    Item(value).hash(state);
                }
            }
        }
    }
}

/// A number by its value.
#[derive(PartialEq, Eq, Hash)]
enum Numeric {
    Whole(i128),
    Double(u64),
}

impl Numeric {
    fn of(number: &Number) -> Self {
        if let Some(whole) = number.as_i128() {
            return Self::Whole(whole);
        }
        let double = number.as_f64().unwrap_or(f64::NAN);
        // Beyond, a double cannot equal an integer token: those are 64 bits at most.
        if double.fract() == 0.0 && double.abs() < 1e20 {
            #[expect(clippy::cast_possible_truncation, reason = "whole and within 67 bits")]
            return Self::Whole(double as i128);
        }
        Self::Double(double.to_bits())
    }
}
