//! Envoy's memory after many policies: those that are no longer in force are gone.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use toolgate_tests::envoy::Options;
use toolgate_tests::measure::memory;
use toolgate_tests::run_within;
use toolgate_tests::upstream::{Upstream, mcp_server};

use super::{Watched, policy, with_keys};

/// Reloads until the memory that every reload needs for a moment has been asked for once.
const WARM_UP: usize = 15;

/// `make soak` asks for a thousand.
fn reloads() -> usize {
    let asked = std::env::var("TOOLGATE_RELOADS").ok();
    asked.and_then(|count| count.parse().ok()).unwrap_or(40)
}

#[test]
fn memory_does_not_climb_with_reloads() {
    run_within(Duration::from_hours(1), async {
        let upstream = Upstream::start(mcp_server(json!([]))).await;
        let large = |tool: &str| with_keys(policy(&[tool]), 10_000);
        let watched = Watched::start(Options::default(), large("first"), upstream).await;
        let texts = ["one", "two"].map(|tool| {
            let file = watched.prepare(tool, &large(tool));
            (tool, std::fs::read_to_string(file).expect("a file"))
        });
        let reloads = reloads();
        let rss = || memory(watched.envoy.id(), "VmRSS");
        let start = rss();
        let mut warm = start;
        let begun = Instant::now();
        for round in 0..WARM_UP + reloads {
            let (tool, text) = &texts[round % 2];
            watched.force(text);
            watched.until(tool, "allowed").await;
            if round + 1 == WARM_UP {
                warm = rss();
            }
            if (round + 1) % 100 == 0 {
                println!("{} reloads: {} kB", round + 1, rss());
            }
        }
        let end = rss();
        println!(
            "10,000 keys: {start} kB at the start, {warm} kB after {WARM_UP} reloads, {end} kB after {reloads} more, {:?} each",
            begun.elapsed() / u32::try_from(WARM_UP + reloads).expect("not that many")
        );
        assert!(end <= warm + warm / 10, "{start} {warm} {end}");
        assert_eq!(watched.counted("update_rejected").await, 0);
    });
}
