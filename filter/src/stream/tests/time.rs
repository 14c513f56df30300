//! Rules of the time at which things are judged, and of when it is asked what is to be measured.

use super::*;

/// A response in every phase, at this time of the host's clock and later.
fn answered(response: ResponseStep, at: u64, fails: bool) -> Vec<u64> {
    let settings = Settings {
        needs_time: true,
        ..Settings::default()
    };
    let script = Script {
        response,
        settles: true,
        ..Script::default()
    };
    let mut envoy = Envoy::with(script, settings);
    envoy.host.state_mut().wall = 5;
    envoy.request(&["q"], End::Empty);
    if fails {
        envoy.host.fail("wall_clock", 10);
    }
    envoy.host.state_mut().wall = at;
    envoy.head(Direction::Response, false);
    for chunk in [&b"a"[..], b"b"] {
        envoy.host.state_mut().wall += 1;
        envoy.body(Direction::Response, chunk, false);
    }
    envoy.host.state_mut().wall += 1;
    envoy.body(Direction::Response, b"", true);
    envoy.host.state_mut().wall += 1;
    envoy.end();
    assert!(envoy.replies().is_empty(), "{}", envoy.host.logged());
    assert_eq!(envoy.client, wire("ab"));
    envoy.times.take()
}

#[test]
fn every_question_about_a_response_has_its_time() {
    // The request's body at 5, then the head; windows or the whole; and the end.
    assert_eq!(
        answered(ResponseStep::Stream(Vec::new()), 10, false),
        [5, 10, 11, 12, 14]
    );
    assert_eq!(answered(await_result(Hold::Headers), 10, false), [5, 10, 13, 14]);
    assert_eq!(answered(await_result(Hold::Body), 10, false), [5, 10, 13, 14]);
    assert_eq!(answered(ResponseStep::Pass(Vec::new()), 10, false), [5, 10, 14]);
}

#[test]
fn a_clock_that_fails_on_the_way_back_stands_still() {
    assert_eq!(
        answered(ResponseStep::Stream(Vec::new()), 10, true),
        [5, 5, 5, 5, 5]
    );
    assert_eq!(answered(await_result(Hold::Headers), 10, true), [5, 5, 5, 5]);
}

#[test]
fn without_need_the_verdict_has_the_time_of_the_head() {
    for (needs_time, expected, reads) in [(false, 5, 1), (true, 9, 2)] {
        let settings = Settings {
            needs_time,
            ..Settings::default()
        };
        let mut envoy = Envoy::with(Script::default(), settings);
        envoy.host.state_mut().wall = 5;
        envoy.head(Direction::Request, false);
        envoy.host.state_mut().wall = 9;
        envoy.body(Direction::Request, b"q", true);
        assert_eq!(*envoy.times.borrow(), [expected]);
        let clock = envoy
            .host
            .state()
            .calls
            .iter()
            .filter(|call| **call == "wall_clock")
            .count();
        assert_eq!(clock, reads);
    }
}

#[test]
fn what_is_measured_is_fetched_after_every_judgement() {
    let measured = |response: ResponseStep, chunks: &[&str]| {
        let mut envoy = Envoy::new(Script {
            response,
            max_result: 3,
            settles: true,
            ..Script::default()
        });
        envoy.request(&["q"], End::Empty).response(chunks, End::Empty);
        envoy.end();
        let state = envoy.host.state();
        assert!(
            !state.calls.iter().any(|call| call.ends_with("_metric")),
            "nothing costs nothing"
        );
        envoy.measured.take()
    };
    let head = "response end=false";
    assert_eq!(
        measured(ResponseStep::Stream(Vec::new()), &["ab", "cd"]),
        ["body q", head, "chunk ab", "chunk cd", "finish"]
    );
    assert_eq!(
        measured(await_result(Hold::Headers), &["ab"]),
        ["body q", head, "result ab", "finish"]
    );
    // Too large: the size is judged, not the body.
    assert_eq!(
        measured(await_result(Hold::Headers), &["ab", "cd"]),
        ["body q", head, head, "finish"]
    );
    assert_eq!(
        measured(ResponseStep::Pass(Vec::new()), &["ab"]),
        ["body q", head, "finish"]
    );
}
