//! What `/stats/prometheus` shows of quotas and budgets, and that docs/metrics.md names it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use toolgate_engine::telemetry::{Family, Kind};
use toolgate_tests::client::Transport;
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::rate_limit::{Answer, Code, FakeService, Request, Status};
use toolgate_tests::upstream::{Upstream, mcp_server};
use toolgate_tests::{load, paths, ports, run};

use super::policy_in_force::Ecds;
use super::quotas::{PATH, call, policy};

/// A name with everything that means something in a metric's name, a tag or a label.
const ODD: &str = r#"a.b; "c d"=\e:100%,ü.ssl.ciphers.x"#;
/// The same as a label's value in Prometheus' text format, which escapes quotes and backslashes.
const ODD_LABEL: &str = r#"a.b%3B \"c d\"%3D\\e:100%25,ü.ssl.ciphers.x"#;

/// Our lines of `/stats/prometheus`, without those of types.
async fn series(gate: &Gate) -> BTreeSet<String> {
    let page = gate.envoy.admin("/stats/prometheus").await;
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let (ours, others): (Vec<&str>, Vec<&str>) = samples.partition(|line| line.starts_with("toolgate_"));
    for label in [
        "owner=", "name=", "per=", "scope=", "outcome=", "server=", "tool=", "to=", "reason=", "mode=",
        "key=", "team=", "hash=",
    ] {
        let theirs =
            |line: &&&str| line.contains(&format!("{{{label}")) || line.contains(&format!(",{label}"));
        assert_eq!(others.iter().find(theirs), None, "only ours have our labels");
    }
    // What came of calls is shown in the tests of breakers.
    let of_limits = ["toolgate_budget_", "toolgate_store_", "toolgate_rate_limit_"];
    let limits = ours
        .into_iter()
        .filter(|line| of_limits.iter().any(|name| line.starts_with(name)));
    limits.map(str::to_owned).collect()
}

