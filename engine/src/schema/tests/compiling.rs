//! Which schemas are taken, and how they are read.

use serde_json::{Map, Value, json};

use super::{compiled, fits, refused};
use crate::schema::{MAX_SCHEMA_BYTES, Validator};

#[test]
fn the_root_must_be_an_object_of_bounded_size() {
    assert_eq!(refused(&json!(true)), "the schema is not a JSON object");
    assert_eq!(refused(&json!(null)), "the schema is not a JSON object");
    let long = json!({"description": "x".repeat(MAX_SCHEMA_BYTES)});
    assert!(refused(&long).contains("larger than"), "{}", refused(&long));
    let deep = |levels: u32| (0..levels).fold(json!({}), |inner, _| json!({ "not": inner }));
    assert!(Validator::compile(&deep(60)).is_ok());
    assert!(refused(&deep(70)).contains("deeper than 64"));
    assert!(refused(&json!({"type": "text"})).contains("not valid JSON Schema at /type"));
    let wide: Map<String, Value> = (0..20_000).map(|i| (format!("{i}"), json!({}))).collect();
    assert!(refused(&json!({"properties": wide})).contains("subschemas"));
}

#[test]
fn dialects_are_honoured() {
    let tuple =
        |dialect: &str| json!({"$schema": dialect, "properties": {"a": {"items": [{"type": "string"}]}}});
    for dialect in [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-06/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
    ] {
        assert!(!fits(&tuple(dialect), &json!({"a": [1]})), "{dialect}");
    }
    // In draft-04 a flag, later a number.
    let exclusive = json!({"$schema": "http://json-schema.org/draft-04/schema#",
                           "properties": {"a": {"maximum": 5, "exclusiveMaximum": true}}});
    assert!(!fits(&exclusive, &json!({"a": 5})));
    for default in [
        json!({}),
        json!({"$schema": "https://json-schema.org/draft/2020-12/schema"}),
    ] {
        let mut schema = json!({"properties": {"a": {"prefixItems": [{"type": "string"}]}}});
        schema
            .as_object_mut()
            .unwrap()
            .extend(default.as_object().unwrap().clone());
        assert!(!fits(&schema, &json!({"a": [1]})));
    }
    for unknown in [json!("https://example.com/my-dialect"), json!(7)] {
        assert!(refused(&json!({ "$schema": unknown })).contains("is not supported (supported: 2020-12,"));
        assert!(
            refused(&json!({"properties": {"a": {"$id": "x", "$schema": unknown}}}))
                .contains("is not supported")
        );
    }
}

#[test]
fn formats_and_contents_are_annotations() {
    for dialect in [
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2020-12/schema",
    ] {
        let schema = json!({"$schema": dialect, "properties": {
            "a": {"format": "email"}, "b": {"contentEncoding": "base64", "contentMediaType": "application/json"}}});
        assert!(fits(&schema, &json!({"a": "not an address", "b": "%"})));
    }
}

#[test]
fn references_never_leave_the_schema() {
    for (schema, named) in [
        (
            json!({"properties": {"a": {"$ref": "http://169.254.169.254/latest"}}}),
            "http://169.254.169.254/latest",
        ),
        (
            json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}),
            "file:///etc/passwd",
        ),
        (
            json!({"properties": {"a": {"$ref": "other.json#/x"}}}),
            "other.json",
        ),
        (
            json!({"$id": "https://example.com/a", "properties": {"a": {"$ref": "b"}}}),
            "https://example.com/b",
        ),
        (
            json!({"$defs": {"unused": {"$ref": "https://example.com/x"}}}),
            "https://example.com/x",
        ),
        (
            json!({"properties": {"a": {"$id": "https://example.com/x/", "$ref": "y"}}}),
            "https://example.com/x/y",
        ),
    ] {
        let text = refused(&schema);
        assert!(text.contains(named) && text.contains("never fetched"), "{text}");
    }
    assert!(refused(&json!({"$ref": "#/$defs/none"})).contains("#/$defs/none"));
}

#[test]
fn references_within_the_schema_work() {
    let schema = json!({
        "$id": "https://example.com/root", "properties": {"a": {"$ref": "https://example.com/root#/$defs/x"},
        "b": {"$ref": "item"}, "c": {"$ref": "#named"}},
        "$defs": {"x": {"type": "string"}, "y": {"$id": "item", "type": "integer"}, "z": {"$anchor": "named", "type": "null"}},
    });
    assert!(fits(&schema, &json!({"a": "", "b": 1, "c": null})));
    assert_eq!(
        compiled(&schema)
            .validate(&json!({"a": 1, "b": "", "c": 1}))
            .unwrap_err()
            .iter()
            .count(),
        3
    );
}

#[test]
fn patterns_run_in_linear_time_or_not_at_all() {
    let pattern = |pattern: &str| json!({"properties": {"a": {"pattern": pattern}}});
    for unsupported in ["(?=a)b", "(?<!a)b", r"(a)\1"] {
        let text = refused(&pattern(unsupported));
        assert!(
            text.contains("linear time") || text.contains("not valid"),
            "{text}"
        );
        refused(&json!({"patternProperties": {unsupported: {}}}));
    }
    assert!(refused(&pattern("((a{1,100}){1,100}){1,100}")).contains("too large"));
    let many: Map<String, Value> = (0..600)
        .map(|i| (format!("p{i}"), json!({"pattern": format!("a{i}[b]")})))
        .collect();
    assert!(refused(&json!({"properties": many})).contains("too many patterns"));
    // Exponential for a backtracking engine.
    assert!(!fits(
        &pattern("^(a+)+$"),
        &json!({"a": "a".repeat(50_000) + "b"})
    ));
    // A length in disguise, and a text of a megabyte.
    assert!(fits(&pattern("^.{1,2000}$"), &json!({"a": "x".repeat(1_500)})));
    assert!(fits(&pattern("^[a-z0-9-]+$"), &json!({"a": "x".repeat(1 << 20)})));
    let unchecked = compiled(&pattern("[ab]*a[ab]{100}c")).validate(&json!({"a": "ab".repeat(1 << 19)}));
    assert!(
        unchecked
            .unwrap_err()
            .text()
            .starts_with("The arguments cannot be checked against")
    );
}

#[test]
fn cycles_that_do_not_descend_are_refused() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"not": {"$ref": "#"}}),
        json!({"allOf": [{"anyOf": [{"oneOf": [{"$ref": "#"}]}]}]}),
        json!({"if": {"$ref": "#"}}),
        json!({"then": {"$ref": "#"}, "if": true}),
        json!({"dependentSchemas": {"x": {"$ref": "#"}}}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}}),
        json!({"$dynamicAnchor": "me", "anyOf": [{"$dynamicRef": "#me"}]}),
        json!({"$id": "https://example.com/x", "allOf": [{"$ref": "x"}]}),
        json!({"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveAnchor": true, "allOf": [{"$recursiveRef": "#"}]}),
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "dependencies": {"a": {"$ref": "#"}}}),
    ] {
        assert!(
            refused(&schema).contains("without descending"),
            "{schema}: {}",
            refused(&schema)
        );
    }
    let anchors = json!({"$dynamicRef": "#me", "$defs": {"a": {"$id": "a", "$dynamicAnchor": "me"},
                         "b": {"$dynamicAnchor": "me"}}});
    assert!(refused(&anchors).contains("more than once"));
}
