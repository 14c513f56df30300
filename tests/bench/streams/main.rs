//! What the way back costs: Envoy's CPU for large results, streams and lists, and its memory under long and many streams,
//! with the filter and without it.
//!
//! `tests/bench/README.md` says what is measured and how to read it.

mod client;
mod cost;
mod memory;
mod pair;
mod source;

use std::time::Duration;

use toolgate_tests::run_within;

/// A slow machine needs minutes.
const LONGEST: Duration = Duration::from_mins(30);

fn main() {
    let given = |name: &str| std::env::args().any(|argument| argument == name);
    let (smoke, cpu, memory) = (given("--smoke"), given("--cpu"), given("--memory"));
    run_within(LONGEST, async move {
        if cpu || !memory {
            cost::measure(smoke).await;
        }
        if !cpu && !memory {
            println!();
        }
        if memory || !cpu {
            memory::measure(smoke).await;
        }
    });
}
