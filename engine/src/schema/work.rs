//! How much work a validation is, known before it starts.
//!
//! The validator has no fuel of its own, and schemas can ask for any amount of work: `$ref` trees
//! that fan out 2ⁿ-fold, recursive schemas that branch at every level, lists of choices as long as
//! the arguments. So a schema is also kept as a [`Plan`]: who applies whom to which part of a value.
//! It refuses schemas that lead back to themselves without descending into the value, and counts
//! the steps that a value needs, up to a bound.

mod graph;
mod node;
mod pattern;
mod plan;

use std::collections::HashMap;

use serde_json::Value;

use super::CompileError;
use node::Node;

/// Steps that one validation may take: about 50 ms.
const MAX_STEPS: u64 = 4_000_000;
/// Schemas that may apply within each other to one value: about 250 KiB of stack.
const MAX_STACK: usize = 256;
/// Steps of one validation up to which all violations are collected, each a small allocation.
const DETAILED_STEPS: u64 = 50_000;
/// Bytes that the violations of failed alternatives may copy: each may hold the value it is about.
const DETAILED_BYTES: u64 = 16 * 1024 * 1024;

/// A schema as a graph of the schemas it applies, in place or to the parts of a value.
#[derive(Debug)]
pub(super) struct Plan {
    nodes: Vec<Node>,
    /// Steps for one part of a value at most; none for a recursive schema, whose work depends on
    /// how deep the value is.
    steps_per_part: Option<u64>,
    /// Has alternatives (`anyOf`, `oneOf`).
    choices: bool,
    /// Distinct patterns, and their positions together.
    patterns: usize,
    positions: u64,
}

/// How much of what is wrong can be found out in bounded time and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Every violation.
    All,
    /// The first violation.
    First,
    /// That there is one.
    None,
}

/// A value needs more work than is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMuchWork;

impl Plan {
    /// The plan of `schema`, whose dialect is `draft`.
    pub(super) fn new(schema: &Value, draft: referencing::Draft) -> Result<Plan, CompileError> {
        let mut plan = plan::build(schema, draft)?;
        graph::check_in_place(&plan.nodes)?;
        plan.steps_per_part = graph::steps_per_part(&plan.nodes, MAX_STACK);
        plan.choices = plan.nodes.iter().any(|node| node.choices);
        Ok(plan)
    }

    /// Whether finding out if `value` fits is bounded work.
    pub(super) fn check(&self, value: &Value) -> Result<(), TooMuchWork> {
        match self.steps_per_part {
            Some(per_part) if per_part.saturating_mul(size(value)) <= MAX_STEPS => Ok(()),
            _ => Walk::new(&self.nodes, MAX_STEPS, true).valid(0, value),
        }
    }

    /// What can be said about `value`, which does not fit.
    pub(super) fn detail(&self, value: &Value) -> Detail {
        // Collecting violations tries all alternatives and remembers nothing.
        let mut walk = Walk::new(&self.nodes, DETAILED_STEPS, false);
        let few = walk.valid(0, value).is_ok();
        let copied = walk.steps.saturating_mul(size(value));
        match self.choices {
            true if few && copied <= DETAILED_BYTES => Detail::All,
            true => Detail::None,
            false if few => Detail::All,
            false => Detail::First,
        }
    }

    /// About how much memory the compiled schema takes, in bytes: measured, about 1 KiB for a
    /// subschema, 16 KiB for a pattern and 256 bytes for each of its positions.
    pub(super) fn weight(&self) -> usize {
        let positions = usize::try_from(self.positions).unwrap_or(usize::MAX);
        self.nodes
            .len()
            .saturating_mul(1024)
            .saturating_add(self.patterns.saturating_mul(16 * 1024))
            .saturating_add(positions.saturating_mul(256))
    }
}

/// Parts of a value, each weighed by its length.
fn size(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => bytes(text),
        Value::Array(items) => items.iter().map(size).fold(1, u64::saturating_add),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| size(value).saturating_add(bytes(name)))
            .fold(1, u64::saturating_add),
    }
}

fn bytes(text: &str) -> u64 {
    1 + text.len() as u64
}

