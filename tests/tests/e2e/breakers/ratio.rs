//! Breakers that watch the share of failures in a window.

use std::time::Duration;

use toolgate_tests::run;

use super::{Tool, stand};

#[test]
fn the_share_counts_from_so_many_calls_on() {
    run(async {
        let tool = Tool::new(stand().await, "docs", "share");
        tool.fails().passes_times(9).await;
        tool.passes().await;
        tool.is_spared().await;
        assert_eq!(tool.arrived(), 10);
    });
}

#[test]
fn a_smaller_share_leaves_it_closed() {
    run(async {
        let tool = Tool::new(stand().await, "docs", "share_below");
        tool.works().passes_times(11).await;
        // Ten failures of twenty-one are less than half.
        tool.fails().passes_times(10).await;
        tool.works().passes().await;
        tool.fails().passes().await;
        // Twelve of twenty-four are not: a success cannot open it, the failure before it would have.
        tool.passes().await;
        tool.is_spared().await;
        assert_eq!(tool.arrived(), 24);
    });
}

#[test]
fn what_has_left_the_window_does_not_count() {
    run(async {
        let tool = Tool::new(stand().await, "docs", "share_slides");
        tool.fails().passes_times(3).await;
        tokio::time::sleep(Duration::from_millis(4_100)).await;
        tool.passes_times(3).await;
        tool.passes().await;
        tool.is_spared().await;
        assert_eq!(tool.arrived(), 7);
    });
}

#[test]
fn whichever_comes_first() {
    run(async {
        let stand = stand().await;
        let tool = Tool::new(stand, "docs", "either");
        // Two of four, and never three in a row.
        tool.works().passes().await;
        tool.fails().passes().await;
        tool.works().passes().await;
        tool.fails().passes().await;
        tool.is_spared().await;
    });
}
