//! Changes that give somebody more and do not look like it.

use serde_json::{Value, json};

use super::{effects, file, full, with};
use crate::diff::{Change, Effect, changes};

/// Puts a value at a pointer; null takes away.
fn put(document: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = document.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let members = changed
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .unwrap();
    match value {
        Value::Null => drop(members.remove(name)),
        value => drop(members.insert(name.to_owned(), value)),
    }
    changed
}

fn between(old: &Value, new: &Value) -> Vec<Change> {
    changes(&file(old), &file(new))
}

#[track_caller]
fn is_wider(old: &Value, new: &Value, kind: &str, says: &str) {
    let found = between(old, new);
    assert!(
        found.iter().any(|change| change.effect == Effect::Wider
            && change.kind == kind
            && change.what.contains(says)),
        "{kind}, {says:?}: {found:?}"
    );
}

/// No key names the role `idle`; tokens can.
fn claimed() -> Value {
    with("/identity/jwt/rolesClaim", json!("groups"))
}

#[test]
fn what_roles_reach_that_only_claims_name_is_told() {
    let everywhere = put(&claimed(), "/roles/idle/allow", json!(["*/*"]));
    let new = put(&everywhere, "/servers/more", json!({ "path": "/more" }));
    is_wider(&everywhere, &new, "role", "gains tools of more");
    for (list, says) in [
        ("prompts", "gains prompts of more"),
        ("resources", "gains resources of more"),
    ] {
        let role = json!({ list: ["*/*"] });
        let old = put(&claimed(), "/roles/idle", role);
        let new = put(&old, "/servers/more", json!({ "path": "/more" }));
        is_wider(&old, &new, "role", says);
    }

    // A tool's entry is what makes it callable.
    let listed = put(&claimed(), "/servers/files/unlistedTools", json!("deny"));
    let new = put(&listed, "/servers/files/tools", json!({ "read": {} }));
    is_wider(&listed, &new, "role", "gains files/read");
    assert!(!effects(&between(&new, &listed)).contains(&Effect::Wider));

    // Enforcement that begins for everybody hides nothing that one key gains meanwhile.
    let mut old = put(&everywhere, "/mode", json!("shadow"));
    old = put(&old, "/keys/ada/mode", json!("enforce"));
    let new = put(
        &put(&old, "/servers/more", json!({ "path": "/more" })),
        "/mode",
        Value::Null,
    );
    is_wider(&old, &new, "role", "gains tools of more");

    // What a key's own role refuses, no claim gives it.
    let old = put(
        &put(&claimed(), "/keys/bob/roles", json!(["idle"])),
        "/roles/idle",
        json!({ "deny": ["docs/find"] }),
    );
    is_wider(
        &old,
        &put(&old, "/keys/bob/roles", json!([])),
        "key",
        "no longer has role \"idle\"",
    );

    // Without claims nobody has it.
    let old = with("/roles/idle/allow", json!(["*/*"]));
    let new = put(&old, "/servers/more", json!({ "path": "/more" }));
    assert!(!effects(&between(&old, &new)).contains(&Effect::Wider));
}

#[test]
fn a_server_that_is_reached_without_anything_to_use_is_told() {
    // The tool is denied, or has no entry: neither list nor call shows it, and yet requests get to the server.
    let base = put(&full(), "/servers/files/methods", json!(["x/*"]));
    for role in [
        json!({ "allow": ["files/a"], "deny": ["files/a"] }),
        json!({ "allow": ["files/a", "files/b"], "deny": ["f*/*"] }),
    ] {
        let old = put(&base, "/roles/idle", role);
        let new = put(&old, "/keys/ada/roles", json!(["reader", "idle"]));
        is_wider(&old, &new, "key", "reaches server files");
        let back = between(&new, &old);
        assert!(!effects(&back).contains(&Effect::Wider), "{back:?}");
        assert!(
            back.iter()
                .any(|change| change.what == "no longer reaches server files"),
            "{back:?}"
        );
    }
    let listed = put(&base, "/servers/files/unlistedTools", json!("deny"));
    let new = put(&listed, "/keys/ada/roles", json!(["reader", "idle"]));
    is_wider(&listed, &new, "key", "reaches server files");

    // By a role that a token names.
    let old = put(&claimed(), "/roles/idle", json!({}));
    let new = put(
        &old,
        "/roles/idle",
        json!({ "allow": ["files/a"], "deny": ["files/a"] }),
    );
    is_wider(&old, &new, "role", "reaches server files");
}

