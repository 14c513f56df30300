//! The dashboard's JSON, as Grafana reads it.
//! <https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/>

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::file;

/// Grafana's grid has so many columns.
const COLUMNS: u64 = 24;

/// The dashboard.
pub(super) fn read() -> Value {
    let text = std::fs::read_to_string(file("dashboard.json")).expect("the dashboard");
    serde_json::from_str(&text).expect("JSON")
}

/// Its panels, without the rows that hold them.
pub(super) fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let panels = dashboard["panels"].as_array().expect("panels");
    panels.iter().filter(|panel| panel["type"] != "row")
}

#[test]
fn panels_have_ids_and_places_of_their_own() {
    let dashboard = read();
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().expect("panels") {
        let id = panel["id"].as_u64().expect("an id");
        assert!(ids.insert(id), "{id} is there twice");
        let grid = |name: &str| {
            panel["gridPos"][name]
                .as_u64()
                .unwrap_or_else(|| panic!("{id}: {name}"))
        };
        let (left, top, width, height) = (grid("x"), grid("y"), grid("w"), grid("h"));
        assert!(width > 0 && height > 0 && left + width <= COLUMNS, "{id}");
        for cell in (left..left + width).flat_map(|x| (top..top + height).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "{id} covers another at {cell:?}");
        }
    }
}

#[test]
fn panels_say_what_they_show() {
    let dashboard = read();
    let mut titles = BTreeSet::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap_or_default();
        assert!(!title.is_empty() && titles.insert(title), "{title:?}");
        for text in ["/description", "/fieldConfig/defaults/unit"] {
            let text = panel.pointer(text).and_then(Value::as_str);
            assert!(text.is_some_and(|text| !text.is_empty()), "{title}: {text:?}");
        }
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{title}");
        let references: BTreeSet<_> = targets.iter().map(|target| target["refId"].to_string()).collect();
        assert_eq!(references.len(), targets.len(), "{title}: {references:?}");
    }
}

#[test]
fn everything_is_asked_of_the_data_source_that_was_chosen() {
    let dashboard = read();
    let chosen = json!({ "type": "prometheus", "uid": "${datasource}" });
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    assert_eq!(variables[0]["name"], "datasource");
    assert_eq!(
        (&variables[0]["type"], &variables[0]["query"]),
        (&json!("datasource"), &json!("prometheus"))
    );
    for variable in &variables[1..] {
        assert_eq!(variable["datasource"], chosen, "{}", variable["name"]);
    }
    for panel in panels(&dashboard) {
        let targets = panel["targets"].as_array().expect("targets");
        for asked in targets.iter().chain([panel]) {
            assert_eq!(asked["datasource"], chosen, "{}", panel["title"]);
        }
    }
}

#[test]
fn rows_are_where_docs_say() {
    let dashboard = read();
    let panels = dashboard["panels"].as_array().expect("panels");
    let rows = panels.iter().filter(|panel| panel["type"] == "row");
    let rows: Vec<&str> = rows.filter_map(|row| row["title"].as_str()).collect();
    let expected = [
        "Traffic",
        "Refusals",
        "Shadow",
        "Results and latency",
        "Cost and budgets",
        "Breakers",
        "Policy in force",
    ];
    assert_eq!(rows, expected);
}
