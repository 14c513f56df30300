//! The rule against the engine: what it allows under the new policy and not under the old one, the comparison calls
//! wider.

use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use toolgate_engine::binding::Secrets;
use toolgate_engine::decide::{Verdict, check_server, item_access};
use toolgate_engine::exchange::{Engine, UnixNanos, explain};
use toolgate_engine::identity::as_key;
use toolgate_engine::mcp::method::List;
use toolgate_engine::policy::Mode;
use toolgate_engine::reason::Reason;
use toolgate_engine::store::MemoryStore;

use super::{Effect, changes};
use crate::policy_file::{Part, PolicyFile};

const NOW: UnixNanos = UnixNanos(1_800_000_000_000_000_000);
const SERVERS: [&str; 2] = ["a", "b"];
const NAMES: [&str; 5] = ["x", "y", "xy", "yx", "zz"];
const URIS: [&str; 3] = ["file:///x", "file:///y/x", "z:x"];

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_engine_newly_allows_is_called_wider(old in policy(), new in policy()) {
        judge(&old, &new)?;
    }

    /// Most pairs differ everywhere, and one widening hides another; these differ in one place.
    #[test]
    fn one_changed_member_is_enough(old in policy(), other in policy(), at in any::<prop::sample::Index>()) {
        let places = places(&old, &other);
        prop_assume!(!places.is_empty());
        let mut new = old.clone();
        put(&mut new, &places[at.index(places.len())], &other);
        judge(&old, &new)?;
        judge(&new, &old)?;
    }
}

/// As many as `PROPTEST_CASES` says, else a few.
fn cases() -> u32 {
    let said = std::env::var("PROPTEST_CASES").ok();
    said.and_then(|cases| cases.parse().ok()).unwrap_or(150)
}

fn judge(old: &Value, new: &Value) -> Result<(), TestCaseError> {
    let (Some(before), Some(after)) = (file(old), file(new)) else {
        return Err(TestCaseError::reject("no policy"));
    };
    let found = changes(&before, &after);
    let wider = found.iter().any(|change| change.effect == Effect::Wider);
    let (by_claims, new_by_claims) = (claimed(&before), claimed(&after));
    for question in &new_by_claims {
        prop_assert!(
            wider || by_claims.contains(question),
            "{question:?} with claims only by\n{new}\nand not by\n{old}\n{found:?}"
        );
    }
    let (before, after) = (allowed(before), allowed(after));
    for question in &after {
        prop_assert!(
            wider || before.contains(question),
            "{question:?} is allowed only by\n{new}\nand not by\n{old}\n{found:?}"
        );
    }
    if old == new {
        prop_assert!(found.is_empty(), "{found:?}");
    }
    Ok(())
}

/// What the engine lets through, whoever asks for whatever.
fn allowed(file: PolicyFile) -> Vec<(String, &'static str, String)> {
    let engine = Engine::new(file.policy, Secrets::random([0; 32]));
    let policy = engine.policy();
    let mut passed = Vec::new();
    for (key, name) in policy.keys().map(|(id, key)| (id, key.name.to_string())) {
        for server in SERVERS {
            let Some(id) = policy.server_by_name(server) else {
                continue;
            };
            for body in questions() {
                let store = MemoryStore::new();
                let explained = explain(&engine, key, id, Some(body.to_string().as_bytes()), &store, NOW);
                if explained.decision == Reason::Allowed {
                    passed.push((name.clone(), server, body.to_string()));
                }
            }
        }
    }
    passed
}

