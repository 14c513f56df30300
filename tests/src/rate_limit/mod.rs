//! Rate limit services of Envoy's protocol (`envoy.service.ratelimit.v3.RateLimitService`): the real ones, a scripted
//! one, and a client to ask them without an Envoy between.
//!
//! * [`RateLimitService`]: envoyproxy/ratelimit before a real [`Redis`].
//! * [`Limitador`]: the `limitador` crate behind the protocol as Kuadrant's server speaks it.
//! * [`FakeService`]: answers by a script, also what no honest service would.

mod client;
mod fake;
mod limitador;
mod messages;
mod redis;
mod server;
mod service;

pub use self::client::{Failure, RateLimitClient};
pub use self::fake::{Answer, FakeService};
pub use self::limitador::Limitador;
pub use self::messages::{Code, CurrentLimit, Descriptor, Entry, Limit, Request, Response, Status, Unit};
pub use self::redis::{Durability, Redis};
pub use self::server::Asked;
pub use self::service::{RECOMMENDED, RateLimitService, Settings};

/// What a gRPC client asks for.
const METHOD: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
