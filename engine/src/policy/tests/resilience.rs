//! Breakers, loop guards, sessions, client capabilities and the names that labels may have.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{compiled, hash};
use crate::policy::*;

fn count(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

/// The breaker of the server `d`, given as JSON.
fn breaker(text: &str) -> Breaker {
    let policy = compiled(&format!(
        r#"{{"version":1,"servers":{{"d":{{"path":"/d","breaker":{text}}}}}}}"#
    ));
    let server = policy.server(policy.server_by_name("d").unwrap());
    server.breaker.clone().unwrap()
}

#[test]
fn a_breaker_that_says_nothing_opens_after_five_failures_in_a_row() {
    let expected = Breaker {
        each: BreakerEach::Tool,
        failures: Some(count(5)),
        ratio: None,
        open: Duration::from_secs(30),
        probes: count(1),
        slow: None,
        count_tool_errors: false,
    };
    assert_eq!(breaker("{}"), expected);
    assert_eq!(
        breaker(r#"{"slow":"1ms"}"#),
        Breaker {
            slow: Some(Duration::from_millis(1)),
            ..expected.clone()
        }
    );
    // With a ratio, nothing else opens it unless it says so.
    let half = Ratio {
        millionths: 500_000,
        min_calls: count(20),
        window: Duration::from_secs(30),
    };
    let by_ratio = Breaker {
        failures: None,
        ratio: Some(half),
        ..expected.clone()
    };
    assert_eq!(breaker(r#"{"ratio":0.5}"#), by_ratio);
    assert_eq!(
        breaker(r#"{"ratio":0.5,"failures":1}"#),
        Breaker {
            failures: Some(count(1)),
            ..by_ratio
        }
    );
}

#[test]
fn every_setting_of_a_breaker_arrives() {
    let text = r#"{"each":"server","failures":1000,"ratio":1,"minCalls":1000000,"window":"1h","open":"100ms","probes":100,
        "slow":"1h","countToolErrors":true}"#;
    let expected = Breaker {
        each: BreakerEach::Server,
        failures: Some(count(1_000)),
        ratio: Some(Ratio {
            millionths: 1_000_000,
            min_calls: count(1_000_000),
            window: Duration::from_hours(1),
        }),
        open: Duration::from_millis(100),
        probes: count(100),
        slow: Some(Duration::from_hours(1)),
        count_tool_errors: true,
    };
    assert_eq!(breaker(text), expected);
}

#[test]
fn ratios_are_read_to_the_last_digit() {
    for (text, millionths) in [
        ("0.000001", 1),
        ("1e-6", 1),
        ("0.1", 100_000),
        ("0.333333", 333_333),
        ("0.57", 570_000),
        ("0.999999", 999_999),
        ("0.9999990000000000000000000", 999_999),
        ("1", 1_000_000),
        ("1.0", 1_000_000),
        ("1.0000000000000000000000", 1_000_000),
        ("5E-1", 500_000),
    ] {
        let ratio = breaker(&format!(r#"{{"ratio":{text},"minCalls":1,"window":"1s"}}"#)).ratio;
        let expected = Ratio {
            millionths,
            min_calls: count(1),
            window: Duration::from_secs(1),
        };
        assert_eq!(ratio, Some(expected), "{text}");
    }
}

#[test]
fn a_tools_own_breaker_takes_the_place_of_the_servers() {
    let policy = compiled(
        r#"{"version":1,"servers":{
            "d":{"path":"/d","breaker":{"each":"server","failures":7},"tools":{"own":{"breaker":{"failures":3,"countToolErrors":true}},"none":{}}},
            "e":{"path":"/e","tools":{"own":{"breaker":{"ratio":0.25}}}}}}"#,
    );
    let failures = |server: &str, tool: &str| {
        let server = policy.server(policy.server_by_name(server).unwrap());
        let breaker = server.breaker_of(tool)?;
        Some((breaker.each, breaker.failures.map(NonZeroU32::get)))
    };
    assert_eq!(failures("d", "own"), Some((BreakerEach::Tool, Some(3))));
    assert_eq!(failures("d", "none"), Some((BreakerEach::Server, Some(7))));
    assert_eq!(failures("d", "unlisted"), Some((BreakerEach::Server, Some(7))));
    assert_eq!(failures("e", "own"), Some((BreakerEach::Tool, None)));
    assert_eq!(failures("e", "unlisted"), None);
}

#[test]
fn loops_arrive() {
    let policy = compiled(&format!(
        r#"{{"version":1,"keys":{{
            "a":{{"sha256":["{}"],"loops":{{"identicalCalls":5,"per":"1m","anyCall":{{"limit":100,"per":"10m"}}}}}},
            "b":{{"sha256":["{}"],"loops":{{"anyCall":{{"limit":1000000,"per":"7d"}}}}}},
            "c":{{"sha256":["{}"],"loops":{{"identicalCalls":1,"per":"1s"}}}},
            "d":{{"sha256":["{}"]}}}}}}"#,
        hash(1),
        hash(2),
        hash(3),
        hash(4)
    ));
    let loops = |name: &str| policy.key(policy.key_by_name(name).unwrap()).loops.clone();
    let repeats = |limit, seconds| {
        Some(Repeats {
            limit: count(limit),
            per: Duration::from_secs(seconds),
        })
    };
    for (name, identical, any_call) in [
        ("a", repeats(5, 60), repeats(100, 600)),
        ("b", None, repeats(1_000_000, 604_800)),
        ("c", repeats(1, 1), None),
        ("d", None, None),
    ] {
        assert_eq!(loops(name), Loops { identical, any_call }, "{name}");
    }
}

