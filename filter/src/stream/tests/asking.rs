//! Rules of the call to the rate limit service.

use toolgate_engine::exchange::RateLimitCall;

use super::*;
use crate::testing::Called;

fn call(message: &str) -> BodyStep {
    BodyStep::Ask(RateLimitCall {
        cluster: "limits".into(),
        timeout: Duration::from_millis(200),
        message: message.as_bytes().to_vec(),
    })
}

fn asking(hold: Hold, after_replies: Vec<BodyStep>) -> Envoy {
    Envoy::new(Script {
        head: await_body(hold),
        body: call("q1"),
        after_replies,
        ..Script::default()
    })
}

fn forward() -> BodyStep {
    BodyStep::Forward(Vec::new())
}

#[test]
fn the_request_waits_for_the_answer_however_its_body_ends() {
    for hold in [Hold::Headers, Hold::Body] {
        for end in ENDS {
            let verdict = if hold == Hold::Headers {
                set("verdict")
            } else {
                Vec::new()
            };
            let mut envoy = asking(hold, vec![BodyStep::Forward(verdict)]);
            envoy.request(&["ab", "c"], end);
            let waiting = (envoy.upstream.head, envoy.upstream.body.len());
            assert_eq!(waiting, (hold == Hold::Body, 0), "{hold:?} {end:?}");
            assert!(envoy.replies().is_empty());
            envoy.grpc_end(1, 0, b"yes");
            assert_eq!(envoy.upstream, wire("abc"), "{hold:?} {end:?}");
            assert_eq!(
                envoy.asked(),
                ["head end=false jwt=false", "body abc", "answer yes"]
            );
            assert!(envoy.host.logged().is_empty(), "{}", envoy.host.logged());
        }
    }
    let mut bodyless = asking(Hold::Body, vec![BodyStep::Forward(set("verdict"))]);
    bodyless.request(&[], End::Head);
    assert_eq!(bodyless.upstream, Wire::default());
    bodyless.grpc_end(1, 0, b"yes");
    assert_eq!(bodyless.upstream, wire(""));
}

#[test]
fn the_call_is_the_root_contexts_and_the_stream_is_in_effect_again() {
    let mut envoy = asking(Hold::Headers, vec![forward()]);
    envoy.request(&["ab"], End::Empty);
    let called = Called {
        context: Some(ROOT),
        target: "limits/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit".into(),
        message: b"q1".to_vec(),
        timeout: Duration::from_millis(200),
    };
    assert_eq!(envoy.host.state().grpc_calls, [called]);
    assert_eq!(envoy.host.state().effective, [ROOT, 7]);
}

#[test]
fn no_callback_lets_a_waiting_request_go() {
    for hold in [Hold::Headers, Hold::Body] {
        let mut envoy = asking(hold, vec![forward()]);
        envoy.request(&["ab"], End::LastByte);
        for _ in 0..2 {
            assert_eq!(
                envoy.stream.borrow_mut().request_body(2, false),
                Flow::Pause,
                "{hold:?}"
            );
            assert_eq!(
                envoy.stream.borrow_mut().request_body(2, true),
                Flow::Pause,
                "{hold:?}"
            );
            assert_eq!(
                envoy.stream.borrow_mut().request_trailers(),
                Flow::Pause,
                "{hold:?}"
            );
            assert_eq!(
                envoy.stream.borrow_mut().request_headers(true),
                Flow::Pause,
                "{hold:?}"
            );
        }
        assert_eq!(envoy.asked().len(), 2, "asked once");
        envoy.grpc_end(1, 0, b"yes");
        assert_eq!(envoy.upstream, wire("ab"), "{hold:?}");
        assert_eq!(envoy.stream.borrow_mut().request_trailers(), Flow::Continue);
    }
}

#[test]
fn a_refusal_is_answered_and_nothing_goes_on() {
    for hold in [Hold::Headers, Hold::Body] {
        for end in ENDS {
            let mut envoy = asking(hold, vec![BodyStep::Reply(reply(429))]);
            envoy.request(&["ab"], end);
            envoy.grpc_end(1, 0, b"no");
            assert_eq!((envoy.replies(), envoy.upstream.body.len()), (vec![429], 0));
            envoy.grpc_end(1, 0, b"yes");
            envoy.advance(10);
            assert_eq!(envoy.replies(), [429], "once");
            assert_eq!(
                (envoy.upstream.body.len(), envoy.upstream.ended),
                (0, false),
                "{hold:?} {end:?}"
            );
        }
    }
}

