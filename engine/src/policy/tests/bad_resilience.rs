//! What is wrong with breakers, loop guards, sessions and client capabilities.

use super::bad::{Case, check};
use super::refused;

const BREAKERS: &[Case] = &[
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"failures":0,"ratio":0,"minCalls":0,"window":"999ms","open":"99ms","probes":0,"slow":"0ms"},
            "tools":{"t":{"breaker":{"failures":1001,"ratio":1.000001,"minCalls":1000001,"window":"61m","open":"61m","probes":101,"slow":"3600001ms"}}}}}}"#,
        &[
            (
                "/servers/d/breaker/failures",
                &["out of bounds", "found 0", "1 to 1000", "leave \"breaker\" out"],
            ),
            (
                "/servers/d/breaker/ratio",
                &[
                    "out of bounds",
                    "found 0",
                    "more than 0, up to 1",
                    "leave it out to open after",
                ],
            ),
            (
                "/servers/d/breaker/minCalls",
                &["out of bounds", "found 0", "1 to 1000000", "leave it out for 20"],
            ),
            (
                "/servers/d/breaker/window",
                &["out of bounds", "\"999ms\"", "\"1s\" to \"1h\""],
            ),
            (
                "/servers/d/breaker/open",
                &["out of bounds", "\"99ms\"", "\"100ms\" to \"1h\""],
            ),
            (
                "/servers/d/breaker/probes",
                &[
                    "out of bounds",
                    "found 0",
                    "1 to 100",
                    "it would never close again",
                ],
            ),
            (
                "/servers/d/breaker/slow",
                &["out of bounds", "\"0ms\"", "\"1ms\" to \"1h\""],
            ),
            (
                "/servers/d/tools/t/breaker/failures",
                &["found 1001", "1 to 1000"],
            ),
            (
                "/servers/d/tools/t/breaker/ratio",
                &["out of bounds", "found 1.000001", "up to 1"],
            ),
            ("/servers/d/tools/t/breaker/minCalls", &["found 1000001"]),
            ("/servers/d/tools/t/breaker/window", &["\"61m\""]),
            ("/servers/d/tools/t/breaker/open", &["\"61m\""]),
            (
                "/servers/d/tools/t/breaker/probes",
                &["found 101", "allowed: 1 to 100"],
            ),
            ("/servers/d/tools/t/breaker/slow", &["\"3600001ms\""]),
        ],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","tools":{"a":{"breaker":{"ratio":50}},"b":{"breaker":{"ratio":0.0000001}},
            "c":{"breaker":{"ratio":-0.5}},"d":{"breaker":{"ratio":1.00000000000000000001}},"e":{"breaker":{"ratio":1.0000009}},"f":{"breaker":{"ratio":1e9}},
            "g":{"breaker":{"ratio":101}},"h":{"breaker":{"ratio":1e30}},"i":{"breaker":{"ratio":"0.5"}}}}}}"#,
        &[
            (
                "/servers/d/tools/a/breaker/ratio",
                &["out of bounds", "found 50", "did you mean 0.5?"],
            ),
            (
                "/servers/d/tools/b/breaker/ratio",
                &["more than six decimals", "did you mean 0.000001?"],
            ),
            (
                "/servers/d/tools/c/breaker/ratio",
                &["out of bounds", "found -0.5", "more than 0"],
            ),
            (
                "/servers/d/tools/d/breaker/ratio",
                &[
                    "more than six decimals",
                    "found 1.00000000000000000001",
                    "did you mean 1?",
                ],
            ),
            (
                "/servers/d/tools/e/breaker/ratio",
                &["out of bounds", "found 1.0000009"],
            ),
            ("/servers/d/tools/f/breaker/ratio", &["out of bounds"]),
            (
                "/servers/d/tools/g/breaker/ratio",
                &["out of bounds", "found 101"],
            ),
            ("/servers/d/tools/h/breaker/ratio", &["out of bounds"]),
            (
                "/servers/d/tools/i/breaker/ratio",
                &["found a string", "a number", "write the number without quotes"],
            ),
        ],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"failures":5,"minCalls":20,"window":"30s"}}}}"#,
        &[
            (
                "/servers/d/breaker/minCalls",
                &[
                    "\"minCalls\" says nothing without \"ratio\"",
                    "add \"ratio\", like 0.5, or leave \"minCalls\" out",
                ],
            ),
            (
                "/servers/d/breaker/window",
                &[
                    "\"window\" says nothing without \"ratio\"",
                    "or leave \"window\" out",
                ],
            ),
        ],
    ),
    // What only follows from a mistake is not told.
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"ratoi":0.5,"minCalls":20}},"e":{"path":"/e","breaker":{"ratio":"x","window":"1m"}}}}"#,
        &[
            (
                "/servers/d/breaker/ratoi",
                &["unknown field", "did you mean \"ratio\"?"],
            ),
            ("/servers/e/breaker/ratio", &["found a string"]),
        ],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","breaker":{"each":"call","open":30,"window":"minute","ratio":0.5,"slow":"10","countToolErrors":"yes","probes":1.5}},
            "e":{"path":"/e","breaker":true},"f":{"path":"/f","breaker":null},"g":{"path":"/g","breaker":[{}]}}}"#,
        &[
            (
                "/servers/d/breaker/each",
                &["unknown value", "\"call\"", "\"tool\" or \"server\""],
            ),
            (
                "/servers/d/breaker/open",
                &["found 30", "like \"30s\"", "did you mean \"30s\" or \"30ms\"?"],
            ),
            (
                "/servers/d/breaker/window",
                &["not a duration", "\"1s\" to \"1h\"", "did you mean \"1m\"?"],
            ),
            (
                "/servers/d/breaker/slow",
                &["not a duration", "did you mean \"10s\" or \"10ms\"?"],
            ),
            (
                "/servers/d/breaker/countToolErrors",
                &["found a string", "true or false"],
            ),
            ("/servers/d/breaker/probes", &["found 1.5", "a whole number"]),
            ("/servers/e/breaker", &["found true", "an object"]),
            ("/servers/f/breaker", &["found null", "leave it out instead"]),
            ("/servers/g/breaker", &["found a list", "leave [ and ] out"]),
        ],
    ),
];