#[test]
fn sessions_and_client_capabilities_arrive() {
    let policy = compiled(
        r#"{"version":1,"sessions":{"secretEnv":"_TOOLGATE_2"},"servers":{"d":{"path":"/d","clientCapabilities":{"sampling":"strip","roots":"strip"}},
            "e":{"path":"/e","clientCapabilities":{"elicitation":"strip","roots":"allow"}},"f":{"path":"/f"}}}"#,
    );
    assert_eq!(policy.sessions().secret_env.as_deref(), Some("_TOOLGATE_2"));
    let stripped = |name: &str| -> Vec<&str> {
        let server = policy.server(policy.server_by_name(name).unwrap());
        server.client_capabilities.stripped().collect()
    };
    assert_eq!(stripped("d"), ["sampling", "roots"]);
    assert_eq!(stripped("e"), ["elicitation"]);
    assert_eq!(stripped("f"), [""; 0]);
    for text in [r#"{"version":1}"#, r#"{"version":1,"sessions":{}}"#] {
        assert_eq!(*compiled(text).sessions(), Sessions::default(), "{text}");
    }
    let longest = "A".repeat(128);
    compiled(&format!(
        r#"{{"version":1,"sessions":{{"secretEnv":"{longest}"}}}}"#
    ));
}

#[test]
fn a_policy_knows_what_it_needs() {
    let server = |body: &str| format!(r#"{{"version":1,"servers":{{"d":{{"path":"/d"{body}}}}}}}"#);
    let key = |body: &str| {
        format!(
            r#"{{"version":1,"keys":{{"k":{{"sha256":["{}"]{body}}}}}}}"#,
            hash(1)
        )
    };
    for (text, counts, loops, watches) in [
        (server(""), false, false, false),
        (server(r#","breaker":{}"#), false, false, true),
        (
            server(r#","tools":{"a":{},"b":{"breaker":{}}}"#),
            false,
            false,
            true,
        ),
        (key(""), false, false, false),
        (
            key(r#","loops":{"identicalCalls":1,"per":"1m"}"#),
            false,
            true,
            false,
        ),
        (
            key(r#","loops":{"anyCall":{"limit":1,"per":"1m"}}"#),
            false,
            true,
            false,
        ),
        (key(r#","quotas":[{"limit":1,"per":"day"}]"#), true, false, false),
    ] {
        let policy = compiled(&text);
        let found = (policy.counts(), policy.guards_loops(), policy.watches());
        assert_eq!(found, (counts, loops, watches), "{text}");
        assert_eq!(policy.needs_time(), counts || loops || watches, "{text}");
    }
}

#[test]
fn names_that_the_policy_writes_out_can_be_labels() {
    let policy = compiled(&format!(
        r#"{{"version":1,"servers":{{"d":{{"path":"/d","tools":{{"listed":{{}},"of/listed":{{}}}}}},"e":{{"path":"/e"}}}},
            "roles":{{"r":{{"allow":["d/granted","d/a/b","d/search_*","*/floating","e/only_e"],"deny":["d/denied","d/*_all"],"prompts":["d/prompt"]}}}},
            "teams":{{"t":{{"quotas":[{{"limit":1,"per":"day","on":"d/of_team"}},{{"limit":1,"per":"day"}}]}}}},
            "keys":{{"k":{{"sha256":["{}"],"quotas":[{{"limit":1,"per":"day","on":"d/of_key"}},{{"limit":1,"per":"day","on":"d/some_*"}}]}}}}}}"#,
        hash(1)
    ));
    let known = |server: &str, tool: &str| {
        let server = policy.server(policy.server_by_name(server).unwrap());
        let name = server.known_name(tool);
        assert!(name.is_none_or(|name| &**name == tool));
        name.is_some()
    };
    for tool in [
        "listed",
        "of/listed",
        "granted",
        "a/b",
        "denied",
        "of_team",
        "of_key",
    ] {
        assert!(known("d", tool), "{tool}");
        assert!(!known("e", tool), "{tool}");
    }
    assert!(known("e", "only_e"));
    for tool in [
        "search_*", "search_x", "floating", "only_e", "prompt", "*_all", "some_*", "b", "", "*",
    ] {
        assert!(!known("d", tool), "{tool}");
    }
}
