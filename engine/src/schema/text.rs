//! Violations in the words of a language model's next attempt: which argument, what is wrong with
//! it and what would be right. Values are quoted clipped, never whole.

use std::fmt::Write as _;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonType, ReferencingError, ValidationError};
use serde_json::Value;

use super::CompileError;

/// Most violations that are told at once.
const MAX_VIOLATIONS: usize = 5;
/// Most bytes of one reason, and of one place.
const MAX_REASON: usize = 280;
const MAX_PLACE: usize = 120;
/// Most bytes of the whole text.
const MAX_TEXT: usize = 1024;
/// Most bytes of one quoted value or name.
const MAX_QUOTE: usize = 60;
/// Most bytes of a list of allowed values.
const MAX_LIST: usize = 160;
/// Longest string that is tried as JSON for the hint about double encoding.
const MAX_EMBEDDED: usize = 64 * 1024;

/// One place in the arguments that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON Pointer (RFC 6901) into the arguments, clipped; empty for the arguments themselves.
    pub pointer: String,
    /// What is wrong and what is allowed; reads on after the pointer ("must be …", "is missing").
    pub reason: String,
}

/// Why arguments were refused: at least one violation, or that they cannot be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations {
    told: Vec<Violation>,
    /// Violations that were found but are not told.
    more: usize,
    /// Whether the arguments could be checked at all.
    checked: bool,
}

impl Violations {
    /// A sentence for the model, at most about 1 KiB.
    pub fn text(&self) -> String {
        let verdict = if self.checked {
            "do not fit"
        } else {
            "cannot be checked against"
        };
        let mut text = format!("The arguments {verdict} the tool's schema: ");
        for (index, violation) in self.told.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let place = if violation.pointer.is_empty() {
                "the arguments"
            } else {
                &violation.pointer
            };
            let _ = write!(text, "{separator}{place} {}", violation.reason);
        }
        let mut text = clip(&text, MAX_TEXT);
        if self.more > 0 {
            let _ = write!(text, "; and {} more", self.more);
        }
        text
    }

    /// The violations that are told, at most five.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.told.iter()
    }

    pub(super) fn of<'e>(errors: impl Iterator<Item = ValidationError<'e>>, schema: &Value) -> Self {
        let mut all = Self {
            told: Vec::new(),
            more: 0,
            checked: true,
        };
        for error in errors {
            describe(&error, schema, &mut |violation| all.push(violation));
        }
        if all.told.is_empty() {
            all.push(Violation {
                pointer: String::new(),
                reason: "are not allowed".to_owned(),
            });
        }
        all
    }

    /// The arguments are too much to check.
    pub(super) fn unchecked() -> Self {
        let reason = "are too large or too deeply nested to be checked; send less at once";
        Self {
            checked: false,
            ..Self::whole(reason)
        }
    }

    /// The arguments do not fit, and finding out where would be too much.
    pub(super) fn somewhere() -> Self {
        Self::whole("do not match it, and are too large or too deeply nested to say where")
    }

    fn whole(reason: &str) -> Self {
        let violation = Violation {
            pointer: String::new(),
            reason: reason.to_owned(),
        };
        Self {
            told: vec![violation],
            more: 0,
            checked: true,
        }
    }

    fn push(&mut self, violation: Violation) {
        let Violation { pointer, reason } = violation;
        let violation = Violation {
            pointer: clip(&pointer, MAX_PLACE),
            reason: clip(&reason, MAX_REASON),
        };
        if self.told.contains(&violation) {
            return;
        }
        if self.told.len() < MAX_VIOLATIONS {
            self.told.push(violation);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}

/// The compile error of the library, in our words.
pub(super) fn compile_error(error: &ValidationError<'_>) -> CompileError {
    let place = clip(error.instance_path().as_str(), MAX_PLACE);
    match error.kind() {
        Kind::Referencing(error) => reference_error(error),
        Kind::Format { format } if format == "regex" => CompileError::new(format!(
            "the pattern {} at {place} is not a regular expression that runs in linear time \
             (look-around and back-references are not supported), or it is too large",
            quote(error.instance())
        )),
        _ => CompileError::new(format!(
            "the schema is not valid JSON Schema at {}: {}",
            if place.is_empty() { "its root" } else { &place },
            clip(&error.masked().to_string(), MAX_REASON)
        )),
    }
}

/// A reference that leads nowhere, or out of the schema.
pub(super) fn reference_error(error: &ReferencingError) -> CompileError {
    match error {
        ReferencingError::Unretrievable { uri, .. } => outside(uri),
        _ => CompileError::new(format!("a reference of the schema cannot be resolved: {error}")),
    }
}

pub(super) fn outside(reference: &str) -> CompileError {
    CompileError::new(format!(
        "the schema's $ref to {} leads outside the schema, and references are never fetched",
        quote_str(reference)
    ))
}

fn describe(error: &ValidationError<'_>, schema: &Value, tell: &mut dyn FnMut(Violation)) {
    let place = error.instance_path().as_str();
    match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            tell(Violation {
                pointer: member(place, name),
                reason: "is missing".to_owned(),
            });
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let allowed = allowed_names(error, schema);
            for name in unexpected {
                tell(Violation {
                    pointer: member(place, name),
                    reason: unexpected_property(name, &allowed),
                });
            }
        }
        _ => tell(Violation {
            pointer: place.to_owned(),
            reason: reason(error, schema),
        }),
    }
}