const LOOPS: &[Case] = &[
    (
        r#"{"version":1,"identity":{"anonymous":"a"},"keys":{"a":{"loops":{}},"b":{"sha256":["$A"],"loops":{"identicalCalls":5}},"c":{"sha256":["$B"],"loops":{"per":"1m"}},
            "d":{"sha256":["$C"],"loops":{"identicalCalls":0,"per":"999ms","anyCall":{"limit":0,"per":"8d"}}}}}"#,
        &[
            (
                "/keys/a/loops",
                &[
                    "nothing is looked for",
                    "\"identicalCalls\" with \"per\", or \"anyCall\", or both",
                    "leave \"loops\" out",
                ],
            ),
            (
                "/keys/b/loops/per",
                &["missing", "in which \"identicalCalls\"", "\"1m\""],
            ),
            (
                "/keys/c/loops/per",
                &[
                    "\"per\" says nothing without \"identicalCalls\"",
                    "add \"identicalCalls\", like 5",
                ],
            ),
            (
                "/keys/d/loops/identicalCalls",
                &["out of bounds", "found 0", "1 to 1000000", "to forbid calls"],
            ),
            (
                "/keys/d/loops/per",
                &["out of bounds", "\"999ms\"", "\"1s\" to \"7d\""],
            ),
            (
                "/keys/d/loops/anyCall/limit",
                &["out of bounds", "found 0", "to forbid calls"],
            ),
            (
                "/keys/d/loops/anyCall/per",
                &["out of bounds", "\"8d\"", "\"1s\" to \"7d\""],
            ),
        ],
    ),
    (
        r#"{"version":1,"keys":{"a":{"sha256":["$A"],"loops":{"identicalCalls":1000001,"per":"day","anyCall":{}}},"b":{"sha256":["$B"],"loops":{"anyCall":100}},
            "c":{"sha256":["$C"],"loops":{"identicalCalls":"5","per":"1m"}}}}"#,
        &[
            ("/keys/a/loops/identicalCalls", &["found 1000001", "1 to 1000000"]),
            (
                "/keys/a/loops/per",
                &["not a duration", "\"day\"", "did you mean \"1d\"?"],
            ),
            ("/keys/a/loops/anyCall/limit", &["missing", "a whole number"]),
            ("/keys/a/loops/anyCall/per", &["missing", "like \"30s\""]),
            ("/keys/b/loops/anyCall", &["found 100", "an object"]),
            (
                "/keys/c/loops/identicalCalls",
                &["found a string", "write the number without quotes"],
            ),
        ],
    ),
];

