//! A service that answers what a test wants.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::server::Server;
use super::{Asked, Code, Request, Response, Status};

/// What a service does with one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Answers.
    Statuses(Response),
    /// Answers with these bytes in place of an encoded message.
    Message(Bytes),
    /// Answers with these bytes in place of a framed message.
    Body(Bytes),
    /// Fails with this gRPC code and message.
    Error(u32, String),
    /// Answers with this HTTP status, and nothing of gRPC but the media type.
    Http(u16),
    /// Says nothing, as long as the connection lasts.
    Never,
    /// Waits first.
    After(Duration, Box<Answer>),
    /// Resets the stream.
    Reset,
    /// Closes the connection, with everything that is under way on it.
    Close,
}

impl Answer {
    /// One status of `code` for each descriptor, with the limit it carries (or `u32::MAX` per year) and nothing left.
    pub fn each(request: &Request, code: Code) -> Self {
        Self::by(request, |_| code)
    }

    /// Each descriptor is within its limit.
    pub fn ok(request: &Request) -> Self {
        Self::each(request, Code::Ok)
    }

    /// The descriptor at `index` is over its limit, the others are within theirs.
    pub fn over(request: &Request, index: usize) -> Self {
        Self::by(request, |at| if at == index { Code::OverLimit } else { Code::Ok })
    }

    /// A status without a limit for each descriptor, as a service says that does not know the domain.
    pub fn unlimited(request: &Request) -> Self {
        Self::statuses(request.descriptors.iter().map(|_| Status::unlimited()))
    }

    /// These statuses, whatever was asked.
    pub fn statuses(statuses: impl IntoIterator<Item = Status>) -> Self {
        Self::Statuses(Response::of(statuses))
    }

    /// Bytes that no message begins with: field number 0.
    pub fn garbage() -> Self {
        Self::Message(Bytes::from_static(b"\x07\xff\xff\xff\xff"))
    }

    /// gRPC's code `UNAVAILABLE`.
    pub fn unavailable() -> Self {
        Self::Error(14, "unavailable".to_owned())
    }

    /// Waits before it answers.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        Self::After(pause, Box::new(self))
    }

    fn by(request: &Request, code: impl Fn(usize) -> Code) -> Self {
        let status = |(index, descriptor): (usize, &super::Descriptor)| {
            let limit = descriptor.limit.unwrap_or(super::Limit {
                requests_per_unit: u32::MAX,
                unit: super::Unit::Year.into(),
            });
            Status::new(code(index), limit.requests_per_unit, limit.unit(), 0)
                .resets_in(Duration::from_secs(1))
        };
        Self::statuses(request.descriptors.iter().enumerate().map(status))
    }
}

/// A scripted service. It stops, its connections with it, when dropped.
pub struct FakeService {
    server: Server,
}

impl FakeService {
    /// Starts a service that answers by `script`, on a free port.
    pub async fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), script).await
    }

    /// Starts a service at `address`, where a test has stopped another one.
    ///
    /// # Panics
    ///
    /// When the port cannot be bound.
    pub async fn start_at(
        address: SocketAddr,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let server = Server::start(address, Arc::new(script)).await;
        Self { server }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Answers by `script` from now on.
    pub fn script(&self, script: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        self.server.script(Arc::new(script));
    }

    /// Everything it was asked so far, in order of arrival.
    pub fn asked(&self) -> Vec<Asked> {
        self.server.asked()
    }

    /// How many connections it has had.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// Ends it. Its port is free when this returns.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