/// What keys of tokens may use, whatever roles these name: key, roles, server, and the item (none: the server itself).
fn claimed(file: &PolicyFile) -> Vec<(String, Vec<&str>, &'static str, Option<&'static str>)> {
    let policy = &file.policy;
    let jwt = policy.identity().jwt.as_ref();
    if jwt.is_none_or(|jwt| jwt.roles_claim.is_none()) {
        return Vec::new();
    }
    let mut passed = Vec::new();
    let keys = policy
        .keys()
        .filter(|(_, key)| !key.subjects.is_empty() && !key.disabled);
    for ((id, key), claim) in keys.flat_map(|key| (0_u8..8).map(move |claim| (key, claim))) {
        let Ok(mut caller) = as_key(policy, id, NOW) else {
            continue;
        };
        let mut names = Vec::new();
        for (bit, name) in ["r", "s", "t"].into_iter().enumerate() {
            if claim & (1 << bit) != 0 {
                names.push(name);
                let role = policy.role_by_name(name).unwrap();
                caller.roles.extend((!key.roles.contains(&role)).then_some(role));
            }
        }
        for name in SERVERS {
            let Some(server) = policy.server_by_name(name).map(|id| policy.server(id)) else {
                continue;
            };
            if matches!(check_server(policy, &caller, server), Verdict::Refused(refusal) if refusal.mode == Mode::Enforce)
            {
                continue;
            }
            passed.push((key.name.to_string(), names.clone(), name, None));
            let tools = NAMES.map(|name| (List::Tools, name)).into_iter();
            for (list, item) in tools.chain(URIS.map(|uri| (List::Resources, uri))) {
                if item_access(policy, &caller, server, list, item).is_listed() {
                    passed.push((key.name.to_string(), names.clone(), name, Some(item)));
                }
            }
        }
    }
    passed
}

fn questions() -> Vec<Value> {
    let ask = |method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let mut questions = Vec::new();
    for name in NAMES {
        for arguments in [json!({}), json!({ "q": 9_007_199_254_740_993_u64 })] {
            questions.push(ask("tools/call", json!({ "name": name, "arguments": arguments })));
        }
        questions.push(ask("prompts/get", json!({ "name": name })));
    }
    questions.extend(URIS.map(|uri| ask("resources/read", json!({ "uri": uri }))));
    questions.push(ask("x/extension", json!({})));
    questions
}

fn file(document: &Value) -> Option<PolicyFile> {
    let part = Part {
        path: PathBuf::from("p.json"),
        text: document.to_string().into_bytes(),
    };
    PolicyFile::of(&[part]).ok()
}

/// Members of the roots and of servers, roles and keys that can be taken from the other policy.
fn places(old: &Value, other: &Value) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (name, value) in [old, other].into_iter().flat_map(members) {
        found.push(vec![name.clone()]);
        for (inner, value) in members(value) {
            found.push(vec![name.clone(), inner.clone()]);
            found.extend(members(value).map(|(last, _)| vec![name.clone(), inner.clone(), last.clone()]));
        }
    }
    found.sort();
    found.dedup();
    found.retain(|place| get(old, place) != get(other, place));
    found
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn get<'v>(value: &'v Value, place: &[String]) -> Option<&'v Value> {
    place.iter().try_fold(value, |value, name| value.get(name))
}

fn put(value: &mut Value, place: &[String], other: &Value) {
    let theirs = get(other, place).cloned();
    let (last, parents) = place.split_last().unwrap();
    let mut at = value;
    for parent in parents {
        let Some(next) = at.get_mut(parent) else { return };
        at = next;
    }
    let Some(object) = at.as_object_mut() else { return };
    match theirs {
        Some(theirs) => object.insert(last.clone(), theirs),
        None => object.remove(last),
    };
}

fn policy() -> impl Strategy<Value = Value> {
    let servers = [server("a"), server("b")];
    let roles = [role(), role(), role()];
    let keys = [key(1), key(2)];
    let present = prop_oneof![1 => Just(1), 3 => Just(3)];
    let settings = prop_oneof![
        4 => Just(json!({})),
        1 => Just(json!({ "mode": "shadow" })),
        1 => Just(json!({ "limits": { "bigIntegers": true } })),
        1 => Just(json!({ "unmatched": "pass" })),
    ];
    let claim = prop_oneof![3 => Just(json!({ "rolesClaim": "groups" })), 1 => Just(json!({}))];
    (servers, roles, keys, present, settings, claim).prop_map(
        |(servers, roles, keys, present, settings, claim)| {
            let mut policy = settings;
            policy["identity"]["jwt"] = claim;
            policy["version"] = json!(1);
            policy["roles"] = json!({ "r": roles[0], "s": roles[1], "t": roles[2] });
            for (name, value, bit) in [("a", &servers[0], 1), ("b", &servers[1], 2)] {
                if present & bit != 0 {
                    policy["servers"][name] = value.clone();
                }
            }
            for (name, value) in ["k", "l"].into_iter().zip(keys) {
                if !value.is_null() {
                    policy["keys"][name] = value;
                }
            }
            policy
        },
    )
}

