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
    // Limits that are meant as they are.
    (
        r#"{"version":1,"identity":{"jwt":{}},"servers":{"d":{"path":"/d","tools":{"t":{"cost":5}}}},"roles":{"r":{"allow":["d/*"]}},
            "teams":{"top":{"budget":{"limit":5,"per":"total","scope":"global"}},"t":{"parent":"top","quotas":[{"limit":1,"per":"day","each":"subject","on":"*/x"}]}},
            "keys":{"k":{"subjects":["a*"],"roles":["r"],"team":"t","quotas":[{"limit":1,"per":"day","on":"d/t"},{"limit":2,"per":"day","on":"*/t*"}]},
                "l":{"sha256":["$A"],"roles":["r"],"team":"t","budget":{"limit":9,"per":"day","scope":"global"}}},
            "rateLimitService":{"cluster":"x","engine":"limitador","onError":"local"}}"#,
        &[],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","tools":{"t":{"cost":5},"u":{"cost":7},"free":{}}},"e":{"path":"/e","cost":2}},
            "roles":{"all":{"allow":["*/*"]},"no":{"deny":["*/u"]},"free":{"allow":["d/free"]}},
            "teams":{"free":{"budget":{"limit":5,"per":"day"}},"top":{"budget":{"limit":6.999999,"per":"day"},"quotas":[{"limit":1,"per":"day","each":"subject"}]},"sub":{"parent":"top"}},
            "keys":{"all":{"sha256":["$A"],"roles":["all"],"team":"sub"},
                "most":{"sha256":["$B"],"roles":["all","no"],"budget":{"limit":4,"per":"month"},
                    "quotas":[{"limit":1,"per":"day","on":"d/u"},{"limit":1,"per":"day","on":"*/u"},{"limit":1,"per":"day","each":"subject"}]},
                "free":{"sha256":["$C"],"roles":["free"],"team":"free","budget":{"limit":4,"per":"total"},
                    "quotas":[{"limit":1,"per":"day","on":"d/t"},{"limit":1,"per":"day","on":"e/*"},{"limit":1,"per":"day","on":"d/f*"}]}},
            "rateLimitService":{"cluster":"x"}}"#,
        &[
            ("/teams/free/budget", "forgotten when Envoy restarts"),
            (
                "/teams/free/budget",
                "nothing that a key of the team can call has a cost",
            ),
            ("/teams/top/budget", "forgotten when Envoy restarts"),
            (
                "/teams/top/budget/limit",
                "\"d/u\" costs 7, more than the whole budget",
            ),
            ("/teams/top/quotas/0/each", "no JWT presents a key of the team"),
            ("/keys/most/budget", "with \"scope\": \"global\" it is kept"),
            (
                "/keys/most/budget/limit",
                "\"d/t\" costs 5, more than the whole budget",
            ),
            ("/keys/most/quotas/0/on", "grant nothing that \"d/u\" matches"),
            ("/keys/most/quotas/2/each", "no JWT presents the key"),
            ("/keys/free/budget", "forgotten when Envoy restarts"),
            ("/keys/free/budget", "nothing that the key can call has a cost"),
            ("/keys/free/quotas/0/on", "grant nothing that \"d/t\" matches"),
            ("/keys/free/quotas/1/on", "grant nothing that \"e/*\" matches"),
            ("/rateLimitService", "never asked"),
        ],
    ),
    // One call fits into what Limitador can be asked, the other does not.
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","tools":{"t":{"cost":4294.967295},"u":{"cost":4294.967296}}}},
            "roles":{"t":{"allow":["d/t"]},"u":{"allow":["d/u"]}},
            "teams":{"low":{"budget":{"limit":4000,"per":"day","scope":"global"}},"local":{"budget":{"limit":5000,"per":"day"}}},
            "keys":{"t":{"sha256":["$A"],"roles":["t"],"team":"local","budget":{"limit":5000,"per":"total","scope":"global"}},
                "u":{"sha256":["$B"],"roles":["u"],"team":"local","budget":{"limit":5000,"per":"total","scope":"global"}},
                "v":{"sha256":["$C"],"roles":["u"],"team":"low"}},
            "rateLimitService":{"cluster":"x","engine":"limitador"}}"#,
        &[
            ("/teams/local/budget", "forgotten when Envoy restarts"),
            ("/teams/low/budget/limit", "more than the whole budget"),
            (
                "/keys/u/budget/scope",
                "\"d/u\" costs 4294.967296; the engine \"limitador\" counts at most 4294.967295 for a call",
            ),
        ],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","cost":5000}},"roles":{"r":{"allow":["d/*"]}},
            "keys":{"k":{"sha256":["$A"],"roles":["r"],"budget":{"limit":5000,"per":"day","scope":"global"}}},
            "rateLimitService":{"cluster":"x"}}"#,
        &[],
    ),
    // Roles that only a JWT names could grant anything.
    (
        r#"{"version":1,"identity":{"jwt":{"rolesClaim":"r"}},"servers":{"d":{"path":"/d","cost":2}},"roles":{"none":{"allow":["d/x"]},"all":{"allow":["d/*"]}},
            "keys":{"k":{"subjects":["a"],"roles":["none"],"quotas":[{"limit":1,"per":"day","on":"d/y"}],"budget":{"limit":4,"per":"day","scope":"global"}}},
            "rateLimitService":{"cluster":"x","onError":"allow"}}"#,
        &[("/rateLimitService/onError", "global limits limit nothing")],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","unlistedTools":"deny","cost":2,"costPerKiB":1,"tools":{"t":{"cost":0,"costPerKiB":0.1},"u":{"cost":0,"costPerKiB":0}}}},
            "roles":{"r":{"allow":["d/*"]},"u":{"allow":["d/u"]}},
            "keys":{"k":{"sha256":["$A"],"roles":["r"],"budget":{"limit":1,"per":"day","scope":"global"}},
                "u":{"sha256":["$B"],"roles":["u"],"budget":{"limit":1,"per":"day","scope":"global"}}},
            "rateLimitService":{"cluster":"x"}}"#,
        &[("/keys/u/budget", "has a cost")],
    ),
];

#[test]
fn what_is_probably_not_meant_is_told() {
    for (text, expected) in CASES {
        let text = text
            .replace("$A", &hash(1))
            .replace("$B", &hash(2))
            .replace("$C", &hash(3))
            // What is said without it has a test of its own.
            .replacen("1,", r#"1,"sessions":{"secretEnv":"S"},"#, 1);
        let warnings = lint(&compiled(&text), 1_767_225_600);
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
        r#"{{"version":1,"sessions":{{"secretEnv":"S"}},"identity":{{"jwt":{{}}}},"servers":{{"d":{{"path":"/d"}}}},"roles":{{"r":{{"allow":["*/*"]}}}},"keys":{{{}}}}}"#,
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
