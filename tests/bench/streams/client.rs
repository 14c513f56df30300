//! A client that reads as fast as it can and keeps nothing.

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::source::{ANSWER, Company, ID};

/// One connection, kept alive.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    company: Option<Company>,
}

/// How an answer ends.
enum Ends {
    After(usize),
    WithLastChunk,
}

impl Client {
    pub(crate) async fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; 256 * 1024],
            company: None,
        })
    }

    /// What it reads makes room for more of the answers of this company.
    pub(crate) fn among(self, company: &Company) -> Self {
        Self {
            company: Some(company.clone()),
            ..self
        }
    }

    /// Sends a request and reads its answer to the end; bytes of the body, chunk framing included.
    ///
    /// # Panics
    ///
    /// When the status is not 200, or the answer is no body of a known length or in chunks.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<usize> {
        self.stream.write_all(request).await?;
        let (ends, mut body) = self.head().await?;
        let mut tail = Vec::new();
        let mut received = body.len();
        loop {
            keep_tail(&mut tail, &body);
            let complete = match ends {
                Ends::After(length) => received >= length,
                Ends::WithLastChunk => tail == b"\r\n0\r\n\r\n",
            };
            if complete {
                return Ok(received);
            }
            let count = self.stream.read(&mut self.buffer).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            received += count;
            if let Some(company) = &self.company {
                company.read(count);
            }
            body.clear();
            body.extend_from_slice(
                self.buffer
                    .get(count.saturating_sub(TAIL)..count)
                    .unwrap_or_default(),
            );
        }
    }

    /// Reads a head; how the body ends, and what has arrived of it.
    async fn head(&mut self) -> io::Result<(Ends, Vec<u8>)> {
        let mut received = Vec::with_capacity(64 * 1024);
        loop {
            if let Some(end) = toolgate_tests::wire::find(&received, b"\r\n\r\n") {
                let body = received.split_off(end + 4);
                let head = String::from_utf8_lossy(&received).to_ascii_lowercase();
                assert!(head.starts_with("http/1.1 200"), "{head}");
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                let chunked = head.contains("\r\ntransfer-encoding: chunked\r\n");
                return match length {
                    Some(length) => Ok((Ends::After(length), body)),
                    None if chunked => Ok((Ends::WithLastChunk, body)),
                    None => panic!("neither length nor chunks: {head}"),
                };
            }
            if self.stream.read_buf(&mut received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Bytes of the end of a chunked body.
const TAIL: usize = 7;

fn keep_tail(tail: &mut Vec<u8>, more: &[u8]) {
    tail.extend_from_slice(more);
    tail.drain(..tail.len().saturating_sub(TAIL));
}

/// A call that wants the answer of this name.
pub(crate) fn call(answer: &str) -> Vec<u8> {
    request(
        answer,
        "tools/call",
        &json!({ "name": "search", "arguments": { "query": "q" } }),
        "mcp-name: search\r\n",
    )
}

/// A request for the list of tools.
pub(crate) fn list(answer: &str) -> Vec<u8> {
    request(answer, "tools/list", &json!({}), "")
}

fn request(answer: &str, method: &str, params: &Value, further: &str) -> Vec<u8> {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {}
    });
    let body = json!({ "jsonrpc": "2.0", "id": ID, "method": method, "params": params }).to_string();
    format!(
        "POST /docs/mcp HTTP/1.1\r\nhost: mcp.example.com\r\nauthorization: Bearer bench-key\r\n\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{further}{ANSWER}: {answer}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