fn expected(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

async fn decision(gate: &Gate, key: &str, tool: &str) -> String {
    let answer = gate.send(&call(key, tool, "metrics"), Transport::Length).await;
    answer.header("x-toolgate-decision")
}

fn options(release: Release) -> Options {
    Options {
        release,
        concurrency: 2,
    }
}

#[test]
fn local_budgets_are_gauges_with_clean_labels() {
    for release in Release::ALL {
        run(async {
            let keys = json!({
                "alice": { "team": "eng.core", "budget": { "limit": 50, "per": "day" } },
                ODD: { "team": "eng.core", "budget": { "limit": 0.25, "per": "total" } },
                "free": { "quotas": [{ "limit": 9, "per": "minute" }] },
            });
            let mut policy = policy(
                &keys,
                &json!({ "eng.core": { "budget": { "limit": 20_000, "per": "month" } } }),
            );
            policy["servers"]["docs"]["tools"] =
                json!({ "search": { "cost": 0.05 }, "big": { "cost": 0.2 }, "none": {} });
            policy["servers"]["dead"] = json!({ "path": "/dead/mcp", "cost": 0.1 });
            policy["roles"]["all"]["allow"] = json!(["docs/*", "dead/*"]);
            // Its key cannot be a header's value: `call` makes it of the name.
            policy["keys"][ODD]["sha256"] = json!([toolgate_tests::toolgate::key_digest("odd-key")]);
            let nobody = format!("http://{}/mcp", ports::free());
            let gate = Gate::start_with(
                options(release),
                policy,
                mcp_server(json!([])),
                |render| render.upstream_instead("dead", &nobody),
                |bootstrap| bootstrap,
            )
            .await;
            assert_eq!(
                series(&gate).await,
                expected(&[]),
                "{release:?}: nothing is spent yet"
            );

            for (key, tool, expected) in [
                ("alice", "search", "allowed"),
                ("alice", "none", "allowed"),
                ("alice", "search", "allowed"),
                ("odd", "big", "allowed"),
                ("odd", "big", "budget"),
                ("free", "search", "allowed"),
            ] {
                assert_eq!(
                    decision(&gate, key, tool).await,
                    expected,
                    "{release:?}: {key} {tool}"
                );
            }
            let alice = r#"{owner="key",name="alice",per="day",scope="local"}"#;
            let odd = format!(r#"{{owner="key",name="{ODD_LABEL}",per="total",scope="local"}}"#);
            let team = r#"{owner="team",name="eng.core",per="month",scope="local"}"#;
            let lines = |alice_spent: u32, team_spent: u32| {
                expected(&[
                    &format!("toolgate_budget_spent_micros{alice} {alice_spent}"),
                    &format!("toolgate_budget_limit_micros{alice} 50000000"),
                    &format!("toolgate_budget_spent_micros{odd} 200000"),
                    &format!("toolgate_budget_limit_micros{odd} 250000"),
                    &format!("toolgate_budget_spent_micros{team} {team_spent}"),
                    &format!("toolgate_budget_limit_micros{team} 20000000000"),
                ])
            };
            assert_eq!(series(&gate).await, lines(100_000, 300_000), "{release:?}");

            // What never reached a server is taken off again, at the end of the call.
            let mut dead = call("alice", "search", "dead");
            dead.target = "/dead/mcp".to_owned();
            assert_eq!(gate.send(&dead, Transport::Length).await.status, 503);
            let back = lines(100_000, 300_000);
            for _ in 0..200 {
                if series(&gate).await == back {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(series(&gate).await, back, "{release:?}");
            let log = gate.envoy.log();
            assert!(!log.contains("toolgate: metric"), "{log}");
        });
    }
}

/// `alice` may spend one unit in a month everywhere; a search costs a quarter.
fn global_policy() -> Value {
    let keys = json!({ "alice": {
        "quotas": [{ "limit": 600, "per": "minute", "scope": "global" }],
        "budget": { "limit": 1, "per": "month", "scope": "global" },
    } });
    let mut policy = policy(&keys, &json!({}));
    policy["servers"]["docs"]["cost"] = json!(0.25);
    policy["rateLimitService"] = json!({ "cluster": "ratelimit", "timeout": "2s" });
    policy
}

/// Every limit has room; of the budget, so many micros are left.
fn left(micros: u32) -> impl Fn(&Request) -> Answer + Send + Sync + 'static {
    move |request| {
        Answer::statuses(request.descriptors.iter().map(|descriptor| {
            let limit = descriptor.limit.expect("limits travel with the question");
            let remaining = if limit.requests_per_unit == 600 { 7 } else { micros };
            Status::new(Code::Ok, limit.requests_per_unit, limit.unit(), remaining)
        }))
    }
}

async fn global_gate(release: Release, policy: Value) -> (Gate, FakeService) {
    let service = FakeService::start(left(750_000)).await;
    let address = service.address();
    let gate = Gate::start_with(
        options(release),
        policy,
        mcp_server(json!([])),
        |render| render.arg("--rate-limit-service").arg(address.to_string()),
        |bootstrap| bootstrap,
    )
    .await;
    (gate, service)
}

#[test]
fn what_the_service_says_is_counted_and_shown() {
    for release in Release::ALL {
        run(async {
            let (gate, service) = global_gate(release, global_policy()).await;
            let labels = r#"{owner="key",name="alice",per="month",scope="global"}"#;
            let limit = format!("toolgate_budget_limit_micros{labels} 1000000");
            let spent = |micros: u32| format!("toolgate_budget_spent_micros{labels} {micros}");
            let outcome = |outcome: &str, count: u32| {
                format!(r#"toolgate_rate_limit_service_total{{outcome="{outcome}"}} {count}"#)
            };
            assert_eq!(decision(&gate, "alice", "search").await, "allowed");
            let mut lines = vec![limit, spent(250_000), outcome("within", 1)];
            let check = async |lines: &[String]| {
                let lines: BTreeSet<String> = lines.iter().cloned().collect();
                assert_eq!(series(&gate).await, lines, "{release:?}");
            };
            check(&lines).await;

            // Another Envoy has spent, too.
            service.script(left(100_000));
            assert_eq!(decision(&gate, "alice", "search").await, "allowed");
            lines[1] = spent(900_000);
            lines[2] = outcome("within", 2);
            check(&lines).await;

            service.script(|request| Answer::over(request, 1));
            assert_eq!(decision(&gate, "alice", "search").await, "budget");
            lines[1] = spent(1_000_000);
            lines.push(outcome("over", 1));
            check(&lines).await;

            // Neither says anything of a budget, however it fails.
            service.script(|_| Answer::garbage());
            assert_ne!(decision(&gate, "alice", "search").await, "allowed");
            service.script(Answer::unlimited);
            assert_ne!(decision(&gate, "alice", "search").await, "allowed");
            lines.push(outcome("error", 2));
            check(&lines).await;
        });
    }
}

/// The families that docs/metrics.md names: kind and labels.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let page = std::fs::read_to_string(paths::workspace().join("docs/metrics.md")).expect("the page");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        // Another table tells the buckets.
        if cells.len() < 6 {
            return None;
        }
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let labels: BTreeSet<String> = quoted(cells[3]);
        Some((
            cells[1].trim_matches('`').to_owned(),
            (cells[2].to_owned(), labels),
        ))
    };
    let rows = page.lines().filter(|line| line.starts_with("| `toolgate_"));
    rows.filter_map(row).collect()
}

/// The families that an Envoy shows.
async fn shown(gate: &Gate) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let page = gate.envoy.admin("/stats/prometheus").await;
    let mut families = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("toolgate_")) {
        let (series, _) = line.rsplit_once(' ').expect("a value");
        let (series, labels) = series.split_once('{').unwrap_or((series, ""));
        let parts = ["_bucket", "_sum", "_count"];
        let family = parts.iter().find_map(|part| series.strip_suffix(part));
        let kind_of = |name: &str| {
            let types = |line: &'_ str| line.strip_prefix(&format!("# TYPE {name} ")).map(str::to_owned);
            page.lines().find_map(types)
        };
        let (name, kind) = [Some(series), family]
            .into_iter()
            .flatten()
            .find_map(|name| Some((name, kind_of(name)?)))
            .unwrap_or_else(|| panic!("{series} has no type"));
        let labels = labels
            .trim_end_matches('}')
            .split(',')
            .filter(|label| !label.is_empty());
        let labels = labels.map(|label| label.split('=').next().unwrap_or_default().to_owned());
        // Where a bucket ends is no label of ours.
        let labels = labels.filter(|label| label != "le");
        let family = families.entry(name.to_owned());
        let (_, known) = family.or_insert((kind, BTreeSet::new()));
        known.extend(labels);
    }
    families
}