#[test]
fn what_comes_of_the_call_is_told_as_it_is() {
    for (status, told) in [
        (14, "Status(14)"),
        (13, "Status(13)"),
        (u32::MAX, "Status(4294967295)"),
    ] {
        let mut envoy = asking(Hold::Headers, vec![forward()]);
        envoy.request(&["ab"], End::Empty);
        envoy.grpc_end(1, status, b"");
        assert_eq!(envoy.asked().last().unwrap(), told);
        assert_eq!(envoy.upstream, wire("ab"));
    }
    // Envoy gives the timeout no status of its own.
    for (milliseconds, told) in [(100, "Status(14)"), (199, "TimedOut"), (200, "TimedOut")] {
        let mut late = asking(Hold::Headers, vec![forward()]);
        late.request(&["ab"], End::Empty);
        late.host.state_mut().wall = milliseconds * 1_000_000;
        late.grpc_end(1, 14, b"");
        assert_eq!(late.asked().last().unwrap(), told);
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_an_error_of_the_service() {
    let mut envoy = asking(Hold::Headers, Vec::new());
    envoy.request(&["ab"], End::Empty);
    envoy.host.fail("grpc_answer", 2);
    envoy.grpc_end(1, 0, b"yes");
    assert_eq!(envoy.asked().last().unwrap(), "Status(13)");
    assert_eq!(envoy.replies(), [429]);
}

#[test]
fn a_call_that_cannot_be_made_is_said_at_once() {
    for failing in ["grpc_call", "set_effective_context"] {
        let mut allowed = asking(Hold::Headers, vec![forward()]);
        allowed.host.fail(failing, 10);
        allowed.request(&["ab"], End::Empty);
        assert_eq!(allowed.asked().last().unwrap(), "NotSent(10)");
        assert_eq!(allowed.upstream, wire("ab"));
        assert_eq!(allowed.host.state().resumed, 0, "the callback says so itself");

        let mut denied = asking(Hold::Headers, vec![BodyStep::Reply(reply(429))]);
        denied.host.fail(failing, 10);
        denied.request(&["ab"], End::Empty);
        assert_eq!(
            (denied.replies(), &denied.upstream),
            (vec![429], &Wire::default())
        );
    }
    let mut endless = asking(Hold::Headers, vec![call("again"); 100]);
    endless.host.fail("grpc_call", 10);
    endless.request(&["ab"], End::Empty);
    assert_eq!(
        (endless.replies(), &endless.upstream),
        (vec![500], &Wire::default())
    );
}

#[test]
fn a_second_question_is_another_call() {
    for (second, upstream, replies) in [
        (forward(), wire("ab"), vec![]),
        (BodyStep::Reply(reply(429)), Wire::default(), vec![429]),
    ] {
        let mut envoy = asking(Hold::Headers, vec![call("q2"), second]);
        envoy.request(&["ab"], End::Trailers);
        envoy.grpc_end(1, 0, b"yes");
        assert_eq!(envoy.upstream, Wire::default());
        assert_eq!(envoy.host.state().grpc_calls[1].message, b"q2");
        // The first call again, and one that nobody made.
        envoy.grpc_end(1, 0, b"yes");
        envoy.grpc_end(99, 0, b"yes");
        assert_eq!((&envoy.upstream, envoy.asked().len()), (&Wire::default(), 3));
        envoy.grpc_end(2, 0, b"fine");
        assert_eq!((&envoy.upstream, envoy.replies()), (&upstream, replies));
        assert_eq!(envoy.asked().last().unwrap(), "answer fine");
    }
}

#[test]
fn a_call_that_never_ends_is_given_up_a_second_after_its_timeout() {
    for (after, upstream, replies) in [
        (vec![forward()], wire("ab"), vec![]),
        (vec![], Wire::default(), vec![429]),
    ] {
        let mut envoy = asking(Hold::Headers, after);
        envoy.request(&["ab"], End::Empty);
        envoy.advance(1);
        assert_eq!(envoy.asked().len(), 2, "not before 1.2 seconds have passed");
        envoy.advance(1);
        assert_eq!(envoy.asked().last().unwrap(), "TimedOut");
        assert!(
            envoy.host.logged().contains("did not end"),
            "{}",
            envoy.host.logged()
        );
        assert_eq!((&envoy.upstream, envoy.replies()), (&upstream, replies.clone()));
        // It ends after all.
        envoy.grpc_end(1, 0, b"yes");
        envoy.advance(10);
        assert_eq!((&envoy.upstream, envoy.replies()), (&upstream, replies));
        assert_eq!(envoy.asked().len(), 3);
    }
}

#[test]
fn the_bodys_deadline_does_not_count_for_the_call() {
    let mut envoy = Envoy::with(
        Script {
            body: BodyStep::Ask(RateLimitCall {
                cluster: "limits".into(),
                timeout: Duration::from_secs(20),
                message: Vec::new(),
            }),
            after_replies: vec![forward()],
            ..Script::default()
        },
        Settings::default(),
    );
    envoy.request(&["ab"], End::Empty).advance(15);
    assert!(envoy.replies().is_empty());
    envoy.grpc_end(1, 0, b"yes");
    assert_eq!(envoy.upstream, wire("ab"));
    envoy.advance(30);
    assert!(envoy.replies().is_empty(), "an answered call is not watched");
}

#[test]
fn a_client_that_leaves_takes_the_question_along() {
    let mut envoy = asking(Hold::Headers, vec![forward()]);
    envoy.request(&["ab"], End::Empty);
    envoy.end();
    envoy.grpc_end(1, 0, b"yes");
    envoy.advance(10);
    assert!(envoy.replies().is_empty());
    assert_eq!(envoy.upstream, Wire::default());
    assert_eq!(envoy.asked().len(), 2);
}

#[test]
fn an_answer_to_the_client_ends_the_question() {
    // Envoy's own, or that of an upstream that has the head.
    for hold in [Hold::Headers, Hold::Body] {
        let mut envoy = asking(hold, vec![forward()]);
        envoy.request(&["ab"], End::Empty);
        envoy.response(&["go away"], End::LastByte);
        assert_eq!(envoy.client, wire("go away"));
        envoy.grpc_end(1, 0, b"yes");
        envoy.advance(10);
        assert_eq!(
            (envoy.upstream.body.len(), envoy.upstream.ended),
            (0, false),
            "{hold:?}"
        );
        assert!(envoy.replies().is_empty());
    }
}

#[test]
fn faults_after_the_answer_refuse() {
    for (failing, verdict) in [
        ("resume", Vec::new()),
        ("set_header", set("v")),
        ("wall_clock", Vec::new()),
    ] {
        let mut envoy = asking(Hold::Headers, vec![BodyStep::Forward(verdict)]);
        envoy.request(&["ab"], End::Empty);
        envoy.host.fail(failing, 2);
        envoy.grpc_end(1, 0, b"yes");
        assert_eq!(
            (envoy.replies(), &envoy.upstream),
            (vec![500], &Wire::default()),
            "{failing}"
        );
        envoy.grpc_end(1, 0, b"yes");
        assert_eq!(envoy.replies(), [500], "{failing}");
    }
    let mut envoy = asking(Hold::Body, vec![BodyStep::Forward(set("v"))]);
    envoy.request(&["ab"], End::Empty);
    envoy.grpc_end(1, 0, b"yes");
    assert_eq!(
        (envoy.replies(), envoy.upstream.ended),
        (vec![500], false),
        "its head went on"
    );
    let mut closed = asking(Hold::Headers, Vec::new());
    closed.request(&["ab"], End::Empty);
    closed.host.fail("send_local_reply", 10);
    closed.grpc_end(1, 0, b"no");
    assert_eq!(closed.host.state().closed, [Direction::Request]);
    assert_eq!(closed.upstream, Wire::default());
}

#[test]
fn what_is_counted_is_judged_by_the_time_at_which_its_body_is_there() {
    for (needs_time, times) in [(true, [20, 30]), (false, [10, 30])] {
        let mut envoy = Envoy::with(
            Script {
                body: call("q"),
                after_replies: vec![forward()],
                ..Script::default()
            },
            Settings {
                needs_time,
                ..Settings::default()
            },
        );
        let seen = envoy.times.clone();
        envoy.host.state_mut().wall = 10;
        envoy.head(Direction::Request, false);
        envoy.host.state_mut().wall = 20;
        envoy.body(Direction::Request, b"ab", true);
        envoy.host.state_mut().wall = 30;
        envoy.grpc_end(1, 0, b"yes");
        assert_eq!(*seen.borrow(), times, "needs_time: {needs_time}");
    }
    let mut stopped = Envoy::with(
        Script::default(),
        Settings {
            needs_time: true,
            ..Settings::default()
        },
    );
    stopped.head(Direction::Request, false);
    stopped.host.fail("wall_clock", 2);
    stopped.body(Direction::Request, b"ab", true);
    assert_eq!(
        (stopped.replies(), &stopped.upstream),
        (vec![500], &Wire::default())
    );
}
