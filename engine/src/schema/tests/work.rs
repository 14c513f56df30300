//! Schemas that are made to cost much.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{compiled, fits, refused};
use crate::schema::Validator;

/// A schema whose `$defs` lead through `levels` levels, `step` being how one leads to the next.
fn staircase(levels: usize, step: impl Fn(Value) -> Value) -> Value {
    let mut defs = Map::new();
    for level in 0..levels {
        defs.insert(
            format!("d{level}"),
            step(json!({"$ref": format!("#/$defs/d{}", level + 1)})),
        );
    }
    defs.insert(format!("d{levels}"), json!({"type": "string"}));
    json!({"$ref": "#/$defs/d0", "$defs": defs})
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }))
}

#[test]
fn fan_out_is_bounded() {
    let in_place = staircase(30, |next| json!({"allOf": [next, next]}));
    assert!(refused(&in_place).contains("apply to one value"));
    let chain = staircase(1_000, |next| next);
    assert!(refused(&chain).contains("references for one value"));
    // 2ⁿ by the depth of the value.
    let by_depth = staircase(30, |next| json!({"properties": {"a": {"anyOf": [next, next]}}}));
    let by_depth = compiled(&by_depth);
    assert!(by_depth.validate(&nested(5)).is_ok());
    let text = by_depth.validate(&nested(30)).unwrap_err().text();
    assert!(
        text.starts_with("The arguments cannot be checked against the tool's schema"),
        "{text}"
    );
    // Each level of `unevaluatedProperties` asks all the others again.
    let again = (0..24).fold(
        json!({}),
        |inner, _| json!({"allOf": [inner], "unevaluatedProperties": {}}),
    );
    let many: Map<String, Value> = (0..100).map(|i| (format!("k{i}"), json!(1))).collect();
    let verdict = Validator::compile(&again).map(|v| v.validate(&Value::Object(many)).map_err(|e| e.text()));
    assert!(!matches!(verdict, Ok(Ok(()))), "{verdict:?}");
}

/// Ten kinds of expression, each with two operands.
fn expression() -> Value {
    let kinds: Vec<Value> = (0..10)
        .map(|kind| {
            json!({"type": "object", "additionalProperties": false, "required": ["op"],
                   "properties": {"op": {"const": kind}, "l": {"$ref": "#/$defs/e"}, "r": {"$ref": "#/$defs/e"}}})
        })
        .collect();
    json!({"type": "object", "properties": {"e": {"$ref": "#/$defs/e"}}, "$defs": {"e": {"oneOf": kinds}}})
}

fn tree(depth: u32, leaf: u32) -> Value {
    match depth {
        0 => json!({ "op": leaf }),
        _ => json!({"op": depth % 10, "l": tree(depth - 1, leaf), "r": tree(depth - 1, 5)}),
    }
}

#[test]
fn recursive_schemas_work() {
    let expression = compiled(&expression());
    assert!(expression.validate(&json!({"e": tree(7, 3)})).is_ok());
    let text = expression
        .validate(&json!({"e": tree(1, 33)}))
        .unwrap_err()
        .text();
    assert!(text.contains("/e/l/op must be"), "{text}");
    assert!(expression.validate(&json!({"e": tree(7, 33)})).is_err());
    let list = json!({"properties": {"a": {"$ref": "#"}}, "additionalProperties": false});
    assert!(fits(
        &list,
        &(0..60).fold(json!({}), |inner, _| json!({ "a": inner }))
    ));
    let filter = json!({"$ref": "#/$defs/f", "$defs": {"f": {"anyOf": [
        {"type": "object", "properties": {"and": {"type": "array", "items": {"$ref": "#/$defs/f"}}}, "required": ["and"]},
        {"type": "object", "properties": {"or": {"type": "array", "items": {"$ref": "#/$defs/f"}}}, "required": ["or"]},
        {"type": "object", "properties": {"not": {"$ref": "#/$defs/f"}}, "required": ["not"]},
        {"type": "object", "properties": {"field": {"type": "string"}, "eq": {}}, "required": ["field"]},
    ]}}});
    let leaf = json!({"field": "x", "eq": 1});
    let deep = (0..6).fold(leaf.clone(), |inner, i| match i % 3 {
        0 => json!({"and": [inner, leaf, leaf]}),
        1 => json!({"or": [leaf, inner]}),
        _ => json!({ "not": inner }),
    });
    assert!(fits(&filter, &deep));
    assert!(!fits(&filter, &json!({"and": [leaf, {"nor": []}]})));
}

