//! Rules of the response's way.

use super::*;

#[test]
fn a_held_result_is_judged_whole_however_it_ends() {
    for hold in [Hold::Headers, Hold::Body] {
        for end in ENDS {
            let edits = if hold == Hold::Headers {
                set("content-length")
            } else {
                Vec::new()
            };
            let result = ResultStep::Rewrite {
                edits,
                body: b"new".to_vec(),
            };
            let mut envoy = Envoy::new(Script {
                response: await_result(hold),
                result,
                ..Script::default()
            });
            envoy.request(&["q"], End::Empty);
            envoy.head(Direction::Response, false);
            assert_eq!(envoy.client.head, hold == Hold::Body);
            envoy.body(Direction::Response, b"o", false);
            assert_eq!(envoy.client.body, b"");
            match end {
                End::Trailers => {
                    envoy.body(Direction::Response, b"ld", false);
                    envoy.trailers(Direction::Response);
                }
                End::LastByte => envoy.body(Direction::Response, b"ld", true),
                End::Empty | End::Head => {
                    envoy.body(Direction::Response, b"ld", false);
                    envoy.body(Direction::Response, b"", true);
                }
            }
            assert_eq!(
                envoy.client,
                wire("new"),
                "{hold:?} {end:?} {}",
                envoy.host.logged()
            );
            assert_eq!(envoy.asked().last().unwrap(), "result old");
        }
    }
}

#[test]
fn a_held_result_may_be_kept_or_replaced() {
    let mut kept = Envoy::new(Script {
        response: await_result(Hold::Headers),
        ..Script::default()
    });
    kept.request(&["q"], End::Empty)
        .response(&["o", "ld"], End::Trailers);
    assert_eq!(kept.client, wire("old"));

    let result = ResultStep::Replace(reply(502));
    let mut replaced = Envoy::new(Script {
        response: await_result(Hold::Headers),
        result,
        ..Script::default()
    });
    replaced
        .request(&["q"], End::Empty)
        .response(&["o", "ld"], End::Empty);
    assert_eq!(
        (replaced.replies(), &replaced.client),
        (vec![502], &Wire::default())
    );

    let mut bodyless = Envoy::new(Script {
        response: await_result(Hold::Body),
        ..Script::default()
    });
    bodyless.request(&["q"], End::Empty).response(&[], End::Head);
    assert_eq!(bodyless.client, wire(""));
    assert_eq!(bodyless.asked().last().unwrap(), "result ");
}

#[test]
fn a_result_that_grows_too_large_is_cut_short() {
    for hold in [Hold::Headers, Hold::Body] {
        for end in ENDS {
            let too_large = ResultStep::Rewrite {
                edits: Vec::new(),
                body: b"sorry".to_vec(),
            };
            let mut envoy = Envoy::new(Script {
                response: await_result(hold),
                max_result: 3,
                too_large,
                ..Script::default()
            });
            envoy
                .request(&["q"], End::Empty)
                .response(&["ab", "cd", "ef", "gh"], end);
            assert_eq!(envoy.client, wire("sorry"), "{hold:?} {end:?}");
        }
    }
    let too_large = ResultStep::Replace(reply(502));
    let response = await_result(Hold::Headers);
    let mut envoy = Envoy::new(Script {
        response,
        max_result: 3,
        too_large,
        ..Script::default()
    });
    envoy.request(&["q"], End::Empty).response(&["abcd"], End::Empty);
    assert_eq!(envoy.replies(), [502]);
}

fn splice(front: &[u8], keep: usize) -> ChunkStep {
    ChunkStep::Splice {
        front: front.to_vec(),
        keep,
    }
}

