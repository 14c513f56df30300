//! What verdicts tell metrics, and what forwarded requests tell those behind.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{
    BodyStep, Cause, Ended, Engine, Exchange, HeadStep, HeaderEdit, RequestHead, ResponseHead, UnixNanos,
};
use crate::binding::Secrets;
use crate::policy::Policy;
use crate::store::MemoryStore;

struct World {
    engine: Rc<Engine>,
    store: MemoryStore,
}

/// One request, as far as the verdict.
struct Asked {
    exchange: Exchange,
    /// What the request's head became: edits in their order. `None` if it was answered here.
    edits: Option<Vec<HeaderEdit>>,
}

impl World {
    fn new(change: impl FnOnce(&mut Value)) -> World {
        let mut policy = json!({
            "version": 1,
            "servers": { "docs": { "path": "/mcp", "tools": { "search": {}, "paid": { "cost": 0.3, "costPerKiB": 0.1 } } } },
            "roles": { "all": { "allow": ["docs/*"], "deny": ["docs/secret"] }, "try": { "allow": [], "deny": ["docs/*"] } },
            "teams": { "eng": {} },
            "keys": { "alice": { "sha256": [sha256("alice")], "roles": ["all"], "team": "eng" },
                      "bob": { "sha256": [sha256("bob")], "roles": ["all"], "mode": "shadow" } },
        });
        change(&mut policy);
        let policy = Policy::compile(policy.to_string().as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        World {
            engine: Engine::new(policy, Secrets::random([7; 32])),
            store: MemoryStore::new(),
        }
    }

    fn ask(&self, key: &str, headers: &[(&str, &str)], body: &str) -> Asked {
        let mut exchange = Exchange::new(Rc::clone(&self.engine));
        let mut lines: Vec<(&[u8], &[u8])> = vec![(b"content-type", b"application/json")];
        let path: (&[u8], &[u8]) = (b":path", b"/mcp");
        let verb: (&[u8], &[u8]) = (b":method", b"POST");
        for line in [path, verb, (b"x-virtual-key", key.as_bytes())] {
            if !headers.iter().any(|(name, _)| name.as_bytes() == line.0) {
                lines.push(line);
            }
        }
        lines.extend(
            headers
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
        );
        let head = RequestHead {
            headers: &lines,
            end_of_stream: false,
            jwt: None,
        };
        let mut edits = match exchange.request_head(&head, &self.store, NOW) {
            HeadStep::Await { edits, .. } => edits,
            HeadStep::Ignore(edits) => {
                return Asked {
                    exchange,
                    edits: Some(edits),
                };
            }
            HeadStep::Reply(_) => {
                return Asked {
                    exchange,
                    edits: None,
                };
            }
            step @ HeadStep::Forward(_) => panic!("{step:?}"),
        };
        let edits = match exchange.request_body(body.as_bytes(), &self.store, NOW) {
            BodyStep::Forward(more) | BodyStep::Rewrite { edits: more, .. } => {
                edits.extend(more);
                Some(edits)
            }
            BodyStep::Reply(_) => None,
            step @ BodyStep::Ask(_) => panic!("{step:?}"),
        };
        Asked { exchange, edits }
    }

    fn finish(&self, asked: &mut Asked, result_bytes: u64, reached: bool) {
        let ended = Ended {
            result_bytes,
            reached,
            cause: Cause::Complete,
        };
        asked.exchange.finish(&ended, &self.store, NOW);
    }
}

impl Asked {
    /// What is measured now, of verdicts and costs.
    fn told(&mut self) -> Vec<String> {
        let measures = self.exchange.take_measures();
        let lines = measures.iter().map(|measure| {
            let labels = measure.labels().filter(|(_, value)| !value.is_empty());
            let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
            let name = measure.family().name().trim_start_matches("toolgate_");
            format!("{name}{{{}}} {}", labels.join(","), measure.value())
        });
        let ours = ["calls_total", "key_calls_total", "cost_micros_total"];
        lines
            .filter(|line| ours.iter().any(|name| line.starts_with(name)))
            .collect()
    }

