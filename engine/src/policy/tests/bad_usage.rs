//! What is wrong with costs, budgets, parents and the rate limit service.

use super::bad::{Case, check};

/// Amounts.
const COSTS: &[Case] = &[
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","cost":-1,"costPerKiB":0.0000001,"tools":{
            "a":{"cost":1e300},"b":{"cost":"0.1"},"c":{"cost":null},"d":{"cost":0.0025005},"e":{"costPerKiB":-0.5},"f":{"cost":1000000000000.000001},
            "g":{"cost":0.10000000000000000001},"h":{"cost":[1]}}}}}"#,
        &[
            (
                "/servers/d/cost",
                &[
                    "less than nothing",
                    "found -1",
                    "0 to 1000000000000 currency units",
                    "leave it out if calls cost nothing",
                ],
            ),
            (
                "/servers/d/costPerKiB",
                &["more than six decimals", "found 1e-7", "did you mean 0.000001?"],
            ),
            (
                "/servers/d/tools/a/cost",
                &[
                    "too much",
                    "found 1e300|found 1e+300",
                    "up to six decimals",
                    "to forbid calls",
                ],
            ),
            (
                "/servers/d/tools/b/cost",
                &[
                    "wrong type",
                    "found a string",
                    "a number",
                    "write the number without quotes",
                ],
            ),
            (
                "/servers/d/tools/c/cost",
                &["wrong type", "found null", "a number"],
            ),
            (
                "/servers/d/tools/d/cost",
                &[
                    "more than six decimals",
                    "found 0.0025005",
                    "did you mean 0.002501?",
                ],
            ),
            (
                "/servers/d/tools/e/costPerKiB",
                &["less than nothing", "leave it out if calls cost nothing"],
            ),
            (
                "/servers/d/tools/f/cost",
                &["too much", "found 1000000000000.000001", "to forbid calls"],
            ),
            (
                "/servers/d/tools/g/cost",
                &[
                    "more than six decimals",
                    "found 0.10000000000000000001",
                    "did you mean 0.1?",
                ],
            ),
            ("/servers/d/tools/h/cost", &["found a list", "a number"]),
        ],
    ),
    (
        r#"{"version":1,"keys":{"k":{"sha256":["$A"],"cost":1}}}"#,
        &[(
            "/keys/k/cost",
            &["unknown field", "cost belongs to a server or to one of its tools"],
        )],
    ),
];

const BUDGETS: &[Case] = &[
    (
        r#"{"version":1,"teams":{
            "a":{"budget":{"limit":0,"per":"day"}},"b":{"budget":{"limit":-5,"per":"day"}},"c":{"budget":{"limit":0.0000001,"per":"day"}},
            "d":{"budget":{"limit":1e13,"per":"day"}},"e":{"budget":{"limit":"5","per":"day"}},"f":{"budget":{"limit":1,"per":"week"}},
            "g":{"budget":{}},"h":{"budget":5},"i":{"budget":{"limit":1,"per":"Month"}},"j":{"budget":{"limit":1,"per":"day","each":"tool","on":"*/*","burst":1}},
            "k":{"budget":{"limit":999999999999.999999,"per":"day"}}}}"#,
        &[
            (
                "/teams/a/budget/limit",
                &[
                    "a budget of nothing",
                    "found 0",
                    "more than 0, up to 1000000000000 currency units",
                    "to forbid calls, use \"deny\" in a role or leave the grant out",
                ],
            ),
            (
                "/teams/b/budget/limit",
                &["less than nothing", "found -5", "more than 0", "to forbid calls"],
            ),
            (
                "/teams/c/budget/limit",
                &["more than six decimals", "did you mean 0.000001?"],
            ),
            (
                "/teams/d/budget/limit",
                &["too much", "up to 1000000000000 currency units", "leave it out"],
            ),
            (
                "/teams/e/budget/limit",
                &["found a string", "write the number without quotes"],
            ),
            (
                "/teams/f/budget/per",
                &["unknown value", "\"week\"", "\"day\" or \"month\" or \"total\""],
            ),
            ("/teams/g/budget/limit", &["missing", "a number"]),
            (
                "/teams/g/budget/per",
                &["missing", "\"day\" or \"month\" or \"total\""],
            ),
            ("/teams/h/budget", &["found 5", "an object"]),
            ("/teams/i/budget/per", &["did you mean \"month\"?"]),
            (
                "/teams/j/budget/each",
                &["unknown field", "limit, per, scope", "a quota has \"each\""],
            ),
            ("/teams/j/budget/on", &["unknown field", "a quota has \"on\""]),
            (
                "/teams/j/budget/burst",
                &["unknown field", "a quota has \"burst\""],
            ),
        ],
    ),
    (
        r#"{"version":1,"rateLimitService":{"cluster":"x"},"teams":{"t":{"budget":{"limit":1,"per":"total","scope":"global"}}}}"#,
        &[(
            "/teams/t/budget/per",
            &[
                "start again every 365 days",
                "found \"total\"",
                "\"day\" or \"month\"",
                "the engine \"limitador\" keeps totals",
            ],
        )],
    ),
];

