//! What a caller is told.

use serde_json::{Map, Value, json};

use super::{about, compiled, text};

#[test]
fn a_sentence_names_every_place_and_what_is_allowed() {
    let schema = json!({
        "type": "object",
        "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}, "color": {}, "size": {},
                       "mode": {"enum": ["a", "b"]}},
        "required": ["query"], "additionalProperties": false,
    });
    let arguments = json!({"limit": "ten", "colour": "red", "mode": "c"});
    let violations = compiled(&schema).validate(&arguments).unwrap_err();
    let text = violations.text();
    for part in [
        "The arguments do not fit the tool's schema: ",
        "/query is missing",
        "/limit must be an integer, not a string",
        "/colour is not an allowed property (allowed: color, limit, mode, query, size; did you mean \"color\"?)",
        "/mode must be one of \"a\", \"b\"",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(violations.iter().count(), 4);
}

#[test]
fn every_kind_has_its_words() {
    let cases = [
        (
            json!({"type": "integer"}),
            json!("5x"),
            "/a must be an integer, not a string",
        ),
        (
            json!({"type": "integer"}),
            json!(1.5),
            "/a must be an integer, not a number with a fraction",
        ),
        (json!({"type": ["string", "null"]}), json!(5), "not a number"),
        (json!({"const": "x"}), json!("y"), "/a must be \"x\""),
        (
            json!({"enum": ["north", "south"]}),
            json!("nort"),
            "/a must be one of \"north\", \"south\" (did you mean \"north\"?)",
        ),
        (json!({"minimum": 1}), json!(0), "/a must be at least 1"),
        (json!({"maximum": 1}), json!(2), "/a must be at most 1"),
        (
            json!({"exclusiveMinimum": 1}),
            json!(1),
            "/a must be greater than 1",
        ),
        (json!({"exclusiveMaximum": 1}), json!(1), "/a must be less than 1"),
        (json!({"multipleOf": 5}), json!(7), "/a must be a multiple of 5"),
        (
            json!({"minLength": 2}),
            json!("é"),
            "/a must be at least 2 characters long (it has 1)",
        ),
        (
            json!({"maxLength": 1}),
            json!("éé"),
            "/a must be at most 1 character long (it has 2)",
        ),
        (
            json!({"pattern": "^[a-z]+$"}),
            json!("A"),
            "/a must match the pattern ^[a-z]+$",
        ),
        (
            json!({"minItems": 1}),
            json!([]),
            "/a must have at least 1 item (it has 0)",
        ),
        (
            json!({"maxItems": 1}),
            json!([1, 2]),
            "/a must have at most 1 item (it has 2)",
        ),
        (
            json!({"uniqueItems": true}),
            json!([1, 1.0]),
            "/a must not contain the same item twice",
        ),
        (
            json!({"contains": {"const": 1}}),
            json!([2]),
            "/a does not contain the items it must contain",
        ),
        (
            json!({"minProperties": 1}),
            json!({}),
            "/a must have at least 1 property",
        ),
        (
            json!({"maxProperties": 0}),
            json!({"x": 1}),
            "/a must have at most 0 properties",
        ),
        (
            json!({"propertyNames": {"maxLength": 1}}),
            json!({"xy": 1}),
            "/a has a property name that is not allowed: \"xy\" must be at most 1 character long (it has 2)",
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            json!(5),
            "/a must be a string or null, not a number",
        ),
        (
            json!({"oneOf": [{"const": 1}, {"enum": [2, 3]}]}),
            json!(5),
            "/a must be one of 1, 2, 3",
        ),
        (
            json!({"oneOf": [{"type": "number"}, {"minimum": 0}]}),
            json!(5),
            "/a fits more than one of the alternatives of which exactly one must fit",
        ),
        (
            json!({"not": {"type": "string"}}),
            json!("x"),
            "/a has a value that is not allowed here",
        ),
        (json!(false), json!(1), "/a is not allowed"),
        (
            json!({"unevaluatedProperties": false}),
            json!({"x": 1}),
            "/a/x is not an allowed property",
        ),
        (json!({"prefixItems": [{}], "items": false}), json!([1, 2]), "/a"),
        (
            json!({"items": {"required": ["x"]}}),
            json!([{"x": 1}, {}]),
            "/a/1/x is missing",
        ),
    ];
    for (schema, value, words) in cases {
        let text = about(schema.clone(), value);
        assert!(text.contains(words), "{schema}: {text}");
    }
}

#[test]
fn the_closest_alternative_is_told() {
    let shapes = json!({"oneOf": [
        {"type": "object", "properties": {"kind": {"const": "circle"}, "radius": {"type": "number"}}, "required": ["kind", "radius"]},
        {"type": "object", "properties": {"kind": {"const": "box"}, "side": {"type": "number"}}, "required": ["kind", "side"]},
    ]});
    assert_eq!(
        about(shapes, json!({"kind": "box"})),
        "/a must fit one of 2 alternatives; in the closest one /a/side is missing"
    );
}

#[test]
fn nested_values_sent_as_strings_get_a_hint() {
    let hint = "(send it as JSON, not as a string)";
    for (kind, value) in [
        ("object", "{\"x\": 1}"),
        ("array", " [1]"),
        ("integer", "5"),
        ("number", "1.5"),
        ("boolean", "true"),
    ] {
        let text = about(json!({"type": kind}), json!(value));
        assert!(text.ends_with(hint), "{kind}: {text}");
    }
    for (kind, value) in [
        ("object", "{x}"),
        ("object", "[1]"),
        ("integer", "1.5"),
        ("array", ""),
    ] {
        let text = about(json!({"type": kind}), json!(value));
        assert!(!text.contains(hint), "{kind}: {text}");
    }
}

#[test]
fn texts_stay_short_whatever_the_values_and_names() {
    let long = "ß".repeat(10_000);
    let many: Map<String, Value> = (0..100).map(|i| (format!("{i}{long}"), json!(1))).collect();
    let text = text(
        &json!({"additionalProperties": false, "properties": {long.as_str(): {}}}),
        &Value::Object(many),
    );
    assert!(text.contains("95 more"), "{text}");
    about(
        json!({"enum": [long, [long, long]]}),
        json!(long.as_str().to_owned() + "x"),
    );
    about(json!({"const": {"k": long}}), json!(1));
    about(
        json!({"pattern": format!("^{}$", "a".repeat(5_000))}),
        json!(long),
    );
    about(
        json!({"anyOf": [{"const": long}, {"required": [long]}]}),
        json!({}),
    );
}

#[test]
fn pointers_are_escaped() {
    assert_eq!(
        text(&json!({"required": ["a/b~c"]}), &json!({})),
        "/a~1b~0c is missing"
    );
}
