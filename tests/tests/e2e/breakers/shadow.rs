//! In shadow mode, an open breaker stops nothing and says what it would have done.

use toolgate_tests::run;

use super::{Tool, stand};

#[test]
fn a_shadow_key_passes_and_is_noted() {
    run(async {
        let stand = stand().await;
        let tool = Tool::new(stand, "docs", "shadowed");
        tool.opens_after(3).await;
        tool.works();
        let request = tool.request().with("authorization", "Bearer shade-key");
        for passed in 1..=3 {
            let answer = tool.send(&request).await;
            assert_eq!(
                (answer.status, answer.header("x-toolgate-decision")),
                (200, "allowed".to_owned())
            );
            assert_eq!(tool.arrived(), 3 + passed);
        }
        // What passed all the same does not close it.
        tool.is_spared().await;
        let lines = stand.logged("shadowed", 8).await;
        for line in lines.iter().filter(|line| line["key"] == "shade") {
            assert_eq!(
                (&line["decision"], &line["would_deny"]),
                (&"allowed".into(), &"breaker".into()),
                "{line}"
            );
            assert_eq!(line["outcome"], "ok", "{line}");
        }
        for line in lines.iter().filter(|line| line["decision"] == "breaker") {
            assert_eq!(
                (&line["key"], &line["would_deny"]),
                (&"ada".into(), &serde_json::Value::Null),
                "{line}"
            );
            assert_eq!(line["upstream"], serde_json::Value::Null, "{line}");
        }
    });
}

/// A shadow key's calls count like any other's.
#[test]
fn failures_of_a_shadow_key_open_it_for_others() {
    run(async {
        let tool = Tool::new(stand().await, "docs", "shadow_fails");
        let request = tool.request().with("authorization", "Bearer shade-key");
        tool.fails();
        for _ in 0..3 {
            assert_eq!(tool.send(&request).await.status, 500);
        }
        tool.is_spared().await;
    });
}
