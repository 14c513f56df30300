//! A policy in force, a store, and a rate limit service.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::{
    BodyStep, Cause, Ended, Engine, Exchange, HeadStep, LocalReply, RateLimitReply, Record, RequestHead,
    UnixNanos,
};
use crate::binding::Secrets;
use crate::policy::Policy;
use crate::quota::Book;
use crate::quota::fake::{Limitador, Ratelimit, Request};
use crate::reason::Reason;
use crate::store::MemoryStore;

/// 2026-11-20T12:34:56Z.
pub(super) const NOW: UnixNanos = UnixNanos(1_795_178_096_000_000_000);

/// The service, as it works when it works.
pub(super) enum Service {
    Ratelimit(Ratelimit),
    Limitador(Limitador),
}

pub(super) struct World {
    pub(super) engine: Rc<Engine>,
    pub(super) store: MemoryStore,
    pub(super) service: Service,
    /// What comes instead of an answer.
    pub(super) broken: Option<RateLimitReply<'static>>,
    pub(super) now: UnixNanos,
}

/// What came of a call.
pub(super) struct Called {
    pub(super) exchange: Exchange,
    pub(super) reply: Option<LocalReply>,
    /// What the service was asked.
    pub(super) asked: Vec<Request>,
}

impl World {
    pub(super) fn new(service: &Value, team: &Value, key: &Value) -> World {
        let mut document = json!({
            "version": 1,
            "identity": { "anonymous": "k" },
            "servers": { "docs": { "path": "/mcp", "tools": {
                "free": {}, "paid": { "cost": 0.3 }, "long": { "cost": 0.1, "costPerKiB": 0.1 },
            } } },
            "roles": { "all": { "allow": ["docs/*"] } },
            "teams": { "eng": team },
            "keys": { "k": { "roles": ["all"], "team": "eng" } },
            "rateLimitService": { "cluster": "rl", "domain": "tg", "timeout": "20ms" },
        });
        merge(&mut document["keys"]["k"], key);
        merge(&mut document["rateLimitService"], service);
        let policy = Policy::compile(document.to_string().as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        let service = if service["engine"] == "limitador" {
            Service::Limitador(Limitador {
                limits: Book::new(&policy).limits_file().collect(),
                ..Limitador::default()
            })
        } else {
            Service::Ratelimit(Ratelimit::new("tg"))
        };
        World {
            engine: Engine::new(policy, Secrets::random([7; 32])),
            store: MemoryStore::new(),
            service,
            broken: None,
            now: NOW,
        }
    }

    /// Makes a call as far as the verdict.
    pub(super) fn call(&mut self, tool: &str) -> Called {
        let mut exchange = self.waiting();
        let mut step = exchange.request_body(&body(tool), &self.store, self.now);
        let mut asked = Vec::new();
        let reply = loop {
            match step {
                BodyStep::Forward(_) | BodyStep::Rewrite { .. } => break None,
                BodyStep::Reply(reply) => break Some(reply),
                BodyStep::Ask(call) => {
                    assert_eq!((&*call.cluster, call.timeout), ("rl", Duration::from_millis(20)));
                    assert!(exchange.settles());
                    asked.push(Request::decode(&call.message));
                    assert!(asked.len() < 10);
                    let answer = match &mut self.service {
                        _ if self.broken.is_some() => Vec::new(),
                        Service::Ratelimit(service) => service.should_rate_limit(&call.message, self.now),
                        Service::Limitador(service) => service.should_rate_limit(&call.message, self.now),
                    };
                    let reply = self.broken.unwrap_or(RateLimitReply::Answer(&answer));
                    step = exchange.rate_limit_reply(&reply, &self.store, self.now);
                }
            }
        };
        Called {
            exchange,
            reply,
            asked,
        }
    }

    /// Makes a call, and ends it.
    pub(super) fn call_and_end(&mut self, tool: &str, result_bytes: u64) -> Called {
        let mut called = self.call(tool);
        let ending = Ended {
            result_bytes,
            cause: Cause::Complete,
            reached: true,
        };
        called.exchange.finish(&ending, &self.store, self.now);
        called
    }

    /// How many of so many calls go on.
    pub(super) fn admitted(&mut self, tool: &str, calls: usize) -> usize {
        (0..calls)
            .filter(|_| self.call_and_end(tool, 0).reply.is_none())
            .count()
    }

    pub(super) fn waiting(&self) -> Exchange {
        let mut exchange = Exchange::new(Rc::clone(&self.engine));
        let head = RequestHead {
            headers: &[
                (b":method".as_slice(), b"POST".as_slice()),
                (b":path", b"/mcp"),
                (b"content-type", b"application/json"),
                (b"accept", b"application/json, text/event-stream"),
            ],
            end_of_stream: false,
            jwt: None,
        };
        let step = exchange.request_head(&head, &self.store, self.now);
        assert!(matches!(step, HeadStep::Await { .. }), "{step:?}");
        exchange
    }

    pub(super) fn ratelimit(&mut self) -> &mut Ratelimit {
        match &mut self.service {
            Service::Ratelimit(service) => service,
            Service::Limitador(_) => panic!("Limitador"),
        }
    }
}

impl Called {
    pub(super) fn record(&self) -> &Record {
        self.exchange.record()
    }

    pub(super) fn rate_limit(&self) -> &str {
        self.record().rate_limit.as_deref().unwrap_or_default()
    }

    #[track_caller]
    pub(super) fn assert_goes_on(&self) {
        assert_eq!(self.reply, None, "{:?}", self.record());
        assert_eq!(self.record().decision, Some(Reason::Allowed));
    }

    /// Refused: the reason, the limit's place, and the wait in milliseconds.
    #[track_caller]
    pub(super) fn refused(&self) -> (Reason, Option<&str>, Option<u64>) {
        let reply = self.reply.as_ref().expect("a refusal");
        assert_eq!(reply.status, 200);
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body["result"]["isError"], true, "{body}");
        let wait = &body["result"]["_meta"]["toolgate/retryAfterMs"];
        let record = self.record();
        (record.decision.unwrap(), record.limit.as_deref(), wait.as_u64())
    }

    /// What each limit was asked to count, whatever the form.
    pub(super) fn hits(&self) -> Vec<u64> {
        let of = |request: &Request| {
            let own = request.hits_addend;
            let hits = request
                .descriptors
                .iter()
                .map(move |d| d.hits_addend.unwrap_or(own));
            hits.collect::<Vec<_>>()
        };
        self.asked.iter().flat_map(of).collect()
    }
}

fn merge(into: &mut Value, from: &Value) {
    for (name, value) in from.as_object().unwrap() {
        into[name] = value.clone();
    }
}

pub(super) fn body(tool: &str) -> Vec<u8> {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": tool, "arguments": {} } });
    message.to_string().into_bytes()
}

pub(super) fn quota(limit: u32, per: &str) -> Value {
    json!({ "limit": limit, "per": per, "scope": "global" })
}

pub(super) fn budget(limit: f64, per: &str) -> Value {
    json!({ "limit": limit, "per": per, "scope": "global" })
}
