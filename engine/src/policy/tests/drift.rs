//! The table of fields, the raw types and the design agree.

use super::refused;
#[cfg(feature = "schema")]
use crate::policy::fields::{Object, POLICY, Shape};

/// Every field of the policy format's complete example.
const COMPLETE: &str = r#"{
  "version": 1,
  "mode": "enforce",
  "hold": "headers",
  "unmatched": "deny",
  "decisionHeader": true,
  "identity": {
    "headers": ["authorization", "x-virtual-key"],
    "jwt": { "metadata": "jwt_payload", "claim": "sub" },
    "anonymous": null
  },
  "origins": ["https://agents.example.com"],
  "limits": { "requestBytes": 1048576, "resultBytes": 8388608, "depth": 64, "bodyTimeout": "15s", "batches": false, "bigIntegers": false },
  "servers": {
    "docs": {
      "path": "/docs/mcp",
      "unlistedTools": "deny",
      "schemas": "advertised",
      "integrity": "firstSeen",
      "breaker": { "each": "tool", "failures": 5, "ratio": 0.5, "minCalls": 20, "window": "30s", "open": "30s", "probes": 1 },
      "tools": {
        "search_docs": {
          "inputSchema": { "type": "object", "properties": { "query": { "type": "string", "maxLength": 500 } },
                           "required": ["query"], "additionalProperties": false },
          "cost": 0.002
        },
        "run_sql": {
          "cost": 0.05,
          "pin": "sha256:0d5f…",
          "rules": [ { "name": "read-only", "require": "sql.readOnly(args.query)", "message": "only SELECT statements run here" } ]
        }
      }
    },
    "files": { "path": "/files/mcp", "methods": ["tools/*", "resources/*"] }
  },
  "roles": {
    "reader": { "allow": ["docs/search_*", "docs/get_page", "files/read_file"], "deny": ["*/delete_*"],
                "resources": ["files/file:///srv/docs/*"], "prompts": ["docs/*"],
                "rules": [ { "on": "files/*", "name": "stay-home", "require": "path.within(args.path, '/srv/docs')" } ] },
    "analyst": { "allow": ["docs/*"] }
  },
  "teams": { "engineering": { "budget": { "limit": 5000, "per": "month" }, "quotas": [ { "limit": 2000, "per": "minute" } ] } },
  "keys": {
    "eng-staging": {
      "sha256": ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
      "team": "engineering", "labels": { "env": "staging" }, "roles": ["reader"],
      "quotas": [ { "limit": 100, "per": "minute", "burst": 20 },
                  { "limit": 2, "per": "second", "on": "docs/run_sql", "each": "tool", "scope": "global" } ],
      "budget": { "limit": 500, "per": "month", "scope": "global" },
      "loops": { "identicalCalls": 5, "per": "1m" },
      "expires": "2027-01-31T00:00:00Z"
    },
    "ci-bot": { "subjects": ["repo:acme/*"], "roles": ["analyst"], "mode": "shadow" }
  },
  "rateLimitService": { "cluster": "ratelimit", "domain": "toolgate", "timeout": "50ms", "onError": "deny" },
  "sessions": { "secretEnv": "TOOLGATE_SESSION_SECRET" },
  "telemetry": { "perKey": true, "arguments": "values", "mask": [ { "path": "/password" }, { "on": "docs/*", "path": "/customers/*/email" } ],
                 "chains": true },
  "contextHeaders": false,
  "approvals": { "publicKeys": ["ed25519:…"], "url": "https://approvals.example.com/r/{digest}" }
}"#;

#[test]
fn every_field_of_the_format_is_accepted_or_not_supported_yet() {
    let errors = refused(COMPLETE);
    let mut pointers: Vec<&str> = Vec::new();
    for error in &errors {
        assert_eq!(error.problem, "not supported yet", "{error}");
        pointers.push(&error.pointer);
    }
    pointers.sort_unstable();
    let expected = [
        "/approvals",
        "/roles/reader/rules",
        "/servers/docs/integrity",
        "/servers/docs/tools/run_sql/pin",
        "/servers/docs/tools/run_sql/rules",
    ];
    assert_eq!(pointers, expected);
}

/// Walks the table and the JSON Schema of the raw types together.
#[cfg(feature = "schema")]
#[test]
fn the_table_of_fields_agrees_with_the_types() {
    let schema = crate::policy::json_schema();
    same_object(&POLICY, &schema, &schema, "");
}

