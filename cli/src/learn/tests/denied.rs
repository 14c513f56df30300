//! What roles deny, learning does not allow.

use serde_json::{Value, json};
use toolgate_engine::decide::Why;

use super::{call, file, parsed, seen};
use crate::learn::narrowed;

/// Says what the filter says of a deny that matched.
fn noted(mut record: Value, tool: &str) -> Value {
    let deny = Why::Deny {
        role: "r",
        pattern: "docs/drop*",
    };
    record["would_deny"] = json!("hidden");
    record["detail"] = json!(format!("{tool:?}: {deny}"));
    record
}

#[test]
fn what_somebody_denied_is_no_missing_grant() {
    let forged = "x\": denied by \"a\" of role \"r\"";
    let mut missing = call("k", "docs", forged);
    missing["would_deny"] = json!("hidden");
    missing["detail"] = json!(format!("{forged:?}: {}", Why::NoAllow));
    let observed = seen(&[
        noted(call("k", "docs", "drop_all"), "drop_all"),
        noted(call("k", "docs", "drop\\\""), "drop\\\""),
        missing,
    ]);
    let used: Vec<&str> = observed.keys["k"].uses.iter().map(|used| &*used.name).collect();
    assert_eq!(used, [forged]);
    let refused: Vec<_> = observed
        .refused
        .keys()
        .map(|refused| (&*refused.object, refused.shadow, refused.why.as_deref()))
        .collect();
    let why = Some("denied by \"docs/drop*\" of role \"r\"");
    assert_eq!(refused, [("drop\\\"", true, why), ("drop_all", true, why)]);
    assert_eq!(observed.counted, 1);
}

#[test]
fn what_roles_deny_stays_denied_to_the_same_keys() {
    let base = |claim: Value| {
        let digest = |n: u32| json!([format!("{n:064}")]);
        let mut policy = json!({
            "version": 1, "mode": "shadow", "servers": { "docs": { "path": "/docs" } },
            "roles": {
                "all": { "allow": ["docs/*"], "deny": ["docs/drop*"] },
                "noted": { "deny": ["docs/old*"], "mode": "shadow" },
                "own": { "allow": ["docs/*"], "deny": ["docs/x"] }
            },
            "keys": {
                "a": { "sha256": digest(1), "roles": ["all", "noted"] },
                "b": { "sha256": digest(2), "roles": ["all"] },
                "c": { "sha256": digest(3), "roles": ["own"] },
                "d": { "sha256": digest(4), "roles": [] },
                "idle": { "sha256": digest(5), "roles": ["all"] }
            }
        });
        if !claim.is_null() {
            policy["identity"]["jwt"] = json!({ "rolesClaim": claim });
        }
        file(&policy.to_string())
    };
    // The log of another policy: nothing in it was denied then.
    let observed = seen(&[
        call("a", "docs", "get"),
        call("a", "docs", "old_one"),
        call("b", "docs", "get"),
        call("b", "docs", "drop_all"),
        call("c", "docs", "get"),
        call("d", "docs", "drop_all"),
    ]);
    let learned = narrowed(&base(Value::Null), &observed);
    let policy = parsed(&learned);
    assert_eq!(
        policy["roles"],
        json!({
            "a": { "allow": ["docs/get"], "deny": ["docs/drop*"] },
            "a~2": { "deny": ["docs/old*"], "mode": "shadow" },
            "b": { "allow": ["docs/get"], "deny": ["docs/drop*"] },
            "d": { "allow": ["docs/drop_all"] },
            "idle": { "deny": ["docs/drop*"] },
            "own": { "allow": ["docs/get"], "deny": ["docs/x"] },
        })
    );
    assert_eq!(policy["keys"]["a"]["roles"], json!(["a", "a~2"]));
    assert_eq!(policy["keys"]["idle"]["roles"], json!(["idle"]));
    assert_eq!(
        learned.notes,
        [
            "key \"a\" used what its roles deny, 1 in all, such as \"docs/old_one\": that is not granted",
            "key \"b\" used what its roles deny, 1 in all, such as \"docs/drop_all\": that is not granted",
        ]
    );

    // A claim can still name them.
    let policy = parsed(&narrowed(&base(json!("groups")), &observed));
    assert_eq!(policy["roles"]["all"], json!({ "deny": ["docs/drop*"] }));
    assert_eq!(
        policy["roles"]["noted"],
        json!({ "deny": ["docs/old*"], "mode": "shadow" })
    );
    assert_eq!(
        policy["roles"]["own"],
        json!({ "allow": ["docs/get"], "deny": ["docs/x"] })
    );
}

#[test]
fn a_token_gets_nothing_new_by_a_name_that_it_says_already() {
    let digest = |n: u32| json!([format!("{n:064}")]);
    let base = |identity: Value| {
        let policy = json!({
            "version": 1, "mode": "shadow", "identity": identity, "servers": { "docs": { "path": "/docs" } },
            "roles": {
                "bob": { "allow": ["docs/get"] }, "eve": { "allow": ["docs/*"] }, "one": { "allow": ["docs/get"] }
            },
            "keys": {
                "bob": { "sha256": digest(1), "roles": ["one"] },
                "eve": { "sha256": digest(2), "roles": ["eve"] }
            }
        });
        file(&policy.to_string())
    };
    let mut missing = call("bob", "docs", "drop");
    missing["would_deny"] = json!("no_grant");
    let observed = seen(&[call("bob", "docs", "get"), missing, call("eve", "docs", "drop")]);
    let roles = |identity| parsed(&narrowed(&base(identity), &observed))["roles"].take();
    // "bob" is somebody else's, and "one" did not allow docs/drop.
    assert_eq!(
        roles(json!({ "jwt": { "rolesClaim": "groups" } })),
        json!({ "bob~2": { "allow": ["docs/drop", "docs/get"] }, "eve": { "allow": ["docs/drop"] } })
    );
    // Where no token names roles, names are only names.
    assert_eq!(
        roles(json!({})),
        json!({ "one": { "allow": ["docs/drop", "docs/get"] }, "eve": { "allow": ["docs/drop"] } })
    );
}