#[test]
fn the_stack_is_bounded() {
    // Each level of the value takes several schemas, one within the other.
    let list = |wrap: &dyn Fn(Value) -> Value| {
        let next = json!({"properties": {"a": {"$ref": "#/$defs/n"}}});
        compiled(&json!({"$ref": "#/$defs/n", "$defs": {"n": wrap(next)}}))
    };
    let shallow = list(&|next| json!({"allOf": [{"anyOf": [next]}]}));
    assert!(shallow.validate(&nested(60)).is_ok());
    let steep = list(&|next| json!({"allOf": [{"anyOf": [{"allOf": [{"oneOf": [{"allOf": [next]}]}]}]}]}));
    assert!(steep.validate(&nested(30)).is_ok());
    let text = steep.validate(&nested(60)).unwrap_err().text();
    assert!(text.contains("too deeply nested"), "{text}");
}

#[test]
fn a_megabyte_of_arguments_is_checked_in_bounded_work() {
    let of = |schema: Value| compiled(&json!({"properties": {"a": schema}}));
    let unchecked = |v: &Validator, a: Value| {
        let text = v.validate(&json!({ "a": a })).unwrap_err().text();
        assert!(text.starts_with("The arguments cannot be checked"), "{text}");
    };
    // Integers whose doubles are the same, and arrays that differ only in shape.
    let close: Vec<u64> = (0..50_000).map(|i| 9_223_372_036_854_775_000 + i).collect();
    assert!(
        of(json!({"uniqueItems": true}))
            .validate(&json!({ "a": close }))
            .is_ok()
    );
    let empty: Vec<Value> = (1..10_000).map(shape).collect();
    assert!(
        of(json!({"uniqueItems": true}))
            .validate(&json!({ "a": empty }))
            .is_ok()
    );
    assert!(
        of(json!({"items": {"type": "integer"}}))
            .validate(&json!({"a": vec![1; 500_000]}))
            .is_ok()
    );
    let text = of(json!({"items": {"type": "string"}}))
        .validate(&json!({"a": vec![1; 500_000]}))
        .unwrap_err()
        .text();
    assert!(text.contains("/a/0 must be a string, not a number"), "{text}");
    let choices: Vec<u32> = (0..20_000).collect();
    unchecked(
        &of(json!({"items": {"enum": choices}})),
        json!(vec![19_999; 100_000]),
    );
    let patterns: Map<String, Value> = (0..300).map(|i| (format!("^x[a-z]*{i}$"), json!({}))).collect();
    let names: Map<String, Value> = (0..50_000).map(|i| (format!("xabcdefgh{i}"), json!(1))).collect();
    unchecked(
        &of(json!({ "patternProperties": patterns })),
        Value::Object(names),
    );
    // Too many failed alternatives to collect.
    let objects: Vec<Value> = (0..50_000).map(|i| json!({ "k": i })).collect();
    let any = of(json!({"items": {"anyOf": [{"required": ["x"]}, {"required": ["y"]}]}}));
    assert!(
        any.validate(&json!({ "a": objects }))
            .unwrap_err()
            .text()
            .contains("too large")
    );
}

/// The `n`th array of nothing but arrays.
fn shape(n: u32) -> Value {
    let bits = (0..32).map(|bit| n >> bit).take_while(|rest| *rest > 0);
    Value::Array(
        bits.map(|rest| if rest & 1 == 1 { json!([[]]) } else { json!([]) })
            .collect(),
    )
}

#[test]
fn unique_items_are_told_apart_by_value() {
    let schema = json!({"properties": {"a": {"uniqueItems": true}}});
    for (items, unique) in [
        (json!([1, "1", true, null, [1], {"a": 1}]), true),
        (json!([{"a": 1, "b": 2}, {"b": 2, "a": 1.0}]), false),
        (json!([0, -0.0]), false),
        (json!([[1, 2], [1, [2]]]), true),
        (json!([[], [[]]]), true),
        (json!([u64::MAX, u64::MAX - 1]), true),
        (json!([1e300, 1e300]), false),
        (json!([0.1, 0.1]), false),
    ] {
        assert_eq!(fits(&schema, &json!({"a": items})), unique, "{items}");
    }
    assert!(fits(
        &json!({"properties": {"a": {"uniqueItems": false}}}),
        &json!({"a": [1, 1]})
    ));
}

#[test]
fn a_large_schema_compiles() {
    let mut properties = Map::new();
    for i in 0..2_000 {
        let mut description = String::new();
        write!(description, "property number {i}").unwrap();
        properties.insert(
            format!("p{i}"),
            json!({"type": ["string", "null"], "description": description}),
        );
    }
    let schema = json!({"type": "object", "properties": properties});
    assert!(fits(&schema, &json!({"p7": null})));
    assert!(!fits(&schema, &json!({"p7": 1})));
}
