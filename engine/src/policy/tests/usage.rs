//! Limits on usage, as compiled.

use std::time::Duration;

use super::{compiled, refused};
use crate::policy::*;

#[test]
fn every_member_of_the_limits_arrives() {
    let policy = compiled(
        r#"{"version":1,"identity":{"jwt":{}},
        "servers":{"docs":{"path":"/d","cost":0.001,"costPerKiB":1e-6,"tools":{"free":{"cost":0},"sql":{"cost":0.05},"big":{"costPerKiB":2}}},
            "files":{"path":"/f"}},
        "teams":{"all":{"budget":{"limit":5000,"per":"month"}},"eng":{"parent":"all","quotas":[{"limit":2000,"per":"minute"}]}},
        "keys":{"k":{"subjects":["a"],"team":"eng","quotas":[
            {"limit":100,"per":"minute","burst":20},
            {"limit":2,"per":"second","on":"docs/*","each":"tool","scope":"global"},
            {"limit":4294967295,"per":"365d","each":"subject"},
            {"limit":1,"per":"50ms"}],
            "budget":{"limit":0.1,"per":"total"}}},
        "rateLimitService":{"cluster":"rl","domain":"d","timeout":"50ms","onError":"local","engine":"limitador"}}"#,
    );
    let docs = policy.server(policy.server_by_name("docs").unwrap());
    let cost = |per_call, per_kib| Cost {
        per_call: Micros(per_call),
        per_kib: Micros(per_kib),
    };
    assert_eq!(docs.cost_of("other"), cost(1_000, 1));
    assert_eq!(docs.cost_of("free"), cost(0, 1));
    assert_eq!(docs.cost_of("sql"), cost(50_000, 1));
    assert_eq!(docs.cost_of("big"), cost(1_000, 2_000_000));
    let files = policy.server(policy.server_by_name("files").unwrap());
    assert_eq!(files.cost_of("any"), Cost::default());

    let id = policy.key_by_name("k").unwrap();
    let teams: Vec<&str> = policy.teams_of(id).map(|(_, team)| &*team.name).collect();
    assert_eq!(teams, ["eng", "all"]);
    let all = policy.team(policy.team_by_name("all").unwrap());
    assert_eq!(all.parent, None);
    assert_eq!(
        all.allowance.budget,
        Some(Budget {
            limit: Micros(5_000_000_000),
            per: Period::Month,
            scope: Scope::Local
        })
    );
    let key = policy.key(id);
    assert_eq!(key.team_id, policy.team_by_name("eng"));
    let quotas: Vec<_> = key
        .allowance
        .quotas
        .iter()
        .map(|q| {
            (
                q.limit.get(),
                &*q.per.text,
                q.per.length,
                q.burst.get(),
                q.each,
                q.scope,
            )
        })
        .collect();
    assert_eq!(
        quotas,
        [
            (100, "minute", Duration::from_mins(1), 20, None, Scope::Local),
            (
                2,
                "second",
                Duration::from_secs(1),
                2,
                Some(Each::Tool),
                Scope::Global
            ),
            (
                u32::MAX,
                "365d",
                Duration::from_hours(365 * 24),
                u32::MAX,
                Some(Each::Subject),
                Scope::Local
            ),
            (1, "50ms", Duration::from_millis(50), 1, None, Scope::Local),
        ]
    );
    let on: Vec<bool> = key.allowance.quotas.iter().map(|q| q.on.is_some()).collect();
    assert_eq!(on, [false, true, false, false]);
    let on = key.allowance.quotas[1].on.as_ref().unwrap();
    assert!(on.matches("docs", "x") && !on.matches("files", "x"));
    assert_eq!(
        key.allowance.budget,
        Some(Budget {
            limit: Micros(100_000),
            per: Period::Total,
            scope: Scope::Local
        })
    );
    assert_eq!(
        policy.rate_limit_service(),
        Some(&RateLimitService {
            cluster: "rl".into(),
            domain: "d".into(),
            timeout: Duration::from_millis(50),
            on_error: OnError::Local,
            engine: ServiceEngine::Limitador,
        })
    );
    assert!(policy.counts());
}

