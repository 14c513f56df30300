use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{MAX_SCHEMA_BYTES, Validator};

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