/// What is wrong with one value; reads on after its place.
fn reason(error: &ValidationError<'_>, schema: &Value) -> String {
    let value = error.instance().as_ref();
    match error.kind() {
        Kind::Type { kind } => wrong_type(&wanted_types(kind), value),
        Kind::Enum { options } => wrong_choice(options.as_array().map_or(&[], Vec::as_slice), value),
        Kind::Constant { expected_value } => format!("must be {}", quote(expected_value)),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be greater than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("must be at least {} long{}", characters(*limit), length(value)),
        Kind::MaxLength { limit } => format!("must be at most {} long{}", characters(*limit), length(value)),
        Kind::Pattern { pattern } => format!("must match the pattern {}", clip(pattern, MAX_LIST)),
        Kind::MinItems { limit } => format!("must have at least {}{}", items(*limit), count(value)),
        Kind::MaxItems { limit } => format!("must have at most {}{}", items(*limit), count(value)),
        Kind::AdditionalItems { limit } => {
            format!("must have at most {}{}", items(*limit as u64), count(value))
        }
        Kind::UnevaluatedItems { .. } => "has items that are not allowed".to_owned(),
        Kind::UniqueItems => "must not contain the same item twice".to_owned(),
        Kind::Contains => "does not contain the items it must contain".to_owned(),
        Kind::MinProperties { limit } => format!("must have at least {}", properties(*limit)),
        Kind::MaxProperties { limit } => format!("must have at most {}", properties(*limit)),
        Kind::PropertyNames { error } => format!(
            "has a property name that is not allowed: {} {}",
            quote(error.instance()),
            reason(error, schema)
        ),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => no_alternative(error, context, schema),
        Kind::OneOfMultipleValid { .. } => {
            "fits more than one of the alternatives of which exactly one must fit".to_owned()
        }
        Kind::Not { .. } => "has a value that is not allowed here".to_owned(),
        Kind::FalseSchema => "is not allowed".to_owned(),
        Kind::Format { format } => format!("must be in the format {}", quote_str(format)),
        Kind::ContentEncoding { content_encoding } => {
            format!("must be encoded as {}", quote_str(content_encoding))
        }
        Kind::FromUtf8 { .. } => "must decode to UTF-8 text".to_owned(),
        Kind::ContentMediaType { content_media_type } => format!("must be {}", quote_str(content_media_type)),
        Kind::Custom { message, .. } => message.clone(),
        Kind::Required { .. } | Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {
            nested(error, schema)
        }
        Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } | Kind::Referencing(_) => {
            "cannot be checked against the schema".to_owned()
        }
    }
}

/// A violation of a member, told about the object around it.
fn nested(error: &ValidationError<'_>, schema: &Value) -> String {
    let mut text = String::new();
    let skip = error.instance_path().as_str().len();
    describe(error, schema, &mut |violation| {
        if text.is_empty() {
            let member = violation.pointer.get(skip..).unwrap_or(&violation.pointer);
            text = format!("{} {}", clip(member, MAX_PLACE), violation.reason);
        }
    });
    text
}

