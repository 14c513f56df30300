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

const SERVERS: &[Case] = &[
    (
        r#"{"version":1,"servers":{"a":{"path":"mcp"},"b":{"path":"/a//b"},"c":{"path":"/a/../b"},"d":{"path":"/a?x"},"e":{"path":"/%61"},"f":{"path":"/%2Fa"},"g":{"path":"/%zz"},"h":{"path":"/é"},"i":{"path":"/a/*"},"j":{"path":""},"k":{"path":"/a b"},"l":{"path":"/x/."},"m":{"path":"/a#b"},"n":{"path":"/a\\b"}}}"#,
        &[
            (
                "/servers/a/path",
                &["does not begin with /", "did you mean \"/mcp\"?"],
            ),
            ("/servers/b/path", &["empty segment"]),
            ("/servers/c/path", &["dot segment"]),
            ("/servers/d/path", &["query"]),
            ("/servers/e/path", &["needs no encoding"]),
            ("/servers/f/path", &["a slash"]),
            ("/servers/g/path", &["encodes nothing"]),
            ("/servers/h/path", &["must be percent-encoded"]),
            ("/servers/i/path", &["no patterns"]),
            ("/servers/j/path", &["does not begin with /"]),
            ("/servers/k/path", &["must be percent-encoded"]),
            ("/servers/l/path", &["dot segment"]),
            ("/servers/m/path", &["fragment"]),
            ("/servers/n/path", &["must be percent-encoded"]),
        ],
    ),
    (
        r#"{"version":1,"servers":{"a":{"path":"/m"},"b":{"path":"/m"},"c":{"path":"/m","host":"x.example"},"d":{"path":"/m","host":"X.example"}}}"#,
        &[
            (
                "/servers/b/path",
                &["the server \"a\" is at the same path and host", "\"/m\""],
            ),
            (
                "/servers/d/path",
                &["the server \"c\" is at the same path and host"],
            ),
        ],
    ),
    (
        r#"{"version":1,"servers":{"a":{"path":"/a","host":"https://x.example/"},"b":{"path":"/b","host":"x.example:8080"},"c":{"path":"/c","host":""},"d":{"path":"/d","host":"*.example"},"e":{"path":"/e","host":"a b"}}}"#,
        &[
            (
                "/servers/a/host",
                &["has a scheme", "did you mean \"x.example\"?"],
            ),
            ("/servers/b/host", &["has a port", "did you mean \"x.example\"?"]),
            ("/servers/c/host", &["not a host"]),
            ("/servers/d/host", &["no patterns"]),
            ("/servers/e/host", &["not a host"]),
        ],
    ),
    (
        r#"{"version":1,"servers":{"":{"path":"/a"},"b*":{"path":"/b"},"c\u007f":{"path":"/c"}," d":{"path":"/d"}}}"#,
        &[
            ("/servers/", &["name is empty"]),
            ("/servers/ d", &["white space"]),
            ("/servers/b*", &["cannot have / or *"]),
            ("/servers/c\u{7f}", &["control character"]),
        ],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","methods":["tools/*",""],"tools":{"":{}," a":{},"a\u007f":{},"a*":{}}}}}"#,
        &[
            ("/servers/d/methods/1", &["pattern is empty"]),
            ("/servers/d/tools/", &["is empty"]),
            ("/servers/d/tools/ a", &["white space"]),
            ("/servers/d/tools/a*", &["no patterns"]),
            ("/servers/d/tools/a\u{7f}", &["control character"]),
        ],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","tools":{"t":{"inputSchema":{"type":"objekt"}}}}}}"#,
        &[("/servers/d/tools/t/inputSchema", &["does not compile"])],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","tools":{"t":{"inputSchema":{"$ref":"https://x.example/s"}}}}}}"#,
        &[("/servers/d/tools/t/inputSchema", &["does not compile"])],
    ),
];

const ROLES: &[Case] = &[
    (
        r#"{"version":1,"servers":{"docs":{"path":"/d"},"files":{"path":"/f"}},"roles":{"r":{
            "allow":["dosc/get","","docs","*","get_page","docs/","zzz/x"],
            "deny":["doc*s/x","x*/y"],"resources":["file:///srv/*"],"prompts":["docs/a\u007f"]}}}"#,
        &[
            (
                "/roles/r/allow/0",
                &[
                    "unknown server",
                    "\"dosc/get\"",
                    "docs, files",
                    "did you mean \"docs\"?",
                ],
            ),
            ("/roles/r/allow/1", &["pattern is empty"]),
            ("/roles/r/allow/2", &["no /", "did you mean \"docs/*\"?"]),
            ("/roles/r/allow/3", &["no /", "did you mean \"*/*\"?"]),
            ("/roles/r/allow/4", &["no /", "did you mean \"*/get_page\"?"]),
            (
                "/roles/r/allow/5",
                &["nothing after the /", "did you mean \"docs/*\"?"],
            ),
            ("/roles/r/allow/6", &["unknown server", "docs, files"]),
            ("/roles/r/deny/1", &["no server matches the pattern", "\"x*/y\""]),
            (
                "/roles/r/resources/0",
                &["unknown server", "\"server/resource\"|docs, files"],
            ),
            ("/roles/r/prompts/0", &["control character"]),
        ],
    ),
    (
        r#"{"version":1,"roles":{"r":{"allow":["*/x"]}}}"#,
        &[("/roles/r/allow/0", &["no server matches", "defines no servers"])],
    ),
    (
        r#"{"version":1,"roles":{"":{}}}"#,
        &[("/roles/", &["the role's name is empty"])],
    ),
];