#[test]
fn windows_are_rewritten_one_by_one() {
    let chunk: fn(&[u8]) -> ChunkStep = |window| match window {
        b"drop" => ChunkStep::Rewrite(Vec::new()),
        b"loud" => ChunkStep::Rewrite(b"quiet".to_vec()),
        b"tail" => splice(b"", 2),
        b"held" => splice(b"il", 4),
        b"both" => splice(b"<", 1),
        b"none" => splice(b"", 0),
        _ => ChunkStep::Keep,
    };
    let response = ResponseStep::Stream(set("at-head"));
    let mut envoy = Envoy::new(Script {
        response,
        chunk,
        ..Script::default()
    });
    envoy.request(&["q"], End::Empty);
    envoy.head(Direction::Response, false);
    assert!(envoy.client.head);
    for (window, so_far) in [
        ("keep ", "keep "),
        ("drop", "keep "),
        ("loud", "keep quiet"),
        ("tail", "keep quietta"),
        ("held", "keep quiettailheld"),
        ("both", "keep quiettailheld<b"),
        ("none", "keep quiettailheld<b"),
    ] {
        envoy.body(Direction::Response, window.as_bytes(), false);
        assert_eq!(envoy.client.body, so_far.as_bytes());
    }
    envoy.body(Direction::Response, b"", false);
    envoy.body(Direction::Response, b"", true);
    assert_eq!(envoy.client, wire("keep quiettailheld<b"));
}

#[test]
fn trailers_end_a_stream_of_windows() {
    let mut envoy = Envoy::new(Script {
        response: ResponseStep::Stream(Vec::new()),
        ..Script::default()
    });
    envoy.request(&["q"], End::Empty).response(&["ab"], End::Trailers);
    assert_eq!(envoy.client, wire("ab"));
    assert_eq!(envoy.asked().last().unwrap(), "chunk ab");
}

#[test]
fn a_window_that_is_only_read_costs_a_copy_and_the_time() {
    for size in [1, 16 << 10, 5 << 20] {
        let mut envoy = Envoy::new(Script {
            response: ResponseStep::Stream(Vec::new()),
            ..Script::default()
        });
        envoy.request(&["q"], End::Empty);
        envoy.head(Direction::Response, false);
        let before = envoy.host.state().calls.len();
        let window = vec![b'x'; size];
        envoy.body(Direction::Response, &window, false);
        assert_eq!(envoy.host.state().calls[before..], ["body", "wall_clock"]);
        assert_eq!(envoy.client.body, window);
        // One without bytes costs nothing, nor do trailers.
        envoy.body(Direction::Response, b"", false);
        envoy.trailers(Direction::Response);
        assert_eq!(envoy.host.state().calls.len(), before + 2);
        assert!(envoy.client.ended);
    }
}

#[test]
fn a_stream_without_a_body_ends_with_its_head() {
    let mut envoy = Envoy::new(Script {
        response: ResponseStep::Stream(set("at-head")),
        ..Script::default()
    });
    envoy.request(&["q"], End::Empty).response(&[], End::Head);
    assert_eq!(envoy.client, wire(""));
    assert_eq!(envoy.asked().last().unwrap(), "response end=true");
}

#[test]
fn a_replaced_head_and_a_passed_one() {
    let response = ResponseStep::Replace(reply(502));
    let mut replaced = Envoy::new(Script {
        response,
        ..Script::default()
    });
    replaced.request(&["q"], End::Empty).response(&["ab"], End::Empty);
    assert_eq!(
        (replaced.replies(), &replaced.client),
        (vec![502], &Wire::default())
    );

    let mut passed = Envoy::new(Script {
        response: ResponseStep::Pass(set("x-decision")),
        ..Script::default()
    });
    passed.request(&["q"], End::Empty);
    passed.head(Direction::Response, false);
    passed.body(Direction::Response, b"ab", true);
    assert_eq!(passed.client, wire("ab"));
    let calls = passed.host.state().calls.clone();
    assert_eq!(
        calls.last(),
        Some(&"set_header"),
        "a passed body costs no host call: {calls:?}"
    );
}

