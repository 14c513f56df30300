//! The rate limit services by themselves, without an Envoy before them: what later tests, and the documentation, rely
//! on.

mod fake;
mod limitador;
mod service;

use toolgate_tests::rate_limit::{Descriptor, Failure, RateLimitClient, Request, Response, Unit};

/// A question about these descriptors.
fn about(descriptors: impl IntoIterator<Item = Descriptor>) -> Request {
    Request::new("toolgate", descriptors)
}

/// A limit of `requests` that no window ends during a test.
fn limited(id: &str, requests: u32) -> Descriptor {
    Descriptor::new([("limit", id)]).limit(requests, Unit::Year)
}

/// Asks, and gives up as Envoy would: a service can also say nothing at all.
async fn ask(client: &RateLimitClient, request: &Request) -> Result<Response, Failure> {
    let answer = tokio::time::timeout(std::time::Duration::from_millis(500), client.ask(request));
    let late = |_| Err(Failure::Transport("no answer in time".to_owned()));
    answer.await.unwrap_or_else(late)
}