    /// The `x-toolgate-*` headers that go on, if the client has sent these.
    fn context(&self, sent: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut lines: Vec<(String, String)> = sent
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        for edit in self.edits.as_ref().expect("it went on") {
            let (HeaderEdit::Remove(name) | HeaderEdit::Set(name, _)) = edit;
            lines.retain(|(other, _)| other != name);
            if let HeaderEdit::Set(name, value) = edit {
                lines.push((name.clone(), String::from_utf8(value.clone()).unwrap()));
            }
        }
        lines.retain(|(name, _)| name.replace('_', "-").starts_with("x-toolgate-"));
        lines
    }
}

/// 2026-11-20T12:34:56Z.
const NOW: UnixNanos = UnixNanos(1_795_178_096_000_000_000);

fn sha256(key: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(key)
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn call(tool: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool } }).to_string()
}

fn request(method: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": {} }).to_string()
}

fn calls(labels: &str) -> String {
    format!("calls_total{{{labels}}} 1")
}

fn of_key(labels: &str) -> String {
    format!("key_calls_total{{{labels}}} 1")
}

#[test]
fn every_call_tells_its_verdict_once() {
    let world = World::new(|_| {});
    let long = "x".repeat(5_000);
    for (key, tool, call_labels, key_labels) in [
        (
            "alice",
            "search",
            "tool=search,reason=allowed,mode=enforce",
            "key=alice,team=eng,reason=allowed",
        ),
        (
            "alice",
            "free;server=evil",
            "tool=other,reason=allowed,mode=enforce",
            "key=alice,team=eng,reason=allowed",
        ),
        (
            "alice",
            &long,
            "tool=other,reason=allowed,mode=enforce",
            "key=alice,team=eng,reason=allowed",
        ),
        (
            "alice",
            "secret",
            "tool=secret,reason=hidden,mode=enforce",
            "key=alice,team=eng,reason=hidden",
        ),
        (
            "bob",
            "search",
            "tool=search,reason=allowed,mode=shadow",
            "key=bob,reason=allowed",
        ),
        (
            "bob",
            "secret",
            "tool=secret,reason=hidden,mode=shadow",
            "key=bob,reason=hidden",
        ),
    ] {
        let mut asked = world.ask(key, &[], &call(tool));
        let call_labels = format!("server=docs,{call_labels}");
        assert_eq!(
            asked.told(),
            [calls(&call_labels), of_key(key_labels)],
            "{key} {tool}"
        );
        world.finish(&mut asked, 10, true);
        assert!(asked.told().is_empty(), "{key} {tool}");
    }
}

#[test]
fn what_is_refused_is_told_whatever_it_is() {
    let world = World::new(|_| {});
    let dup = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping"}"#;
    let path = (":path", "/other");
    let verb = (":method", "PUT");
    for (key, headers, body, call_labels, key_labels) in [
        (
            "nobody",
            vec![],
            call("search"),
            "server=docs,reason=bad_key,mode=enforce",
            None,
        ),
        (
            "alice",
            vec![path],
            call("search"),
            "reason=hidden,mode=enforce",
            None,
        ),
        (
            "alice",
            vec![verb],
            call("search"),
            "server=docs,reason=method,mode=enforce",
            Some("alice,team=eng,reason=method"),
        ),
        (
            "bob",
            vec![verb],
            call("search"),
            "server=docs,reason=method,mode=shadow",
            Some("bob,reason=method"),
        ),
        (
            "alice",
            vec![],
            dup.to_owned(),
            "server=docs,reason=ambiguous,mode=enforce",
            Some("alice,team=eng,reason=ambiguous"),
        ),
        (
            "bob",
            vec![],
            dup.to_owned(),
            "server=docs,reason=ambiguous,mode=shadow",
            Some("bob,reason=ambiguous"),
        ),
        (
            "alice",
            vec![],
            String::new(),
            "server=docs,reason=malformed,mode=enforce",
            Some("alice,team=eng,reason=malformed"),
        ),
        (
            "alice",
            vec![],
            request("no/such"),
            "server=docs,reason=method,mode=enforce",
            Some("alice,team=eng,reason=method"),
        ),
    ] {
        let mut asked = world.ask(key, &headers, &body);
        let mut expected = vec![calls(call_labels)];
        expected.extend(key_labels.map(|labels| of_key(&format!("key={labels}"))));
        assert_eq!(asked.told(), expected, "{key} {body}");
        world.finish(&mut asked, 0, false);
        assert!(asked.told().is_empty(), "{key} {body}");
    }
    // What is neither a call nor refused.
    for body in [request("tools/list"), request("ping")] {
        let mut asked = world.ask("alice", &[], &body);
        assert!(asked.told().is_empty(), "{body}");
        // Nor is it when its answer cannot be used.
        let head: [(&[u8], &[u8]); 2] = [(b":status", b"200"), (b"content-type", b"text/html")];
        let head = ResponseHead {
            headers: &head,
            end_of_stream: false,
        };
        let _ = asked.exchange.response_head(&head, NOW);
        world.finish(&mut asked, 0, true);
        assert!(asked.told().is_empty(), "{body}");
    }
}