#[test]
fn the_documentation_names_every_family_and_label() {
    run(async {
        let mut policy = global_policy();
        policy["teams"]["eng"] = json!({});
        policy["keys"]["alice"]["team"] = json!("eng");
        policy["keys"]["busy"] = json!({
            "sha256": [toolgate_tests::toolgate::key_digest("busy-key")],
            "roles": ["all"],
            "quotas": [{ "limit": 4_000_000, "per": "day" }],
        });
        // So many calls at once that one of them takes longer.
        policy["servers"]["docs"]["tools"]["search"]["breaker"] =
            json!({ "failures": 1, "slow": "1ms", "open": "100ms" });
        let (gate, _service) = global_gate(Release::V1_40, policy).await;
        assert_eq!(decision(&gate, "alice", "search").await, "allowed");
        let body = json!({
            "jsonrpc": "2.0", "id": 17, "method": "tools/call",
            "params": { "name": "search", "arguments": {}, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            } },
        });
        let busy = [load::call(PATH, "busy-key", "search", &body)];
        let conflicts = "toolgate_store_conflicts_total";
        for _ in 0..10 {
            load::run(gate.envoy.address(), &busy, 32, 1_000).await;
            if gate.envoy.stat(&format!("wasmcustom.{conflicts}")).await > 0 {
                break;
            }
        }
        let mut documented = documented();
        assert_eq!(documented.len(), Family::ALL.len(), "{documented:?}");
        for family in Family::ALL {
            let kind = match family.kind() {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let labels = family.labels().iter().map(|label| (*label).to_owned());
            let said = documented.get(family.name());
            assert_eq!(said, Some(&(kind.to_owned(), labels.collect())), "{family:?}");
        }
        let shown = shown(&gate).await;
        // Whether two workers ever write at the same moment is up to the machine.
        if !shown.contains_key(conflicts) {
            println!("no two workers wrote at the same moment");
            let (kind, labels) = documented.remove(conflicts).expect("documented");
            assert_eq!((kind.as_str(), labels.len()), ("counter", 0));
        }
        assert_eq!(shown, documented);
    });
}

/// `alice` and `bob` have budgets, hers of `limit`; `other` has none.
fn two_budgets(limit: f64, cost: f64, other: &str) -> String {
    let keys = json!({
        "alice": { "budget": { "limit": limit, "per": "total" } },
        "bob": { "budget": { "limit": 7, "per": "total" } },
        other: {},
    });
    let mut policy = policy(&keys, &json!({}));
    policy["servers"]["docs"]["cost"] = json!(cost);
    policy.to_string()
}

#[test]
fn a_policy_update_goes_on_with_what_is_shown() {
    for release in Release::ALL {
        run(async {
            let upstream = Upstream::start(mcp_server(json!([]))).await;
            let directory = tempfile::tempdir().expect("a directory");
            let ecds = Ecds::new(directory.path(), &upstream);
            ecds.put(&two_budgets(5.0, 0.5, "before"));
            let options = Options {
                release,
                concurrency: 1,
            };
            let envoy = Envoy::start(options, |listener, admin| ecds.bootstrap(listener, admin)).await;
            let gate = Gate { envoy, upstream };
            let assert_shown = async |alice: [u32; 2], bob: [u32; 2]| {
                let mut lines = BTreeSet::new();
                for (name, [spent, limit]) in [("alice", alice), ("bob", bob)] {
                    let labels = format!(r#"{{owner="key",name="{name}",per="total",scope="local"}}"#);
                    lines.insert(format!("toolgate_budget_spent_micros{labels} {spent}"));
                    lines.insert(format!("toolgate_budget_limit_micros{labels} {limit}"));
                }
                assert_eq!(series(&gate).await, lines, "{release:?}");
            };
            for key in ["alice", "bob", "alice"] {
                assert_eq!(decision(&gate, key, "search").await, "allowed");
            }
            assert_shown([1_000_000, 5_000_000], [500_000, 7_000_000]).await;

            // Less than she has spent: her calls are refused, and the new limit is shown all the same.
            ecds.put(&two_budgets(0.75, 0.25, "after"));
            let mut tries = 0..4_000;
            while decision(&gate, "after", "search").await != "allowed" {
                assert!(tries.next().is_some(), "{release:?}: the update is not in force");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_shown([1_000_000, 5_000_000], [500_000, 7_000_000]).await;
            assert_eq!(decision(&gate, "alice", "search").await, "budget");
            assert_eq!(decision(&gate, "bob", "search").await, "allowed");
            assert_shown([1_000_000, 750_000], [750_000, 7_000_000]).await;
        });
    }
}