#[test]
fn tokens_that_are_no_longer_read_refuse_no_longer() {
    let says = "JWTs are no longer accepted";
    // And so the subjects go.
    let without = |document: &Value| {
        let mut without = put(document, "/identity/jwt", Value::Null);
        for key in without["keys"].as_object_mut().unwrap().values_mut() {
            key.as_object_mut().unwrap().remove("subjects");
        }
        without
    };
    let why = |old: &Value| {
        let found = between(old, &without(old));
        let mut about = found.into_iter().filter(|change| change.what == says);
        about
            .next()
            .map(|change| (change.effect, change.why.unwrap_or_default()))
    };
    let (effect, reason) = why(&full()).unwrap();
    assert_eq!((effect, reason.contains("anonymous")), (Effect::Wider, true));
    let named = put(&full(), "/identity/anonymous", Value::Null);
    let (effect, reason) = why(&named).unwrap();
    assert_eq!((effect, reason.contains("beside it")), (Effect::Wider, true));
    let (effect, reason) = why(&put(&named, "/identity/jwt/rolesClaim", json!("groups"))).unwrap();
    assert_eq!(
        (effect, reason.contains("what roles refuse")),
        (Effect::Wider, true)
    );

    // Nobody can present anything any more.
    let keys = |keys: Value| json!({ "version": 1, "servers": { "s": { "path": "/s" } }, "keys": keys });
    let mut tokens = keys(json!({ "ci": { "subjects": ["x"] } }));
    tokens["identity"] = json!({ "jwt": {} });
    let found = between(&tokens, &keys(json!({})));
    assert_eq!(effects(&found), [Effect::Narrower].into(), "{found:?}");
}

#[test]
fn counts_that_begin_anew_and_breakers_that_close_sooner_are_told() {
    let breaker = with("/servers/docs/breaker/probes", json!(5));
    is_wider(&breaker, &full(), "server", "breaker, probes: 5 → 1");
    is_wider(&full(), &breaker, "server", "breaker, probes: 1 → 5");

    let budget = |limit: u32| {
        with(
            "/keys/ada/budget",
            json!({ "limit": limit, "per": "month", "scope": "global" }),
        )
    };
    // Larger units, of which none is spent.
    is_wider(&budget(5_000), &budget(4_000), "key", "budget");
    assert_eq!(
        effects(&between(&budget(6_000), &budget(5_000))),
        [Effect::Narrower].into()
    );
    let local = |per: &str| with("/keys/ada/budget", json!({ "limit": 5, "per": per }));
    is_wider(&local("day"), &local("total"), "key", "budget");
}

#[test]
fn what_cannot_be_looked_into_is_wider() {
    is_wider(
        &with("/sessions", json!({})),
        &full(),
        "policy",
        "sessions.secretEnv: a random secret → SECRET",
    );
    let random = between(&full(), &with("/sessions", json!({})));
    assert_eq!(effects(&random), [Effect::Other].into());
}

#[test]
fn limits_that_only_seem_stricter_are_wider() {
    let quota = |value: Value| with("/keys/ada/quotas", json!([value]));
    let base = json!({ "limit": 100, "per": "hour" });
    for (what, looser) in [
        ("another window", json!({ "limit": 100, "per": "30m" })),
        (
            "a window that counts longer, from nothing",
            json!({ "limit": 90, "per": "day" }),
        ),
        (
            "each tool",
            json!({ "limit": 100, "per": "hour", "each": "tool" }),
        ),
        (
            "each subject",
            json!({ "limit": 10, "per": "hour", "each": "subject" }),
        ),
        (
            "some tools",
            json!({ "limit": 10, "per": "hour", "on": "docs/*" }),
        ),
        (
            "elsewhere",
            json!({ "limit": 10, "per": "hour", "scope": "global" }),
        ),
        ("burst", json!({ "limit": 90, "per": "hour", "burst": 1000 })),
        ("rate", json!({ "limit": 1000, "per": "hour", "burst": 100 })),
    ] {
        let found = between(&quota(base.clone()), &quota(looser));
        assert!(effects(&found).contains(&Effect::Wider), "{what}: {found:?}");
    }
    let swapped = |first: u32, second: u32| {
        with(
            "/keys/ada/quotas",
            json!([{ "limit": first, "per": "hour" }, { "limit": second, "per": "hour" }]),
        )
    };
    let found = between(
        &swapped(10, 100),
        &with("/keys/ada/quotas", json!([{ "limit": 100, "per": "hour" }])),
    );
    assert!(
        effects(&found).contains(&Effect::Wider),
        "the stricter of two: {found:?}"
    );
    for (pointer, value) in [
        ("/servers/docs/tools/make/cost", json!(0.0)),
        ("/servers/docs/tools/find/breaker", json!({ "ratio": 0.9 })),
        ("/servers/docs/tools/make/breaker", json!({ "failures": 1000 })),
        ("/keys/ada/loops/per", json!("30s")),
        ("/keys/ada/loops/anyCall/limit", json!(51)),
        ("/limits/depth", json!(11)),
        ("/limits/resultBytes", json!(1001)),
        (
            "/telemetry/mask",
            json!([{ "path": "/password", "on": "docs/*" }]),
        ),
        ("/servers/docs/clientCapabilities", json!({})),
        ("/roles/reader/mode", json!("shadow")),
    ] {
        let found = between(&full(), &with(pointer, value));
        assert!(effects(&found).contains(&Effect::Wider), "{pointer}: {found:?}");
    }
}