/// None of several alternatives fits: the choice itself if it is one of plain types or values,
/// otherwise the alternative that came closest.
fn no_alternative(
    error: &ValidationError<'_>,
    branches: &[Vec<ValidationError<'static>>],
    schema: &Value,
) -> String {
    let place = error.instance_path().as_str();
    let value = error.instance().as_ref();
    let plain = |branch: &Vec<ValidationError<'static>>| match branch.as_slice() {
        [only] if only.instance_path().as_str() == place => Some(only.kind().keyword().to_owned()),
        _ => None,
    };
    let keywords: Vec<_> = branches.iter().map(plain).collect();
    let is = |wanted: &[&str]| {
        keywords
            .iter()
            .all(|k| k.as_deref().is_some_and(|k| wanted.contains(&k)))
    };
    let errors = || branches.iter().flatten();
    if is(&["type"]) {
        let mut types = Vec::new();
        for error in errors() {
            if let Kind::Type { kind } = error.kind() {
                types.extend(
                    wanted_types(kind)
                        .into_iter()
                        .filter(|t| !types.contains(t))
                        .collect::<Vec<_>>(),
                );
            }
        }
        return wrong_type(&types, value);
    }
    if is(&["const", "enum"]) {
        let mut choices = Vec::new();
        for error in errors() {
            match error.kind() {
                Kind::Constant { expected_value } => choices.push(expected_value.as_ref().clone()),
                Kind::Enum { options } => choices.extend(options.as_array().into_iter().flatten().cloned()),
                _ => {}
            }
        }
        return wrong_choice(&choices, value);
    }
    let closest = branches
        .iter()
        .filter(|b| !b.is_empty())
        .min_by_key(|branch| distance(branch, place));
    let mut text = format!("must fit one of {} alternatives", branches.len());
    if let Some(first) = closest.and_then(|branch| branch.first()) {
        let mut detail = String::new();
        describe(first, schema, &mut |violation| {
            if detail.is_empty() {
                let place = if violation.pointer.is_empty() {
                    "it"
                } else {
                    &violation.pointer
                };
                detail = format!("{} {}", clip(place, MAX_PLACE), violation.reason);
            }
        });
        let _ = write!(text, "; in the closest one {}", clip(&detail, MAX_REASON));
    }
    text
}

