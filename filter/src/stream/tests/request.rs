//! Rules of the request's way.

use super::*;

#[test]
fn the_whole_body_is_judged_once_however_it_ends() {
    for hold in [Hold::Headers, Hold::Body] {
        for end in ENDS {
            let mut envoy = Envoy::new(Script {
                head: await_body(hold),
                ..Script::default()
            });
            envoy.request(&["ab", "cd", "e"], end);
            assert_eq!(envoy.upstream, wire("abcde"), "{hold:?} {end:?}");
            assert_eq!(envoy.asked(), ["head end=false jwt=false", "body abcde"]);
            let reads = envoy
                .host
                .state()
                .calls
                .iter()
                .filter(|call| **call == "body")
                .count();
            assert_eq!(reads, 1, "one copy");
        }
    }
}

#[test]
fn a_refusal_leaves_nothing_upstream() {
    for end in ENDS {
        let body = BodyStep::Reply(reply(200));
        let mut envoy = Envoy::new(Script {
            body: body.clone(),
            ..Script::default()
        });
        envoy.request(&["ab", "cd"], end);
        assert_eq!(envoy.upstream, Wire::default(), "{end:?}");
        assert_eq!(envoy.replies(), [200]);
        assert_eq!(envoy.host.state().replies[0].1, "toolgate_reason");

        let mut envoy = Envoy::new(Script {
            head: await_body(Hold::Body),
            body,
            ..Script::default()
        });
        envoy.request(&["ab", "cd"], end);
        assert_eq!(
            envoy.upstream,
            Wire {
                head: true,
                ..Wire::default()
            },
            "{end:?}"
        );
        assert_eq!(envoy.replies(), [200]);
    }
}

#[test]
fn a_refusal_at_the_head_asks_nothing_more() {
    let mut envoy = Envoy::new(Script {
        head: HeadStep::Reply(reply(401)),
        ..Script::default()
    });
    envoy.request(&["ab"], End::Empty);
    assert_eq!((envoy.replies(), envoy.asked().len()), (vec![401], 1));
    assert_eq!(envoy.upstream, Wire::default());
}

#[test]
fn without_a_body_the_verdict_comes_at_the_head() {
    for hold in [Hold::Headers, Hold::Body] {
        let body = BodyStep::Forward(set("verdict"));
        let mut envoy = Envoy::new(Script {
            head: await_body(hold),
            body,
            ..Script::default()
        });
        envoy.request(&[], End::Head);
        assert_eq!(envoy.asked(), ["head end=true jwt=false", "body "]);
        assert_eq!(envoy.upstream, wire(""));
        assert!(envoy.replies().is_empty(), "{}", envoy.host.logged());
    }
}

#[test]
fn trailers_without_any_body_callback_are_an_empty_body() {
    let mut envoy = Envoy::new(Script::default());
    envoy.request(&[], End::Trailers);
    assert_eq!(envoy.asked(), ["head end=false jwt=false", "body "]);
    assert_eq!(envoy.upstream, wire(""));
}

#[test]
fn too_large_is_answered_before_the_end() {
    let mut envoy = Envoy::new(Script {
        max_request: 3,
        ..Script::default()
    });
    envoy.head(Direction::Request, false);
    envoy.body(Direction::Request, b"abc", false);
    assert!(envoy.replies().is_empty());
    envoy.body(Direction::Request, b"d", false);
    assert_eq!(envoy.replies(), [413]);
    assert_eq!(envoy.upstream, Wire::default());
}

#[test]
fn ignored_streams_are_left_alone_both_ways() {
    let mut envoy = Envoy::new(Script {
        head: HeadStep::Ignore(Vec::new()),
        ..Script::default()
    });
    envoy
        .request(&["ab"], End::Trailers)
        .response(&["cd"], End::Trailers);
    assert_eq!((&envoy.upstream, &envoy.client), (&wire("ab"), &wire("cd")));
    assert_eq!(envoy.asked().len(), 1);
    assert!(envoy.host.state().exported.is_empty());
}

#[test]
fn a_forwarded_head_takes_its_body_along() {
    let mut envoy = Envoy::new(Script {
        head: HeadStep::Forward(set("verdict")),
        ..Script::default()
    });
    envoy.request(&["ab", "cd"], End::Empty);
    assert_eq!(envoy.upstream, wire("abcd"));
    assert_eq!(envoy.asked().len(), 1);
}

#[test]
fn every_host_failure_before_the_verdict_refuses() {
    for call in ["header_map", "set_header", "remove_header", "body", "wall_clock"] {
        for hold in [Hold::Headers, Hold::Body] {
            let edits = vec![
                HeaderEdit::Remove("x".into()),
                HeaderEdit::Set("y".into(), Vec::new()),
            ];
            let head = HeadStep::Await { edits, hold };
            let mut envoy = Envoy::new(Script {
                head,
                ..Script::default()
            });
            envoy.host.fail(call, 2);
            envoy.request(&["ab"], End::Empty);
            assert_eq!(envoy.replies(), [500], "{call} {hold:?}");
            assert_eq!(envoy.upstream.body, b"", "{call} {hold:?}");
            assert!(!envoy.upstream.ended);
            assert_eq!(envoy.host.state().log.len(), 1, "{}", envoy.host.logged());
        }
    }
}

