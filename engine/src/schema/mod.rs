//! Tool arguments against JSON Schema.
//!
//! A [`Validator`] is one compiled schema: 2020-12 unless the schema declares another dialect, as
//! MCP asks (<https://modelcontextprotocol.io/specification/2025-11-25/basic#json-schema-usage>).
//! Schemas come from servers as well as from policies, so both sides of a validation are hostile:
//! a schema never reaches outside itself, its patterns run in linear time, and the work of one
//! validation is bounded before it starts.

mod advertised;
mod text;
mod unique;
mod work;

use jsonschema::{Draft, PatternOptions, Retrieve, Uri};
use serde_json::Value;
use work::Detail;

pub use advertised::{Advertised, Lookup};
pub use text::{Violation, Violations};

/// Largest schema, in bytes of its compact JSON text.
pub const MAX_SCHEMA_BYTES: usize = 256 * 1024;
/// Deepest nesting of a schema's JSON text.
pub const MAX_SCHEMA_DEPTH: usize = 64;

/// One compiled schema.
#[derive(Debug)]
pub struct Validator {
    inner: jsonschema::Validator,
    plan: work::Plan,
    /// Kept for the texts: what a property could have been called.
    schema: Value,
}

/// Why a schema cannot be used. The text is safe to show to the agent and to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CompileError(String);

impl CompileError {
    fn new(reason: impl Into<String>) -> Self {
        Self(text::clip(&reason.into(), 400))
    }
}

impl Validator {
    /// Compiles `schema`.
    ///
    /// Refused are schemas that are not a JSON object, larger than [`MAX_SCHEMA_BYTES`], deeper
    /// than [`MAX_SCHEMA_DEPTH`], of an unknown dialect, that refer outside themselves, that have
    /// a pattern without a linear-time equivalent, or that cannot be evaluated in bounded work.
    pub fn compile(schema: &Value) -> Result<Validator, CompileError> {
        if !schema.is_object() {
            return Err(CompileError::new("the schema is not a JSON object"));
        }
        check_size(schema)?;
        let draft = dialect(schema)?;
        let plan = work::Plan::new(schema, draft)?;
        let inner = jsonschema::options()
            .with_draft(draft)
            .with_retriever(NoRetrieval)
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES))
            .should_validate_formats(false)
            .without_content_media_type_support("application/json")
            .without_content_encoding_support("base64")
            .with_keyword("uniqueItems", unique::factory)
            .build(schema)
            .map_err(|error| text::compile_error(&error))?;
        Ok(Validator {
            inner,
            plan,
            schema: schema.clone(),
        })
    }

    /// Checks `arguments`.
    ///
    /// # Errors
    /// What does not fit, in words for a model; also when checking would take too much work.
    pub fn validate(&self, arguments: &Value) -> Result<(), Violations> {
        if self.plan.check(arguments).is_err() {
            return Err(Violations::unchecked());
        }
        if self.inner.is_valid(arguments) {
            return Ok(());
        }
        Err(match self.plan.detail(arguments) {
            Detail::All => Violations::of(self.inner.iter_errors(arguments), &self.schema),
            Detail::First => Violations::of(self.inner.validate(arguments).err().into_iter(), &self.schema),
            Detail::None => Violations::somewhere(),
        })
    }

    /// About how much memory the compiled schema takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.plan.weight()
    }
}

/// Memory of one compiled pattern.
const PATTERN_BYTES: usize = 2 * 1024 * 1024;

/// A schema is judged by what it says itself: nothing is ever fetched.
struct NoRetrieval;

impl Retrieve for NoRetrieval {
    fn retrieve(&self, _: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err("it is outside this schema, and references are never fetched".into())
    }
}

/// The dialect that `$schema` declares, 2020-12 without one.
fn dialect(schema: &Value) -> Result<Draft, CompileError> {
    let Some(declared) = schema.get("$schema") else {
        return Ok(Draft::Draft202012);
    };
    let known = declared
        .as_str()
        .map(|uri| Draft::from_schema_uri(uri.trim_end_matches('#')));
    match known {
        Some(Draft::Unknown) | None => Err(CompileError::new(format!(
            "the JSON Schema dialect {} is not supported (supported: 2020-12, 2019-09, draft-07, draft-06, draft-04)",
            text::quote(declared)
        ))),
        Some(draft) => Ok(draft),
    }
}

fn check_size(schema: &Value) -> Result<(), CompileError> {
    if depth_exceeds(schema, MAX_SCHEMA_DEPTH) {
        return Err(CompileError::new(format!(
            "the schema is nested deeper than {MAX_SCHEMA_DEPTH} levels"
        )));
    }
    let mut count = ByteCount(0);
    let counted = serde_json::to_writer(&mut count, schema);
    if counted.is_err() || count.0 > MAX_SCHEMA_BYTES {
        return Err(CompileError::new(format!(
            "the schema is larger than {MAX_SCHEMA_BYTES} bytes"
        )));
    }
    Ok(())
}

fn depth_exceeds(value: &Value, levels: usize) -> bool {
    let Some(left) = levels.checked_sub(1) else {
        return value.is_object() || value.is_array();
    };
    match value {
        Value::Object(members) => members.values().any(|v| depth_exceeds(v, left)),
        Value::Array(items) => items.iter().any(|v| depth_exceeds(v, left)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Counts what would be written, so that measuring a schema does not copy it.
struct ByteCount(usize);

impl std::io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