const SESSIONS: &[Case] = &[
    (
        r#"{"version":1,"sessions":{"secretEnv":"$SECRET"}}"#,
        &[(
            "/sessions/secretEnv",
            &[
                "not the name of an environment variable",
                "7 characters",
                "letters, digits and _",
                "TOOLGATE_SESSION_SECRET",
                "leave the $ out",
            ],
        )],
    ),
    (
        r#"{"version":1,"sessions":{"secretEnv":""}}"#,
        &[(
            "/sessions/secretEnv",
            &["not the name", "found nothing", "not a digit first"],
        )],
    ),
    (
        r#"{"version":1,"sessions":{"secretEnv":"1A"}}"#,
        &[("/sessions/secretEnv", &["not the name", "2 characters"])],
    ),
    (
        r#"{"version":1,"sessions":{"secretEnv":"Ä"}}"#,
        &[("/sessions/secretEnv", &["not the name", "1 character;"])],
    ),
    (
        r#"{"version":1,"sessions":{"secretEnv":7,"secret":"x","secretFile":"x","env":"x","secretEnvs":"x"}}"#,
        &[
            ("/sessions/secretEnv", &["found 7", "a string"]),
            (
                "/sessions/secret",
                &["unknown field", "a policy never holds the secret"],
            ),
            ("/sessions/secretFile", &["unknown field", "never holds"]),
            ("/sessions/env", &["it is called \"secretEnv\""]),
            ("/sessions/secretEnvs", &["did you mean \"secretEnv\"?"]),
        ],
    ),
    (
        r#"{"version":1,"sessions":null}"#,
        &[("/sessions", &["found null", "leave it out instead"])],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","clientCapabilities":{"sampling":"deny","roots":false,"elicit":"strip"}},"e":{"path":"/e","clientCapabilities":["sampling"]}}}"#,
        &[
            (
                "/servers/d/clientCapabilities/sampling",
                &["unknown value", "\"deny\"", "\"allow\" or \"strip\""],
            ),
            (
                "/servers/d/clientCapabilities/roots",
                &["found false", "\"allow\" or \"strip\""],
            ),
            (
                "/servers/d/clientCapabilities/elicit",
                &["unknown field", "sampling, elicitation, roots"],
            ),
            ("/servers/e/clientCapabilities", &["found a list", "an object"]),
        ],
    ),
];

/// What people who know another breaker or another format write.
const OTHER_WORDS: &[Case] = &[
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","circuitBreaker":{},"capabilities":{},"sampling":"strip","breaker":{"threshold":5,"maxFailures":5,"failureRate":50,
            "minRequests":5,"interval":"1m","timeout":"30s","cooldown":"30s","halfOpen":1,"slowAfter":"5s","toolErrors":true,"scope":"global","prboes":1}}}}"#,
        &[
            ("/servers/d/circuitBreaker", &["it is called \"breaker\""]),
            (
                "/servers/d/capabilities",
                &["it is called \"clientCapabilities\""],
            ),
            ("/servers/d/sampling", &["a field of \"clientCapabilities\""]),
            (
                "/servers/d/breaker/threshold",
                &["unknown field", "\"failures\" says how many in a row"],
            ),
            (
                "/servers/d/breaker/maxFailures",
                &["\"failures\" says how many in a row"],
            ),
            (
                "/servers/d/breaker/failureRate",
                &["called \"ratio\"", "half of them is 0.5"],
            ),
            ("/servers/d/breaker/minRequests", &["called \"minCalls\""]),
            ("/servers/d/breaker/interval", &["called \"window\""]),
            (
                "/servers/d/breaker/timeout",
                &["called \"open\"", "longer than \"slow\""],
            ),
            (
                "/servers/d/breaker/cooldown",
                &["how long nothing is sent is called \"open\""],
            ),
            ("/servers/d/breaker/halfOpen", &["called \"probes\""]),
            ("/servers/d/breaker/slowAfter", &["longer than \"slow\""]),
            (
                "/servers/d/breaker/toolErrors",
                &["it is called \"countToolErrors\""],
            ),
            (
                "/servers/d/breaker/scope",
                &["every Envoy process counts by itself"],
            ),
            ("/servers/d/breaker/prboes", &["did you mean \"probes\"?"]),
        ],
    ),
    (
        r#"{"version":1,"servers":{"d":{"path":"/d","tools":{"t":{"breaker":{"each":"tool","window":"30s"}}}}}}"#,
        &[(
            "/servers/d/tools/t/breaker/each",
            &[
                "unknown field",
                "a tool's breaker watches this tool alone; the breaker of a server has \"each\"",
            ],
        )],
    ),
    (
        r#"{"version":1,"keys":{"k":{"sha256":["$A"],"loops":{"identicalCalls":5,"per":"1m","window":"1m","limit":5,"maxCalls":5,"on":"d/*","scope":"global","identicalCall":5,
            "anyCall":{"limit":5,"per":"1m","period":"1m","max":5}}}}}"#,
        &[
            (
                "/keys/k/loops/window",
                &["unknown field", "the time is called \"per\""],
            ),
            ("/keys/k/loops/limit", &["\"identicalCalls\"", "\"anyCall\""]),
            ("/keys/k/loops/maxCalls", &["it is called \"anyCall\""]),
            ("/keys/k/loops/on", &["all calls of the key"]),
            ("/keys/k/loops/scope", &["every Envoy process counts by itself"]),
            (
                "/keys/k/loops/identicalCall",
                &["did you mean \"identicalCalls\"?"],
            ),
            ("/keys/k/loops/anyCall/period", &["the time is called \"per\""]),
            ("/keys/k/loops/anyCall/max", &["the calls are called \"limit\""]),
        ],
    ),
];

