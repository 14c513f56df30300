//! What schemas say of arguments, which schemas are taken, and what either costs.

mod compiling;
mod sentences;
mod work;

use serde_json::{Value, json};

use super::Validator;

fn compiled(schema: &Value) -> Validator {
    Validator::compile(schema).unwrap()
}

fn refused(schema: &Value) -> String {
    Validator::compile(schema).unwrap_err().to_string()
}

fn text(schema: &Value, arguments: &Value) -> String {
    let text = compiled(schema).validate(arguments).unwrap_err().text();
    assert!(text.len() <= 1200, "{} bytes: {text}", text.len());
    text.strip_prefix("The arguments do not fit the tool's schema: ")
        .unwrap_or(&text)
        .to_owned()
}

/// The text for one argument `a` of the schema `of`.
#[allow(clippy::needless_pass_by_value, reason = "callers write the values in place")]
fn about(of: Value, value: Value) -> String {
    text(&json!({"properties": {"a": of}}), &json!({"a": value}))
}

fn fits(schema: &Value, arguments: &Value) -> bool {
    compiled(schema).validate(arguments).is_ok()
}
