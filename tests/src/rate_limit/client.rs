//! A client that asks a service directly.

use std::net::SocketAddr;
use std::{fmt, io};

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use super::{METHOD, Request, Response};
use crate::client::{self, Http2};
use crate::wire;

/// One connection to a service. Calls on it run concurrently.
pub struct RateLimitClient {
    connection: Http2,
}

/// Why a call has no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The service says that it failed: gRPC's code and message.
    Status(u32, String),
    /// The connection failed, or what came is no gRPC answer.
    Transport(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code, message) => write!(formatter, "gRPC status {code}: {message}"),
            Self::Transport(problem) => formatter.write_str(problem),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Transport(error.to_string())
    }
}

impl RateLimitClient {
    /// Connects to the service at `address`.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let connection = Http2::connect(address).await?;
        Ok(Self { connection })
    }

    /// Makes one call.
    pub async fn ask(&self, request: &Request) -> Result<Response, Failure> {
        let request = client::Request::new("POST", METHOD)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(frame(&request.encode_to_vec()));
        let answer = self.connection.exchange(&request, usize::MAX, false).await?;
        read(&answer)
    }
}

/// A message with gRPC's prefix: not compressed, and its length. See
/// [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
///
/// # Panics
///
/// When the message is longer than 4 GiB.
pub(super) fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("a message below 4 GiB"));
    framed.put_slice(message);
    framed.freeze()
}

/// The one message in `body`.
pub(super) fn unframe(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_first_chunk::<5>()?;
    let [0, length @ ..] = prefix else { return None };
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (length == message.len()).then_some(message)
}

fn read(answer: &client::Response) -> Result<Response, Failure> {
    if answer.status != 200 {
        return Err(Failure::Transport(format!("HTTP status {}", answer.status)));
    }
    // An answer without a message has its status in the head.
    let field = |name| {
        let field = wire::header(&answer.trailers, name).or_else(|| wire::header(&answer.headers, name));
        field.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    let Some(code) = field("grpc-status").and_then(|code| code.parse().ok()) else {
        return Err(Failure::Transport("the answer has no grpc-status".to_owned()));
    };
    if code != 0 {
        return Err(Failure::Status(code, field("grpc-message").unwrap_or_default()));
    }
    unframe(&answer.body)
        .and_then(|message| Response::decode(message).ok())
        .ok_or_else(|| Failure::Transport(format!("{:?} is no answer", answer.body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framed_message_is_read_back_and_nothing_else_is() {
        assert_eq!(unframe(&frame(b"message")), Some(b"message".as_slice()));
        assert_eq!(unframe(&frame(b"")), Some(b"".as_slice()));
        for broken in [
            &b""[..],
            b"\0\0\0\0",
            b"\0\0\0\0\x02x",
            b"\0\0\0\0\0x",
            b"\x01\0\0\0\0",
        ] {
            assert_eq!(unframe(broken), None, "{broken:?}");
        }
    }
}