const TEAMS: &[Case] = &[
    (
        r#"{"version":1,"teams":{"engineering":{},"t":{"parent":"enginering"},"u":{"parent":"zzz"},"v":{"parent":null},"w":{"parnet":"t"}}}"#,
        &[
            ("/teams/v/parent", &["found null", "a string"]),
            ("/teams/w/parnet", &["unknown field", "did you mean \"parent\"?"]),
            (
                "/teams/t/parent",
                &[
                    "unknown team",
                    "\"enginering\"",
                    "engineering, t, u, v, w",
                    "did you mean \"engineering\"?",
                ],
            ),
            (
                "/teams/u/parent",
                &["unknown team", "\"zzz\"", "engineering, t, u, v, w"],
            ),
        ],
    ),
    // Two circles, one team that leads into one, one that leads nowhere.
    (
        r#"{"version":1,"teams":{"a":{"parent":"c"},"b":{"parent":"a"},"c":{"parent":"b"},"in":{"parent":"b"},"self":{"parent":"self"},"x":{"parent":"y"},"y":{}}}"#,
        &[
            (
                "/teams/a/parent",
                &[
                    "the parents form a circle",
                    "\"a\" → \"c\" → \"b\" → \"a\"",
                    "allowed: a team that is not below this one",
                    "remove one of these parents",
                ],
            ),
            (
                "/teams/self/parent",
                &["the parents form a circle", "\"self\" → \"self\"", "remove"],
            ),
        ],
    ),
    (
        r#"{"version":1,"keys":{"k":{"sha256":["$A"],"parent":"t"}},"teams":{"t":{"roles":["r"]}}}"#,
        &[
            ("/keys/k/parent", &["unknown field", "a key has a \"team\""]),
            ("/teams/t/roles", &["unknown field", "roles belong to keys"]),
        ],
    ),
];

const SERVICE: &[Case] = &[
    (
        r#"{"version":1,"rateLimitService":{}}"#,
        &[("/rateLimitService/cluster", &["missing", "a string"])],
    ),
    (
        r#"{"version":1,"rateLimitService":{"cluster":"","domain":"","timeout":"0ms","onError":"alow","engine":"redis"}}"#,
        &[
            (
                "/rateLimitService/onError",
                &[
                    "unknown value",
                    "\"deny\" or \"allow\" or \"local\"",
                    "did you mean \"allow\"?",
                ],
            ),
            (
                "/rateLimitService/engine",
                &["unknown value", "\"envoyproxy\" or \"limitador\""],
            ),
            (
                "/rateLimitService/cluster",
                &["the cluster's name is empty", "the name of the Envoy cluster"],
            ),
            (
                "/rateLimitService/domain",
                &["the domain's name is empty", "1 to 128 bytes"],
            ),
            (
                "/rateLimitService/timeout",
                &[
                    "out of bounds",
                    "found \"0ms\"",
                    "more than \"0s\", up to \"30s\"",
                ],
            ),
        ],
    ),
    (
        r#"{"version":1,"rateLimitService":{"cluster":"a\nb","timeout":"30001ms"}}"#,
        &[
            ("/rateLimitService/cluster", &["control character"]),
            ("/rateLimitService/timeout", &["out of bounds", "up to \"30s\""]),
        ],
    ),
    (
        r#"{"version":1,"rateLimitService":{"cluster":"x","timeout":"50"}}"#,
        &[(
            "/rateLimitService/timeout",
            &[
                "not a duration",
                "a number with ms, s, m, h or d",
                "did you mean \"50s\" or \"50ms\"?",
            ],
        )],
    ),
];

