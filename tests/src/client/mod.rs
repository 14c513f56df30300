//! Scripted clients that send exactly what they are told to, over HTTP/1.1 and HTTP/2.

mod http1;
mod http2;

use std::net::SocketAddr;

use bytes::Bytes;
use serde_json::Value;

pub use self::http1::Connection;
pub use self::http2::{Http2, read_answer, send_all};
use crate::wire::{self, Headers};

/// How a request travels. A verdict must not depend on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// HTTP/1.1 with `content-length`, head and body in one write.
    Length,
    /// HTTP/1.1 with `content-length`, the body only after a pause.
    LateBody,
    /// HTTP/1.1, chunked, one chunk of one byte after the other.
    ChunkedBytes,
    /// HTTP/1.1, chunked, with a trailer field.
    ChunkedTrailers,
    /// HTTP/2.
    Http2,
    /// HTTP/2, in frames of seven bytes.
    Http2Pieces,
    /// HTTP/2, ended by trailers.
    Http2Trailers,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Length,
        Self::LateBody,
        Self::ChunkedBytes,
        Self::ChunkedTrailers,
        Self::Http2,
        Self::Http2Pieces,
        Self::Http2Trailers,
    ];
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path and query as they go on the wire.
    pub target: String,
    /// `Host` or `:authority`; none on HTTP/1.1 when empty.
    pub authority: String,
    /// Fields in order, written as they are (HTTP/2: in lower case).
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Body; `None` is no body at all, and no `content-length`.
    pub body: Option<Bytes>,
}

impl Request {
    /// A request without fields and without body.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            authority: "localhost".to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// A POST as MCP clients send it: JSON, both media types accepted.
    pub fn post(target: &str, body: impl Into<Bytes>) -> Self {
        Self::new("POST", target)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(body)
    }

    /// [`Self::post`] with a JSON value.
    pub fn json(target: &str, body: &Value) -> Self {
        Self::post(target, body.to_string())
    }

    /// Adds a field.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Removes all fields called `name` (any case).
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(field, _)| !field.eq_ignore_ascii_case(name.as_bytes()));
        self
    }

    /// Replaces all fields called `name` by one.
    #[must_use]
    pub fn with(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).header(name, value)
    }

    /// Presents a virtual key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("authorization", format!("Bearer {key}"))
    }

    /// Sets the body.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self {
            body: Some(body.into()),
            ..self
        }
    }

    /// Sets the authority.
    #[must_use]
    pub fn authority(self, authority: &str) -> Self {
        Self {
            authority: authority.to_owned(),
            ..self
        }
    }

    /// Sends the request to `address` on a connection of its own and reads the whole answer.
    ///
    /// # Panics
    ///
    /// When there is no HTTP answer [soon](crate::SOON); use [`Connection`] or [`Http2`] where that is expected.
    pub async fn send(&self, address: SocketAddr, transport: Transport) -> Response {
        let exchange = async {
            match transport {
                Transport::Http2 => {
                    Http2::connect(address)
                        .await?
                        .exchange(self, usize::MAX, false)
                        .await
                }
                Transport::Http2Pieces => Http2::connect(address).await?.exchange(self, 7, false).await,
                Transport::Http2Trailers => {
                    Http2::connect(address)
                        .await?
                        .exchange(self, usize::MAX, true)
                        .await
                }
                _ => Connection::open(address).await?.exchange(self, transport).await,
            }
        };
        tokio::time::timeout(crate::SOON, exchange)
            .await
            .unwrap_or_else(|_| {
                panic!(
                    "no answer to {self:?} over {transport:?} within {:?}",
                    crate::SOON
                )
            })
            .unwrap_or_else(|error| panic!("no answer to {self:?} over {transport:?}: {error}"))
    }
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Status.
    pub status: u16,
    /// Statuses of interim answers (1xx) before it.
    pub interim: Vec<u16>,
    /// Fields in order, names in lower case.
    pub headers: Headers,
    /// Body without framing, as far as it arrived.
    pub body: Vec<u8>,
    /// Trailer fields.
    pub trailers: Headers,
    /// Whether the body ended as announced.
    pub complete: bool,
}

impl Response {
    /// The first value of the field `name` (lower case) as text; empty when absent.
    pub fn header(&self, name: &str) -> String {
        String::from_utf8_lossy(wire::header(&self.headers, name).unwrap_or_default()).into_owned()
    }

    /// Whether the field `name` (lower case) is there.
    pub fn has(&self, name: &str) -> bool {
        wire::header(&self.headers, name).is_some()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in the body of {self:?}"))
    }

    /// The `data` of each event of an event stream, as JSON.
    ///
    /// # Panics
    ///
    /// When the data of an event is no JSON.
    pub fn messages(&self) -> Vec<Value> {
        let text = self.text().replace("\r\n", "\n");
        let data = |event: &str| {
            let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
            lines
                .map(|line| line.strip_prefix(' ').unwrap_or(line))
                .collect::<Vec<_>>()
                .join("\n")
        };
        let data = text.split("\n\n").map(data).filter(|data| !data.is_empty());
        data.map(|data| serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error} in {data:?}")))
            .collect()
    }
}
