//! Keys, roles and teams.

use serde_json::{Value, json};

use super::check;
use crate::diff::Effect::{Narrower, Other, Wider};

#[test]
fn changes_of_keys_roles_and_teams() {
    let digest = |letter: &str| json!([letter.repeat(64)]);
    check([
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
    ]);
}