const KEYS: &[Case] = &[
    (
        r#"{"version":1,"teams":{"engineering":{}},"roles":{"reader":{}},"keys":{"k":{"sha256":["$A"],"roles":["reeder"],"team":"enginering"}}}"#,
        &[
            (
                "/keys/k/team",
                &["unknown team", "\"enginering\"", "did you mean \"engineering\"?"],
            ),
            (
                "/keys/k/roles/0",
                &["unknown role", "\"reeder\"", "reader", "did you mean \"reader\"?"],
            ),
        ],
    ),
    (
        r#"{"version":1,"keys":{"k":{"sha256":["$A"],"roles":["x"],"team":"y"}}}"#,
        &[
            ("/keys/k/team", &["defines no teams"]),
            ("/keys/k/roles/0", &["defines no roles"]),
        ],
    ),
    (
        r#"{"version":1,"keys":{"a":{"sha256":["$A","$B"],"roles":[]},"b":{"sha256":["$B"],"roles":[]},"c":{"sha256":["$A"],"roles":[]},"d/":{"sha256":["$C","$C"],"roles":[]}}}"#,
        &[
            ("/keys/b/sha256/0", &["the same hash is at /keys/a/sha256/1"]),
            ("/keys/c/sha256/0", &["the same hash is at /keys/a/sha256/0"]),
            ("/keys/d~1/sha256/1", &["the same hash is at /keys/d~1/sha256/0"]),
        ],
    ),
    (
        r#"{"version":1,"keys":{"k":{"sha256":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","tg_secret","abc","sha256:$A",""],"roles":[]}}}"#,
        &[
            (
                "/keys/k/sha256/0",
                &["64 lower-case hex digits", "write it in lower case"],
            ),
            ("/keys/k/sha256/1", &["9 characters, not hex", "toolgate keygen"]),
            ("/keys/k/sha256/2", &["3 characters, hex", "not a whole SHA-256"]),
            ("/keys/k/sha256/3", &["leave \"sha256:\" out"]),
            ("/keys/k/sha256/4", &["0 characters"]),
        ],
    ),
    (
        r#"{"version":1,"keys":{"a":{"roles":[]},"b":{"sha256":[],"subjects":[]}}}"#,
        &[
            (
                "/keys/a",
                &["nothing presents this key", "\"sha256\" or \"subjects\""],
            ),
            ("/keys/b", &["nothing presents"]),
        ],
    ),
    (
        r#"{"version":1,"keys":{"k":{"subjects":["u:*",""]}}}"#,
        &[
            ("/keys/k/subjects", &["identity.jwt"]),
            ("/keys/k/subjects/1", &["pattern is empty"]),
        ],
    ),
    (
        r#"{"version":1,"keys":{"a":{"sha256":["$A"],"expires":"2027-01-31"},"b":{"sha256":["$B"],"expires":"tomorrow"}}}"#,
        &[
            (
                "/keys/a/expires",
                &[
                    "not a timestamp",
                    "RFC 3339",
                    "did you mean \"2027-01-31T00:00:00Z\"?",
                ],
            ),
            ("/keys/b/expires", &["not a timestamp", "\"tomorrow\""]),
        ],
    ),
    (
        r#"{"version":1,"keys":{"":{"sha256":["$A"]},"b":{"sha256":["$B"],"labels":{"a\u007f":"x","b":"y\n"}}}}"#,
        &[
            ("/keys/", &["the key's name is empty"]),
            ("/keys/b/labels/a\u{7f}", &["label's name"]),
            ("/keys/b/labels/b", &["label's value"]),
        ],
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
    for cases in [
        SHAPE, TEXT, LATER, SETTINGS, IDENTITY, SERVERS, ROLES, KEYS, TOGETHER,
    ] {
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
