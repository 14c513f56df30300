//! Rules of what an exchange is told about its end.

use toolgate_engine::exchange::{Cause, RateLimitCall};

use super::*;

fn settling(script: Script) -> Envoy {
    Envoy::new(Script {
        settles: true,
        ..script
    })
}

fn bytes(envoy: &Envoy) -> Vec<u64> {
    let endings = envoy.endings.borrow();
    endings.iter().map(|ending| ending.result_bytes).collect()
}

fn status(envoy: &Envoy, status: &str) {
    let line = (b":status".to_vec(), status.as_bytes().to_vec());
    envoy.host.state_mut().heads.insert(true, Some(vec![line]));
}

fn flags(envoy: &Envoy, flags: u64) {
    envoy.host.put_property("response/flags", &flags.to_le_bytes());
}

#[test]
fn the_bytes_of_a_result_are_counted_in_every_phase() {
    let rewrite = ResultStep::Rewrite {
        edits: Vec::new(),
        body: b"longer than what came".to_vec(),
    };
    let quiet: fn(&[u8]) -> ChunkStep = |_| ChunkStep::Rewrite(Vec::new());
    for end in ENDS {
        for (response, result) in [
            (ResponseStep::Pass(Vec::new()), ResultStep::Keep),
            (ResponseStep::Stream(Vec::new()), ResultStep::Keep),
            (await_result(Hold::Headers), ResultStep::Keep),
            (await_result(Hold::Body), ResultStep::Keep),
            (await_result(Hold::Headers), rewrite.clone()),
            (await_result(Hold::Body), rewrite.clone()),
            (await_result(Hold::Headers), ResultStep::Replace(reply(502))),
        ] {
            let mut envoy = settling(Script {
                response: response.clone(),
                result: result.clone(),
                chunk: quiet,
                ..Script::default()
            });
            status(&envoy, "200");
            envoy
                .request(&["q"], End::Empty)
                .response(&["abc", "de", "fgh"], end);
            envoy.end();
            assert_eq!(bytes(&envoy), [8], "{end:?} {response:?} {result:?}");
        }
    }
    let mut none = settling(Script {
        response: await_result(Hold::Headers),
        ..Script::default()
    });
    none.request(&["q"], End::Empty).response(&[], End::Head);
    none.end();
    assert_eq!(bytes(&none), [0]);
}

#[test]
fn what_is_dropped_after_a_result_grew_too_large_counts_too() {
    for hold in [Hold::Headers, Hold::Body] {
        let too_large = ResultStep::Rewrite {
            edits: Vec::new(),
            body: b"sorry".to_vec(),
        };
        let mut envoy = settling(Script {
            response: await_result(hold),
            max_result: 3,
            too_large,
            ..Script::default()
        });
        status(&envoy, "200");
        envoy
            .request(&["q"], End::Empty)
            .response(&["ab", "cd", "ef", "gh"], End::Empty);
        assert_eq!(envoy.client, wire("sorry"));
        envoy.end();
        assert_eq!(bytes(&envoy), [8], "{hold:?}");
    }
}

#[test]
fn a_result_that_breaks_off_counts_as_far_as_it_came() {
    for response in [
        ResponseStep::Pass(Vec::new()),
        ResponseStep::Stream(Vec::new()),
        await_result(Hold::Headers),
    ] {
        let mut envoy = settling(Script {
            response,
            ..Script::default()
        });
        status(&envoy, "200");
        envoy.request(&["q"], End::Empty);
        envoy.head(Direction::Response, false);
        envoy.body(Direction::Response, b"abc", false);
        envoy.body(Direction::Response, b"d", false);
        envoy.end();
        assert_eq!(bytes(&envoy), [4]);
    }
}

#[test]
fn envoys_own_answers_are_no_result() {
    for (code, details, counted) in [
        ("504", "response_timeout", 0),
        ("500", "via_upstream", 2),
        ("404", "via_upstream", 2),
        ("200", "", 2),
    ] {
        let mut envoy = settling(Script::default());
        status(&envoy, code);
        envoy
            .host
            .put_property("response/code_details", details.as_bytes());
        envoy.request(&["q"], End::Empty).response(&["no"], End::Empty);
        envoy.end();
        assert_eq!(bytes(&envoy), [counted], "{code} {details}");
    }
}

/// What happens to a stream before it ends.
type Run = fn(&mut Envoy);