#[test]
fn shadow_is_told_as_shadow_wherever_it_comes_from() {
    let shadow = |policy: &mut Value| policy["mode"] = json!("shadow");
    let of_policy = World::new(shadow);
    assert_eq!(
        of_policy.ask("alice", &[], &call("secret")).told(),
        [
            calls("server=docs,tool=secret,reason=hidden,mode=shadow"),
            of_key("key=alice,team=eng,reason=hidden")
        ]
    );
    assert_eq!(
        of_policy.ask("nobody", &[], "").told(),
        [calls("server=docs,reason=bad_key,mode=shadow")]
    );
    let of_key = World::new(|policy| {
        shadow(policy);
        policy["keys"]["alice"]["mode"] = json!("enforce");
    });
    let mut asked = of_key.ask("alice", &[], &call("secret"));
    assert_eq!(
        asked.told()[0],
        calls("server=docs,tool=secret,reason=hidden,mode=enforce")
    );
    let verb = [(":method", "PUT")];
    assert_eq!(
        of_key.ask("alice", &verb, "").told()[0],
        calls("server=docs,reason=method,mode=enforce")
    );
    let of_role = World::new(|policy| {
        policy["roles"]["try"]["mode"] = json!("shadow");
        policy["keys"]["alice"]["roles"] = json!(["all", "try"]);
    });
    let mut asked = of_role.ask("alice", &[], &call("search"));
    assert_eq!(
        asked.told()[0],
        calls("server=docs,tool=search,reason=hidden,mode=shadow")
    );
}

#[test]
fn keys_can_be_left_out() {
    let world = World::new(|policy| policy["telemetry"] = json!({ "perKey": false }));
    let mut asked = world.ask("alice", &[], &call("paid"));
    assert_eq!(
        asked.told(),
        [calls("server=docs,tool=paid,reason=allowed,mode=enforce")]
    );
    world.finish(&mut asked, 1_024, true);
    assert!(asked.told().is_empty());
}

