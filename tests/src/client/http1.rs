//! The HTTP/1.1 client: a TCP connection, and what the test writes to it.

use std::io;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::{Request, Response, Transport};
use crate::wire::{self, Body, Framing, Head};

/// A connection. Several requests may follow each other on it, pipelined too.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
    /// The answer being read, if its head has been.
    body: Option<Body>,
}

impl Connection {
    /// Connects to `address`.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: BytesMut::new(),
            body: None,
        })
    }

    /// Writes these bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends a request and reads the whole answer.
    pub async fn exchange(&mut self, request: &Request, transport: Transport) -> io::Result<Response> {
        self.request(request, transport).await?;
        self.response().await
    }

    /// Sends a request.
    ///
    /// A peer may answer and close before it has read everything, so a failure to write is not reported: what matters
    /// is whether there is an answer.
    pub async fn request(&mut self, request: &Request, transport: Transport) -> io::Result<()> {
        let chunked = matches!(transport, Transport::ChunkedBytes | Transport::ChunkedTrailers);
        let head = head(request, chunked);
        let body = request.body.as_deref().unwrap_or_default();
        let _ = match transport {
            Transport::ChunkedBytes => self.write_chunked(&head, body, 1, b"").await,
            Transport::ChunkedTrailers => {
                self.write_chunked(&head, body, usize::MAX, b"x-trailer: 1\r\n")
                    .await
            }
            Transport::LateBody => self.write_late(&head, body).await,
            _ => self.write(&[&head, body].concat()).await,
        };
        Ok(())
    }

    /// Reads the head of an answer, interim answers included; the body is then read by [`Self::piece`].
    pub async fn head(&mut self) -> io::Result<Response> {
        let mut response = Response::default();
        loop {
            let head = self.next_head().await?;
            let status = head
                .start
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse().ok());
            let status = status.ok_or_else(|| io::Error::other(format!("no status in {:?}", head.start)))?;
            if (100..200).contains(&status) {
                response.interim.push(status);
                continue;
            }
            let framing = match status {
                204 | 304 => Framing::Length(0),
                _ => head.framing(Framing::UntilClose)?,
            };
            let body = Body::new(framing);
            response.complete = body.complete;
            self.body = Some(body);
            return Ok(Response {
                status,
                headers: head.headers,
                ..response
            });
        }
    }

    /// Waits for the next piece of the body and returns it; `None` at its end, whether it was announced or not.
    pub async fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(body) = &mut self.body else {
            return Ok(None);
        };
        loop {
            body.feed(&mut self.buffer)?;
            if !body.content.is_empty() {
                return Ok(Some(std::mem::take(&mut body.content)));
            }
            if body.complete {
                return Ok(None);
            }
            // A reset after the answer has begun is an end like any other here: `complete` tells the difference.
            if !wire::read_more(&mut self.stream, &mut self.buffer)
                .await
                .unwrap_or(false)
            {
                body.close();
                return Ok(None);
            }
        }
    }

    /// Reads a whole answer.
    pub async fn response(&mut self) -> io::Result<Response> {
        let mut response = self.head().await?;
        while let Some(piece) = self.piece().await? {
            response.body.extend_from_slice(&piece);
        }
        if let Some(body) = self.body.take() {
            response.complete = body.complete;
            response.trailers = body.trailers;
        }
        Ok(response)
    }

    /// Waits until there is something to read, or the end.
    pub async fn readable(&self) -> io::Result<()> {
        self.stream.readable().await
    }

    /// Whether the peer has closed the connection; waits for at most `limit` to see it.
    pub async fn is_closed_within(&mut self, limit: Duration) -> bool {
        let read = wire::read_more(&mut self.stream, &mut self.buffer);
        matches!(tokio::time::timeout(limit, read).await, Ok(Ok(false) | Err(_)))
    }

    async fn next_head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(head) = Head::take(&mut self.buffer)? {
                return Ok(head);
            }
            if !wire::read_more(&mut self.stream, &mut self.buffer).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn write_late(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        self.write(head).await?;
        sleep(Duration::from_millis(50)).await;
        self.write(body).await
    }

    async fn write_chunked(
        &mut self,
        head: &[u8],
        body: &[u8],
        size: usize,
        trailers: &[u8],
    ) -> io::Result<()> {
        self.write(head).await?;
        for piece in body.chunks(size) {
            self.write(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat())
                .await?;
        }
        self.write(&[b"0\r\n", trailers, b"\r\n"].concat()).await
    }
}

fn head(request: &Request, chunked: bool) -> Vec<u8> {
    let mut head = Vec::new();
    let _ = write!(head, "{} {} HTTP/1.1\r\n", request.method, request.target);
    if !request.authority.is_empty() {
        let _ = write!(head, "Host: {}\r\n", request.authority);
    }
    for (name, value) in &request.headers {
        head.extend_from_slice(&[name.as_slice(), b": ", value, b"\r\n"].concat());
    }
    match &request.body {
        Some(_) if chunked => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Some(body) => {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        None => {}
    }
    head.extend_from_slice(b"\r\n");
    head
}
