//! Chains as an exchange has them: at its end, and never in the way.

use std::rc::Rc;

use super::{BodyStep, Cause, Ended, Engine, Exchange, HeadStep, RequestHead, UnixNanos};
use crate::binding::Secrets;
use crate::chain::digest;
use crate::policy::Policy;
use crate::slots::testing::Counting;
use crate::store::StoreError;

const NOW: UnixNanos = UnixNanos(1_795_178_096_000_000_000);
const TRACE: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const ENDING: Ended = Ended {
    result_bytes: 0,
    reached: true,
    cause: Cause::ClientGone,
};

fn engine(chains: bool) -> Rc<Engine> {
    let policy = format!(
        r#"{{"version":1,"telemetry":{{"chains":{chains}}},"identity":{{"anonymous":"k"}},"servers":{{"docs":{{"path":"/mcp"}}}},
            "roles":{{"all":{{"allow":["docs/*"],"deny":["docs/hidden"]}}}},"keys":{{"k":{{"roles":["all"]}}}}}}"#
    );
    let policy = Policy::compile(policy.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    Engine::new(policy, Secrets::random([7; 32]))
}

/// A call as far as the verdict; whether it goes on.
fn call(engine: &Rc<Engine>, method: &str, tool: &str, trace: bool, store: &Counting) -> (Exchange, bool) {
    let mut headers: Vec<(&[u8], &[u8])> = vec![
        (b":method", b"POST"),
        (b":path", b"/mcp"),
        (b"content-type", b"application/json"),
    ];
    headers.extend(trace.then_some((b"traceparent".as_slice(), TRACE)));
    let mut exchange = Exchange::new(Rc::clone(engine));
    let head = RequestHead {
        headers: &headers,
        end_of_stream: false,
        jwt: None,
    };
    let step = exchange.request_head(&head, store, NOW);
    assert!(matches!(step, HeadStep::Await { .. }), "{step:?}");
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"name":"{tool}"}}}}"#);
    let step = exchange.request_body(body.as_bytes(), store, NOW);
    let goes_on = matches!(step, BodyStep::Forward(_));
    (exchange, goes_on)
}

#[test]
fn calls_of_a_trace_are_numbered_at_their_end_whatever_came_of_them() {
    let (engine, store) = (engine(true), Counting::default());
    let mut before = None;
    for (tool, passes) in [("a", true), ("hidden", false), ("a", true)] {
        let (mut exchange, goes_on) = call(&engine, "tools/call", tool, true, &store);
        assert_eq!(goes_on, passes, "{tool}");
        assert!(exchange.settles() && exchange.record().link.is_none());
        exchange.finish(&ENDING, &store, NOW);
        let link = exchange.record().link.clone().expect("a link");
        assert_eq!(link.prev, before);
        let covered = exchange
            .record()
            .fields()
            .filter(|(field, _)| field.name() != "chain_digest");
        assert_eq!(
            link.digest,
            digest(covered.map(|(field, value)| (field.name(), value)))
        );
        // The end comes once.
        exchange.finish(&ENDING, &store, NOW);
        assert_eq!(exchange.record().link.as_ref(), Some(&link));
        before = Some(link.digest);
    }
    assert_eq!(store.asked(), (3, 3));
}

#[test]
fn what_is_in_no_chain_asks_the_store_nothing() {
    let store = Counting::default();
    for (chains, method, tool, trace) in [
        (true, "tools/call", "a", false),
        (true, "tools/call", "hidden", false),
        (true, "tools/list", "a", true),
        (false, "tools/call", "a", true),
    ] {
        let (mut exchange, _) = call(&engine(chains), method, tool, trace, &store);
        exchange.finish(&ENDING, &store, NOW);
        assert_eq!(exchange.record().link, None);
    }
    assert_eq!(store.asked(), (0, 0));
}

#[test]
fn a_store_that_fails_refuses_nothing() {
    let (engine, store) = (engine(true), Counting::default());
    for failure in [StoreError::Host(10), StoreError::Conflict, StoreError::Corrupt] {
        for place in [&store.get_fails, &store.set_fails] {
            place.set(Some(failure));
            let (mut exchange, goes_on) = call(&engine, "tools/call", "a", true, &store);
            assert!(goes_on, "{failure:?}");
            exchange.finish(&ENDING, &store, NOW);
            assert_eq!(exchange.record().link, None, "{failure:?}");
            place.set(None);
        }
    }
    let (mut exchange, _) = call(&engine, "tools/call", "a", true, &store);
    exchange.finish(&ENDING, &store, NOW);
    assert_eq!(exchange.record().link.as_ref().map(|link| link.seq), Some(1));
}
