//! The document's shape against the table of fields: every misfit at once.

use std::collections::HashMap;

use serde_json::{Map, Number, Value, json};

use super::error::{At, Errors, PolicyError, listed, quoted};
use super::fields::{Field, Object, POLICY, Shape};

/// Numbers as written, by pointer: those with more digits than a float keeps.
pub(super) type LongNumbers = HashMap<String, String>;

/// Reports every member that does not fit and takes it out, so that the rest can still be judged.
pub(super) fn check(document: &mut Value, numbers: &LongNumbers, errors: &mut Errors) {
    let mut check = Check { numbers, errors };
    if !fits(&Shape::Object(&POLICY), document, &At::Root, &mut check) {
        *document = json!({ "version": 1 });
    }
}

struct Check<'a> {
    numbers: &'a LongNumbers,
    errors: &'a mut Errors,
}

impl Check<'_> {
    /// A number as it was written, or in another way that tells the same number.
    fn written(&self, number: &Number, at: &At<'_>) -> String {
        let long = (!self.numbers.is_empty()).then(|| self.numbers.get(&at.pointer()));
        long.flatten().cloned().unwrap_or_else(|| number.to_string())
    }
}

/// Whether `value` can stay. What can be repaired within it, is.
fn fits(shape: &Shape, value: &mut Value, at: &At<'_>, check: &mut Check<'_>) -> bool {
    match (shape, &mut *value) {
        (Shape::Number, Value::Number(number)) => {
            let text = check.written(number, at);
            *value = Value::String(text);
            true
        }
        (Shape::Bool, Value::Bool(_))
        | (Shape::Text | Shape::Duration(_), Value::String(_))
        | (Shape::Schema, Value::Object(_))
        | (Shape::TextOrNull, Value::String(_) | Value::Null) => true,
        (Shape::Count, Value::Number(number)) if number.is_u64() => true,
        (Shape::OneOf { names, later }, Value::String(name)) => one_of(names, later, name, at, check),
        (Shape::List(shape), Value::Array(elements)) => {
            // A list with a misfit goes as a whole: without the misfit, later elements would be
            // reported at the wrong index.
            let misfits = elements.iter_mut().enumerate();
            misfits
                .filter_map(|(index, element)| {
                    (!fits(shape, element, &at.element(index), check)).then_some(())
                })
                .count()
                == 0
        }
        (Shape::Map(shape), Value::Object(members)) => {
            map(shape, members, at, check);
            true
        }
        (Shape::Object(object), Value::Object(members)) => {
            fields(object, members, at, check);
            true
        }
        (shape, value) => {
            let error = PolicyError::new(at, "wrong type")
                .found(described(value))
                .allowed(expected(shape));
            check.errors.add(error.hint_if(repair(shape, value)));
            false
        }
    }
}

/// How to make a value of another type fit, where that is likely what was meant.
fn repair(shape: &Shape, value: &Value) -> Option<String> {
    let hint = match (shape, value) {
        (Shape::Number | Shape::Count, Value::String(_)) => "write the number without quotes",
        (Shape::Duration(_), Value::Number(number)) => {
            return Some(format!("did you mean \"{number}s\" or \"{number}ms\"?"));
        }
        (Shape::List(Shape::Object(_)), Value::Object(_)) | (Shape::List(Shape::Text), Value::String(_)) => {
            "put it between [ and ]"
        }
        (Shape::Object(_), Value::Array(_)) => "there is only one: leave [ and ] out",
        (Shape::Object(_) | Shape::List(_), Value::Null) => "leave it out instead",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn one_of(names: &[&str], later: &[&str], name: &str, at: &At<'_>, check: &mut Check<'_>) -> bool {
    if names.contains(&name) {
        return true;
    }
    let problem = if later.contains(&name) {
        "not supported yet"
    } else {
        "unknown value"
    };
    let error = PolicyError::new(at, problem)
        .found(quoted(name))
        .allowed(alternatives(names));
    check.errors.add(if later.contains(&name) {
        error
    } else {
        error.nearest(name, names)
    });
    false
}

/// An entry that cannot stay becomes an empty one, so that its name can still be referred to.
fn map(shape: &Shape, members: &mut Map<String, Value>, at: &At<'_>, check: &mut Check<'_>) {
    members.retain(|name, value| {
        let at = at.member(name);
        if fits(shape, value, &at, check) {
            return true;
        }
        if let Shape::Object(object) = shape {
            let mut empty = Map::new();
            for field in object.fields.iter().filter(|field| field.required) {
                empty.insert(field.name.to_owned(), placeholder(field));
            }
            *value = Value::Object(empty);
            return true;
        }
        false
    });
}

fn fields(object: &Object, members: &mut Map<String, Value>, at: &At<'_>, check: &mut Check<'_>) {
    members.retain(|name, value| {
        let at = at.member(name);
        if let Some(field) = object.fields.iter().find(|field| field.name == name) {
            return fits(&field.shape, value, &at, check);
        }
        check.errors.add(unknown(object, name, &at));
        false
    });
    for field in object.fields.iter().filter(|field| field.required) {
        if !members.contains_key(field.name) {
            let at = at.member(field.name);
            if !check.errors.iter().any(|error| error.pointer == at.pointer()) {
                check
                    .errors
                    .add(PolicyError::new(&at, "missing").allowed(expected(&field.shape)));
            }
            members.insert(field.name.to_owned(), placeholder(field));
        }
    }
}

fn unknown(object: &Object, name: &str, at: &At<'_>) -> PolicyError {
    let valid = || {
        object
            .fields
            .iter()
            .map(|field| field.name)
            .filter(|name| !name.starts_with('$'))
    };
    let allowed = match listed(valid()) {
        none if none.is_empty() => "no fields".to_owned(),
        names => names,
    };
    if object.later.contains(&name) {
        return PolicyError::new(at, "not supported yet")
            .found(quoted(name))
            .allowed(allowed);
    }
    let error = PolicyError::new(at, "unknown field")
        .found(quoted(name))
        .allowed(allowed);
    match object.elsewhere.iter().find(|(known, _)| *known == name) {
        Some((_, hint)) => error.hint(*hint),
        None => error.nearest(name, valid()),
    }
}

/// Stands for a required member that is missing or unusable: the place has been reported.
fn placeholder(field: &Field) -> Value {
    match field.shape {
        Shape::Count => json!(1),
        Shape::Number => json!("1"),
        Shape::OneOf { names, .. } => json!(names.first()),
        _ => json!(""),
    }
}

fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "true or false".to_owned(),
        Shape::Count => "a whole number".to_owned(),
        Shape::Number => "a number".to_owned(),
        Shape::Text => "a string".to_owned(),
        Shape::Duration(like) => (*like).to_owned(),
        Shape::OneOf { names, .. } => alternatives(names),
        Shape::TextOrNull => "a string or null".to_owned(),
        Shape::List(shape) => format!("a list, each element {}", expected(shape)),
        Shape::Map(_) | Shape::Object(_) => "an object".to_owned(),
        Shape::Schema => "a JSON Schema as an object".to_owned(),
    }
}

fn alternatives(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(" or ")
}

/// A value for people. Strings are not shown: one in the wrong place may be a credential.
fn described(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
