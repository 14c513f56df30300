mod attacks;

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
fn each_change_has_its_effect_and_the_way_back_the_other() {
    use Effect::{Narrower, Other, Wider};
    let digest = |letter: &str| json!([letter.repeat(64)]);
    for (pointer, value, there, back, says) in [
        (
            "/mode",
            json!("shadow"),
            Wider,
            Narrower,
            "mode: enforce → shadow",
        ),
        ("/hold", json!("body"), Wider, Narrower, "hold: headers → body"),
        (
            "/unmatched",
            json!("pass"),
            Wider,
            Narrower,
            "unmatched: deny → pass",
        ),
        (
            "/decisionHeader",
            json!(false),
            Other,
            Other,
            "decisionHeader: true → false",
        ),
        (
            "/contextHeaders",
            json!(true),
            Other,
            Wider,
            "contextHeaders: false → true",
        ),
        (
            "/origins",
            json!(["https://a.example", "https://b.example"]),
            Wider,
            Narrower,
            "origins: \"https://b.example\" added",
        ),
        (
            "/origins",
            Value::Null,
            Wider,
            Narrower,
            "Origin is no longer checked",
        ),
        (
            "/identity/headers",
            json!(["x-key", "y-key"]),
            Wider,
            Wider,
            "keys may come in the header \"y-key\"",
        ),
        (
            "/identity/jwt/rolesClaim",
            json!("groups"),
            Wider,
            Wider,
            "the claim \"groups\" adds roles",
        ),
        (
            "/identity/jwt/claim",
            json!("email"),
            Wider,
            Wider,
            "identity.jwt.claim: sub → email",
        ),
        (
            "/identity/anonymous",
            json!("bob"),
            Wider,
            Wider,
            "requests without a credential act as \"bob\"",
        ),
        (
            "/limits/requestBytes",
            json!(2000),
            Wider,
            Narrower,
            "limits.requestBytes: 1000 bytes → 2000 bytes",
        ),
        (
            "/limits/bodyTimeout",
            json!("1m"),
            Wider,
            Narrower,
            "limits.bodyTimeout: 15s → 1m",
        ),
        (
            "/limits/bigIntegers",
            json!(true),
            Wider,
            Narrower,
            "limits.bigIntegers: false → true",
        ),
        (
            "/servers/docs/path",
            json!("/d"),
            Wider,
            Wider,
            "moved from /docs to /d",
        ),
        (
            "/servers/docs/host",
            json!("h.example"),
            Wider,
            Wider,
            "moved from /docs to h.example/docs",
        ),
        (
            "/servers/docs/methods",
            json!(["tools/*", "x/*"]),
            Wider,
            Narrower,
            "accepts other methods, such as",
        ),
        // And back: any method that begins with tools/ is accepted then.
        (
            "/servers/docs/methods",
            Value::Null,
            Wider,
            Wider,
            "accepts resources/read, ",
        ),
        (
            "/servers/docs/unlistedTools",
            json!("deny"),
            Narrower,
            Wider,
            "unlistedTools: allow → deny",
        ),
        (
            "/servers/docs/schemas",
            json!("off"),
            Wider,
            Narrower,
            "schemas: policy → off",
        ),
        (
            "/servers/docs/schemas",
            json!("advertised"),
            Narrower,
            Wider,
            "schemas: policy → advertised",
        ),
        (
            "/servers/docs/integrity",
            json!("off"),
            Wider,
            Narrower,
            "integrity: pinned → off",
        ),
        (
            "/servers/docs/cost",
            json!(0.1),
            Wider,
            Narrower,
            "cost: 0.5 → 0.1",
        ),
        (
            "/servers/docs/costPerKiB",
            json!(0.1),
            Narrower,
            Wider,
            "costPerKiB: 0 → 0.1",
        ),
        (
            "/servers/docs/breaker",
            Value::Null,
            Wider,
            Narrower,
            "breaker removed",
        ),
        (
            "/servers/docs/breaker/failures",
            json!(9),
            Wider,
            Narrower,
            "breaker, failures: 5 → 9",
        ),
        (
            "/servers/docs/breaker/open",
            json!("1m"),
            Narrower,
            Wider,
            "breaker, open: 30s → 1m",
        ),
        (
            "/servers/docs/breaker/slow",
            Value::Null,
            Wider,
            Narrower,
            "breaker, slow: 5s → none",
        ),
        (
            "/servers/docs/breaker/ratio",
            json!(0.75),
            Wider,
            Narrower,
            "breaker, ratio: 50 % → 75 %",
        ),
        (
            "/servers/docs/breaker/each",
            json!("server"),
            Wider,
            Wider,
            "breaker, each: tool → server",
        ),
        (
            "/servers/docs/tools/find/breaker/failures",
            json!(4),
            Wider,
            Narrower,
            "breaker of find, failures: 3 → 4",
        ),
        (
            "/servers/docs/clientCapabilities/roots",
            json!("allow"),
            Wider,
            Narrower,
            "client capability roots: strip → allow",
        ),
        (
            "/servers/docs/tools/find/inputSchema",
            Value::Null,
            Wider,
            Narrower,
            "arguments of find need fit no schema",
        ),
        (
            "/servers/docs/tools/find/inputSchema",
            json!({ "type": "object", "maxProperties": 1 }),
            Wider,
            Wider,
            "the schema of find changed",
        ),
        (
            "/servers/docs/tools/find/cost",
            json!(0.3),
            Narrower,
            Wider,
            "cost of find: 0.25 → 0.3",
        ),
        (
            "/servers/more",
            json!({ "path": "/more" }),
            Other,
            Narrower,
            "added at /more",
        ),
        (
            "/servers/more",
            json!({ "path": "/docs", "host": "x.example" }),
            Wider,
            Wider,
            "shares the path \"/docs\" with server \"docs\"",
        ),
        (
            "/roles/reader/allow",
            json!(["docs/*", "files/read"]),
            Wider,
            Narrower,
            "gains files/read by \"files/read\" of role \"reader\"",
        ),
        (
            "/roles/reader/allow",
            json!(["*/*"]),
            Wider,
            Narrower,
            "gains tools of files, such as \"files/x\" by \"*/*\" of role \"reader\"",
        ),
        (
            "/roles/reader/deny",
            json!([]),
            Wider,
            Narrower,
            "gains tools of docs, such as \"docs/drop\" by \"docs/*\" of role \"reader\"",
        ),
        (
            "/roles/reader/prompts",
            json!(["docs/*"]),
            Wider,
            Narrower,
            "gains prompts of docs, such as",
        ),
        (
            "/roles/reader/resources",
            json!(["docs/file:///a*"]),
            Narrower,
            Wider,
            "loses resources of docs, such as",
        ),
        (
            "/roles/reader/mode",
            json!("shadow"),
            Wider,
            Narrower,
            "mode: the policy's → shadow",
        ),
        // Nobody has it.
        (
            "/roles/idle/allow",
            json!(["*/*"]),
            Other,
            Other,
            "allow: \"*/*\" added",
        ),
        (
            "/teams/all/budget/limit",
            json!(200),
            Wider,
            Narrower,
            "budget raised: budget of 100 per month → budget of 200 per month",
        ),
        (
            "/teams/eng/quotas",
            json!([]),
            Wider,
            Narrower,
            "quota removed: 10 per minute",
        ),
        (
            "/teams/eng/parent",
            Value::Null,
            Wider,
            Narrower,
            "no longer held to budget of 100 per month of team \"all\"",
        ),
        (
            "/keys/ada/team",
            json!("ops"),
            Wider,
            Narrower,
            "no longer held to 10 per minute of team \"eng\"",
        ),
        (
            "/keys/ada/quotas",
            json!([{ "limit": 100, "per": "hour", "burst": 20, "on": "docs/*" }]),
            Wider,
            Narrower,
            "quota raised: 100 per hour (burst 10) on \"docs/*\" → 100 per hour (burst 20) on \"docs/*\"",
        ),
        (
            "/keys/ada/quotas",
            json!([{ "limit": 100, "per": "hour", "burst": 10, "on": "docs/f*" }]),
            Wider,
            Wider,
            "quota removed: 100 per hour",
        ),
        (
            "/keys/ada/budget/per",
            json!("month"),
            Wider,
            Wider,
            "budget: budget of 5 per day globally → budget of 5 per month globally",
        ),
        (
            "/keys/ada/budget/scope",
            json!("local"),
            Wider,
            Wider,
            "budget: budget of 5 per day globally → budget of 5 per day",
        ),
        (
            "/keys/ada/loops/identicalCalls",
            json!(4),
            Wider,
            Narrower,
            "limit on identical calls raised: 3 per 1m → 4 per 1m",
        ),
        (
            "/keys/ada/loops/per",
            json!("2m"),
            Narrower,
            Wider,
            "limit on identical calls lowered",
        ),
        (
            "/keys/ada/loops/anyCall",
            Value::Null,
            Wider,
            Narrower,
            "limit on calls in one run removed: 50 per 1h",
        ),
        (
            "/keys/ada/labels/env",
            json!("test"),
            Other,
            Other,
            "labels changed",
        ),
        (
            "/keys/ada/expires",
            Value::Null,
            Wider,
            Narrower,
            "expires: 2100-01-01T00:00:00Z → never",
        ),
        ("/keys/ada/disabled", json!(true), Narrower, Wider, "disabled"),
        (
            "/keys/ada/mode",
            json!("shadow"),
            Wider,
            Narrower,
            "mode: enforce → shadow",
        ),
        (
            "/keys/ada/mode",
            json!("enforce"),
            Other,
            Other,
            "mode: the policy's → enforce",
        ),
        (
            "/keys/ada/roles",
            json!([]),
            Narrower,
            Wider,
            "loses docs/find: no role of the key allows it",
        ),
        (
            "/keys/ada/sha256",
            digest("c"),
            Wider,
            Wider,
            "is presented by one more credential",
        ),
        (
            "/keys/ada/subjects",
            json!(["repo:acme/*", "repo:acme/x"]),
            Other,
            Narrower,
            "subject \"repo:acme/x\" added",
        ),
        (
            "/keys/ada/subjects",
            json!(["repo:acme/*", "repo:*"]),
            Wider,
            Wider,
            "subject \"repo:*\" added",
        ),
        (
            "/keys/eve",
            json!({ "sha256": digest("e"), "roles": ["reader"] }),
            Wider,
            Narrower,
            "added with role \"reader\"",
        ),
        (
            "/keys/eve",
            json!({ "sha256": digest("e"), "disabled": true }),
            Other,
            Narrower,
            "added without a role, disabled",
        ),
        // Subjects that two keys match were refused.
        (
            "/keys/eve",
            json!({ "subjects": ["*:bob"] }),
            Wider,
            Wider,
            "added without a role",
        ),
        (
            "/rateLimitService/onError",
            json!("allow"),
            Wider,
            Narrower,
            "rateLimitService.onError: deny → allow",
        ),
        (
            "/rateLimitService/domain",
            json!("d"),
            Wider,
            Wider,
            "rateLimitService.domain: toolgate → d",
        ),
        (
            "/rateLimitService/timeout",
            json!("1s"),
            Other,
            Other,
            "rateLimitService.timeout: 50ms → 1s",
        ),
        (
            "/sessions/secretEnv",
            json!("OTHER"),
            Wider,
            Wider,
            "sessions.secretEnv: SECRET → OTHER",
        ),
        (
            "/telemetry/arguments",
            json!("off"),
            Other,
            Wider,
            "telemetry.arguments: values → off",
        ),
        (
            "/telemetry/mask",
            json!([{ "path": "/password" }, { "path": "/x" }]),
            Narrower,
            Wider,
            "telemetry.mask: {\"path\":\"/x\"} added",
        ),
        (
            "/telemetry/perKey",
            json!(false),
            Other,
            Other,
            "telemetry.perKey: true → false",
        ),
    ] {
        let (old, new) = (file(&full()), file(&with(pointer, value.clone())));
        let found = changes(&old, &new);
        let texts: Vec<&str> = found.iter().map(|change| &*change.what).collect();
        assert!(
            found.iter().any(|change| change.what.starts_with(says)),
            "{pointer} {value}: {says:?} is not in {texts:?}"
        );
        let strongest = |changes: &[Change]| effects(changes).into_iter().next();
        assert_eq!(strongest(&found), Some(there), "{pointer} {value}: {found:?}");
        let found = changes(&new, &old);
        assert_eq!(
            strongest(&found),
            Some(back),
            "{pointer} {value}, back: {found:?}"
        );
    }
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
