//! Every query of the dashboard and of the alerts, asked of a real Prometheus that has scraped a real Envoy.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};
use toolgate_tests::prometheus::{self, Prometheus};
use toolgate_tests::run;

use super::{dashboard, file, traffic};

/// Scrapes and Envoy's histograms take seconds.
const PATIENCE: Duration = Duration::from_secs(40);

#[test]
fn every_query_has_an_answer() {
    run(async {
        let dashboard = dashboard::read();
        let stand = traffic::Stand::start().await;
        let prometheus = Prometheus::start(&[stand.admin()], &file("alerts.yaml")).await;
        stand.make(0).await;
        has_data(&prometheus, "toolgate_call_duration_ms_count").await;

        let mut open = queries(&dashboard);
        let deadline = Instant::now() + PATIENCE;
        // What counters do between two scrapes is what queries are about: how many rounds of traffic fall between which
        // scrapes is up to the machine.
        for round in 1.. {
            stand.make(round).await;
            sleep(prometheus::INTERVAL * 2).await;
            open = without_numbers(&prometheus, open).await;
            if open.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "no number:{}", told(&open));
        }
        let rules = prometheus.rules().await.expect("rules");
        assert!(!rules.is_empty());
        for rule in rules {
            let (name, query) = (
                rule["name"].as_str().expect("a name"),
                rule["query"].as_str().expect("a query"),
            );
            assert_eq!(
                (&rule["health"], &rule["lastError"]),
                (&"ok".into(), &Value::Null),
                "{name}"
            );
            let tree = prometheus
                .parse(query)
                .await
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let selectors = selectors(&tree);
            assert!(!selectors.is_empty(), "{name}: {tree}");
            for selector in selectors {
                has_data(&prometheus, &selector).await;
            }
        }
        // Every family that the documentation names is in one of them.
        let asked = queries(&dashboard);
        for family in traffic::families() {
            assert!(
                asked.iter().any(|query| query.text.contains(&family)),
                "no panel shows {family}"
            );
        }
    });
}

/// Those of the queries whose answers have no number, with these answers.
async fn without_numbers(prometheus: &Prometheus, queries: Vec<Query>) -> Vec<Query> {
    let mut open = Vec::new();
    for query in queries {
        let answer = answer(prometheus, &query.text).await;
        if !answer.iter().any(is_number) {
            open.push(Query { answer, ..query });
        }
    }
    open
}

fn told(queries: &[Query]) -> String {
    let lines = queries
        .iter()
        .map(|query| format!("\n{}: {} gives {:?}", query.panel, query.text, query.answer));
    lines.collect()
}

/// Waits until a query has an answer.
async fn has_data(prometheus: &Prometheus, query: &str) {
    let deadline = Instant::now() + PATIENCE;
    while answer(prometheus, query).await.is_empty() {
        assert!(Instant::now() < deadline, "no data: {query}");
        sleep(Duration::from_millis(250)).await;
    }
}

async fn answer(prometheus: &Prometheus, query: &str) -> Vec<Value> {
    let answer = prometheus.query(query).await;
    answer.unwrap_or_else(|error| panic!("{query}: {error}"))
}

/// Whether a sample is one, and not what comes of dividing by nothing.
fn is_number(sample: &Value) -> bool {
    let value = sample["value"][1]
        .as_str()
        .and_then(|value| value.parse::<f64>().ok());
    value.is_some_and(f64::is_finite)
}

/// A query of the dashboard, with variables as Grafana would put them in, the panel that it is of, and what it last gave.
struct Query {
    panel: String,
    text: String,
    answer: Vec<Value>,
}

fn queries(dashboard: &Value) -> Vec<Query> {
    let of_panel = |panel: &Value| {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let title = panel["title"].to_string();
        targets.into_iter().map(move |target| {
            let text = target["expr"].as_str().expect("a query");
            let text = text
                .replace("$__rate_interval", "1m")
                .replace("$__range", "1m")
                .replace("$server", ".*");
            assert!(!text.contains('$'), "{title}: {text}");
            Query {
                panel: title.clone(),
                text,
                answer: Vec::new(),
            }
        })
    };
    dashboard::panels(dashboard).flat_map(of_panel).collect()
}

/// What a query selects, without ranges and offsets.
fn selectors(tree: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if matches!(tree["type"].as_str(), Some("vectorSelector" | "matrixSelector")) {
        let matchers = tree["matchers"].as_array().into_iter().flatten();
        let matchers: Vec<String> = matchers
            .map(|matcher| {
                let text = |name: &str| matcher[name].as_str().unwrap_or_default();
                format!("{}{}{}", text("name"), text("type"), matcher["value"])
            })
            .collect();
        found.insert(format!("{{{}}}", matchers.join(",")));
    }
    let parts: Box<dyn Iterator<Item = &Value>> = match tree {
        Value::Object(members) => Box::new(members.values()),
        Value::Array(items) => Box::new(items.iter()),
        _ => Box::new(std::iter::empty()),
    };
    found.extend(parts.flat_map(selectors));
    found
}