#[cfg(feature = "schema")]
fn same_object(object: &Object, schema: &serde_json::Value, root: &serde_json::Value, place: &str) {
    let schema = resolve(schema, root);
    assert_eq!(schema["additionalProperties"], false, "{place}");
    let empty = serde_json::Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let mut of_schema: Vec<&str> = properties.keys().map(String::as_str).collect();
    let mut of_table: Vec<&str> = object.fields.iter().map(|field| field.name).collect();
    of_schema.sort_unstable();
    of_table.sort_unstable();
    assert_eq!(of_schema, of_table, "{place}");
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    for field in object.fields {
        let place = format!("{place}/{}", field.name);
        assert_eq!(
            required.iter().any(|name| name == field.name),
            field.required,
            "{place}"
        );
        same(&field.shape, &properties[field.name], root, &place);
    }
}

#[cfg(feature = "schema")]
fn same(shape: &Shape, schema: &serde_json::Value, root: &serde_json::Value, place: &str) {
    let resolved = resolve(schema, root);
    match shape {
        Shape::Bool => assert_eq!(resolved["type"], "boolean", "{place}"),
        Shape::Count => assert_eq!(resolved["type"], "integer", "{place}"),
        Shape::Number => assert!(
            resolved["type"] == "number" || resolved["type"] == "integer",
            "{place}"
        ),
        Shape::Text | Shape::Duration(_) => assert_eq!(resolved["type"], "string", "{place}"),
        Shape::TextOrNull => assert_eq!(resolved["type"], serde_json::json!(["string", "null"]), "{place}"),
        Shape::Schema => assert_eq!(resolved["type"], "object", "{place}"),
        Shape::OneOf { names, .. } => {
            let variants = resolved["oneOf"].as_array().unwrap();
            let of_schema: Vec<&str> = variants.iter().map(|v| v["const"].as_str().unwrap()).collect();
            assert_eq!(of_schema, *names, "{place}");
        }
        Shape::List(inner) => same(inner, &resolved["items"], root, place),
        Shape::Map(inner) => same(
            inner,
            &resolved["additionalProperties"],
            root,
            &format!("{place}/*"),
        ),
        Shape::Object(object) => same_object(object, schema, root, place),
    }
}

#[cfg(feature = "schema")]
fn resolve<'a>(schema: &'a serde_json::Value, root: &'a serde_json::Value) -> &'a serde_json::Value {
    match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    }
}