#[test]
fn if_even_the_answer_fails_the_stream_is_closed() {
    for close_fails in [false, true] {
        let mut envoy = Envoy::new(Script {
            body: BodyStep::Reply(reply(403)),
            ..Script::default()
        });
        envoy.host.fail("send_local_reply", 10);
        if close_fails {
            envoy.host.fail("close_stream", 10);
        }
        envoy.request(&["ab"], End::Empty);
        assert_eq!(envoy.host.state().closed.len(), usize::from(!close_fails));
        assert_eq!(envoy.upstream, Wire::default());
        let mut stream = envoy.stream.borrow_mut();
        assert_eq!(stream.request_body(5, true), Flow::Pause);
        assert_eq!(stream.response_headers(true), Flow::Pause);
    }
}

#[test]
fn a_buffer_that_is_not_what_was_announced_is_a_fault() {
    let mut envoy = Envoy::new(Script::default());
    envoy.head(Direction::Request, false);
    envoy.host.state_mut().buffers.insert(false, b"abc".to_vec());
    assert_eq!(envoy.stream.borrow_mut().request_body(4, true), Flow::Pause);
    assert_eq!(envoy.replies(), [500]);
}

#[test]
fn heads_that_went_on_are_never_edited() {
    let body = BodyStep::Forward(set("verdict"));
    let mut envoy = Envoy::new(Script {
        head: await_body(Hold::Body),
        body,
        ..Script::default()
    });
    envoy.request(&["ab"], End::Empty);
    assert_eq!(
        envoy.replies(),
        [500],
        "edits that cannot be made are not dropped silently"
    );
    assert_eq!(
        envoy
            .host
            .state()
            .calls
            .iter()
            .filter(|call| **call == "set_header")
            .count(),
        1
    );
}

#[test]
fn a_body_that_never_comes_is_answered_in_time_and_names_the_flag() {
    let mut envoy = Envoy::new(Script::default());
    envoy.head(Direction::Request, false);
    envoy.advance(1);
    assert!(envoy.replies().is_empty(), "not before a second has passed");
    envoy.advance(1);
    assert_eq!(envoy.replies(), [408]);
    assert_eq!(envoy.host.state().effective, [7, 1]);
    assert!(envoy.host.logged().contains("allow_on_headers_stop_iteration"));
    assert_eq!(envoy.upstream, Wire::default());
    envoy.advance(10);
    assert_eq!(envoy.replies(), [408], "once");
}

#[test]
fn a_slow_body_does_not_blame_the_flag() {
    for hold in [Hold::Headers, Hold::Body] {
        let mut envoy = Envoy::new(Script {
            head: await_body(hold),
            ..Script::default()
        });
        envoy.head(Direction::Request, false);
        envoy.body(Direction::Request, b"ab", false);
        envoy.advance(2);
        assert_eq!(envoy.replies(), [408]);
        assert!(
            !envoy.host.logged().contains("allow_on_headers"),
            "{}",
            envoy.host.logged()
        );
        envoy.body(Direction::Request, b"c", true);
        assert_eq!(envoy.upstream.body, b"");
    }
    // Nor does a silent client once the flag is known to be there.
    let mut envoy = Envoy::new(Script::default());
    envoy.settings.body_callback_seen.set(true);
    envoy.head(Direction::Request, false);
    envoy.advance(2);
    assert!(!envoy.host.logged().contains("allow_on_headers"));
}

#[test]
fn decided_and_finished_streams_are_not_watched() {
    let mut decided = Envoy::new(Script::default());
    decided.request(&["ab"], End::Empty).advance(5);
    assert!(decided.replies().is_empty());

    let mut gone = Envoy::new(Script::default());
    gone.head(Direction::Request, false);
    gone.stream.borrow_mut().done();
    gone.advance(5);
    assert!(gone.replies().is_empty());
    assert!(gone.host.state().effective.is_empty());

    let mut dropped = Envoy::new(Script::default());
    dropped.head(Direction::Request, false);
    let host = dropped.host.clone();
    drop(dropped);
    host.state_mut().monotonic = u64::MAX;
    deadlines::tick(&host, 1);
    assert!(!host.state().effective.contains(&7));
}

#[test]
fn a_context_that_cannot_be_entered_is_said_and_not_answered() {
    let mut envoy = Envoy::new(Script::default());
    envoy.head(Direction::Request, false);
    envoy.host.fail("set_effective_context", 2);
    envoy.advance(5);
    assert!(envoy.replies().is_empty());
    assert!(envoy.host.logged().contains("context 7"));
}
