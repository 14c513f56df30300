//! From a schema's text to the graph of what it applies.
//!
//! References are resolved by the same crate that the validator uses, so both follow the same
//! edges. Keywords of all dialects are read in all dialects: an edge too many only counts a step
//! too many.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use referencing::{Draft, Registry, Resolver, Uri};
use serde_json::{Map, Value};

use super::super::{CompileError, NoRetrieval, dialect, text};
use super::Plan;
use super::graph::mark_recursion;
use super::node::{Node, Types};
use super::pattern::{self, Cost};

/// Subschemas that a schema can reach.
const MAX_NODES: usize = 10_000;
/// Patterns of a schema, and their positions together.
const MAX_PATTERNS: usize = 500;
const MAX_POSITIONS: u64 = 20_000;

/// The subschemas that `schema` reaches, itself first.
pub(super) fn build(schema: &Value, draft: Draft) -> Result<Plan, CompileError> {
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
        referenced: HashSet::new(),
        patterns: HashMap::new(),
        positions: 0,
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
    let mut plan = Plan {
        patterns: builder.patterns.len(),
        positions: builder.positions,
        nodes: builder.nodes,
        steps_per_part: None,
        choices: false,
    };
    mark_recursion(&mut plan.nodes, &builder.referenced);
    Ok(plan)
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
    /// The targets of references.
    referenced: HashSet<usize>,
    /// The patterns, and their positions together.
    patterns: HashMap<&'s str, Cost>,
    positions: u64,
}

impl<'s> Builder<'s> {
    fn id(&mut self, schema: &'s Value, around: &Resolver<'s>, draft: Draft) -> Result<usize, CompileError> {
        if schema.get("$schema").is_some() {
            dialect(schema)?;
        }
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
        node.types = keywords.get("type").and_then(Types::of);
        node.unique = keywords.get("uniqueItems") == Some(&Value::Bool(true));
        for (keyword, value) in keywords {
            match keyword.as_str() {
                "$ref" | "$dynamicRef" | "$recursiveRef" => {
                    if let Some(reference) = value.as_str() {
                        let target = at.lookup(reference).map_err(|e| unresolved(reference, &e))?;
                        let (contents, resolver, draft) = target.into_inner();
                        let id = self.id(contents, &resolver, draft)?;
                        self.referenced.insert(id);
                        node.in_place.push(id);
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
                        node.name_weight = node.name_weight.saturating_add(self.per_byte(pattern)?);
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
                        node.string_weight = node.string_weight.saturating_add(self.per_byte(pattern)?);
                    }
                }
                "minLength" | "maxLength" => node.string_weight = node.string_weight.saturating_add(1),
                _ => {}
            }
        }
        Ok(node)
    }

    /// Half-steps per byte of matching `pattern`.
    fn per_byte(&mut self, pattern: &'s str) -> Result<u64, CompileError> {
        if let Some(known) = self.patterns.get(pattern) {
            return Ok(known.per_byte);
        }
        let cost = pattern::cost(pattern)?;
        self.patterns.insert(pattern, cost);
        self.positions = self.positions.saturating_add(cost.positions);
        if self.patterns.len() > MAX_PATTERNS || self.positions > MAX_POSITIONS {
            return Err(CompileError::new(
                "the schema has too many patterns, or they are too large together",
            ));
        }
        Ok(cost.per_byte)
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
