//! What is wrong with costs, quotas, budgets, parents and the rate limit service.

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
                &["too much", "found 1e300|found 1e+300", "up to six decimals"],
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
                &["too much", "found 1000000000000.000001", "leave it out"],
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

const QUOTAS: &[Case] = &[
    (
        r#"{"version":1,"keys":{"k":{"sha256":["$A"],"quotas":[
            {"limit":0,"per":"minute"},{"limit":-1,"per":"minute"},{"limit":0.5,"per":"minute"},{"limit":4294967296,"per":"365d"},
            {"limit":1e300,"per":"minute"},{"limit":"5","per":"minute"},{"limit":1e-9,"per":"minute"},{}]}}}"#,
        &[
            (
                "/keys/k/quotas/0/limit",
                &[
                    "no calls at all",
                    "found 0",
                    "a whole number from 1 to 4294967295",
                    "to forbid calls, use \"deny\" in a role or leave the grant out",
                ],
            ),
            (
                "/keys/k/quotas/1/limit",
                &["out of bounds", "found -1", "1 to 4294967295", "to forbid calls"],
            ),
            (
                "/keys/k/quotas/2/limit",
                &[
                    "not a whole number",
                    "found 0.5",
                    "1 to 4294967295",
                    "make the window longer",
                ],
            ),
            (
                "/keys/k/quotas/3/limit",
                &[
                    "out of bounds",
                    "found 4294967296",
                    "1 to 4294967295",
                    "limits nothing: leave it out",
                ],
            ),
            (
                "/keys/k/quotas/4/limit",
                &["out of bounds", "1e300|1e+300", "leave it out"],
            ),
            (
                "/keys/k/quotas/5/limit",
                &["found a string", "a number", "write the number without quotes"],
            ),
            ("/keys/k/quotas/7/limit", &["missing", "a number"]),
            ("/keys/k/quotas/7/per", &["missing", "a string"]),
            ("/keys/k/quotas/6/limit", &["not a whole number", "found 1e-9"]),
        ],
    ),
    (
        r#"{"version":1,"teams":{"t":{"quotas":[
            {"limit":1,"per":"0s"},{"limit":1,"per":"3651d"},{"limit":1,"per":"minut"},{"limit":1,"per":"week"},{"limit":1,"per":"month"},
            {"limit":1,"per":"year"},{"limit":1,"per":"5"},{"limit":1,"per":"0.5ms"},{"limit":1,"per":"fortnight"},{"limit":1,"per":"99999999999999999999d"},
            {"limit":1,"per":"Minute"}]}}}"#,
        &[
            (
                "/teams/t/quotas/0/per",
                &[
                    "out of bounds",
                    "found \"0s\"",
                    "more than \"0s\", up to \"3650d\"",
                ],
            ),
            (
                "/teams/t/quotas/1/per",
                &["out of bounds", "found \"3651d\"", "up to \"3650d\""],
            ),
            (
                "/teams/t/quotas/2/per",
                &[
                    "not a window",
                    "found \"minut\"",
                    "\"second\", \"minute\", \"hour\", \"day\" or a duration",
                    "did you mean \"minute\"?",
                ],
            ),
            ("/teams/t/quotas/3/per", &["not a window", "did you mean \"7d\"?"]),
            (
                "/teams/t/quotas/4/per",
                &[
                    "not a window",
                    "did you mean \"30d\"?",
                    "Calendar months are for budgets",
                ],
            ),
            (
                "/teams/t/quotas/5/per",
                &["not a window", "did you mean \"365d\"?"],
            ),
            ("/teams/t/quotas/6/per", &["not a window", "did you mean \"5s\"?"]),
            (
                "/teams/t/quotas/7/per",
                &["not a window", "a millisecond is the shortest step"],
            ),
            (
                "/teams/t/quotas/8/per",
                &["not a window", "found \"fortnight\"", "like \"5m\" or \"30d\""],
            ),
            ("/teams/t/quotas/9/per", &["not a window"]),
            (
                "/teams/t/quotas/10/per",
                &["not a window", "did you mean \"minute\"?"],
            ),
        ],
    ),
    (
        r#"{"version":1,"keys":{"k":{"sha256":["$A"],"quotas":[
            {"limit":1000001,"per":"second"},{"limit":1001,"per":"1ms"},{"limit":1000000,"per":"second"},
            {"limit":1,"per":"3650d","burst":11},{"limit":1,"per":"3650d","burst":10},{"limit":3,"per":"day","burst":0},{"limit":3,"per":"day","burst":2.5},
            {"limit":3,"per":"day","burst":4294967296},{"limit":4294967295,"per":"3650d"}]}}}"#,
        &[
            (
                "/keys/k/quotas/0/limit",
                &[
                    "more than one call per microsecond",
                    "found 1000001 per second",
                    "up to 1000000 in this time",
                    "leave it out",
                ],
            ),
            (
                "/keys/k/quotas/1/limit",
                &[
                    "more than one call per microsecond",
                    "found 1001 per 1ms",
                    "up to 1000 in this time",
                ],
            ),
            (
                "/keys/k/quotas/3/burst",
                &["worth more than 100 years", "found 11", "up to 10 at this pace"],
            ),
            (
                "/keys/k/quotas/5/burst",
                &[
                    "no calls at all",
                    "found 0",
                    "1 to 4294967295",
                    "leave it out to allow the whole limit at once",
                ],
            ),
            (
                "/keys/k/quotas/6/burst",
                &["not a whole number", "found 2.5", "1 to 4294967295"],
            ),
            (
                "/keys/k/quotas/7/burst",
                &["out of bounds", "found 4294967296", "1 to 4294967295"],
            ),
        ],
    ),
    (
        r#"{"version":1,"servers":{"docs":{"path":"/d"}},"keys":{"k":{"sha256":["$A"],"quotas":[
            {"limit":1,"per":"day","on":"dosc/x"},{"limit":1,"per":"day","on":"docs"},{"limit":1,"per":"day","on":""},{"limit":1,"per":"day","on":"x*/y"},
            {"limit":1,"per":"day","each":"tol"},{"limit":1,"per":"day","scope":"globl"},{"limit":1,"per":"day","onError":"deny"},{"limit":1,"per":"day","brust":2}]}}}"#,
        &[
            (
                "/keys/k/quotas/4/each",
                &[
                    "unknown value",
                    "\"tool\" or \"subject\"",
                    "did you mean \"tool\"?",
                ],
            ),
            (
                "/keys/k/quotas/5/scope",
                &[
                    "unknown value",
                    "\"local\" or \"global\"",
                    "did you mean \"global\"?",
                ],
            ),
            (
                "/keys/k/quotas/6/onError",
                &["unknown field", "\"onError\" belongs to \"rateLimitService\""],
            ),
            (
                "/keys/k/quotas/7/brust",
                &[
                    "unknown field",
                    "limit, per, burst, on, each, scope",
                    "did you mean \"burst\"?",
                ],
            ),
            (
                "/keys/k/quotas/0/on",
                &[
                    "unknown server",
                    "\"dosc/x\"",
                    "the servers docs",
                    "did you mean \"docs\"?",
                ],
            ),
            (
                "/keys/k/quotas/1/on",
                &["no /", "\"server/tool\"", "did you mean \"docs/*\"?"],
            ),
            ("/keys/k/quotas/2/on", &["pattern is empty"]),
            ("/keys/k/quotas/3/on", &["no server matches the pattern"]),
        ],
    ),
    (
        r#"{"version":1,"keys":{"k":{"sha256":["$A"],"quotas":{"limit":1,"per":"day"}},"l":{"sha256":["$B"],"quotas":[{"limit":1,"per":"day","on":["a/b"]}]}}}"#,
        &[
            (
                "/keys/k/quotas",
                &["found an object", "a list, each element an object"],
            ),
            ("/keys/l/quotas/0/on", &["found a list", "a string"]),
        ],
    ),
];

