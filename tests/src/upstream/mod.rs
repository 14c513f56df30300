//! A scripted MCP server that records what reaches it, byte by byte, complete or not.

mod answer;
mod http1;
mod http2;
mod scripts;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

pub use self::answer::{Action, Answer, Door};
pub use self::scripts::mcp_server;
use crate::wire::{self, Headers};

/// One request as it has arrived so far.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Number of the connection it came on, from 0.
    pub connection: usize,
    /// Request line and fields as received (HTTP/1.1; empty for HTTP/2).
    pub head: Vec<u8>,
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Fields in order, names in lower case.
    pub headers: Headers,
    /// Body as received, chunk framing included.
    pub raw_body: Vec<u8>,
    /// Body without framing.
    pub body: Vec<u8>,
    /// Trailer fields.
    pub trailers: Headers,
    /// Whether the end of the request has been seen. By then its answer is decided: rules that come later
    /// ([`Upstream::answer`]) are not for it.
    pub complete: bool,
    /// Whether the peer has closed the connection while an answer waited for a test ([`Door`],
    /// [`Action::Until`], HTTP/1.1).
    pub abandoned: bool,
}

impl Received {
    /// The first value of the field `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        wire::header(&self.headers, name)
    }

    /// How often the field `name` (lower case) occurs.
    pub fn count(&self, name: &str) -> usize {
        self.headers.iter().filter(|(field, _)| field == name).count()
    }

    /// The body as JSON, `null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether `label` occurs anywhere in the request.
    pub fn mentions(&self, label: &str) -> bool {
        let label = label.as_bytes();
        wire::find(&self.head, label).is_some()
            || wire::find(&self.raw_body, label).is_some()
            || self
                .headers
                .iter()
                .any(|(_, value)| wire::find(value, label).is_some())
            || wire::find(self.target.as_bytes(), label).is_some()
    }
}

type Script = dyn Fn(&Received) -> Answer + Send + Sync;

/// The server. It stops when dropped.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// How requests that mention a label are answered.
struct Rule {
    label: String,
    script: Arc<Script>,
    /// As soon as the request's head is there.
    early: bool,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    rules: Mutex<Vec<Rule>>,
    fallback: Option<Arc<Script>>,
    connections: AtomicUsize,
}

/// What the server speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS, prior knowledge.
    Http2,
}

impl Upstream {
    /// Starts an HTTP/1.1 server that answers by `script` whatever no label (see [`Self::answer`]) decides.
    pub async fn start(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_version(Version::Http1, script).await
    }

    /// Starts a server of the given version.
    ///
    /// # Panics
    ///
    /// When no port can be bound.
    pub async fn start_version(
        version: Version,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), version, script).await
    }

    /// Starts an HTTP/1.1 server where nobody has listened.
    ///
    /// # Panics
    ///
    /// When the port cannot be bound.
    pub async fn start_at(
        address: SocketAddr,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen(address, Version::Http1, script).await
    }

    async fn listen(
        address: SocketAddr,
        version: Version,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port on loopback");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            fallback: Some(Arc::new(script)),
            ..Shared::default()
        });
        let for_connections = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&for_connections);
                let number = shared.connections.fetch_add(1, Ordering::Relaxed);
                match version {
                    Version::Http1 => tokio::spawn(http1::serve(stream, number, shared)),
                    Version::Http2 => tokio::spawn(http2::serve(stream, number, shared)),
                };
            }
        });
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL for `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on, answers requests that mention `label` anywhere by `script`; the latest such rule wins.
    pub fn answer(&self, label: &str, script: impl Fn(&Received) -> Answer + Send + Sync + 'static) {
        self.shared.rule(label, Arc::new(script), false);
    }

    /// As [`Self::answer`], but as soon as the request's head has arrived, which must mention the label, and then closes
    /// the connection (HTTP/1.1 only).
    pub fn answer_early(&self, label: &str, script: impl Fn(&Received) -> Answer + Send + Sync + 'static) {
        self.shared.rule(label, Arc::new(script), true);
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// What mentions `label` anywhere: tests that share an upstream label their requests.
    pub fn received_for(&self, label: &str) -> Vec<Received> {
        lock(&self.shared.received)
            .iter()
            .filter(|request| request.mentions(label))
            .cloned()
            .collect()
    }

    /// What carries `label`, or something that begins with it, in its head's `x-label`. Unlike [`Self::received_for`] it
    /// looks into no body, which matters when there are many large ones.
    pub fn labelled(&self, label: &str) -> Vec<Received> {
        let line = format!("x-label: {label}").into_bytes();
        let carries = |request: &&Received| {
            request.header("x-label") == Some(label.as_bytes()) || wire::find(&request.head, &line).is_some()
        };
        lock(&self.shared.received)
            .iter()
            .filter(carries)
            .cloned()
            .collect()
    }

    /// Waits a while until `count` complete requests that mention `label` have arrived.
    ///
    /// # Panics
    ///
    /// When they do not arrive.
    pub async fn wait_for(&self, label: &str, count: usize) -> Vec<Received> {
        let deadline = Instant::now() + crate::SOON;
        loop {
            let received = self.received_for(label);
            if received.iter().filter(|request| request.complete).count() >= count {
                return received;
            }
            assert!(
                Instant::now() < deadline,
                "waited for {count} requests with {label:?}, have {received:?}"
            );
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    /// Adds a record and returns its number.
    fn record(&self, received: Received) -> usize {
        let mut all = lock(&self.received);
        all.push(received);
        all.len() - 1
    }

    fn update(&self, number: usize, change: impl FnOnce(&mut Received)) {
        if let Some(received) = lock(&self.received).get_mut(number) {
            change(received);
        }
    }

    fn rule(&self, label: &str, script: Arc<Script>, early: bool) {
        let label = label.to_owned();
        lock(&self.rules).push(Rule { label, script, early });
    }

    /// Whether the request is to be answered before its body is there.
    fn is_early(&self, number: usize) -> bool {
        let received = lock(&self.received).get(number).cloned().unwrap_or_default();
        let rules = lock(&self.rules);
        let rule = rules.iter().rev().find(|rule| received.mentions(&rule.label));
        rule.is_some_and(|rule| rule.early)
    }

    /// Decides on the answer to a request that is there as a whole, and only then shows it as complete.
    fn complete(&self, number: usize) -> Answer {
        let answer = self.answer(number);
        self.update(number, |received| received.complete = true);
        answer
    }

    fn answer(&self, number: usize) -> Answer {
        let Some(received) = lock(&self.received).get(number).cloned() else {
            return Answer::reset();
        };
        let rule = lock(&self.rules)
            .iter()
            .rev()
            .find(|rule| received.mentions(&rule.label))
            .map(|rule| Arc::clone(&rule.script));
        rule.or_else(|| self.fallback.clone())
            .map_or_else(Answer::reset, |script| script(&received))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