/// The published schema accepts what compiles and refuses what has the wrong shape.
#[cfg(feature = "schema")]
#[test]
fn the_json_schema_judges_like_the_compiler() {
    let validator = jsonschema::validator_for(&crate::policy::json_schema()).unwrap();
    let judge = |text: &str| validator.is_valid(&serde_json::from_str(text).unwrap());
    assert!(judge(
        r#"{"$schema":"x","version":1,"identity":{"anonymous":null}}"#
    ));
    assert!(judge(
        r#"{"version":1,"servers":{"d":{"path":"/d","tools":{"t":{"inputSchema":{"type":"object"}}}}}}"#
    ));
    for text in [
        r#"{"version":1,"servers":{"d":{"path":"/d","cost":0.000001,"tools":{"t":{"cost":0,"costPerKiB":1e12}}}}}"#,
        r#"{"version":1,"teams":{"t":{"parent":"u","budget":{"limit":0.01,"per":"total"}},"u":{}}}"#,
        r#"{"version":1,"teams":{"t":{"quotas":[{"limit":4294967295,"per":"3650d","burst":1,"each":"subject","scope":"local"},{"limit":1,"per":"0.5s"}]}}}"#,
        r#"{"version":1,"rateLimitService":{"cluster":"c","timeout":"50ms","onError":"local","engine":"limitador"}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{},"tools":{"t":{"breaker":{}}}}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"each":"server","failures":1000,"ratio":0.000001,"minCalls":1000000,"window":"1h","open":"100ms","probes":100,"slow":"1ms","countToolErrors":true}}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","clientCapabilities":{"sampling":"strip","roots":"allow"}}}}"#,
        r#"{"version":1,"identity":{"anonymous":"k"},"keys":{"k":{"loops":{"identicalCalls":1,"per":"7d","anyCall":{"limit":1000000,"per":"1s"}}}}}"#,
        r#"{"version":1,"sessions":{}}"#,
        r#"{"version":1,"sessions":{"secretEnv":"_aZ9"}}"#,
        r#"{"version":1,"telemetry":{},"contextHeaders":true}"#,
        r#"{"version":1,"telemetry":{"perKey":false,"arguments":"off","mask":[{"path":"/a~0b~1/*/"}],"chains":false}}"#,
    ] {
        assert!(judge(text), "{text}");
        super::compiled(text);
    }
    for text in [
        "{}",
        r#"{"version":2}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","cost":-0.1}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","cost":"1"}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","tools":{"t":{"costPerKiB":1.1e12}}}}}"#,
        r#"{"version":1,"teams":{"t":{"quotas":[{"limit":0,"per":"day"}]}}}"#,
        r#"{"version":1,"teams":{"t":{"quotas":[{"limit":1.5,"per":"day"}]}}}"#,
        r#"{"version":1,"teams":{"t":{"quotas":[{"limit":4294967296,"per":"day"}]}}}"#,
        r#"{"version":1,"teams":{"t":{"quotas":[{"limit":1,"per":"week"}]}}}"#,
        r#"{"version":1,"teams":{"t":{"quotas":[{"limit":1,"per":"day","burst":0}]}}}"#,
        r#"{"version":1,"teams":{"t":{"quotas":[{"limit":1}]}}}"#,
        r#"{"version":1,"teams":{"t":{"budget":{"limit":0,"per":"day"}}}}"#,
        r#"{"version":1,"teams":{"t":{"budget":{"limit":1,"per":"year"}}}}"#,
        r#"{"version":1,"rateLimitService":{}}"#,
        r#"{"version":1,"rateLimitService":{"cluster":""}}"#,
        r#"{"version":1,"toolz":1}"#,
        r#"{"version":1,"origins":null}"#,
        r#"{"version":1,"limits":{"batches":true}}"#,
        r#"{"version":1,"limits":{"depth":65}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","integrity":"firstSeen"}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"failures":0}}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"failures":1001}}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"ratio":0}}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"ratio":1.000001}}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"minCalls":20}}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"window":"30s"}}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"ratio":0.5,"minCalls":1000001}}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"probes":101}}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"open":"30"}}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"each":"call"}}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","tools":{"t":{"breaker":{"each":"tool"}}}}}}"#,
        r#"{"version":1,"servers":{"d":{"path":"/d","clientCapabilities":{"sampling":false}}}}"#,
        r#"{"version":1,"keys":{"k":{"sha256":[],"loops":{}}}}"#,
        r#"{"version":1,"keys":{"k":{"sha256":[],"loops":{"identicalCalls":5}}}}"#,
        r#"{"version":1,"keys":{"k":{"sha256":[],"loops":{"per":"1m"}}}}"#,
        r#"{"version":1,"keys":{"k":{"sha256":[],"loops":{"identicalCalls":0,"per":"1m"}}}}"#,
        r#"{"version":1,"keys":{"k":{"sha256":[],"loops":{"anyCall":{"limit":5}}}}}"#,
        r#"{"version":1,"keys":{"k":{"sha256":[],"loops":{"anyCall":{"limit":1000001,"per":"1m"}}}}}"#,
        r#"{"version":1,"sessions":{"secretEnv":"1A"}}"#,
        r#"{"version":1,"sessions":{"secretEnv":""}}"#,
        r#"{"version":1,"telemetry":{"arguments":"masked"}}"#,
        r#"{"version":1,"telemetry":{"mask":[{}]}}"#,
        r#"{"version":1,"telemetry":{"mask":[{"path":""}]}}"#,
        r#"{"version":1,"telemetry":{"mask":[{"path":"a/b"}]}}"#,
        r#"{"version":1,"telemetry":{"mask":[{"path":"/a~2"}]}}"#,
        r#"{"version":1,"telemetry":{"mask":[{"path":"/a~"}]}}"#,
        r#"{"version":1,"contextHeaders":"yes"}"#,
        r#"{"version":1,"servers":{"d":{}}}"#,
        r#"{"version":1,"teams":{"t":{"budget":{}}}}"#,
        r#"{"version":1,"keys":{"k":{"sha256":["AB"]}}}"#,
    ] {
        assert!(!judge(text), "{text}");
        refused(text);
    }
}
