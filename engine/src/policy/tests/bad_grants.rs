//! What is wrong with servers, roles and keys.

use super::bad::{Case, check};

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

#[test]
fn every_error_has_its_place_its_reason_and_its_hint() {
    for cases in [SERVERS, ROLES, KEYS] {
        check(cases);
    }
}