#[test]
fn finish_comes_once_in_every_end() {
    let ask = || {
        BodyStep::Ask(RateLimitCall {
            cluster: "limits".into(),
            timeout: Duration::from_millis(200),
            message: Vec::new(),
        })
    };
    let ends: [(&str, BodyStep, Run); 6] = [
        ("normal", BodyStep::Forward(Vec::new()), |envoy| {
            envoy.request(&["q"], End::Empty).response(&["r"], End::Empty);
        }),
        ("refused", BodyStep::Reply(reply(429)), |envoy| {
            envoy.request(&["q"], End::Empty);
        }),
        ("closed", BodyStep::Reply(reply(429)), |envoy| {
            envoy.host.fail("send_local_reply", 10);
            envoy.request(&["q"], End::Empty);
        }),
        ("gone while asking", ask(), |envoy| {
            envoy.request(&["q"], End::Empty);
        }),
        ("refused by the service", ask(), |envoy| {
            envoy.request(&["q"], End::Empty);
            envoy.grpc_end(1, 0, b"no");
        }),
        (
            "gone while the server works",
            BodyStep::Forward(Vec::new()),
            |envoy| {
                envoy.request(&["q"], End::Empty);
            },
        ),
    ];
    for (name, body, run) in ends {
        let mut envoy = settling(Script {
            body,
            ..Script::default()
        });
        run(&mut envoy);
        assert!(envoy.endings.borrow().is_empty(), "{name}: not before the end");
        envoy.end();
        assert_eq!(envoy.endings.borrow().len(), 1, "{name}");
    }
}

#[test]
fn nothing_to_settle_costs_no_host_call() {
    let mut envoy = Envoy::new(Script::default());
    status(&envoy, "500");
    envoy.request(&["q"], End::Empty).response(&["r"], End::Empty);
    let calls = envoy.host.state().calls.len();
    envoy.end();
    assert_eq!(envoy.host.state().calls.len(), calls);
    assert!(envoy.endings.borrow().is_empty());
    assert!(!envoy.host.state().calls.contains(&"property"));
}

#[test]
fn whether_it_reached_a_server_is_told() {
    for (attempts, reached) in [(1_u64, false), (2, true)] {
        let mut envoy = settling(Script::default());
        envoy
            .host
            .put_property("upstream/request_attempt_count", &attempts.to_le_bytes());
        envoy.request(&["q"], End::Empty);
        envoy.end();
        let ended = Ended {
            result_bytes: 0,
            reached,
            cause: Cause::ClientGone,
        };
        assert_eq!(*envoy.endings.borrow(), [ended]);
    }
    // A clock or an attribute that fails leaves it at the caller's cost, and told all the same.
    for failing in ["property", "wall_clock"] {
        let mut envoy = settling(Script::default());
        envoy.request(&["q"], End::Empty);
        envoy.host.fail(failing, 10);
        envoy.end();
        assert!(envoy.endings.borrow()[0].reached, "{failing}");
    }
}

fn cause(envoy: &mut Envoy) -> Cause {
    envoy.end();
    envoy.endings.borrow()[0].cause
}

/// Every way to judge a response of "ab" and let it go.
fn ways() -> [ResponseStep; 4] {
    [
        ResponseStep::Pass(Vec::new()),
        ResponseStep::Stream(Vec::new()),
        await_result(Hold::Headers),
        await_result(Hold::Body),
    ]
}

#[test]
fn after_a_whole_answer_it_does_not_matter_what_the_client_did() {
    for response in ways() {
        for end in [End::Head, End::LastByte, End::Empty, End::Trailers] {
            let mut envoy = settling(Script {
                response: response.clone(),
                ..Script::default()
            });
            status(&envoy, "200");
            flags(&envoy, 0x4000);
            let chunks: &[&str] = if end == End::Head { &[] } else { &["a", "b"] };
            envoy.request(&["q"], End::Empty).response(chunks, end);
            assert_eq!(cause(&mut envoy), Cause::Complete, "{response:?} {end:?}");
        }
    }
}

#[test]
fn an_answer_that_breaks_off_ended_as_envoy_says() {
    for (bits, expected) in [
        (0x40, Cause::Reset),
        (0x4, Cause::Timeout),
        (0x4000, Cause::ClientGone),
        (0, Cause::ClientGone),
    ] {
        for response in ways() {
            for callbacks in 0..3 {
                let mut envoy = settling(Script {
                    response: response.clone(),
                    ..Script::default()
                });
                status(&envoy, "200");
                flags(&envoy, bits);
                envoy.request(&["q"], End::Empty);
                if callbacks > 0 {
                    envoy.head(Direction::Response, false);
                }
                if callbacks > 1 {
                    envoy.body(Direction::Response, b"ab", false);
                }
                assert_eq!(cause(&mut envoy), expected, "{bits:x} {response:?} {callbacks}");
            }
        }
    }
}

