//! The HTTP/2 client (no TLS, prior knowledge).

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::{Request, Response};
use crate::wire::Headers;

/// A connection.
pub struct Http2 {
    streams: SendRequest<Bytes>,
    connection: JoinHandle<()>,
}

impl Http2 {
    /// Connects to `address`.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (streams, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { streams, connection })
    }

    /// Sends a request, its body in frames of at most `size` bytes, ended by trailers if `trailers`, and reads the
    /// whole answer.
    pub async fn exchange(&self, request: &Request, size: usize, trailers: bool) -> io::Result<Response> {
        let (mut stream, answer) = self.begin(request, trailers).await?;
        // A peer may answer before it has read everything, so a failure to write is not reported.
        let _ = write_body(&mut stream, request, size, trailers).await;
        read_answer(answer.await.map_err(io::Error::other)?).await
    }

    /// Sends a request's head; the caller writes the body and awaits the answer.
    pub async fn begin(
        &self,
        request: &Request,
        trailers: bool,
    ) -> io::Result<(SendStream<Bytes>, h2::client::ResponseFuture)> {
        let mut head = http::Request::builder()
            .method(request.method.as_str())
            .uri(format!("http://{}{}", request.authority, request.target))
            .body(())
            .map_err(io::Error::other)?;
        *head.headers_mut() = header_map(&request.headers)?;
        let mut streams = self.streams.clone().ready().await.map_err(io::Error::other)?;
        let ends_here = request.body.is_none() && !trailers;
        let (answer, stream) = streams.send_request(head, ends_here).map_err(io::Error::other)?;
        Ok((stream, answer))
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Sends all of `data`, as the peer's flow control admits it.
pub async fn send_all(stream: &mut SendStream<Bytes>, mut data: Bytes) -> Result<(), h2::Error> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let Some(capacity) = poll_fn(|context| stream.poll_capacity(context)).await else {
            return Ok(());
        };
        stream.send_data(data.split_to(capacity?.min(data.len())), false)?;
    }
    Ok(())
}

/// Reads an answer to its end.
pub async fn read_answer(answer: http::Response<RecvStream>) -> io::Result<Response> {
    let (head, mut stream) = answer.into_parts();
    let mut response = Response {
        status: head.status.as_u16(),
        headers: fields(&head.headers),
        ..Response::default()
    };
    while let Some(piece) = stream.data().await {
        // A stream that is reset after the answer has begun is incomplete, which is for the test to judge.
        let Ok(piece) = piece else { return Ok(response) };
        let _ = stream.flow_control().release_capacity(piece.len());
        response.body.extend_from_slice(&piece);
    }
    if let Ok(trailers) = stream.trailers().await {
        response.trailers = trailers.as_ref().map(fields).unwrap_or_default();
        response.complete = true;
    }
    Ok(response)
}

async fn write_body(
    stream: &mut SendStream<Bytes>,
    request: &Request,
    size: usize,
    trailers: bool,
) -> Result<(), h2::Error> {
    let Some(mut body) = request.body.clone() else {
        return end(stream, trailers);
    };
    while body.len() > size {
        send_all(stream, body.split_to(size)).await?;
    }
    send_all(stream, body).await?;
    end(stream, trailers)
}

fn end(stream: &mut SendStream<Bytes>, trailers: bool) -> Result<(), h2::Error> {
    if !trailers {
        return stream.send_data(Bytes::new(), true);
    }
    let mut fields = HeaderMap::new();
    fields.insert("x-trailer", HeaderValue::from_static("1"));
    stream.send_trailers(fields)
}

fn header_map(headers: &[(Vec<u8>, Vec<u8>)]) -> io::Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name).map_err(io::Error::other)?;
        map.append(name, HeaderValue::from_bytes(value).map_err(io::Error::other)?);
    }
    Ok(map)
}

fn fields(map: &HeaderMap) -> Headers {
    map.iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect()
}
