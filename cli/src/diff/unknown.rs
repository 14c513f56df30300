//! Members of the format that nothing here has read: whatever they mean, their change is called wider.

use serde_json::{Map, Value};

use super::{About, Effect, Side, UNCLEAR, pointer};

/// By the place of an object (`*` is any name or index): the members that the comparison reads.
pub(super) const READ: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "$schema",
            "version",
            "mode",
            "hold",
            "unmatched",
            "decisionHeader",
            "contextHeaders",
            "identity",
            "origins",
            "limits",
            "servers",
            "roles",
            "teams",
            "keys",
            "rateLimitService",
            "sessions",
            "telemetry",
        ],
    ),
    ("/identity", &["headers", "jwt", "anonymous"]),
    ("/identity/jwt", &["metadata", "claim", "rolesClaim"]),
    (
        "/limits",
        &[
            "requestBytes",
            "resultBytes",
            "depth",
            "bodyTimeout",
            "batches",
            "bigIntegers",
        ],
    ),
    (
        "/servers/*",
        &[
            "path",
            "host",
            "methods",
            "unlistedTools",
            "schemas",
            "integrity",
            "cost",
            "costPerKiB",
            "breaker",
            "clientCapabilities",
            "tools",
        ],
    ),
    ("/servers/*/breaker", BREAKER),
    (
        "/servers/*/clientCapabilities",
        &["sampling", "elicitation", "roots"],
    ),
    (
        "/servers/*/tools/*",
        &["inputSchema", "cost", "costPerKiB", "breaker"],
    ),
    ("/servers/*/tools/*/breaker", BREAKER),
    ("/roles/*", &["allow", "deny", "resources", "prompts", "mode"]),
    ("/teams/*", &["quotas", "budget", "parent"]),
    ("/teams/*/quotas/*", QUOTA),
    ("/teams/*/budget", BUDGET),
    (
        "/keys/*",
        &[
            "sha256", "subjects", "roles", "team", "quotas", "budget", "loops", "labels", "expires",
            "disabled", "mode",
        ],
    ),
    ("/keys/*/quotas/*", QUOTA),
    ("/keys/*/budget", BUDGET),
    ("/keys/*/loops", &["identicalCalls", "per", "anyCall"]),
    ("/keys/*/loops/anyCall", &["limit", "per"]),
    (
        "/rateLimitService",
        &["cluster", "domain", "timeout", "onError", "engine"],
    ),
    ("/sessions", &["secretEnv"]),
    ("/telemetry", &["perKey", "arguments", "mask", "chains"]),
    ("/telemetry/mask/*", &["on", "path"]),
];

const QUOTA: &[&str] = &["limit", "per", "burst", "on", "each", "scope"];
const BUDGET: &[&str] = &["limit", "per", "scope"];
const BREAKER: &[&str] = &[
    "each",
    "failures",
    "ratio",
    "minCalls",
    "window",
    "open",
    "probes",
    "slow",
    "countToolErrors",
];

pub(super) fn compare(old: &Side<'_>, new: &Side<'_>, about: &mut About<'_>) {
    walk(&old.document, &new.document, "", "", about);
}

/// `place` has `*` for the names that the author chose.
fn walk(old: &Value, new: &Value, at: &str, place: &str, about: &mut About<'_>) {
    if old == new {
        return;
    }
    let read = READ
        .iter()
        .find(|(known, _)| *known == place)
        .map(|(_, read)| *read);
    let starred = format!("{place}/*");
    let named = READ.iter().any(|(known, _)| known.starts_with(&starred));
    for name in members(old).chain(members(new).filter(|name| member(old, name).is_null())) {
        let (a, b) = (member(old, &name), member(new, &name));
        let at = pointer(at, &name);
        match read {
            Some(read) if read.contains(&&*name) => walk(a, b, &at, &format!("{place}/{name}"), about),
            Some(_) if a != b => {
                about.because(
                    Effect::Wider,
                    format!("{at} changed"),
                    format!("diff cannot judge it: {UNCLEAR}"),
                );
            }
            None if named => walk(a, b, &at, &starred, about),
            _ => {}
        }
    }
}

fn members(value: &Value) -> Box<dyn Iterator<Item = String> + '_> {
    match value {
        Value::Object(members) => Box::new(members.keys().cloned()),
        Value::Array(elements) => Box::new((0..elements.len()).map(|index| index.to_string())),
        _ => Box::new(std::iter::empty()),
    }
}

fn member<'v>(value: &'v Value, name: &str) -> &'v Value {
    static NOTHING: Value = Value::Null;
    let found = match value {
        Value::Object(members) => Map::get(members, name),
        Value::Array(elements) => name.parse().ok().and_then(|index: usize| elements.get(index)),
        _ => None,
    };
    found.unwrap_or(&NOTHING)
}
