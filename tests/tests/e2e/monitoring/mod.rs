//! The dashboard and the alerts in `monitoring/`: well formed, and about metrics that Envoys with the filter have.

mod dashboard;
mod queries;
mod traffic;

use std::path::PathBuf;

use toolgate_tests::paths;
use toolgate_tests::prometheus::promtool;

/// A file of `monitoring/`.
fn file(name: &str) -> PathBuf {
    paths::workspace().join("monitoring").join(name)
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    for (command, name) in [("check", "alerts.yaml"), ("test", "alerts_test.yaml")] {
        let output = promtool([command.as_ref(), "rules".as_ref(), file(name).as_os_str()]);
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn every_alert_is_tested_and_says_what_to_do() {
    let rules = std::fs::read_to_string(file("alerts.yaml")).expect("the rules");
    let rules: serde_json::Value = serde_saphyr::from_str(&rules).expect("YAML");
    let tests = std::fs::read_to_string(file("alerts_test.yaml")).expect("the tests");
    let page = std::fs::read_to_string(paths::workspace().join("docs/monitoring.md")).expect("the page");
    let alerts = rules["groups"][0]["rules"].as_array().expect("rules");
    assert!(!alerts.is_empty());
    for alert in alerts {
        let name = alert["alert"].as_str().expect("a name");
        for annotation in ["summary", "description", "runbook"] {
            assert!(
                alert["annotations"][annotation].is_string(),
                "{name}: {annotation}"
            );
        }
        assert!(alert["labels"]["severity"].is_string(), "{name}");
        // It fires in one of the tests.
        assert!(
            tests.contains(&format!("alertname=\"{name}\", alertstate=\"firing\""))
                || tests.contains(&format!("alertname: {name}\n")),
            "{name}"
        );
        assert!(page.contains(&format!("`{name}`")), "docs/monitoring.md: {name}");
    }
}
