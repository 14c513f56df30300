//! From a schema's text to the graph of what it applies.
//!
//! References are resolved by the same crate that the validator uses, so both follow the same
//! edges. Keywords of all dialects are read in all dialects: an edge too many only counts a step
//! too many.

use std::collections::HashMap;
use std::sync::Arc;

use referencing::{Draft, Registry, Resolver, Uri};
use serde_json::{Map, Value};

use super::super::{CompileError, NoRetrieval, text};
use super::pattern;

/// Subschemas that a schema can reach.
const MAX_NODES: usize = 20_000;
/// Schemas that apply to a value within each other, one in place of the other.
const MAX_IN_PLACE_CHAIN: u32 = 64;
/// Schemas that apply to one value in all, without those for its parts.
const MAX_IN_PLACE: u64 = 20_000;
/// Positions of all patterns of a schema together.
const MAX_PATTERNS: u64 = 100_000;

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
    /// Steps per byte of a property's name.
    pub(super) name_weight: u64,
    pub(super) prefix: Vec<usize>,
    pub(super) every_item: Vec<usize>,
    pub(super) unique: bool,
    /// Steps per byte of a string.
    pub(super) string_weight: u64,
}

impl Node {
    fn parts(&self) -> impl Iterator<Item = usize> {
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

/// The subschemas that `schema` reaches, itself first.
pub(super) fn build(schema: &Value, draft: Draft) -> Result<Vec<Node>, CompileError> {
    let resource = draft.create_resource_ref(schema);
    let base = resource.id().unwrap_or("json-schema:///");
    let uri = referencing::uri::from_str(base).map_err(|e| unresolved(base, &e))?;
    let registry = Registry::new()
        .retriever(NoRetrieval)
        .draft(draft)
        .add(uri.as_str(), resource)
        .and_then(referencing::RegistryBuilder::prepare)
        .map_err(|error| text::reference_error(&error))?;
    let mut builder = Builder {
        ids: HashMap::new(),
        open: Vec::new(),
        nodes: Vec::new(),
        patterns: 0,
    };
    let resolver = registry.resolver(uri);
    builder.id(schema, &resolver, draft)?;
    refuse_dynamic_choice(schema)?;
    while let Some(Open {
        id,
        schema,
        resolver,
        draft,
    }) = builder.open.pop()
    {
        let node = builder.node(schema, &resolver, draft)?;
        if let Some(place) = builder.nodes.get_mut(id) {
            *place = node;
        }
    }
    Ok(builder.nodes)
}

/// A subschema that was met but not looked into yet.
struct Open<'s> {
    id: usize,
    schema: &'s Value,
    resolver: Resolver<'s>,
    draft: Draft,
}

struct Builder<'s> {
    /// By address and base: the same text means the same schema only under the same base.
    ids: HashMap<(*const Value, Arc<Uri<String>>), usize>,
    open: Vec<Open<'s>>,
    nodes: Vec<Node>,
    patterns: u64,
}

impl<'s> Builder<'s> {
    fn id(&mut self, schema: &'s Value, around: &Resolver<'s>, draft: Draft) -> Result<usize, CompileError> {
        let draft = draft.detect(schema);
        let resource = draft.create_resource_ref(schema);
        let resolver = around
            .in_subresource(resource)
            .map_err(|e| text::reference_error(&e))?;
        let key = (std::ptr::from_ref(schema), resolver.base_uri());
        if let Some(&known) = self.ids.get(&key) {
            return Ok(known);
        }
        let id = self.nodes.len();
        if id >= MAX_NODES {
            return Err(CompileError::new(format!(
                "the schema has more than {MAX_NODES} subschemas"
            )));
        }
        self.nodes.push(Node::default());
        self.ids.insert(key, id);
        self.open.push(Open {
            id,
            schema,
            resolver,
            draft,
        });
        Ok(id)
    }

