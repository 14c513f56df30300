//! What `/stats/prometheus` shows of breakers, outcomes, durations and sizes.

use std::collections::BTreeSet;

use serde_json::json;
use toolgate_engine::telemetry::Family;
use toolgate_tests::run;
use toolgate_tests::upstream::Answer;

use super::{Stand, Tool, error, result, stand, until};

/// The lines of our own about a server, or a tool of it.
async fn lines(stand: &Stand, about: &str) -> BTreeSet<String> {
    let page = stand.gate.envoy.admin("/stats/prometheus").await;
    let lines = page
        .lines()
        .filter(|line| line.starts_with("toolgate_") && line.contains(about));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_breakers_states_and_transitions_are_shown() {
    run(async {
        let stand = stand().await;
        let tool = Tool::new(stand, "quick", "measured");
        let at = r#"server="quick",tool="measured""#;
        let is = async |state: u32, transitions: [u32; 3]| {
            let lines = lines(stand, at).await;
            let shown: Vec<&String> = lines
                .iter()
                .filter(|line| line.starts_with("toolgate_breaker"))
                .collect();
            let mut expected = vec![format!("toolgate_breaker_state{{{at}}} {state}")];
            for (to, count) in ["closed", "half_open", "open"].into_iter().zip(transitions) {
                if count > 0 {
                    expected.push(format!(
                        "toolgate_breaker_transitions_total{{{at},to=\"{to}\"}} {count}"
                    ));
                }
            }
            assert_eq!(shown, expected.iter().collect::<Vec<_>>());
        };
        tool.works().passes().await;
        assert!(
            !lines(stand, at)
                .await
                .iter()
                .any(|line| line.starts_with("toolgate_breaker"))
        );
        tool.opens_after(1).await;
        is(2, [0, 0, 1]).await;
        tool.waits_for_probes().await;
        tool.passes().await;
        is(2, [0, 1, 2]).await;
        tool.waits_for_probes().await;
        tool.works().passes().await;
        is(0, [1, 2, 2]).await;
    });
}

#[test]
fn a_breaker_of_a_server_has_no_tool() {
    run(async {
        let stand = stand().await;
        let tool = Tool::new(stand, "whole_metrics", "any");
        tool.opens_after(2).await;
        let lines = lines(stand, r#"server="whole_metrics""#).await;
        for line in [
            r#"toolgate_breaker_state{server="whole_metrics"} 2"#,
            r#"toolgate_breaker_transitions_total{server="whole_metrics",to="open"} 1"#,
            // What a policy does not name is no label.
            r#"toolgate_results_total{server="whole_metrics",tool="other",outcome="http_error"} 2"#,
        ] {
            assert!(lines.contains(line), "{line}: {lines:?}");
        }
        assert!(!lines.iter().any(|line| line.contains("\"any\"")), "{lines:?}");
    });
}

/// A tool that the policy does not know has a breaker of its own, and a share of what all such tools count.
#[test]
fn tools_that_a_policy_does_not_name_are_others() {
    run(async {
        let stand = stand().await;
        let before = others(stand, "open").await;
        for name in ["nameless_1", "nameless_2"] {
            Tool::new(stand, "nameless", name).opens_after(3).await;
        }
        assert_eq!(others(stand, "open").await, before + 2);
        let lines = lines(stand, r#"server="nameless""#).await;
        assert!(!lines.iter().any(|line| line.contains("nameless_")), "{lines:?}");
        assert!(
            !lines
                .iter()
                .any(|line| line.starts_with("toolgate_breaker_state")),
            "{lines:?}"
        );
    });
}

/// Transitions of breakers of the server `nameless`, which only this test opens.
async fn others(stand: &Stand, to: &str) -> u64 {
    let line = format!(r#"toolgate_breaker_transitions_total{{server="nameless",tool="other",to="{to}"}} "#);
    let lines = lines(stand, r#"server="nameless""#).await;
    let count = lines
        .iter()
        .find_map(|shown| shown.strip_prefix(&line)?.parse().ok());
    count.unwrap_or(0)
}

/// The series of one tool alone: outcomes, and histograms with the buckets that were rendered.
#[test]
fn outcomes_durations_and_sizes_of_a_tool_are_shown() {
    run(async {
        let stand = stand().await;
        let tool = Tool::new(stand, "measures", "sized");
        let at = r#"server="measures",tool="sized""#;
        tool.works().passes_times(3).await;
        let large = json!({ "content": [{ "type": "text", "text": "x".repeat(5_000) }] });
        tool.answers(result(&large)).passes().await;
        tool.answers(Answer::json(&error(-32_603))).passes().await;
        tool.fails().passes().await;
        let counted = lines(stand, at).await;
        for (outcome, count) in [("ok", 4), ("rpc_error", 1), ("http_error", 1)] {
            let line = format!("toolgate_results_total{{{at},outcome=\"{outcome}\"}} {count}");
            assert!(counted.contains(&line), "{line}: {counted:?}");
        }
        for family in [Family::ResultBytes, Family::CallDuration] {
            let name = family.name();
            // Envoy merges what its workers have recorded every few seconds.
            let total = format!("{name}_count{{{at}}} 6");
            until(&total, async || lines(stand, at).await.contains(&total)).await;
            let shown = lines(stand, at).await;
            let start = format!("{name}_bucket{{{at},le=\"");
            let mut buckets: Vec<(String, u64)> = shown
                .iter()
                .filter_map(|line| {
                    let (bound, count) = line.strip_prefix(&start)?.split_once("\"} ")?;
                    Some((bound.to_owned(), count.parse().ok()?))
                })
                .collect();
            buckets.sort_by_key(|(bound, _)| bound.parse::<u64>().unwrap_or(u64::MAX));
            let bounds: Vec<&str> = buckets.iter().map(|(bound, _)| bound.as_str()).collect();
            let rendered: Vec<String> = family.buckets().iter().map(ToString::to_string).collect();
            let mut expected: Vec<&str> = rendered.iter().map(String::as_str).collect();
            expected.push("+Inf");
            assert_eq!(bounds, expected, "{name}");
            assert_eq!(buckets.last().map(|(_, count)| *count), Some(6), "{buckets:?}");
            if family == Family::ResultBytes {
                let at_most = |bound: &str| {
                    buckets
                        .iter()
                        .find(|(is, _)| is == bound)
                        .map(|(_, count)| *count)
                };
                assert_eq!(
                    (at_most("4096"), at_most("16384")),
                    (Some(5), Some(6)),
                    "{buckets:?}"
                );
            }
        }
    });
}