/// A rehearsal of a validation: the same visits, without their effect. Alternatives are all
/// counted, so it takes at least as many steps as the validation.
struct Walk<'p> {
    nodes: &'p [Node],
    steps: u64,
    limit: u64,
    stack: usize,
    /// Counts as asking whether a value fits does: a wrong type ends a visit, and recursions are
    /// remembered by schema and address of the value. Collecting violations does neither.
    asking: bool,
    remembered: HashMap<(usize, *const Value), u64>,
}

type Walked = Result<(), TooMuchWork>;

impl<'p> Walk<'p> {
    fn new(nodes: &'p [Node], limit: u64, asking: bool) -> Self {
        Self {
            nodes,
            steps: 0,
            limit,
            stack: 0,
            asking,
            remembered: HashMap::new(),
        }
    }

    fn charge(&mut self, steps: u64) -> Walked {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > self.limit {
            Err(TooMuchWork)
        } else {
            Ok(())
        }
    }

    fn enter(&mut self, id: usize) -> Result<&'p Node, TooMuchWork> {
        self.stack += 1;
        match self.nodes.get(id) {
            Some(node) if self.stack <= MAX_STACK => Ok(node),
            _ => Err(TooMuchWork),
        }
    }

    /// Validating `value` by a schema.
    fn valid(&mut self, id: usize, value: &Value) -> Walked {
        let node = self.enter(id)?;
        self.charge(node.cost.saturating_add(1))?;
        if !self.asking || node.types.is_none_or(|types| types.admit(value)) {
            match node
                .recursion
                .filter(|_| self.asking && (value.is_array() || value.is_object()))
            {
                Some(again) => self.remember(id, node, value, again)?,
                None => self.inside(id, node, value)?,
            }
        }
        self.stack -= 1;
        Ok(())
    }

    fn remember(&mut self, id: usize, node: &Node, value: &Value, again: u64) -> Walked {
        let key = (id, std::ptr::from_ref(value));
        if let Some(&cost) = self.remembered.get(&key) {
            return self.charge(cost.min(again));
        }
        let before = self.steps;
        self.inside(id, node, value)?;
        let cost = self.steps.saturating_sub(before);
        // Remembering costs time and memory, too.
        self.charge(20)?;
        self.remembered.insert(key, cost);
        Ok(())
    }

    fn inside(&mut self, id: usize, node: &Node, value: &Value) -> Walked {
        for &other in &node.in_place {
            self.valid(other, value)?;
        }
        self.parts(node, value)?;
        if node.unevaluated {
            self.mark(id, value)
        } else {
            Ok(())
        }
    }

    fn parts(&mut self, node: &Node, value: &Value) -> Walked {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    self.charge(1 + bytes(name).saturating_mul(node.name_weight) / 2)?;
                    if let Some(names) = node.names {
                        self.name(names, name)?;
                    }
                    match node.properties.get(name) {
                        Some(&known) => self.valid(known, member)?,
                        None => self.each(&node.other_properties, member)?,
                    }
                    self.each(&node.every_property, member)?;
                }
                Ok(())
            }
            Value::Array(items) => {
                if node.unique {
                    self.charge(size(value).saturating_mul(2))?;
                }
                for (index, item) in items.iter().enumerate() {
                    self.charge(1)?;
                    if let Some(&at) = node.prefix.get(index) {
                        self.valid(at, item)?;
                    }
                    self.each(&node.every_item, item)?;
                }
                Ok(())
            }
            Value::String(text) => self.charge(bytes(text).saturating_mul(node.string_weight) / 2),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    fn each(&mut self, ids: &[usize], value: &Value) -> Walked {
        ids.iter().try_for_each(|&id| self.valid(id, value))
    }

    /// `propertyNames`: as `valid` for a string, without making one.
    fn name(&mut self, id: usize, name: &str) -> Walked {
        let node = self.enter(id)?;
        self.charge(
            node.cost
                .saturating_add(bytes(name).saturating_mul(node.string_weight) / 2),
        )?;
        for &other in &node.in_place {
            self.name(other, name)?;
        }
        self.stack -= 1;
        Ok(())
    }

    /// Finding out what is left for `unevaluatedProperties` and `unevaluatedItems`: every schema in
    /// place is asked once more whether it fits, at every level.
    fn mark(&mut self, id: usize, value: &Value) -> Walked {
        let node = self.enter(id)?;
        self.parts(node, value)?;
        for &other in &node.in_place {
            self.valid(other, value)?;
            self.mark(other, value)?;
        }
        self.stack -= 1;
        Ok(())
    }
}