/// What people who know another format write.
const OTHER_WORDS: &[Case] = &[
    (
        r#"{"version":1,"quotas":[],"budget":{},"cost":1,"onError":"deny","rateLimitService":{"cluster":"x","host":"h","timeout":100}}"#,
        &[
            ("/quotas", &["unknown field", "quotas belong to a key or a team"]),
            (
                "/budget",
                &["unknown field", "a budget belongs to a key or a team"],
            ),
            ("/cost", &["unknown field", "cost belongs to a server"]),
            ("/onError", &["unknown field", "belongs to \"rateLimitService\""]),
            (
                "/rateLimitService/host",
                &["unknown field", "\"cluster\" names a cluster of Envoy"],
            ),
            (
                "/rateLimitService/timeout",
                &[
                    "wrong type",
                    "found 100",
                    "a string with a unit",
                    "did you mean \"100s\" or \"100ms\"?",
                ],
            ),
        ],
    ),
    (
        r#"{"version":1,"teams":{"t":{"team":"u","keys":["k"],"members":["k"],"budget":null,"quotas":{"limit":1,"per":"day"}},
            "u":{"budget":[{"limit":1,"per":"day"}],"quotas":[{"limit":1,"per":60,"window":"60s"}]},
            "v":{"budget":{"limit":1,"per":"day","period":"day","amount":1,"currency":"EUR"}}}}"#,
        &[
            ("/teams/t/team", &["unknown field", "a team has a \"parent\""]),
            ("/teams/t/keys", &["unknown field", "a key names its team"]),
            ("/teams/t/members", &["unknown field", "a key names its team"]),
            ("/teams/t/budget", &["found null", "leave it out instead"]),
            ("/teams/t/quotas", &["found an object", "put it between [ and ]"]),
            (
                "/teams/u/budget",
                &["found a list", "there is only one: leave [ and ] out"],
            ),
            (
                "/teams/u/quotas/0/per",
                &[
                    "found 60",
                    "a string like \"minute\" or \"5m\"",
                    "did you mean \"60s\" or \"60ms\"?",
                ],
            ),
            (
                "/teams/u/quotas/0/window",
                &["unknown field", "the time is called \"per\""],
            ),
            (
                "/teams/v/budget/period",
                &["unknown field", "the time is called \"per\""],
            ),
            (
                "/teams/v/budget/amount",
                &["unknown field", "the amount is called \"limit\""],
            ),
            (
                "/teams/v/budget/currency",
                &["unknown field", "amounts have none"],
            ),
        ],
    ),
];

/// Where limits do not belong.
const ELSEWHERE: &[Case] = &[(
    r#"{"version":1,"servers":{"d":{"path":"/d","quotas":[],"budget":{},"tools":{"t":{"quotas":[],"budget":{}}}}},"roles":{"r":{"quotas":[],"budget":{},"cost":1}}}"#,
    &[
        (
            "/servers/d/quotas",
            &[
                "unknown field",
                "quotas belong to a key or a team",
                "\"on\": \"<server>/*\"",
            ],
        ),
        (
            "/servers/d/budget",
            &["unknown field", "a budget belongs to a key or a team"],
        ),
        (
            "/servers/d/tools/t/quotas",
            &[
                "unknown field",
                "quotas belong to a key or a team",
                "\"on\": \"<server>/<tool>\"",
            ],
        ),
        (
            "/servers/d/tools/t/budget",
            &["unknown field", "a budget belongs to a key or a team"],
        ),
        (
            "/roles/r/quotas",
            &["unknown field", "quotas belong to a key or a team"],
        ),
        (
            "/roles/r/budget",
            &["unknown field", "a budget belongs to a key or a team"],
        ),
        (
            "/roles/r/cost",
            &["unknown field", "cost belongs to a server or to one of its tools"],
        ),
    ],
)];

#[test]
fn every_error_has_its_place_its_reason_and_its_hint() {
    for cases in [COSTS, BUDGETS, TEAMS, SERVICE, OTHER_WORDS, ELSEWHERE] {
        check(cases);
    }
}