#[test]
fn what_envoy_answers_itself_ended_as_envoy_says() {
    for (code, details, bits, expected) in [
        ("504", "response_timeout", 0x4, Cause::Timeout),
        ("504", "max_duration_timeout", 0, Cause::Timeout),
        (
            "503",
            "upstream_reset_before_response_started",
            0x20,
            Cause::Reset,
        ),
        ("403", "rbac_access_denied", 0, Cause::Complete),
        // A server that says so itself.
        ("504", "via_upstream", 0x4, Cause::Complete),
    ] {
        let mut envoy = settling(Script::default());
        status(&envoy, code);
        flags(&envoy, bits);
        envoy
            .host
            .put_property("response/code_details", details.as_bytes());
        envoy.request(&["q"], End::Empty).response(&["no"], End::LastByte);
        assert_eq!(cause(&mut envoy), expected, "{details}");
    }
}

#[test]
fn our_own_answers_are_complete_and_no_bytes_of_a_server() {
    let asks = BodyStep::Ask(RateLimitCall {
        cluster: "limits".into(),
        timeout: Duration::from_secs(1),
        message: Vec::new(),
    });
    let mut refused = settling(Script {
        body: BodyStep::Reply(reply(429)),
        ..Script::default()
    });
    refused.request(&["q"], End::Empty);
    let mut by_service = settling(Script {
        body: asks,
        ..Script::default()
    });
    by_service.request(&["q"], End::Empty);
    by_service.grpc_end(1, 0, b"no");
    let mut at_head = settling(Script {
        response: ResponseStep::Replace(reply(502)),
        ..Script::default()
    });
    status(&at_head, "200");
    // In place of a server's head, Envoy sends it without asking the filters again.
    at_head.own_reply_seen = true;
    at_head.request(&["q"], End::Empty).response(&["ab"], End::Empty);
    for envoy in [&mut refused, &mut by_service, &mut at_head] {
        flags(envoy, 0x4000);
        assert!(!envoy.replies().is_empty());
        assert_eq!(cause(envoy), Cause::Complete);
        assert_eq!(bytes(envoy), [0]);
    }
}

#[test]
fn an_ordinary_end_asks_the_host_nothing_that_the_judge_does_not_ask() {
    for response in ways() {
        let mut envoy = settling(Script {
            response,
            asks_ending: false,
            ..Script::default()
        });
        status(&envoy, "200");
        envoy.request(&["q"], End::Empty).response(&["ab"], End::Empty);
        let before = envoy.host.state().calls.len();
        envoy.end();
        let state = envoy.host.state();
        assert_eq!(state.calls[before..], ["wall_clock", "set_property"]);
        assert!(!state.calls.contains(&"property"));
    }
}

#[test]
fn only_what_the_end_changed_is_exported_again() {
    let mut envoy = settling(Script::default());
    envoy.request(&["q"], End::Empty).response(&["r"], End::Empty);
    let exports = |envoy: &Envoy| {
        let state = envoy.host.state();
        state.calls.iter().filter(|call| **call == "set_property").count()
    };
    let before = exports(&envoy);
    envoy.end();
    assert_eq!(exports(&envoy), before + 1);
    assert_eq!(envoy.host.state().exported["toolgate.last"], b"finish");
    assert_eq!(envoy.host.state().exported["toolgate.constant"], b"c");
}

#[test]
fn who_leaves_before_the_verdict_is_on_record() {
    let ask = BodyStep::Ask(RateLimitCall {
        cluster: "limits".into(),
        timeout: Duration::from_secs(1),
        message: Vec::new(),
    });
    for settles in [true, false] {
        for hold in [Hold::Headers, Hold::Body] {
            let script = |body| Script {
                head: await_body(hold),
                body,
                settles,
                ..Script::default()
            };
            let mut asking = Envoy::new(script(ask.clone()));
            asking.request(&["q"], End::LastByte);
            let mut waiting = Envoy::new(script(BodyStep::Forward(Vec::new())));
            let _waits = waiting.stream.borrow_mut().request_headers(false);
            for envoy in [&mut asking, &mut waiting] {
                assert!(envoy.host.state().exported.is_empty());
                envoy.end();
                assert_eq!(envoy.host.state().exported["toolgate.constant"], b"c", "{hold:?}");
            }
        }
    }
}
