use super::{hash, refused};

/// A policy, and for each error its pointer and what its text must contain.
pub(super) type Case = (&'static str, &'static [(&'static str, &'static [&'static str])]);

/// Stand for different, valid hashes in the policies below.
const HASH_A: &str = "$A";
const HASH_B: &str = "$B";
const HASH_C: &str = "$C";

const SHAPE: &[Case] = &[
    ("[]", &[("", &["wrong type", "found a list", "an object"])]),
    (
        r#"{"version": 1, "approvals": {}, "nonsense": 1, "keys": {"k": {"subjects": [], "roles": ["x"]}}}"#,
        &[
            ("/approvals", &["not supported yet"]),
            ("/nonsense", &["unknown field"]),
            ("/keys/k", &["nothing presents this key"]),
            ("/keys/k/roles/0", &["unknown role"]),
        ],
    ),
    (
        r#"{"version": 1, "rolez": {"x": {}}, "keys": {"k": {"subjects": [], "roles": ["x"]}}}"#,
        &[("/rolez", &["unknown field", "did you mean \"roles\""])],
    ),
    ("{}", &[("/version", &["missing", "a whole number"])]),
    (
        r#"{"version":"1"}"#,
        &[(
            "/version",
            &["wrong type", "found a string", "a whole number", "without quotes"],
        )],
    ),
    (r#"{"version":1.5}"#, &[("/version", &["wrong type", "1.5"])]),
    (r#"{"version":-1}"#, &[("/version", &["-1"])]),
    (
        r#"{"version":1,"mod":"shadow"}"#,
        &[("/mod", &["unknown field", "did you mean \"mode\"?"])],
    ),
    (
        r#"{"version":1,"mode":"shadw"}"#,
        &[(
            "/mode",
            &[
                "\"shadw\"",
                "\"enforce\" or \"shadow\"",
                "did you mean \"shadow\"?",
            ],
        )],
    ),
    (
        r#"{"version":1,"mode":null}"#,
        &[("/mode", &["wrong type", "null"])],
    ),
    (
        r#"{"version":1,"mode":{"enforce":null}}"#,
        &[("/mode", &["an object", "\"enforce\" or \"shadow\""])],
    ),
    (
        r#"{"version":1,"origins":null}"#,
        &[("/origins", &["null", "a list, each element a string"])],
    ),
    (
        r#"{"version":1,"identity":[["x-key"]]}"#,
        &[("/identity", &["a list", "an object"])],
    ),
    (
        r#"{"version":1,"identity":{"anonymous":7}}"#,
        &[("/identity/anonymous", &["7", "a string or null"])],
    ),
    (
        r#"{"version":1,"servers":{"docs":{"path":"/d","toolz":{}}}}"#,
        &[(
            "/servers/docs/toolz",
            &[
                "unknown field",
                "\"toolz\"",
                "path, host, methods, unlistedTools",
                "did you mean \"tools\"?",
            ],
        )],
    ),
    (
        r#"{"version":1,"servers":{"docs":{"unlisted_tools":"deny"}}}"#,
        &[
            (
                "/servers/docs/unlisted_tools",
                &["did you mean \"unlistedTools\"?"],
            ),
            ("/servers/docs/path", &["missing", "a string"]),
        ],
    ),
    (
        r#"{"version":1,"servers":{"docs":"/d"}}"#,
        &[("/servers/docs", &["found a string", "an object"])],
    ),
    (
        r#"{"version":1,"servers":{"docs":["/d"]}}"#,
        &[("/servers/docs", &["found a list", "an object"])],
    ),
    (
        r#"{"version":1,"servers":{"a/b~c":{"path":"/d","zz":1}}}"#,
        &[
            ("/servers/a~1b~0c/zz", &["unknown field"]),
            ("/servers/a~1b~0c", &["cannot have / or *"]),
        ],
    ),
    (
        r#"{"version":1,"roles":{"r":{"allow":["*/*",7,null]}}}"#,
        &[
            ("/roles/r/allow/1", &["found 7", "a string"]),
            ("/roles/r/allow/2", &["null"]),
        ],
    ),
    (
        r#"{"version":1,"roles":{"r":{"allow":"*/*"}}}"#,
        &[("/roles/r/allow", &["found a string", "a list"])],
    ),
    (
        r#"{"version":1,"teams":{"t":{"name":"T"}}}"#,
        &[("/teams/t/name", &["unknown field", "quotas, budget, parent"])],
    ),
    (
        r#"{"version":1,"keys":{"k":{"sha256":["$A"],"roles":[],"labels":{"env":1}}}}"#,
        &[("/keys/k/labels/env", &["found 1", "a string"])],
    ),
    (
        r#"{"version":1,"limits":{"depth":-3}}"#,
        &[("/limits/depth", &["-3", "a whole number"])],
    ),
    (
        r#"{"version":1,"limits":{"depth":1e3}}"#,
        &[("/limits/depth", &["a whole number"])],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","tools":{"t":{"inputSchema":true}}}}}"#,
        &[("/servers/d/tools/t/inputSchema", &["true", "a JSON Schema"])],
    ),
];

const TEXT: &[Case] = &[
    ("", &[("", &["not JSON", "line 1, column 1"])]),
    (
        "{\n  \"version\": 1,\n}",
        &[("", &["not JSON", "line 3, column 1"])],
    ),
    (r#"{"version":1} {}"#, &[("", &["something follows"])]),
    ("\u{feff}{\"version\":1}", &[("", &["byte order mark"])]),
    (
        "{\"version\":1,\n\"servers\":{\"docs\":{\"path\":\"/a\"},\"docs\":{\"path\":\"/b\"}}}",
        &[("", &["same key twice", "\"docs\"", "line 2"])],
    ),
    (
        r#"{"version":1,"version":1}"#,
        &[("", &["same key twice", "\"version\""])],
    ),
];

const LATER: &[Case] = &[
    (
        r#"{"version":1,"approvals":{}}"#,
        &[("/approvals", &["not supported yet"])],
    ),
    (
        r#"{"version":1,"limits":{"batches":true}}"#,
        &[(
            "/limits/batches",
            &["not supported yet", "found true", "allowed: false"],
        )],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","integrity":"firstSeen"}}}"#,
        &[(
            "/servers/d/integrity",
            &["not supported yet", "\"firstSeen\"", "\"off\" or \"pinned\""],
        )],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","tools":{"t":{"pin":"x","rules":[]}}}}}"#,
        &[
            ("/servers/d/tools/t/pin", &["not supported yet"]),
            ("/servers/d/tools/t/rules", &["not supported yet"]),
        ],
    ),
    (
        r#"{"version":1,"roles":{"r":{"rules":[]}}}"#,
        &[("/roles/r/rules", &["not supported yet"])],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","rules":[]}}}"#,
        &[("/servers/d/rules", &["not supported yet"])],
    ),
    (
        r#"{"version":1,"keys":{"k":{"sha256":["$A"],"roles":[],"rules":[]}}}"#,
        &[("/keys/k/rules", &["not supported yet"])],
    ),
];

const SETTINGS: &[Case] = &[
    (r#"{"version":2}"#, &[("/version", &["found 2", "allowed: 1"])]),
    (
        r#"{"version":1,"limits":{"requestBytes":0,"resultBytes":67108865,"depth":65,"bodyTimeout":"0s"}}"#,
        &[
            ("/limits/requestBytes", &["found 0", "1 to 16777216"]),
            ("/limits/resultBytes", &["67108865", "1 to 67108864"]),
            ("/limits/depth", &["found 65", "1 to 64"]),
            ("/limits/bodyTimeout", &["\"0s\"", "up to \"1h\""]),
        ],
    ),
    (
        r#"{"version":1,"limits":{"bodyTimeout":"61m"}}"#,
        &[("/limits/bodyTimeout", &["out of bounds"])],
    ),
    (
        r#"{"version":1,"limits":{"bodyTimeout":"15"}}"#,
        &[(
            "/limits/bodyTimeout",
            &["not a duration", "did you mean \"15s\" or \"15ms\"?"],
        )],
    ),
    (
        r#"{"version":1,"origins":["https://a.example/","a.example","HTTPS://a.example","https://a.example:443","*","https://","https://b.example","https://b.example"]}"#,
        &[
            ("/origins/0", &["no path", "did you mean \"https://a.example\"?"]),
            (
                "/origins/1",
                &["scheme is missing", "did you mean \"https://a.example\"?"],
            ),
            (
                "/origins/2",
                &["lower case", "did you mean \"https://a.example\"?"],
            ),
            ("/origins/3", &["own port", "did you mean \"https://a.example\"?"]),
            ("/origins/4", &["no patterns"]),
            ("/origins/5", &["not an origin"]),
            ("/origins/7", &["listed twice"]),
        ],
    ),
];

const IDENTITY: &[Case] = &[
    (
        r#"{"version":1,"identity":{"headers":[]}}"#,
        &[("/identity/headers", &["nobody could present a key"])],
    ),
    (
        r#"{"version":1,"identity":{"headers":[":path","Content-Type","x key","","Connection","mcp-param-x","x-key","X-Key"]}}"#,
        &[
            ("/identity/headers/0", &["pseudo-header"]),
            ("/identity/headers/1", &["meaning of its own", "\"Content-Type\""]),
            ("/identity/headers/2", &["not a header name"]),
            ("/identity/headers/3", &["not a header name"]),
            ("/identity/headers/4", &["meaning of its own"]),
            ("/identity/headers/5", &["meaning of its own"]),
            ("/identity/headers/7", &["listed twice"]),
        ],
    ),
    (
        r#"{"version":1,"identity":{"anonymous":"guset"},"keys":{"guest":{"sha256":["$A"]}}}"#,
        &[(
            "/identity/anonymous",
            &["unknown key", "\"guset\"", "did you mean \"guest\"?"],
        )],
    ),
    (
        r#"{"version":1,"identity":{"jwt":{"claim":""}}}"#,
        &[("/identity/jwt/claim", &["not a name"])],
    ),
    (
        r#"{"version":1,"identity":{"jwt":{"roleClaim":"r"}}}"#,
        &[("/identity/jwt/roleClaim", &["did you mean \"rolesClaim\"?"])],
    ),
];

const TOGETHER: &[Case] = &[
    // Errors of shape and of meaning are told at once, but not those that only follow from others.
    (
        r#"{"version":1,"servers":{"docs":{"path":"/d","toolz":{}}},"roles":{"r":{"allow":["dosc/x"]}},"keys":{"k":{"sha256":"x","roles":["q"]}}}"#,
        &[
            ("/keys/k/sha256", &["found a string", "a list"]),
            ("/servers/docs/toolz", &["unknown field"]),
            ("/roles/r/allow/0", &["unknown server"]),
            ("/keys/k/roles/0", &["unknown role"]),
        ],
    ),
    // A broken section would make every reference to it look wrong.
    (
        r#"{"version":1,"server":{"docs":{"path":"/d"}},"roles":{"r":{"allow":["docs/x"]}}}"#,
        &[("/server", &["unknown field", "did you mean \"servers\"?"])],
    ),
    (
        r#"{"version":1,"servers":{"docs":{"path":7}},"roles":{"r":{"allow":["docs/x"]}}}"#,
        &[("/servers/docs/path", &["found 7", "a string"])],
    ),
];

#[test]
fn every_error_has_its_place_its_reason_and_its_hint() {
    for cases in [SHAPE, TEXT, LATER, SETTINGS, IDENTITY, TOGETHER] {
        check(cases);
    }
}

/// Checks that each policy has its errors and no other.
#[track_caller]
pub(super) fn check(cases: &[Case]) {
    for (policy, expected) in cases {
        let policy = policy
            .replace(HASH_A, &hash(0xa1))
            .replace(HASH_B, &hash(0xb2))
            .replace(HASH_C, &hash(0xc3));
        let errors = refused(&policy);
        let mut left: Vec<_> = errors.iter().collect();
        for (pointer, fragments) in *expected {
            let matches = |error: &&super::PolicyError| {
                let text = error.to_string();
                // `a|b`: either will do.
                error.pointer == *pointer && fragments.iter().all(|f| f.split('|').any(|f| text.contains(f)))
            };
            let Some(index) = left.iter().position(matches) else {
                panic!("no error at {pointer:?} with {fragments:?} in\n{policy}\nbut\n{errors}");
            };
            left.remove(index);
        }
        assert!(left.is_empty(), "unexpected: {left:#?}\nin {policy}");
    }
}

#[test]
fn what_could_be_a_credential_is_not_repeated() {
    for policy in [
        r#"{"version":1,"keys":{"k":{"sha256":["tg_secret"]}}}"#,
        r#"{"version":1,"keys":{"k":{"sha256":"tg_secret"}}}"#,
        r#"{"version":1,"keys":{"k":"tg_secret"}}"#,
        r#"{"version":1,"keys":"tg_secret"}"#,
    ] {
        let errors = refused(policy);
        assert!(!errors.to_string().contains("tg_secret"), "{errors}");
    }
}

#[test]
fn a_flood_of_errors_is_counted_and_not_listed() {
    let keys: Vec<String> = (0..3_000)
        .map(|n| format!(r#""k{n}":{{"roles":["nobody"]}}"#))
        .collect();
    let errors = refused(&format!(r#"{{"version":1,"keys":{{{}}}}}"#, keys.join(",")));
    assert_eq!(errors.0.len(), 1_001);
    assert!(
        errors.0[1_000].problem.contains("5000 more errors"),
        "{}",
        errors.0[1_000]
    );
}

#[test]
fn errors_print_on_one_line_each_whatever_they_found() {
    let errors = refused(r#"{"version":1,"mode":"a\nb\u001b[31m","keys":{"x\ny":7}}"#);
    assert_eq!(errors.to_string().lines().count(), errors.0.len(), "{errors}");
    assert!(!errors.to_string().contains('\u{1b}'));
}