/// How far a failed alternative was from fitting: one whose type or fixed value is wrong is not
/// the one that was meant.
fn distance(branch: &[ValidationError<'static>], place: &str) -> (bool, bool, usize) {
    let at_place = |e: &ValidationError<'_>| e.instance_path().as_str() == place;
    let wrong_type = branch
        .iter()
        .any(|e| at_place(e) && matches!(e.kind(), Kind::Type { .. } | Kind::FalseSchema));
    let wrong_tag = branch
        .iter()
        .any(|e| matches!(e.kind(), Kind::Constant { .. } | Kind::Enum { .. }));
    (wrong_type, wrong_tag, branch.len())
}

fn wanted_types(kind: &TypeKind) -> Vec<JsonType> {
    match kind {
        TypeKind::Single(one) => vec![*one],
        TypeKind::Multiple(several) => several.iter().collect(),
    }
}

fn wrong_type(wanted: &[JsonType], value: &Value) -> String {
    let names: Vec<&str> = wanted.iter().map(|t| type_name(*t)).collect();
    let mut text = format!("must be {}, not {}", either(&names), name_of(value));
    if let Some(text_value) = value.as_str()
        && is_embedded(text_value, wanted)
    {
        text.push_str(" (send it as JSON, not as a string)");
    }
    text
}

/// Models send nested values as strings of JSON: <https://github.com/modelcontextprotocol/python-sdk>
/// decodes them, other servers do not, so they are refused with a hint.
fn is_embedded(text: &str, wanted: &[JsonType]) -> bool {
    if text.len() > MAX_EMBEDDED {
        return false;
    }
    let text = text.trim();
    let found = match text.as_bytes().first() {
        Some(b'{') => JsonType::Object,
        Some(b'[') => JsonType::Array,
        Some(b't' | b'f') => JsonType::Boolean,
        Some(b'-' | b'0'..=b'9') => JsonType::Number,
        _ => return false,
    };
    let fits = wanted.contains(&found)
        || (found == JsonType::Number && wanted.contains(&JsonType::Integer) && text.parse::<i64>().is_ok());
    fits && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn type_name(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "an array",
        JsonType::Boolean => "a boolean",
        JsonType::Integer => "an integer",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a string",
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(n) if n.is_f64() => "a number with a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn either(names: &[&str]) -> String {
    match names {
        [] => "something else".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn wrong_choice(options: &[Value], value: &Value) -> String {
    let mut text = match options {
        [one] => format!("must be {}", quote(one)),
        _ => format!("must be one of {}", list(options.iter().map(quote))),
    };
    if let Some(given) = value.as_str()
        && let Some(near) = nearest(given, options.iter().filter_map(Value::as_str))
        && options.len() > 1
    {
        let _ = write!(text, " (did you mean {}?)", quote_str(near));
    }
    text
}

fn unexpected_property(name: &str, allowed: &[&str]) -> String {
    let mut text = String::from("is not an allowed property");
    if allowed.is_empty() {
        return text;
    }
    let _ = write!(
        text,
        " (allowed: {}",
        list(allowed.iter().map(|name| clip(name, MAX_QUOTE)))
    );
    if let Some(near) = nearest(name, allowed.iter().copied()) {
        let _ = write!(text, "; did you mean {}?", quote_str(near));
    }
    text.push(')');
    text
}

/// The names under `properties` next to the keyword that refused a property.
fn allowed_names<'s>(error: &ValidationError<'_>, schema: &'s Value) -> Vec<&'s str> {
    let path = error.schema_path().as_str();
    let Some((parent, _keyword)) = path.rsplit_once('/') else {
        return Vec::new();
    };
    let properties = schema
        .pointer(parent)
        .and_then(|s| s.get("properties"))
        .and_then(Value::as_object);
    properties
        .map(|p| p.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

fn list(items: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for item in items {
        if text.len().saturating_add(item.len()) > MAX_LIST {
            text.push_str(", …");
            break;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&item);
    }
    text
}

/// The candidate that `name` is most likely a slip of, if one is close.
fn nearest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    const LONGEST: usize = 64;
    let reach = name.chars().count() / 3 + 1;
    if name.len() > LONGEST {
        return None;
    }
    candidates
        .take(500)
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (edits(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= reach)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance over characters.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let cost = (diagonal + usize::from(from != to)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = cost;
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

fn characters(n: u64) -> String {
    format!("{n} {}", if n == 1 { "character" } else { "characters" })
}

fn items(n: u64) -> String {
    format!("{n} {}", if n == 1 { "item" } else { "items" })
}

fn properties(n: u64) -> String {
    format!("{n} {}", if n == 1 { "property" } else { "properties" })
}

fn length(value: &Value) -> String {
    value
        .as_str()
        .map(|s| format!(" (it has {})", s.chars().count()))
        .unwrap_or_default()
}

fn count(value: &Value) -> String {
    value
        .as_array()
        .map(|a| format!(" (it has {})", a.len()))
        .unwrap_or_default()
}

fn member(place: &str, name: &str) -> String {
    format!(
        "{place}/{}",
        clip(name, MAX_PLACE).replace('~', "~0").replace('/', "~1")
    )
}

/// `value` as JSON, clipped without writing out a large one.
pub(super) fn quote(value: &Value) -> String {
    if let Value::String(text) = value {
        return quote_str(text);
    }
    let mut quote = Quote(Vec::new());
    let whole = serde_json::to_writer(&mut quote, value).is_ok();
    let text = String::from_utf8_lossy(&quote.0);
    if whole {
        text.into_owned()
    } else {
        format!("{}…", text.trim_end_matches('\u{fffd}'))
    }
}

/// Takes the beginning of what is written, and fails after it.
struct Quote(Vec<u8>);

impl std::io::Write for Quote {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let fits = bytes.len().min(MAX_QUOTE.saturating_sub(self.0.len()));
        self.0.extend(bytes.iter().take(fits));
        if fits == bytes.len() {
            Ok(fits)
        } else {
            Err(std::io::ErrorKind::WriteZero.into())
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) fn quote_str(text: &str) -> String {
    Value::String(clip(text, MAX_QUOTE)).to_string()
}

/// `text`, or its beginning of at most `max` bytes and an ellipsis.
pub(super) fn clip(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max;
    while end > 0 && !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}