#[test]
fn host_failures_on_the_response_never_let_unjudged_bytes_through() {
    let rewrite = ResultStep::Rewrite {
        edits: Vec::new(),
        body: b"new".to_vec(),
    };
    for (hold, call, answered) in [
        (Hold::Headers, "header_map", true),
        (Hold::Headers, "set_header", true),
        (Hold::Headers, "body", true),
        (Hold::Headers, "replace_body", true),
        (Hold::Body, "header_map", true),
        (Hold::Body, "body", false),
        (Hold::Body, "replace_body", false),
    ] {
        let result = rewrite.clone();
        let mut envoy = Envoy::new(Script {
            response: await_result(hold),
            result,
            ..Script::default()
        });
        envoy.request(&["q"], End::Empty);
        envoy.host.fail(call, 2);
        envoy.response(&["old"], End::Empty);
        assert_eq!(envoy.client.body, b"", "{hold:?} {call}");
        assert!(!envoy.client.ended);
        assert_eq!(envoy.replies().len(), usize::from(answered), "{hold:?} {call}");
        assert_eq!(
            envoy.host.state().closed.len(),
            usize::from(!answered),
            "{hold:?} {call}"
        );
    }
    for call in ["body", "replace_body"] {
        let chunk: fn(&[u8]) -> ChunkStep = |_| ChunkStep::Rewrite(b"new".to_vec());
        let mut envoy = Envoy::new(Script {
            response: ResponseStep::Stream(Vec::new()),
            chunk,
            ..Script::default()
        });
        envoy.request(&["q"], End::Empty);
        envoy.host.fail(call, 2);
        envoy.response(&["old", "old"], End::Empty);
        assert_eq!(envoy.client.body, b"", "{call}");
        assert_eq!(envoy.host.state().closed, [Direction::Response]);
    }
}

#[test]
fn steps_that_a_body_hold_cannot_take_close_the_stream() {
    let edited = ResultStep::Rewrite {
        edits: set("x"),
        body: b"new".to_vec(),
    };
    for result in [ResultStep::Replace(reply(502)), edited] {
        let mut envoy = Envoy::new(Script {
            response: await_result(Hold::Body),
            result,
            ..Script::default()
        });
        envoy.request(&["q"], End::Empty).response(&["old"], End::Empty);
        assert_eq!(envoy.host.state().closed, [Direction::Response]);
        assert_eq!(envoy.client.body, b"");
    }
}

#[test]
fn an_answer_before_the_verdict_leaves_the_body_here() {
    for hold in [Hold::Headers, Hold::Body] {
        let mut envoy = Envoy::new(Script {
            head: await_body(hold),
            ..Script::default()
        });
        envoy.head(Direction::Request, false);
        envoy.body(Direction::Request, b"ab", false);
        envoy.response(&["go away"], End::LastByte);
        assert_eq!(envoy.client, wire("go away"));
        envoy.body(Direction::Request, b"c", true);
        envoy.advance(5);
        assert_eq!(
            (envoy.upstream.body.as_slice(), envoy.upstream.ended),
            (&b""[..], false),
            "{hold:?}"
        );
        assert!(envoy.replies().is_empty());
        assert_eq!(envoy.asked().len(), 2);
    }
}

#[test]
fn envoys_own_replies_are_judged_like_an_upstreams() {
    // 413 by Envoy while the request is still held.
    let mut envoy = Envoy::new(Script {
        response: ResponseStep::Pass(set("x-decision")),
        ..Script::default()
    });
    envoy.head(Direction::Request, false);
    envoy.response(&["Payload Too Large"], End::LastByte);
    assert_eq!(envoy.client, wire("Payload Too Large"));
    // A filter in front of us answered: we never saw the request.
    let mut early = Envoy::new(Script::default());
    early.response(&["Jwt is missing"], End::LastByte);
    assert_eq!(early.client, wire("Jwt is missing"));
    assert!(early.asked().is_empty());
}

#[test]
fn the_record_is_exported_once_and_again_when_its_decision_changes() {
    for (response_reason, last, exports) in [("reason", "body q", 2), ("other", "response end=false", 3)] {
        let mut envoy = Envoy::new(Script {
            response_reason,
            ..Script::default()
        });
        envoy.request(&["q"], End::Empty);
        assert_eq!(envoy.host.state().exported["toolgate.last"], b"body q");
        envoy.response(&["r"], End::Empty);
        let state = envoy.host.state();
        assert_eq!(state.exported["toolgate.last"], last.as_bytes());
        let calls = state.calls.iter().filter(|call| **call == "set_property");
        assert_eq!(calls.count(), exports);
    }
}

#[test]
fn a_record_that_cannot_be_exported_costs_one_log_line() {
    let mut envoy = Envoy::new(Script::default());
    envoy.host.fail("set_property", 2);
    envoy.request(&["q"], End::Empty).response(&["r"], End::Empty);
    assert_eq!((&envoy.upstream, &envoy.client), (&wire("q"), &wire("r")));
    let state = envoy.host.state();
    assert_eq!(state.log.len(), 1);
    assert_eq!(state.log[0].0, Level::Warn);
}