    fn node(&mut self, schema: &'s Value, at: &Resolver<'s>, draft: Draft) -> Result<Node, CompileError> {
        let mut node = Node::default();
        let Some(keywords) = schema.as_object() else {
            return Ok(node);
        };
        node.cost = own_cost(keywords);
        node.unique = keywords.get("uniqueItems") == Some(&Value::Bool(true));
        for (keyword, value) in keywords {
            match keyword.as_str() {
                "$ref" | "$dynamicRef" | "$recursiveRef" => {
                    if let Some(reference) = value.as_str() {
                        let target = at.lookup(reference).map_err(|e| unresolved(reference, &e))?;
                        let (contents, resolver, draft) = target.into_inner();
                        node.in_place.push(self.id(contents, &resolver, draft)?);
                    }
                }
                "not" | "if" | "then" | "else" => node.in_place.push(self.id(value, at, draft)?),
                "allOf" | "anyOf" | "oneOf" => {
                    node.choices |= keyword != "allOf";
                    for value in value.as_array().into_iter().flatten() {
                        node.in_place.push(self.id(value, at, draft)?);
                    }
                }
                // In draft-04 to draft-07, `type` in draft-04 aside, a dependency is a schema or names.
                "dependentSchemas" | "dependencies" => {
                    for value in members(value).map(|(_, v)| v).filter(|v| !v.is_array()) {
                        node.in_place.push(self.id(value, at, draft)?);
                    }
                }
                "properties" => {
                    for (name, value) in members(value) {
                        let id = self.id(value, at, draft)?;
                        node.properties.insert(name.clone(), id);
                    }
                }
                "patternProperties" => {
                    for (pattern, value) in members(value) {
                        node.name_weight = node.name_weight.saturating_add(self.weight(pattern)?);
                        node.every_property.push(self.id(value, at, draft)?);
                    }
                }
                "additionalProperties" => node.other_properties.push(self.id(value, at, draft)?),
                "unevaluatedProperties" => {
                    node.unevaluated = true;
                    node.every_property.push(self.id(value, at, draft)?);
                }
                "propertyNames" => node.names = Some(self.id(value, at, draft)?),
                "prefixItems" | "items" if value.is_array() => {
                    for value in value.as_array().into_iter().flatten() {
                        node.prefix.push(self.id(value, at, draft)?);
                    }
                }
                "items" | "additionalItems" | "contains" => node.every_item.push(self.id(value, at, draft)?),
                "unevaluatedItems" => {
                    node.unevaluated = true;
                    node.every_item.push(self.id(value, at, draft)?);
                }
                "pattern" => {
                    if let Some(pattern) = value.as_str() {
                        node.string_weight = node.string_weight.saturating_add(self.weight(pattern)?);
                    }
                }
                "minLength" | "maxLength" => node.string_weight = node.string_weight.saturating_add(1),
                _ => {}
            }
        }
        Ok(node)
    }

