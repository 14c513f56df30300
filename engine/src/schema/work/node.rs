//! A subschema, as far as the work that it makes goes.

use std::collections::HashMap;

use serde_json::Value;

/// One subschema: what it applies to the value itself, and what to the value's parts.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Steps besides those of the schemas below: choices to compare with, properties to look up.
    pub(super) cost: u64,
    pub(super) in_place: Vec<usize>,
    /// Has `anyOf` or `oneOf`.
    pub(super) choices: bool,
    /// Has `unevaluatedProperties` or `unevaluatedItems`.
    pub(super) unevaluated: bool,
    pub(super) properties: HashMap<String, usize>,
    /// For properties that `properties` does not name.
    pub(super) other_properties: Vec<usize>,
    /// For every property.
    pub(super) every_property: Vec<usize>,
    /// For the names of the properties.
    pub(super) names: Option<usize>,
    /// The value must be of one of these types, which is checked first of all.
    pub(super) types: Option<Types>,
    /// Where a recursion starts over, see [`mark_recursion`](super::graph::mark_recursion).
    pub(super) recursion: Option<u64>,
    /// Half-steps per byte of a property's name.
    pub(super) name_weight: u64,
    pub(super) prefix: Vec<usize>,
    pub(super) every_item: Vec<usize>,
    pub(super) unique: bool,
    /// Half-steps per byte of a string.
    pub(super) string_weight: u64,
}

impl Node {
    /// The schemas for the parts of a value.
    pub(super) fn parts(&self) -> impl Iterator<Item = usize> {
        let properties = self
            .properties
            .values()
            .chain(&self.other_properties)
            .chain(&self.every_property);
        properties
            .chain(&self.names)
            .chain(&self.prefix)
            .chain(&self.every_item)
            .copied()
    }
}

/// A set of JSON types.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Types {
    null: bool,
    boolean: bool,
    number: bool,
    string: bool,
    array: bool,
    object: bool,
}

impl Types {
    /// The set that a `type` keyword names; none if it is not written as it should be.
    pub(super) fn of(keyword: &Value) -> Option<Self> {
        let mut types = Self::default();
        let names = match keyword {
            Value::Array(names) => names.as_slice(),
            name => std::slice::from_ref(name),
        };
        for name in names {
            match name.as_str()? {
                "null" => types.null = true,
                "boolean" => types.boolean = true,
                "number" | "integer" => types.number = true,
                "string" => types.string = true,
                "array" => types.array = true,
                "object" => types.object = true,
                _ => return None,
            }
        }
        Some(types)
    }

    /// Whether `value` is of one of the types; integers are not told from other numbers.
    pub(super) fn admit(self, value: &Value) -> bool {
        match value {
            Value::Null => self.null,
            Value::Bool(_) => self.boolean,
            Value::Number(_) => self.number,
            Value::String(_) => self.string,
            Value::Array(_) => self.array,
            Value::Object(_) => self.object,
        }
    }
}
