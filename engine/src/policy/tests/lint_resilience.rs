use super::{compiled, hash};
use crate::policy::{Warning, lint};

fn warnings(text: &str) -> Vec<Warning> {
    lint(&compiled(text), 1_767_225_600)
}

/// Checks the warnings, given as pointers and parts of their messages.
#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    let warnings = warnings(text);
    let matches = warnings.len() == expected.len()
        && warnings
            .iter()
            .zip(expected)
            .all(|(warning, (pointer, part))| warning.pointer == *pointer && warning.message.contains(part));
    assert!(matches, "expected {expected:#?}\nbut {warnings:#?}\nin {text}");
}

/// A policy in which everybody may call everything on `d`, which has these further members.
fn server(members: &str) -> String {
    format!(
        r#"{{"version":1,"sessions":{{"secretEnv":"S"}},"servers":{{"d":{{"path":"/d"{members}}}}},"roles":{{"r":{{"allow":["d/*"]}}}},
            "keys":{{"k":{{"sha256":["{}"],"roles":["r"]}}}}}}"#,
        hash(1)
    )
}

#[test]
fn sessions_without_a_secret_end_with_the_process() {
    let without = (
        "/sessions",
        "sessions end with the process and do not cross replicas",
    );
    let served = server("");
    check(&served, &[]);
    check(
        &served.replace(r#""sessions":{"secretEnv":"S"},"#, ""),
        &[without],
    );
    check(&served.replace(r#""secretEnv":"S""#, ""), &[without]);
    // No server, no session.
    check(r#"{"version":1}"#, &[]);
}

#[test]
fn a_secret_in_place_of_its_variable_is_noticed_and_not_repeated() {
    let secret = "e3b0c44298fc1c149afbf4c8996fb924";
    let found = warnings(&format!(
        r#"{{"version":1,"sessions":{{"secretEnv":"{secret}"}}}}"#
    ));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].pointer, "/sessions/secretEnv");
    assert!(!found[0].message.contains(secret), "{}", found[0].message);
    for name in ["TOOLGATE_SESSION_SECRET_OF_PRODUCTION", "TOOLGATESECRET"] {
        check(
            &format!(r#"{{"version":1,"sessions":{{"secretEnv":"{name}"}}}}"#),
            &[],
        );
    }
}

#[test]
fn a_breaker_that_watches_no_call_is_told() {
    let nothing = |why| [("/servers/d/breaker", why)];
    for useful in [
        r#","breaker":{}"#,
        r#","breaker":{"slow":"5s"}"#,
        r#","breaker":{},"unlistedTools":"deny","tools":{"a":{"breaker":{}},"b":{}}"#,
        r#","breaker":{},"tools":{"a":{"breaker":{}}}"#,
        r#","breaker":{"each":"server"},"unlistedTools":"deny","tools":{"a":{"breaker":{}}}"#,
        r#","breaker":{},"methods":["tools/*"]"#,
        r#","breaker":{"each":"server"},"methods":["resources/*"]"#,
    ] {
        check(&server(useful), &[]);
    }
    check(
        &server(r#","breaker":{},"unlistedTools":"deny","tools":{"a":{"breaker":{}}}"#),
        &nothing("watches nothing: every tool has a breaker of its own"),
    );
    check(
        &server(r#","breaker":{},"methods":["resources/*"],"tools":{"b":{"breaker":{}},"a":{"breaker":{}}}"#),
        &[
            (
                "/servers/d/breaker",
                "watches nothing: the server's \"methods\" have no tools/call",
            ),
            ("/servers/d/tools/a/breaker", "tools/call"),
            ("/servers/d/tools/b/breaker", "tools/call"),
        ],
    );
    let prompts = server(r#","breaker":{}"#).replace("\"allow\"", "\"prompts\"");
    check(&prompts, &nothing("no role grants a tool of this server"));
}

#[test]
fn a_ratio_that_decides_nothing_is_told() {
    let ratio = |breaker: &str| server(&format!(r#","breaker":{{{breaker}}}"#));
    let before = [("/servers/d/breaker/ratio", "in a row, which open it before")];
    let rare = [("/servers/d/breaker/minCalls", "decides nothing")];
    for useful in [
        r#""ratio":0.5"#,
        r#""failures":5,"ratio":0.5"#,
        // Every other call.
        r#""failures":2,"ratio":0.5,"minCalls":1000000,"window":"1h""#,
        // Two of three in the shortest window, which may begin and end with them: 2 of 3, 4 of 5.
        r#""failures":3,"ratio":0.8,"minCalls":5"#,
        r#""failures":21,"ratio":1,"minCalls":20"#,
        r#""ratio":1,"minCalls":1000000,"window":"100s""#,
    ] {
        check(&ratio(useful), &[]);
    }
    for useless in [
        r#""failures":1,"ratio":0.000001"#,
        r#""failures":20,"ratio":1,"minCalls":20"#,
        r#""failures":3,"ratio":0.8,"minCalls":6"#,
        r#""failures":2,"ratio":0.6,"minCalls":6"#,
    ] {
        check(&ratio(useless), &before);
    }
    check(&ratio(r#""ratio":0.5,"minCalls":1000000,"window":"99s""#), &rare);
    check(
        &ratio(r#""failures":2,"ratio":0.5,"minCalls":10001,"window":"1s""#),
        &rare,
    );
    check(
        &server(r#","tools":{"t":{"breaker":{"failures":1,"ratio":1}}}"#),
        &[("/servers/d/tools/t/breaker/ratio", "without 1 in a row")],
    );
}

/// Every sequence of calls up to a length, against the claim that some failures come in a row first.
#[test]
fn a_ratio_is_called_useless_only_if_no_sequence_of_calls_needs_it() {
    for failures in 1..=4_u32 {
        for min_calls in 1..=6_u32 {
            for tenths in 1..=10_u32 {
                let needed = (min_calls..=12).any(|length| {
                    (0..1_u32 << length).any(|bad| {
                        let reached = bad.count_ones() * 10 >= tenths * length;
                        let row = (1..failures).fold(bad, |row, shift| row & (bad >> shift));
                        reached && row == 0
                    })
                });
                let ratio = f64::from(tenths) / 10.0;
                let text = server(&format!(
                    r#","breaker":{{"failures":{failures},"ratio":{ratio},"minCalls":{min_calls}}}"#
                ));
                let told = !warnings(&text).is_empty();
                // Never wrongly; and never missed where the share is a whole number of the fewest calls.
                assert!(!(told && needed), "{text}");
                let whole = tenths * min_calls % 10 == 0;
                assert!(told || needed || !whole, "{text}");
            }
        }
    }
}

#[test]
fn loops_of_a_key_that_may_call_nothing_are_told() {
    let key = |roles: &str, more: &str| {
        server("")
            .replace(
                r#""roles":["r"]"#,
                &format!(r#""roles":[{roles}],"loops":{{"identicalCalls":1,"per":"1m"}}{more}"#),
            )
            .replace(
                r#""roles":{"r""#,
                r#""roles":{"p":{"prompts":["d/*"]},"q":{"allow":["d/*"]},"r""#,
            )
    };
    let told = |text: &str| {
        warnings(text)
            .into_iter()
            .any(|w| w.pointer == "/keys/k/loops" && w.message.contains("nothing to repeat"))
    };
    assert!(!told(&key(r#""r""#, "")));
    assert!(!told(&key(r#""p","q""#, "")));
    assert!(told(&key(r#""p""#, "")));
    assert!(told(&key("", "")));
    // Roles that a JWT names could grant something.
    let claimed = key(r#""p""#, r#","subjects":["a*"]"#).replacen(
        "1,",
        r#"1,"identity":{"jwt":{"rolesClaim":"r"}},"#,
        1,
    );
    assert!(!told(&claimed));
}