/// Global limits on `envoyproxy`.
const GLOBAL: &[Case] = &[
    (
        r#"{"version":1,"teams":{"t":{"budget":{"limit":1,"per":"day","scope":"global"}}},
            "keys":{"k":{"sha256":["$A"],"quotas":[{"limit":1,"per":"7s","scope":"global"}]}}}"#,
        &[
            (
                "/teams/t/budget/scope",
                &[
                    "global limits need \"rateLimitService\"",
                    "found \"global\"",
                    "add \"rateLimitService\": { \"cluster\": \"ratelimit\" } to the policy",
                ],
            ),
            (
                "/keys/k/quotas/0/scope",
                &["global limits need \"rateLimitService\"", "add"],
            ),
        ],
    ),
    // A broken section would make every reference to it look wrong.
    (
        r#"{"version":1,"ratelimitservice":{"cluster":"x"},"teams":{"t":{"budget":{"limit":1,"per":"day","scope":"global"}}}}"#,
        &[(
            "/ratelimitservice",
            &["unknown field", "did you mean \"rateLimitService\"?"],
        )],
    ),
    (
        r#"{"version":1,"rateLimitService":"x","teams":{"t":{"budget":{"limit":1,"per":"day","scope":"global"}}}}"#,
        &[("/rateLimitService", &["found a string", "an object"])],
    ),
    (
        r#"{"version":1,"rateLimitService":{"cluster":"x"},"keys":{"k":{"sha256":["$A"],"quotas":[
            {"limit":3,"per":"minute","burst":2,"scope":"global"},
            {"limit":1,"per":"7m","scope":"global"},{"limit":1,"per":"1.5s","scope":"global"},{"limit":1,"per":"50ms","scope":"global"},
            {"limit":1,"per":"13h","scope":"global"},{"limit":1,"per":"90000.5s","scope":"global"},{"limit":1,"per":"366d","scope":"global"},
            {"limit":1,"per":"31536000.5s","scope":"global"},
            {"limit":1,"per":"second","scope":"global"},{"limit":1,"per":"6m","scope":"global"},{"limit":1,"per":"12h","scope":"global"},
            {"limit":1,"per":"36h","scope":"global"},{"limit":1,"per":"365d","scope":"global"},{"limit":4294967295,"per":"365d","scope":"global"}]}}}"#,
        &[
            (
                "/keys/k/quotas/0/burst",
                &[
                    "a global quota has no burst",
                    "its windows are fixed",
                    "leave \"burst\" out",
                ],
            ),
            (
                "/keys/k/quotas/1/per",
                &[
                    "divide a day",
                    "found \"7m\"",
                    "whole seconds that divide a day, or from \"1d\" to \"365d\"",
                    "did you mean \"400s\" or \"432s\"?",
                ],
            ),
            (
                "/keys/k/quotas/2/per",
                &["divide a day", "did you mean \"1s\" or \"2s\"?"],
            ),
            (
                "/keys/k/quotas/3/per",
                &["divide a day", "found \"50ms\"", "did you mean \"1s\"?"],
            ),
            (
                "/keys/k/quotas/4/per",
                &["divide a day", "did you mean \"12h\" or \"1d\"?"],
            ),
            (
                "/keys/k/quotas/5/per",
                &[
                    "whole seconds",
                    "found \"90000.5s\"",
                    "did you mean \"25h\" or \"90001s\"?",
                ],
            ),
            (
                "/keys/k/quotas/6/per",
                &[
                    "too long for global windows with the engine envoyproxy",
                    "up to \"365d\"",
                    "did you mean \"365d\"?",
                ],
            ),
            (
                "/keys/k/quotas/7/per",
                &["whole seconds", "did you mean \"365d\"?"],
            ),
        ],
    ),
    (
        r#"{"version":1,"rateLimitService":{"cluster":"x","engine":"limitador"},"keys":{"k":{"sha256":["$A"],"budget":{"limit":1,"per":"total","scope":"global"},"quotas":[
            {"limit":1,"per":"7m","scope":"global"},{"limit":1,"per":"1000d","scope":"global"},{"limit":1,"per":"1.5s","scope":"global"},
            {"limit":1,"per":"0.5s","scope":"global"},{"limit":1,"per":"40000000.5s","scope":"global"}]}}}"#,
        &[
            (
                "/keys/k/quotas/2/per",
                &[
                    "global windows are whole seconds",
                    "found \"1.5s\"",
                    "did you mean \"1s\" or \"2s\"?",
                ],
            ),
            ("/keys/k/quotas/3/per", &["whole seconds", "did you mean \"1s\"?"]),
            (
                "/keys/k/quotas/4/per",
                &["whole seconds", "did you mean \"40000000s\" or \"40000001s\"?"],
            ),
        ],
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
                    "more than 0",
                    "to forbid calls, use \"deny\" in a role or leave the grant out",
                ],
            ),
            (
                "/teams/b/budget/limit",
                &["less than nothing", "found -5", "to forbid calls"],
            ),
            (
                "/teams/c/budget/limit",
                &["more than six decimals", "did you mean 0.000001?"],
            ),
            (
                "/teams/d/budget/limit",
                &["too much", "0 to 1000000000000 currency units", "leave it out"],
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
                "did you mean \"50s\"?",
            ],
        )],
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
    for cases in [COSTS, QUOTAS, GLOBAL, BUDGETS, TEAMS, SERVICE, ELSEWHERE] {
        check(cases);
    }
}
