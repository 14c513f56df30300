//! Every query of the dashboard and of the alerts, asked of a real Prometheus that has scraped a real Envoy.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};
use toolgate_tests::prometheus::Prometheus;
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
        // What counters do between two scrapes is what queries are about.
        stand.make(0).await;
        has_data(&prometheus, "toolgate_call_duration_ms_count").await;
        stand.make(1).await;

        for (panel, query) in queries(&dashboard) {
            let answer = has_data(&prometheus, &query).await;
            assert!(
                answer.iter().any(is_number),
                "{panel}: {query} is no number: {answer:?}"
            );
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
        let asked: Vec<String> = queries(&dashboard).into_iter().map(|(_, query)| query).collect();
        for family in traffic::families() {
            assert!(
                asked.iter().any(|query| query.contains(&family)),
                "no panel shows {family}"
            );
        }
    });
}

/// Waits until a query has an answer, and returns it.
async fn has_data(prometheus: &Prometheus, query: &str) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = prometheus
            .query(query)
            .await
            .unwrap_or_else(|error| panic!("{query}: {error}"));
        if !answer.is_empty() {
            return answer;
        }
        assert!(Instant::now() < deadline, "no data: {query}");
        sleep(Duration::from_millis(250)).await;
    }
}

/// Whether a sample is one, and not what comes of dividing by nothing.
fn is_number(sample: &Value) -> bool {
    let value = sample["value"][1]
        .as_str()
        .and_then(|value| value.parse::<f64>().ok());
    value.is_some_and(f64::is_finite)
}

/// The dashboard's queries, with variables as Grafana would put them in, and the panels that they are of.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let of_panel = |panel: &Value| {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let title = panel["title"].to_string();
        targets.into_iter().map(move |target| {
            let query = target["expr"].as_str().expect("a query");
            let query = query
                .replace("$__rate_interval", "1m")
                .replace("$__range", "1m")
                .replace("$server", ".*");
            assert!(!query.contains('$'), "{title}: {query}");
            (title.clone(), query)
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
