//! Two hundred callers at once, over all workers: exactly as many calls pass as the guard allows.

use serde_json::json;
use tokio::task::JoinSet;
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::run;

use super::{Stand, call, stand};

const CALLERS: usize = 200;

/// How many of these calls, sent at once, have each decision.
async fn at_once(stand: &'static Stand, requests: Vec<Request>) -> [usize; 2] {
    let mut calls = JoinSet::new();
    for (number, request) in requests.into_iter().enumerate() {
        let transport = [Transport::Length, Transport::Http2][number % 2];
        calls.spawn(async move { stand.gate.send(&request, transport).await });
    }
    let mut counts = [0; 2];
    for answer in calls.join_all().await {
        match answer.header("x-toolgate-decision").as_str() {
            "allowed" => counts[0] += 1,
            "loop" => counts[1] += 1,
            other => panic!("{other}: {answer:?}"),
        }
    }
    counts
}

#[test]
fn identical_calls() {
    run(async {
        let stand = stand().await;
        for (round, key, limit) in [(1, "five", 5), (2, "five", 5), (3, "one", 1), (4, "five_too", 5)] {
            let tool = format!("exact_{round}");
            // However each of them writes the arguments.
            let texts = [
                r#"{"a":[1,{"b":2}],"c":"d"}"#,
                "{ \"c\": \"\\u0064\",\n\"a\": [1.0, {\"b\": 2e0}] }",
            ];
            let requests = (0..CALLERS).map(|number| super::written(key, &tool, texts[number % 2]));
            assert_eq!(
                at_once(stand, requests.collect()).await,
                [limit, CALLERS - limit],
                "{tool}"
            );
            assert_eq!(stand.arrived(&tool), limit, "{tool}");
        }
    });
}

#[test]
fn any_calls_of_one_run() {
    run(async {
        let stand = stand().await;
        let requests =
            (0..CALLERS).map(|number| call("run_exact", "exact_run", &json!({ "number": number })));
        assert_eq!(at_once(stand, requests.collect()).await, [60, CALLERS - 60]);
        assert_eq!(stand.arrived("exact_run"), 60);
    });
}

/// Both guards at once: forty of each of two calls would be eighty, and seventy is all that the run may make.
#[test]
fn both_guards() {
    run(async {
        let stand = stand().await;
        let requests = |count: usize, kinds: usize| {
            let requests =
                (0..count).map(|number| call("both_exact", "exact_both", &json!({ "kind": number % kinds })));
            requests.collect::<Vec<_>>()
        };
        assert_eq!(at_once(stand, requests(100, 1)).await, [40, 60]);
        // What was refused for being repeated has not counted as a call of the run.
        let [passed, _] = at_once(stand, requests(100, 2)).await;
        assert_eq!((passed, stand.arrived("exact_both")), (30, 70));
    });
}
