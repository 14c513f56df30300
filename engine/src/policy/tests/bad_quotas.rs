//! What is wrong with quotas and with global limits.

use super::bad::{Case, check};

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
            (
                "/teams/t/quotas/6/per",
                &["not a window", "did you mean \"5s\" or \"5ms\"?"],
            ),
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

#[test]
fn every_error_has_its_place_its_reason_and_its_hint() {
    for cases in [QUOTAS, GLOBAL] {
        check(cases);
    }
}
