//! The `limitador` crate behind the protocol, as [Kuadrant's server][server] speaks it: limits come from its limits
//! file alone, one addend holds for the whole request, and the answer is the overall code and nothing else.
//!
//! [server]: https://github.com/Kuadrant/limitador/blob/main/limitador-server/src/envoy_rls/server.rs

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use limitador::RateLimiter;
use limitador::limit::{Context, Limit};

use super::server::Server;
use super::{Answer, Asked, Code, Request, Response};

/// How many counters with variables the store keeps; beyond it forgets the least used. The server's own default.
const COUNTERS: u64 = 10_000;

/// A server in the test process. It stops, its connections with it and its counters forgotten, when dropped.
pub struct Limitador {
    server: Server,
}

impl Limitador {
    /// Starts a server with a limits file: a YAML list of `namespace`, `max_value`, `seconds`, `conditions`,
    /// `variables` and, if wanted, `name` and `id`.
    ///
    /// # Panics
    ///
    /// When the file is not accepted or no port can be bound.
    pub async fn start(limits: &str) -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), limits).await
    }

    /// As [`Self::start`], at an address where a test has stopped another one.
    ///
    /// # Panics
    ///
    /// When the file is not accepted or the port cannot be bound.
    pub async fn start_at(address: SocketAddr, limits: &str) -> Self {
        let limits = Self::parse(limits).unwrap_or_else(|problem| panic!("{problem}\nin\n{limits}"));
        let limiter = RateLimiter::new(COUNTERS);
        for limit in limits {
            limiter.add_limit(limit);
        }
        // The crate's store looks and adds in two steps, so that concurrent calls can pass a limit together. The tests
        // are about what is asked of the service, hence one call at a time.
        let limiter = Mutex::new(limiter);
        let script =
            move |request: &Request| decide(&limiter.lock().unwrap_or_else(PoisonError::into_inner), request);
        Self {
            server: Server::start(address, Arc::new(script)).await,
        }
    }

    /// Reads a limits file as the server does, and says what is wrong with it.
    ///
    /// To the store, limits of one namespace with the same window, conditions and variables are one and the same,
    /// whatever their `max_value`: only the first would count, so they are refused.
    pub fn parse(limits: &str) -> Result<Vec<Limit>, String> {
        let limits: Vec<Limit> = serde_saphyr::from_str(limits).map_err(|error| error.to_string())?;
        for (index, limit) in limits.iter().enumerate() {
            if limits.iter().take(index).any(|earlier| earlier == limit) {
                return Err(format!("limit {index} is an earlier one again: {limit:?}"));
            }
        }
        Ok(limits)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Everything it was asked so far, in order of arrival.
    pub fn asked(&self) -> Vec<Asked> {
        self.server.asked()
    }

    /// Ends it. Its port is free when this returns.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

fn decide(limiter: &RateLimiter, request: &Request) -> Answer {
    if request.domain.is_empty() {
        return overall(Code::Unknown);
    }
    let descriptors = request.descriptors.iter().map(|descriptor| {
        let entries = descriptor.entries.iter();
        let entries = entries.map(|entry| (entry.key.clone(), entry.value.clone()));
        entries.collect::<HashMap<_, _>>()
    });
    let mut context = Context::default();
    context.list_binding("descriptors".to_owned(), descriptors.collect());
    let hits = u64::from(request.hits_addend.max(1));
    let namespace = request.domain.as_str().into();
    match limiter.check_rate_limited_and_update(&namespace, &context, hits) {
        Ok(result) if result.limited => overall(Code::OverLimit),
        Ok(_) => overall(Code::Ok),
        Err(_) => Answer::Error(14, "Service unavailable".to_owned()),
    }
}

fn overall(code: Code) -> Answer {
    Answer::Statuses(Response {
        overall_code: code.into(),
        statuses: Vec::new(),
    })
}
