//! How much work a validation is, known before it starts.
//!
//! The validator has no fuel of its own, and schemas can ask for any amount of work: `$ref` trees
//! that fan out 2ⁿ-fold, recursive schemas that branch at every level, lists of choices as long as
//! the arguments. So a schema is also kept as a [`Plan`]: who applies whom to which part of a value.
//! It refuses schemas that lead back to themselves without descending into the value, and counts
//! the steps that a value needs, up to a bound.

mod pattern;
mod plan;

use serde_json::Value;

use super::CompileError;
use plan::Node;

/// Steps that one validation may take: about 50 ms.
const MAX_STEPS: u64 = 4_000_000;
/// Schemas that may apply within each other to one value: about 250 KiB of stack.
const MAX_STACK: usize = 256;
/// Steps of one validation up to which all violations are collected, each a small allocation.
const DETAILED_STEPS: u64 = 20_000;
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
        let nodes = plan::build(schema, draft)?;
        plan::check_in_place(&nodes)?;
        let steps_per_part = plan::steps_per_part(&nodes);
        let choices = nodes.iter().any(|node| node.choices);
        Ok(Plan {
            nodes,
            steps_per_part,
            choices,
        })
    }

    /// Whether validating `value` is bounded work, and if it fails, what can be said about it.
    pub(super) fn detail(&self, value: &Value) -> Result<Detail, TooMuchWork> {
        let size = size(value);
        let steps = self.steps(value, size)?;
        let few = steps <= DETAILED_STEPS;
        Ok(match self.choices {
            true if few && steps.saturating_mul(size) <= DETAILED_BYTES => Detail::All,
            true => Detail::None,
            false if few => Detail::All,
            false => Detail::First,
        })
    }

    /// The steps that validating `value` takes at most.
    fn steps(&self, value: &Value, size: u64) -> Result<u64, TooMuchWork> {
        if let Some(per_part) = self.steps_per_part {
            let bound = per_part.saturating_mul(size);
            if bound <= DETAILED_STEPS {
                return Ok(bound);
            }
        }
        let mut walk = Walk {
            nodes: &self.nodes,
            steps: 0,
            stack: 0,
        };
        walk.valid(0, value)?;
        Ok(walk.steps)
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
    stack: usize,
}

type Walked = Result<(), TooMuchWork>;

impl Walk<'_> {
    fn charge(&mut self, steps: u64) -> Walked {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS {
            Err(TooMuchWork)
        } else {
            Ok(())
        }
    }

    /// Validating `value` by a schema.
    fn valid(&mut self, id: usize, value: &Value) -> Walked {
        let Some(node) = self.nodes.get(id) else {
            return Err(TooMuchWork);
        };
        self.stack += 1;
        if self.stack > MAX_STACK {
            return Err(TooMuchWork);
        }
        self.charge(node.cost.saturating_add(1))?;
        for &other in &node.in_place {
            self.valid(other, value)?;
        }
        self.parts(node, value)?;
        if node.unevaluated {
            self.mark(id, value)?;
        }
        self.stack -= 1;
        Ok(())
    }

    fn parts(&mut self, node: &Node, value: &Value) -> Walked {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    self.charge(1 + bytes(name).saturating_mul(node.name_weight) / 4)?;
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
                    let rounds = u64::from(items.len().max(1).ilog2()) + 1;
                    self.charge(size(value).saturating_mul(rounds) / 4)?;
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
            Value::String(text) => self.charge(bytes(text).saturating_mul(node.string_weight) / 4),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    fn each(&mut self, ids: &[usize], value: &Value) -> Walked {
        ids.iter().try_for_each(|&id| self.valid(id, value))
    }

    /// `propertyNames`: as `valid` for a string, without making one.
    fn name(&mut self, id: usize, name: &str) -> Walked {
        let Some(node) = self.nodes.get(id) else {
            return Err(TooMuchWork);
        };
        self.stack += 1;
        if self.stack > MAX_STACK {
            return Err(TooMuchWork);
        }
        self.charge(
            node.cost
                .saturating_add(bytes(name).saturating_mul(node.string_weight) / 4),
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
        let Some(node) = self.nodes.get(id) else {
            return Err(TooMuchWork);
        };
        self.stack += 1;
        if self.stack > MAX_STACK {
            return Err(TooMuchWork);
        }
        self.parts(node, value)?;
        for &other in &node.in_place {
            self.valid(other, value)?;
            self.mark(other, value)?;
        }
        self.stack -= 1;
        Ok(())
    }
}
