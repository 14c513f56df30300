//! Limits on usage, as compiled.

use std::time::Duration;

use super::compiled;
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