/// Where they do not belong.
const ELSEWHERE: &[Case] = &[
    (
        r#"{"version":1,"breaker":{},"loops":{},"clientCapabilities":{},"secretEnv":"S","sesions":{},"servers":{"d":{"path":"/d","loops":{},"sessions":{},
            "tools":{"t":{"loops":{},"clientCapabilities":{},"circuitBreaker":{}}}}},"roles":{"r":{"loops":{},"breaker":{},"clientCapabilities":{}}},
            "teams":{"t":{"loops":{},"breaker":{}}},"keys":{"k":{"sha256":["$A"],"breaker":{},"clientCapabilities":{},"identicalCalls":5,"anyCall":{},"sessions":{}}}}"#,
        &[
            (
                "/breaker",
                &["a breaker belongs to a server or to one of its tools"],
            ),
            ("/loops", &["unknown field", "loops belong to a key"]),
            ("/clientCapabilities", &["client capabilities belong to a server"]),
            ("/secretEnv", &["a field of \"sessions\""]),
            ("/sesions", &["did you mean \"sessions\"?"]),
            ("/servers/d/loops", &["unknown field", "loops belong to a key"]),
            ("/servers/d/sessions", &["sessions belong to the whole policy"]),
            ("/servers/d/tools/t/loops", &["loops belong to a key"]),
            (
                "/servers/d/tools/t/clientCapabilities",
                &["client capabilities belong to a server"],
            ),
            ("/servers/d/tools/t/circuitBreaker", &["it is called \"breaker\""]),
            ("/roles/r/loops", &["loops belong to a key"]),
            ("/roles/r/breaker", &["a breaker belongs to a server"]),
            (
                "/roles/r/clientCapabilities",
                &["client capabilities belong to a server"],
            ),
            ("/teams/t/loops", &["unknown field", "loops belong to a key"]),
            ("/teams/t/breaker", &["a breaker belongs to a server"]),
            ("/keys/k/breaker", &["a breaker belongs to a server"]),
            (
                "/keys/k/clientCapabilities",
                &["client capabilities belong to a server"],
            ),
            ("/keys/k/identicalCalls", &["a field of the key's \"loops\""]),
            ("/keys/k/anyCall", &["a field of the key's \"loops\""]),
            ("/keys/k/sessions", &["sessions belong to the whole policy"]),
        ],
    ),
    // A misplaced member does not keep the rest from being judged.
    (
        r#"{"version":1,"breaker":{},"servers":{"d":{"path":"d"}}}"#,
        &[
            ("/breaker", &["a breaker belongs to a server"]),
            ("/servers/d/path", &["does not begin with /"]),
        ],
    ),
];

#[test]
fn every_error_has_its_place_its_reason_and_its_hint() {
    for cases in [BREAKERS, LOOPS, SESSIONS, OTHER_WORDS, ELSEWHERE] {
        check(cases);
    }
}

#[test]
fn what_could_be_the_secret_is_not_repeated() {
    for text in ["hunter2-hunter2-hunter2-hunter2!", "hunter2+/=", "$hunter2"] {
        for field in ["secretEnv", "secret"] {
            let errors = refused(&format!(r#"{{"version":1,"sessions":{{"{field}":"{text}"}}}}"#));
            assert!(!errors.to_string().contains("hunter2"), "{errors}");
        }
    }
    let long = "a".repeat(129);
    let errors = refused(&format!(r#"{{"version":1,"sessions":{{"secretEnv":"{long}"}}}}"#));
    assert!(errors.to_string().contains("129 characters"), "{errors}");
    assert!(!errors.to_string().contains(&long), "{errors}");
}