    fn weight(&mut self, pattern: &str) -> Result<u64, CompileError> {
        let weight = pattern::weight(pattern)?;
        self.patterns = self.patterns.saturating_add(weight);
        if self.patterns > MAX_PATTERNS {
            return Err(CompileError::new("the schema's patterns are too large together"));
        }
        Ok(weight)
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn own_cost(keywords: &Map<String, Value>) -> u64 {
    keywords
        .iter()
        .map(|(keyword, value)| match keyword.as_str() {
            "enum" | "const" | "required" | "dependentRequired" | "dependencies" => parts(value) / 2,
            "properties" => value.as_object().map_or(0, |p| p.len() as u64 / 4),
            _ => 0,
        })
        .fold(0, u64::saturating_add)
}

fn parts(value: &Value) -> u64 {
    match value {
        Value::Array(items) => items.iter().map(parts).fold(1, u64::saturating_add),
        Value::Object(members) => members.values().map(parts).fold(1, u64::saturating_add),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// `$dynamicRef` and `$recursiveRef` choose among the anchors of their name by the way that led to
/// them. With one anchor there is nothing to choose, and the plan follows the right edge.
fn refuse_dynamic_choice(schema: &Value) -> Result<(), CompileError> {
    let mut names: HashMap<&str, u32> = HashMap::new();
    let mut open = vec![schema];
    let mut references = false;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                references |= members.contains_key("$dynamicRef") || members.contains_key("$recursiveRef");
                if let Some(name) = members.get("$dynamicAnchor").and_then(Value::as_str) {
                    *names.entry(name).or_default() += 1;
                }
                if members.get("$recursiveAnchor") == Some(&Value::Bool(true)) {
                    *names.entry("").or_default() += 1;
                }
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    match names.iter().find(|(_, count)| **count > 1) {
        Some((name, _)) if references => Err(CompileError::new(format!(
            "the schema has the dynamic anchor {} more than once, which is not supported",
            text::quote_str(name)
        ))),
        _ => Ok(()),
    }
}

/// Refuses schemas that apply themselves to the same value again, or too many others to it.
pub(super) fn check_in_place(nodes: &[Node]) -> Result<(), CompileError> {
    let order = post_order(nodes, |node| node.in_place.clone()).map_err(|Cycle| {
        CompileError::new("the schema refers back to itself without descending into the value (a $ref cycle)")
    })?;
    let mut totals: Vec<(u64, u32)> = vec![(0, 0); nodes.len()];
    for id in order {
        let Some(node) = nodes.get(id) else { continue };
        let below = |total: &mut (u64, u32), other: &usize| {
            let (steps, chain) = totals.get(*other).copied().unwrap_or_default();
            total.0 = total.0.saturating_add(steps);
            total.1 = total.1.max(chain);
        };
        let mut total = (0, 0);
        node.in_place.iter().for_each(|other| below(&mut total, other));
        // What `unevaluated…` asks again, see `Walk::mark`.
        let again = if node.unevaluated { 2 } else { 1 };
        total = (
            total.0.saturating_mul(again).saturating_add(1),
            total.1.saturating_add(1),
        );
        if total.0 > MAX_IN_PLACE {
            return Err(CompileError::new(format!(
                "more than {MAX_IN_PLACE} of the schema's subschemas apply to one value (its $refs multiply)"
            )));
        }
        if total.1 > MAX_IN_PLACE_CHAIN {
            return Err(CompileError::new(format!(
                "the schema follows more than {MAX_IN_PLACE_CHAIN} references for one value"
            )));
        }
        if let Some(place) = totals.get_mut(id) {
            *place = total;
        }
    }
    Ok(())
}

/// Steps for one part of a value at most, if the schema is not recursive.
pub(super) fn steps_per_part(nodes: &[Node]) -> Option<u64> {
    let order = post_order(nodes, |node| {
        node.in_place.iter().copied().chain(node.parts()).collect()
    })
    .ok()?;
    // Per node: for validating, and for marking what it evaluated.
    let mut totals: Vec<(u64, u64)> = vec![(0, 0); nodes.len()];
    for id in order {
        let Some(node) = nodes.get(id) else { continue };
        let total = |other: usize| totals.get(other).copied().unwrap_or_default();
        let own = [
            node.cost,
            node.string_weight,
            node.name_weight,
            if node.unique { 20 } else { 0 },
            2,
        ];
        let own = own.into_iter().fold(0, u64::saturating_add);
        let parts = node.parts().map(|o| total(o).0).fold(own, u64::saturating_add);
        let valid = node
            .in_place
            .iter()
            .map(|o| total(*o).0)
            .fold(parts, u64::saturating_add);
        let mark = node
            .in_place
            .iter()
            .map(|o| total(*o).1)
            .fold(valid, u64::saturating_add);
        let valid = if node.unevaluated {
            valid.saturating_add(mark)
        } else {
            valid
        };
        if let Some(place) = totals.get_mut(id) {
            *place = (valid, mark);
        }
    }
    totals.first().map(|(valid, _)| *valid)
}

struct Cycle;

/// Every node after all it leads to. Without recursion: chains are as long as the schema.
fn post_order(nodes: &[Node], below: impl Fn(&Node) -> Vec<usize>) -> Result<Vec<usize>, Cycle> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        Open,
        Done,
    }
    let mut seen = vec![Seen::Not; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    for start in 0..nodes.len() {
        let mut path: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut next = Some(start);
        loop {
            if let Some(id) = next.take() {
                match seen.get(id) {
                    Some(Seen::Not) => {
                        if let Some(mark) = seen.get_mut(id) {
                            *mark = Seen::Open;
                        }
                        path.push((id, nodes.get(id).map(&below).unwrap_or_default()));
                    }
                    Some(Seen::Open) => return Err(Cycle),
                    Some(Seen::Done) | None => {}
                }
            }
            let Some((id, left)) = path.last_mut() else { break };
            next = left.pop();
            if next.is_none() {
                if let Some(mark) = seen.get_mut(*id) {
                    *mark = Seen::Done;
                }
                order.push(*id);
                path.pop();
            }
        }
    }
    Ok(order)
}

fn unresolved(reference: &str, error: &referencing::Error) -> CompileError {
    match error {
        referencing::Error::Unretrievable { .. } => text::outside(reference),
        _ => CompileError::new(format!(
            "the schema's $ref {} cannot be resolved: {}",
            text::quote_str(reference),
            text::clip(&error.to_string(), 200)
        )),
    }
}
