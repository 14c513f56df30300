//! Many callers at once on four workers: an open breaker lets nothing through, a half-open one exactly its probes.

use tokio::task::JoinSet;
use toolgate_tests::client::{Response, Transport};
use toolgate_tests::run;
use toolgate_tests::upstream::{Answer, Door};

use super::{Tool, stand};

const CALLERS: usize = 200;

/// So many calls at once, each on a connection of its own.
fn crowd(tool: &Tool<'static>, callers: usize) -> JoinSet<Response> {
    let mut calls = JoinSet::new();
    for number in 0..callers {
        let tool = tool.clone();
        let transport = [Transport::Length, Transport::Http2][number % 2];
        calls.spawn(async move { tool.stand.gate.send(&tool.request(), transport).await });
    }
    calls
}

fn spared(answers: &[Response]) -> usize {
    let spared = answers
        .iter()
        .filter(|answer| answer.header("x-toolgate-decision") == "breaker");
    spared.count()
}

#[test]
fn an_open_breaker_lets_nothing_through() {
    run(async {
        let tool = Tool::new(stand().await, "docs", "crowd_open");
        tool.opens_after(3).await;
        tool.works();
        for _ in 0..3 {
            let answers = crowd(&tool, CALLERS).join_all().await;
            assert_eq!(spared(&answers), CALLERS);
        }
        assert_eq!(tool.arrived(), 3);
    });
}

/// A crowd comes as soon as probes may pass; the probes wait in the server until all others are refused.
async fn probes_of_a_crowd(server: &'static str, probes: usize) {
    let tool = Tool::new(stand().await, server, "crowd");
    tool.opens_after(1).await;
    for works in [false, false, true] {
        tool.waits_for_probes().await;
        let before = tool.arrived();
        let door = Door::closed();
        let answer = if works { Answer::new(404) } else { Answer::new(500) };
        tool.answers(answer.behind(&door));
        let mut calls = crowd(&tool, CALLERS);
        let mut refused = Vec::new();
        while refused.len() < CALLERS - probes {
            refused.push(calls.join_next().await.expect("a call").expect("no panic"));
        }
        assert_eq!(spared(&refused), CALLERS - probes);
        tool.waits_for_arrivals(before + probes).await;
        // And nobody else while they are under way.
        assert_eq!(spared(&crowd(&tool, 20).join_all().await), 20);
        assert_eq!(tool.arrived(), before + probes);
        door.open();
        let answers = calls.join_all().await;
        assert_eq!((answers.len(), spared(&answers)), (probes, 0));
        if works {
            let answers = crowd(&tool, CALLERS).join_all().await;
            assert_eq!(spared(&answers), 0);
            assert_eq!(tool.arrived(), before + probes + CALLERS);
        } else {
            assert_eq!(spared(&crowd(&tool, 20).join_all().await), 20);
            assert_eq!(tool.arrived(), before + probes);
        }
    }
}

#[test]
fn one_probe_of_a_crowd() {
    run(probes_of_a_crowd("quick", 1));
}

#[test]
fn three_probes_of_a_crowd() {
    run(probes_of_a_crowd("quick3", 3));
}

/// The crowd calls without a pause while the breaker opens, tries and opens again: never more than one probe at a time,
/// and one per time that it stays open.
#[test]
fn a_crowd_that_never_rests() {
    run(async {
        let tool = Tool::new(stand().await, "quick", "restless");
        let begun = std::time::Instant::now();
        tool.opens_after(1).await;
        let mut refused = 0;
        while begun.elapsed() < super::OPEN * 5 / 2 {
            refused += spared(&crowd(&tool, 50).join_all().await);
        }
        let times_open = begun.elapsed().as_millis() / super::OPEN.as_millis();
        let probes = tool.arrived() - 1;
        assert!(
            (1..=times_open).contains(&(probes as u128)),
            "{probes} probes in {times_open} times"
        );
        assert!(refused > 0);
    });
}

/// Two hundred calls that fail at the same moment open it, and not one counts beyond that.
#[test]
fn a_crowd_that_fails_opens_it_once() {
    run(async {
        let tool = Tool::new(stand().await, "quick", "crowd_fails");
        let door = Door::closed();
        tool.answers(Answer::new(500).behind(&door));
        let calls = crowd(&tool, CALLERS);
        tool.waits_for_arrivals(CALLERS).await;
        assert_eq!(tool.arrived(), CALLERS);
        door.open();
        assert_eq!(spared(&calls.join_all().await), 0);
        tool.waits_for_probes().await;
        tool.works().passes().await;
        // It is closed: what failed before does not count against it.
        tool.passes_times(3).await;
    });
}
