use super::{compiled, hash};
use crate::policy::lint;

/// A policy at 2026-01-01, and for each warning its pointer and part of its message.
type Case = (&'static str, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    (r#"{"version":1}"#, &[]),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d"}},"roles":{"r":{"allow":["d/*"]}},"teams":{"t":{}},
            "keys":{"k":{"sha256":["$A"],"roles":["r"],"team":"t","expires":"2027-01-01T00:00:00Z"}}}"#,
        &[],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","schemas":"advertised","methods":["tool/*","tools/*"]}},
            "roles":{"r":{}},"teams":{"t":{}},"keys":{"k":{"sha256":["$A"],"expires":"2025-01-01T00:00:00Z"}}}"#,
        &[
            ("/servers/d", "no role grants anything"),
            ("/servers/d/schemas", "until a tools/list has passed"),
            ("/servers/d/methods/0", "matches no method"),
            ("/roles/r", "no key has this role"),
            ("/roles/r", "grants nothing"),
            ("/teams/t", "no key belongs"),
            ("/keys/k/expires", "has expired"),
            ("/keys/k", "has no roles"),
        ],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","unlistedTools":"deny","tools":{"a":{}}}},
            "roles":{"r":{"allow":["d/a","d/b","d/delete_x","d/*","d/?"],"deny":["*/delete_*","d/*"]}},
            "keys":{"k":{"sha256":["$A"],"roles":["r"]}}}"#,
        &[
            ("/roles/r/allow/0", "denies \"d/*\""),
            ("/roles/r/allow/1", "denies \"d/*\""),
            ("/roles/r/allow/2", "denies \"*/delete_*\""),
            ("/roles/r/allow/3", "deny beats allow"),
            ("/roles/r/allow/4", "only * is special"),
            ("/roles/r/allow/4", "denies \"d/*\""),
        ],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","unlistedTools":"deny","tools":{"a":{}}}},
            "roles":{"r":{"allow":["d/a","d/b"]}},"keys":{"k":{"sha256":["$A"],"roles":["r"]}}}"#,
        &[("/roles/r/allow/1", "no entry for \"b\"")],
    ),
    (
        r#"{"version":1,"identity":{"headers":[],"jwt":{"rolesClaim":"r"}},"roles":{"r":{"allow":["*/*"]}},"servers":{"d":{"path":"/d"}},"keys":{
            "a":{"subjects":["alice","u:*"]},"b":{"subjects":["al*"]},"c":{"subjects":["u:x*y"]},"d":{"subjects":["u:x"]},
            "e":{"subjects":["alice"]},"f":{"sha256":["$A"],"roles":["r"]},"g":{"subjects":["v:*1"]},"h":{"subjects":["v:*2"]}}}"#,
        &[
            ("/keys/f/sha256", "identity.headers is empty"),
            ("/keys/b/subjects", "\"a\""),
            ("/keys/c/subjects", "\"a\""),
            ("/keys/d/subjects", "\"a\""),
            ("/keys/e/subjects", "\"a\""),
            ("/keys/e/subjects", "\"b\""),
        ],
    ),
    (
        r#"{"version":1,"identity":{"jwt":{}},"roles":{"r":{"allow":["*/*"]}},"servers":{"d":{"path":"/d"}},
            "keys":{"all":{"subjects":["*"],"roles":["r"]}}}"#,
        &[("/keys/all/subjects/0", "every verified JWT")],
    ),
    (
        r#"{"version":1,"identity":{"jwt":{}}}"#,
        &[("/identity/jwt", "no key has subjects")],
    ),
];

#[test]
fn what_is_probably_not_meant_is_told() {
    for (text, expected) in CASES {
        let warnings = lint(&compiled(&text.replace("$A", &hash(1))), 1_767_225_600);
        let mut left: Vec<_> = warnings.iter().collect();
        for (pointer, fragment) in *expected {
            let Some(index) = left
                .iter()
                .position(|w| w.pointer == *pointer && w.message.contains(fragment))
            else {
                panic!("no warning at {pointer:?} with {fragment:?} in\n{text}\nbut {warnings:#?}");
            };
            left.remove(index);
        }
        assert!(left.is_empty(), "unexpected: {left:#?}\nin {text}");
    }
}

#[test]
fn thousands_of_overlapping_subjects_are_not_all_compared() {
    let keys: Vec<String> = (0..5_000)
        .map(|n| format!(r#""k{n}":{{"subjects":["*@team{n}.example"],"roles":["r"]}}"#))
        .collect();
    let text = format!(
        r#"{{"version":1,"identity":{{"jwt":{{}}}},"servers":{{"d":{{"path":"/d"}}}},"roles":{{"r":{{"allow":["*/*"]}}}},"keys":{{{}}}}}"#,
        keys.join(",")
    );
    let warnings = lint(&compiled(&text), 0);
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(
        warnings[0].message.contains("not all of them"),
        "{}",
        warnings[0].message
    );
}