#[test]
fn the_rate_limit_service_has_defaults() {
    let policy = compiled(r#"{"version":1,"rateLimitService":{"cluster":"rl"}}"#);
    assert_eq!(
        policy.rate_limit_service(),
        Some(&RateLimitService {
            cluster: "rl".into(),
            domain: "toolgate".into(),
            timeout: Duration::from_millis(100),
            on_error: OnError::Deny,
            engine: ServiceEngine::Envoyproxy,
        })
    );
    assert!(!policy.counts());
    assert_eq!(compiled(r#"{"version":1}"#).rate_limit_service(), None);
}

#[test]
fn numbers_are_read_to_the_digit_wherever_they_stand() {
    let policy = compiled(
        r#"{"version":1,"servers":{"d":{"path":"/e","cost":999999999999.999999,"tools":{
            "a/~":{"cost":9007199254.740993,"inputSchema":{"maximum":1.2345678901234567890}},"b":{"cost":1.0000000000000000000}}}},
            "teams":{"t":{"quotas":[{"limit":1,"per":"day"},{"limit":100.00000000000000000,"per":"day"},{"limit":1e2,"per":"day"}]}}}"#,
    );
    let server = policy.server(policy.server_by_name("d").unwrap());
    assert_eq!(server.cost.per_call, Micros(999_999_999_999_999_999));
    assert_eq!(server.cost_of("a/~").per_call, Micros(9_007_199_254_740_993));
    assert_eq!(server.cost_of("b").per_call, Micros(1_000_000));
    let quotas = &policy.team(policy.team_by_name("t").unwrap()).allowance.quotas;
    let limits: Vec<u32> = quotas.iter().map(|quota| quota.limit.get()).collect();
    assert_eq!(limits, [1, 100, 100]);
}

#[test]
fn a_number_that_fills_the_document_is_cut_in_the_error() {
    let digits = "9".repeat(100_000);
    let errors = refused(&format!(
        r#"{{"version":1,"servers":{{"d":{{"path":"/d","cost":0.{digits}}}}}}}"#
    ));
    let text = errors.to_string();
    assert!(
        text.len() < 300 && text.contains("more than six decimals"),
        "{text}"
    );
}

#[test]
fn parents_may_be_sixteen_teams_deep_and_no_deeper() {
    let chain = |teams: usize| {
        let parents: Vec<String> = (1..teams)
            .map(|n| format!(r#""t{n:02}":{{"parent":"t{:02}"}}"#, n - 1))
            .collect();
        format!(r#"{{"version":1,"teams":{{"t00":{{}},{}}}}}"#, parents.join(","))
    };
    compiled(&chain(16));
    for teams in [17, 90] {
        let errors = refused(&chain(teams));
        let text = errors.to_string();
        assert_eq!(
            text,
            "/teams/t16/parent: too many teams above one another; allowed: up to 16"
        );
    }
}

#[test]
fn a_circle_of_a_thousand_teams_is_one_short_error() {
    let teams: Vec<String> = (0..1_000)
        .map(|n| format!(r#""t{n}":{{"parent":"t{}"}}"#, (n + 1) % 1_000))
        .collect();
    let errors = refused(&format!(r#"{{"version":1,"teams":{{{}}}}}"#, teams.join(",")));
    assert_eq!(errors.0.len(), 1, "{errors}");
    let text = errors.to_string();
    assert!(
        text.starts_with("/teams/t0/parent: the parents form a circle"),
        "{text}"
    );
    assert!(text.contains("988 more → \"t0\""), "{text}");
}

#[test]
fn an_owner_has_a_bounded_number_of_quotas() {
    let quotas = |count: usize| {
        let quotas = vec![r#"{"limit":1,"per":"day"}"#; count].join(",");
        format!(r#"{{"version":1,"teams":{{"t":{{"quotas":[{quotas}]}}}}}}"#)
    };
    compiled(&quotas(64));
    assert_eq!(
        refused(&quotas(65)).to_string(),
        "/teams/t/quotas: too many quotas; found 65; allowed: up to 64"
    );
}

#[test]
fn ten_thousand_keys_with_limits_and_a_thousand_teams_compile() {
    let teams: Vec<String> = (0..1_000)
        .map(|n| match n % 10 {
            0 => format!(r#""t{n}":{{"budget":{{"limit":500.25,"per":"month"}}}}"#),
            digit => format!(
                r#""t{n}":{{"parent":"t{}","quotas":[{{"limit":2000,"per":"minute"}}]}}"#,
                n - digit
            ),
        })
        .collect();
    let keys: Vec<String> = (0..10_000)
        .map(|n| {
            format!(
                r#""key-{n:05}":{{"sha256":["{n:064x}"],"roles":["r"],"team":"t{}","budget":{{"limit":0.5,"per":"day"}},
                    "quotas":[{{"limit":100,"per":"minute","burst":20}},{{"limit":2,"per":"second","on":"docs/run_*","each":"tool"}}]}}"#,
                n % 1_000
            )
        })
        .collect();
    let policy = compiled(&format!(
        r#"{{"version":1,"servers":{{"docs":{{"path":"/d","cost":0.1}}}},"roles":{{"r":{{"allow":["docs/*"]}}}},"teams":{{{}}},"keys":{{{}}}}}"#,
        teams.join(","),
        keys.join(",")
    ));
    let id = policy.key_by_name("key-09999").unwrap();
    assert_eq!(policy.key(id).allowance.quotas.len(), 2);
    let teams: Vec<&str> = policy.teams_of(id).map(|(_, team)| &*team.name).collect();
    assert_eq!(teams, ["t999", "t990"]);
    // Every local budget, and sessions without a secret.
    assert_eq!(lint(&policy, 0).len(), 10_101);
}
