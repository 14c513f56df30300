//! Rules of request bodies that go on in another form.

use toolgate_engine::exchange::RateLimitCall;

use super::*;
use crate::testing::Called;

const HOLDS: [Hold; 2] = [Hold::Headers, Hold::Body];

fn rewrite(hold: Hold, body: &str) -> BodyStep {
    let edits = match hold {
        Hold::Headers => set("verdict"),
        Hold::Body => Vec::new(),
    };
    BodyStep::Rewrite {
        edits,
        body: body.as_bytes().to_vec(),
    }
}

fn ask() -> BodyStep {
    BodyStep::Ask(RateLimitCall {
        cluster: "limits".into(),
        timeout: Duration::from_secs(1),
        message: b"?".to_vec(),
    })
}

#[test]
fn the_new_body_takes_the_place_of_the_whole_old_one() {
    for hold in HOLDS {
        for end in ENDS {
            let mut envoy = Envoy::new(Script {
                head: await_body(hold),
                body: rewrite(hold, "ABCDE"),
                ..Script::default()
            });
            envoy.request(&["ab", "cd", "e"], end);
            assert_eq!(
                envoy.upstream,
                wire("ABCDE"),
                "{hold:?} {end:?} {}",
                envoy.host.logged()
            );
            let edited = envoy
                .host
                .state()
                .calls
                .iter()
                .filter(|call| **call == "set_header")
                .count();
            assert_eq!(edited, if hold == Hold::Headers { 2 } else { 1 });
            assert!(envoy.replies().is_empty());
        }
    }
}

#[test]
fn the_new_body_waits_for_the_rate_limit_service_too() {
    type Answer = fn(&mut Envoy);
    let answers: [(&str, Answer); 3] = [
        ("answered", |envoy| envoy.grpc_end(1, 0, b"yes")),
        ("failed", |envoy| envoy.grpc_end(1, 14, b"")),
        ("lost", |envoy| envoy.advance(5)),
    ];
    for hold in HOLDS {
        for end in ENDS {
            for (name, answer) in answers {
                let mut envoy = Envoy::new(Script {
                    head: await_body(hold),
                    body: ask(),
                    after_replies: vec![rewrite(hold, "ABCDE")],
                    ..Script::default()
                });
                envoy.request(&["ab", "cd", "e"], end);
                let asked = envoy
                    .host
                    .state()
                    .grpc_calls
                    .iter()
                    .map(|Called { message, .. }| message.clone())
                    .collect::<Vec<_>>();
                assert_eq!(asked, [b"?"]);
                assert_eq!(envoy.upstream.body, b"", "{hold:?} {end:?} {name}");
                answer(&mut envoy);
                assert_eq!(
                    envoy.upstream,
                    wire("ABCDE"),
                    "{hold:?} {end:?} {name} {}",
                    envoy.host.logged()
                );
            }
        }
    }
}

#[test]
fn a_call_that_cannot_be_made_ends_with_the_new_body_at_once() {
    for hold in HOLDS {
        let mut envoy = Envoy::new(Script {
            head: await_body(hold),
            body: ask(),
            after_replies: vec![rewrite(hold, "AB")],
            ..Script::default()
        });
        envoy.host.fail("grpc_call", 10);
        envoy.request(&["ab"], End::Trailers);
        assert_eq!(envoy.upstream, wire("AB"), "{hold:?}");
    }
}

#[test]
fn the_old_body_never_goes_on_where_the_new_one_cannot() {
    // Another length, a host that cannot replace it, and an edit of a head that is gone.
    let edited = BodyStep::Rewrite {
        edits: set("verdict"),
        body: b"AB".to_vec(),
    };
    for (hold, step, failing) in [
        (Hold::Headers, rewrite(Hold::Headers, "A"), None),
        (Hold::Headers, rewrite(Hold::Headers, "ABC"), None),
        (Hold::Headers, rewrite(Hold::Headers, ""), None),
        (Hold::Body, rewrite(Hold::Body, "ABC"), None),
        (Hold::Headers, rewrite(Hold::Headers, "AB"), Some("replace_body")),
        (Hold::Body, rewrite(Hold::Body, "AB"), Some("replace_body")),
        (Hold::Body, edited, None),
    ] {
        for asks in [false, true] {
            for end in ENDS {
                let (body, after_replies) = if asks {
                    (ask(), vec![step.clone()])
                } else {
                    (step.clone(), Vec::new())
                };
                let mut envoy = Envoy::new(Script {
                    head: await_body(hold),
                    body,
                    after_replies,
                    ..Script::default()
                });
                if let Some(call) = failing {
                    envoy.host.fail(call, 2);
                }
                envoy.request(&["a", "b"], end);
                if asks {
                    envoy.grpc_end(1, 0, b"yes");
                }
                assert_eq!(envoy.upstream.body, b"", "{hold:?} {step:?} {end:?} asks={asks}");
                assert!(!envoy.upstream.ended);
                assert_eq!(envoy.replies(), [500], "{hold:?} {step:?} {end:?} asks={asks}");
                assert_eq!(envoy.asked().last().unwrap(), "fault");
            }
        }
    }
}

#[test]
fn without_a_body_there_is_none_to_replace() {
    for end in [End::Head, End::Empty, End::Trailers] {
        let mut none = Envoy::new(Script {
            body: rewrite(Hold::Headers, ""),
            ..Script::default()
        });
        none.request(&[], end);
        assert_eq!(none.upstream, wire(""), "{end:?}");
        assert!(!none.host.state().calls.contains(&"replace_body"));
        let mut some = Envoy::new(Script {
            body: rewrite(Hold::Headers, "A"),
            ..Script::default()
        });
        some.request(&[], end);
        assert_eq!(
            (some.replies(), &some.upstream),
            (vec![500], &Wire::default()),
            "{end:?}"
        );
    }
}
