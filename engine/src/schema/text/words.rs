//! One violation in words, from its kind.

use std::fmt::Write as _;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

use super::quote::{MAX_LIST, MAX_QUOTE, clip, list, nearest, quote, quote_str};
use super::{MAX_PLACE, MAX_REASON, Violation};

/// Longest string that is tried as JSON for the hint about double encoding.
const MAX_EMBEDDED: usize = 64 * 1024;

/// Tells what `error` says, place by place.
pub(super) fn describe(error: &ValidationError<'_>, schema: &Value, tell: &mut dyn FnMut(Violation)) {
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
