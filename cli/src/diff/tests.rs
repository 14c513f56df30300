mod attacks;
mod effects;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::unknown::READ;
use super::{Change, Effect, changes};
use crate::policy_file::{Part, PolicyFile};

/// A policy in which everything is said once.
fn full() -> Value {
    json!({
        "version": 1,
        "identity": { "headers": ["x-key"], "jwt": { "metadata": "m", "claim": "sub" }, "anonymous": "anyone" },
        "origins": ["https://a.example"],
        "limits": { "requestBytes": 1000, "resultBytes": 1000, "depth": 10, "bodyTimeout": "15s" },
        "servers": {
            "docs": {
                "path": "/docs", "methods": ["tools/*"], "cost": 0.5, "clientCapabilities": { "roots": "strip" },
                "breaker": { "failures": 5, "ratio": 0.5, "open": "30s", "slow": "5s" },
                "tools": {
                    "find": { "inputSchema": { "type": "object" }, "cost": 0.25, "breaker": { "failures": 3 } },
                    "make": {}
                }
            },
            "files": { "path": "/files" }
        },
        "roles": {
            "reader": { "allow": ["docs/*"], "deny": ["*/drop*"], "resources": ["docs/file:///*"], "prompts": ["docs/p"] },
            "idle": { "allow": ["files/*"] }
        },
        "teams": {
            "all": { "budget": { "limit": 100, "per": "month" } },
            "eng": { "parent": "all", "quotas": [{ "limit": 10, "per": "minute" }] },
            "ops": {}
        },
        "keys": {
            "ada": {
                "sha256": ["a".repeat(64)], "subjects": ["repo:acme/*"], "roles": ["reader"], "team": "eng",
                "quotas": [{ "limit": 100, "per": "hour", "burst": 10, "on": "docs/*" }],
                "budget": { "limit": 5, "per": "day", "scope": "global" },
                "loops": { "identicalCalls": 3, "per": "1m", "anyCall": { "limit": 50, "per": "1h" } },
                "labels": { "env": "prod" }, "expires": "2100-01-01T00:00:00Z"
            },
            "bob": { "sha256": ["b".repeat(64)], "subjects": ["user:bob", "repo:bob/*"] },
            "anyone": { "sha256": ["f".repeat(64)] }
        },
        "rateLimitService": { "cluster": "limits", "timeout": "50ms" },
        "sessions": { "secretEnv": "SECRET" },
        "telemetry": { "arguments": "values", "mask": [{ "path": "/password" }] }
    })
}

fn file(document: &Value) -> PolicyFile {
    let part = Part {
        path: PathBuf::from("p.json"),
        text: document.to_string().into_bytes(),
    };
    PolicyFile::of(&[part]).unwrap_or_else(|problems| panic!("{document}: {problems:?}"))
}

/// The full policy against itself with something put at a pointer (null: taken away).
fn with(pointer: &str, value: Value) -> Value {
    let mut changed = full();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = changed.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match (parent, value) {
        (Value::Object(members), Value::Null) => drop(members.remove(name)),
        (Value::Object(members), value) => drop(members.insert(name.to_owned(), value)),
        _ => panic!("{pointer}"),
    }
    changed
}

fn effects(changes: &[Change]) -> BTreeSet<Effect> {
    changes.iter().map(|change| change.effect).collect()
}

#[test]
fn what_says_the_same_is_no_difference() {
    let mut same = full();
    same["$schema"] = json!("https://example.com/policy.schema.json");
    same["mode"] = json!("enforce");
    same["servers"]["files"]["tools"] = json!({});
    same["keys"]["bob"]["roles"] = json!([]);
    assert_eq!(changes(&file(&full()), &file(&same)), []);
}

#[test]
fn grants_that_only_move_are_no_widening() {
    let mut moved = full();
    moved["roles"]["finder"] = json!({ "allow": ["docs/find", "docs/a*"] });
    moved["keys"]["ada"]["roles"] = json!(["reader", "finder"]);
    let found = changes(&file(&full()), &file(&moved));
    assert_eq!(effects(&found), [Effect::Other].into(), "{found:?}");

    // Two patterns that cover a third only together.
    let before = with("/roles/reader/allow", json!(["docs/a*", "docs/ab"]));
    let after = with("/roles/reader/allow", json!(["docs/a", "docs/a*"]));
    let found = changes(&file(&before), &file(&after));
    assert!(!effects(&found).contains(&Effect::Wider), "{found:?}");
}

#[test]
fn a_shadowed_key_gains_nothing_now_but_its_grants_are_told() {
    let mut before = full();
    before["mode"] = json!("shadow");
    let mut after = before.clone();
    after["roles"]["reader"]["allow"] = json!(["docs/*", "files/*"]);
    let found = changes(&file(&before), &file(&after));
    assert!(
        found.iter().any(|change| change.effect == Effect::Wider
            && change
                .what
                .starts_with("gains tools of files once it is enforced")),
        "{found:?}"
    );
    // Enforcement takes; it gives nothing.
    after["mode"] = json!("enforce");
    let found = changes(&file(&before), &file(&after));
    assert!(!effects(&found).contains(&Effect::Wider), "{found:?}");
}

#[test]
fn roles_that_a_claim_can_name_count_for_everybody() {
    let mut before = full();
    before["identity"]["jwt"]["rolesClaim"] = json!("groups");
    for (pointer, value) in [
        ("/roles/idle/allow", json!(["files/*", "docs/x"])),
        ("/roles/new", json!({ "allow": ["docs/x"] })),
        ("/roles/reader/deny", json!([])),
    ] {
        let mut after = with(pointer, value);
        after["identity"]["jwt"]["rolesClaim"] = json!("groups");
        let found = changes(&file(&before), &file(&after));
        assert!(
            found
                .iter()
                .any(|change| change.kind == "role" && change.effect == Effect::Wider),
            "{found:?}"
        );
    }
}

#[test]
fn every_member_of_the_format_is_read() {
    let schema = toolgate_engine::policy::json_schema();
    let mut missing = Vec::new();
    walk(&schema, &schema, "", &mut missing);
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "teach the comparison what these mean"
    );
}

/// Members in the schema that [`READ`] does not have.
fn walk(root: &Value, at: &Value, place: &str, missing: &mut Vec<String>) {
    if let Some(target) = at["$ref"].as_str() {
        let target = target.strip_prefix('#').unwrap();
        return walk(root, root.pointer(target).unwrap(), place, missing);
    }
    for alternative in ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|name| at[name].as_array())
        .flatten()
    {
        walk(root, alternative, place, missing);
    }
    let read = READ
        .iter()
        .find(|(known, _)| *known == place)
        .map(|(_, read)| *read);
    for (name, member) in at["properties"].as_object().into_iter().flatten() {
        if !read.is_some_and(|read| read.contains(&&**name)) {
            missing.push(format!("{place}/{name}"));
        }
        walk(root, member, &format!("{place}/{name}"), missing);
    }
    for inner in ["additionalProperties", "items"] {
        if at[inner].is_object() {
            walk(root, &at[inner], &format!("{place}/*"), missing);
        }
    }
}