/// Whether or not anything limits it.
#[test]
fn what_a_call_has_cost_is_told_at_its_end() {
    let cost = |micros: u64| {
        vec![format!(
            "cost_micros_total{{team=eng,key=alice,server=docs,tool=paid}} {micros}"
        )]
    };
    let none = json!({});
    let quota = json!({ "quotas": [{ "limit": 9, "per": "day" }] });
    let budget = json!({ "budget": { "limit": 9, "per": "day" } });
    for limits in [none, quota, budget] {
        let world = World::new(|policy| {
            for (name, limit) in limits.as_object().unwrap() {
                policy["keys"]["alice"][name] = limit.clone();
            }
        });
        for (tool, bytes, reached, expected) in [
            ("paid", 2_048, true, cost(500_000)),
            ("paid", 0, true, cost(300_000)),
            ("paid", 0, false, vec![]),
            ("search", 2_048, true, vec![]),
        ] {
            let mut asked = world.ask("alice", &[], &call(tool));
            assert!(
                !asked.told().iter().any(|line| line.starts_with("cost")),
                "not before its end"
            );
            world.finish(&mut asked, bytes, reached);
            assert_eq!(asked.told(), expected, "{limits} {tool} {bytes} {reached}");
        }
    }
    let spent = World::new(|policy| {
        policy["keys"]["alice"]["budget"] = json!({ "limit": 0.5, "per": "day" });
    });
    let mut first = spent.ask("alice", &[], &call("paid"));
    spent.finish(&mut first, 0, true);
    let mut refused = spent.ask("alice", &[], &call("paid"));
    assert!(refused.edits.is_none());
    spent.finish(&mut refused, 0, false);
    assert!(!refused.told().iter().any(|line| line.starts_with("cost")));
}

const SENT: [(&str, &str); 4] = [
    ("x-toolgate-server", "evil"),
    ("x-toolgate-tool", "evil"),
    ("x_toolgate_key", "evil"),
    ("x-toolgate-else", "evil"),
];

#[test]
fn forwarded_requests_tell_what_was_matched_if_they_shall() {
    let told = |change: &dyn Fn(&mut Value), key: &str, body: &str| {
        World::new(change).ask(key, &SENT, body).context(&SENT)
    };
    let on = |policy: &mut Value| policy["contextHeaders"] = json!(true);
    let named = |names: &[(&str, &str)]| -> Vec<(String, String)> {
        let names = names
            .iter()
            .map(|(name, value)| (format!("x-toolgate-{name}"), (*value).to_owned()));
        names.collect()
    };
    assert_eq!(told(&|_| {}, "alice", &call("search")), []);
    let alice = [("server", "docs"), ("key", "alice"), ("team", "eng")];
    assert_eq!(told(&on, "alice", &request("tools/list")), named(&alice));
    let tool = |tool: &'static str| named(&[&alice[..], &[("tool", tool)]].concat());
    assert_eq!(told(&on, "alice", &call("search")), tool("search"));
    assert_eq!(told(&on, "alice", &call("a ü%")), tool("a%20%C3%BC%25"));
    assert_eq!(told(&on, "alice", &call(&"x".repeat(1_025))), named(&alice));
    assert_eq!(
        told(&on, "bob", &call("search")),
        named(&[("server", "docs"), ("key", "bob"), ("tool", "search")])
    );
    // The head has gone before the tool is known.
    let body = |policy: &mut Value| {
        on(policy);
        policy["hold"] = json!("body");
    };
    assert_eq!(told(&body, "alice", &call("search")), named(&alice));
}

#[test]
fn nobody_else_says_it_where_nothing_is_judged() {
    let world = World::new(|policy| policy["unmatched"] = json!("pass"));
    let mut headers = SENT.to_vec();
    headers.push((":path", "/elsewhere"));
    let mut asked = world.ask("alice", &headers, "");
    assert_eq!(asked.context(&SENT), []);
    assert_eq!(asked.edits.as_ref().map(Vec::len), Some(4));
    assert!(asked.told().is_empty());
}

#[test]
fn a_deny_that_is_only_noted_opens_no_tool() {
    let world = World::new(|policy| {
        policy["servers"]["docs"]["unlistedTools"] = json!("deny");
        policy["roles"]["try"]["mode"] = json!("shadow");
        policy["keys"]["alice"]["roles"] = json!(["all", "try"]);
    });
    let listed = world.ask("alice", &[], &call("search"));
    assert!(listed.edits.is_some());
    assert!(listed.exchange.record().would_deny.is_some());
    let unlisted = world.ask("alice", &[], &call("wipe"));
    assert!(unlisted.edits.is_none(), "{:?}", unlisted.exchange.record());
}