fn server(name: &'static str) -> impl Strategy<Value = Value> {
    let methods = prop_oneof![
        4 => Just(Value::Null),
        1 => Just(json!(["tools/*"])),
        1 => Just(json!(["tools/call", "prompts/*", "x/*"])),
        1 => Just(json!(["*"])),
        1 => Just(json!([])),
    ];
    let unlisted = prop_oneof![3 => Just(Value::Null), 1 => Just(json!("deny")), 1 => Just(json!("allow"))];
    let schemas = prop_oneof![3 => Just(Value::Null), 1 => Just(json!("off"))];
    let schema = prop_oneof![
        2 => Just(json!({})),
        1 => Just(json!({ "inputSchema": { "type": "object", "required": ["q"] } })),
        1 => Just(json!({ "inputSchema": { "type": "object" } })),
    ];
    let tools = prop::collection::btree_map(prop::sample::select(&NAMES[..]), schema, 0..3);
    (methods, unlisted, schemas, tools, any::<bool>()).prop_map(
        move |(methods, unlisted, schemas, tools, same)| {
            // Both on one path, told apart by the host, or each on its own.
            let mut server = match (same, name) {
                (true, "b") => json!({ "path": "/a", "host": "b.example" }),
                _ => json!({ "path": format!("/{name}") }),
            };
            set(&mut server, "methods", methods);
            set(&mut server, "unlistedTools", unlisted);
            set(&mut server, "schemas", schemas);
            server["tools"] = json!(tools);
            server
        },
    )
}

fn role() -> impl Strategy<Value = Value> {
    let lists = [patterns(), patterns(), patterns(), patterns()];
    (lists, mode()).prop_map(|([allow, deny, prompts, resources], mode)| {
        let mut role = json!({ "allow": allow, "prompts": prompts, "resources": resources });
        // Fewer denies, so that something is left.
        role["deny"] = json!(deny.into_iter().filter(|text| text.len() > 3).collect::<Vec<_>>());
        set(&mut role, "mode", mode);
        role
    })
}

fn patterns() -> impl Strategy<Value = Vec<String>> {
    let server = prop_oneof![2 => Just("*"), 1 => Just("a*")];
    let name = prop::sample::select(vec![
        "*",
        "x",
        "y",
        "x*",
        "*x",
        "*y*",
        "xy",
        "**",
        "x*x",
        "file:///*",
        "file:///y/*",
        "z:*",
        "z*z",
    ]);
    prop::collection::vec(
        (server, name).prop_map(|(server, name)| format!("{server}/{name}")),
        0..3,
    )
}

fn mode() -> impl Strategy<Value = Value> {
    prop_oneof![4 => Just(Value::Null), 1 => Just(json!("shadow")), 1 => Just(json!("enforce"))]
}

fn key(number: u8) -> impl Strategy<Value = Value> {
    let roles = prop::sample::subsequence(vec!["r", "s", "t"], 0..=3);
    let end = prop_oneof![
        4 => Just(json!({})),
        1 => Just(json!({ "disabled": true })),
        1 => Just(json!({ "expires": "2020-01-01T00:00:00Z" })),
        1 => Just(json!({ "expires": "2100-01-01T00:00:00Z" })),
        1 => Just(Value::Null),
    ];
    (roles, mode(), end).prop_map(move |(roles, mode, end)| {
        if end.is_null() {
            return end;
        }
        let mut key = end;
        key["sha256"] = json!([format!("{number:064}")]);
        key["subjects"] = json!([format!("s{number}")]);
        key["roles"] = json!(roles);
        set(&mut key, "mode", mode);
        key
    })
}

fn set(object: &mut Value, name: &str, value: Value) {
    if !value.is_null() {
        let members: Option<&mut Map<String, Value>> = object.as_object_mut();
        members.unwrap().insert(name.to_owned(), value);
    }
}
