//! Which calls belong to one run of an agent: those of a session, else of a trace, else all the others together.

use serde_json::{Value, json};
use toolgate_tests::client::Request;
use toolgate_tests::run;

use super::{call, modern, retry_after, stand, text};

/// A well-formed `traceparent` of the trace with this number, from some span of it.
fn traceparent(trace: u8, span: u8) -> String {
    format!("00-{trace:032x}-{span:016x}-01")
}

/// Four calls pass and the fifth does not, whoever makes them.
async fn is_one_run(calls: impl Fn(usize) -> Request) {
    let stand = stand().await;
    for number in 0..4 {
        stand.passes(&calls(number)).await;
    }
    for number in 4..6 {
        stand.is_looping(&calls(number)).await;
    }
}

#[test]
fn a_session() {
    run(async {
        let stand = stand().await;
        for id in ["run-one", "run-two"] {
            let session = stand.session("run", id).await;
            is_one_run(|number| {
                let call = call("run", "session", &json!({ "number": number }));
                // Whatever traces its calls belong to.
                let trace = traceparent(u8::try_from(number).expect("few") + 1, 1);
                call.header("mcp-session-id", &session)
                    .header("traceparent", trace)
            })
            .await;
        }
    });
}

#[test]
fn a_trace_in_the_headers() {
    run(async {
        for trace in [0x11, 0x12] {
            is_one_run(|number| {
                let span = u8::try_from(number).expect("few") + 1;
                call("run", "trace", &json!({ "number": number }))
                    .header("traceparent", traceparent(trace, span))
            })
            .await;
        }
    });
}

#[test]
fn a_trace_in_the_message() {
    run(async {
        for trace in [0x21, 0x22] {
            is_one_run(|number| in_message("run", "meta_trace", number, &traceparent(trace, 1))).await;
        }
        // The same trace in the headers is the same run, and the headers come first.
        let stand = stand().await;
        let other = in_message("run", "meta_trace", 7, &traceparent(0x23, 1));
        stand.passes(&other).await;
        stand
            .is_looping(&other.header("traceparent", traceparent(0x21, 9)))
            .await;
    });
}

/// A call whose message names a trace.
fn in_message(key: &str, tool: &str, number: usize, traceparent: &str) -> Request {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": tool, "arguments": { "number": number }, "_meta": { "traceparent": traceparent },
    } });
    call(key, tool, &Value::Null).body(body.to_string())
}

#[test]
fn what_has_neither() {
    run(async {
        let stand = stand().await;
        let tools = ["alone_1", "alone_2", "alone_3"];
        // Whatever is called, and whatever does not name a trace although it tries to.
        let strange = [
            "",
            "00-0-0-01",
            "00-00000000000000000000000000000000-0000000000000001-01",
            "x",
        ];
        is_one_run(|number| {
            let call = call("run_alone", tools[number % 3], &json!({ "number": number }));
            call.header("traceparent", strange[number % 4])
        })
        .await;
        stand.is_looping(&modern("run_alone", "alone_1", json!({}))).await;
        let mut elsewhere = call("run_alone", "alone_4", &json!({}));
        elsewhere.target = "/other/mcp".to_owned();
        stand.is_looping(&elsewhere).await;
        // Another run of the same key goes on.
        let traced = call("run_alone", "alone_1", &json!({})).header("traceparent", traceparent(0x31, 1));
        stand.passes(&traced).await;
    });
}

/// What is named alike by a session and by a trace is not the same.
#[test]
fn runs_of_different_kinds_and_keys_are_different() {
    run(async {
        let stand = stand().await;
        let session = stand
            .session("run_mixed", "00000000000000000000000000000041")
            .await;
        let calls = |number: usize| call("run_mixed", "kinds", &json!({ "number": number }));
        is_one_run(|number| calls(number).header("mcp-session-id", &session)).await;
        is_one_run(|number| calls(number).header("traceparent", traceparent(0x41, 1))).await;
        is_one_run(calls).await;
        let other = call("run", "kinds", &json!({})).header("traceparent", traceparent(0x41, 1));
        stand.passes(&other).await;
    });
}

#[test]
fn lists_and_other_requests_are_no_calls() {
    run(async {
        let stand = stand().await;
        for _ in 0..4 {
            let list = modern("run_spared", "spared", json!({}));
            let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
            let list = list
                .without("mcp-method")
                .without("mcp-name")
                .with("mcp-protocol-version", "2025-11-25")
                .body(body.to_string());
            stand.passes(&list).await;
        }
        // Nor are calls that are hidden from the key.
        for _ in 0..4 {
            let hidden = stand.send(&call("run_spared", "hidden", &json!({}))).await;
            assert_eq!(hidden.header("x-toolgate-decision"), "hidden");
        }
        for number in 0..2 {
            stand
                .passes(&call("run_spared", "spared", &json!({ "number": number })))
                .await;
        }
        let told = stand.is_looping(&call("run_spared", "spared", &json!({}))).await;
        let millis = retry_after(&told);
        assert!((3_480_000..=3_600_000).contains(&millis), "{millis}");
        let minutes = millis.div_ceil(60_000);
        assert_eq!(
            text(&told),
            format!(
                "This run has made 2 calls, which is all that this key may make in one run per hour. Answer with what the \
                 calls returned so far, or try again in {minutes} minutes."
            )
        );
    });
}

/// A call that one guard refuses does not count for the other.
#[test]
fn a_call_that_is_refused_counts_nowhere() {
    run(async {
        let stand = stand().await;
        let same = call("both", "guards", &json!({ "same": true }));
        for _ in 0..3 {
            stand.passes(&same).await;
        }
        for _ in 0..5 {
            let told = stand.is_looping(&same).await;
            assert!(text(&told).contains("exactly these arguments"), "{}", text(&told));
        }
        stand.passes(&call("both", "guards", &json!({ "same": 1 }))).await;
        stand.passes(&call("both", "guards", &json!({ "same": 2 }))).await;
        // Of both, the run is told: another call does not help either.
        for arguments in [json!({ "same": true }), json!({ "same": 3 })] {
            let told = stand.is_looping(&call("both", "guards", &arguments)).await;
            assert!(
                text(&told).contains("This run has made 5 calls"),
                "{}",
                text(&told)
            );
        }
        // And what the run refused has not counted as made: in another run it may be made three times.
        for _ in 0..3 {
            let elsewhere = call("both", "guards", &json!({ "same": 3 }));
            stand
                .passes(&elsewhere.header("traceparent", traceparent(0x51, 1)))
                .await;
        }
    });
}
