//! A server whose answers are there before anybody asks, so that what is measured is not the server.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Semaphore};
use toolgate_tests::wire::{Head, read_more};

/// The id of every request, and so of every answer.
pub(crate) const ID: u64 = 17;

/// The header in which a request names the answer that it wants.
pub(crate) const ANSWER: &str = "x-answer";

/// A prebuilt answer, framing included: `first`, then `piece` so many times, then `last`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    first: Bytes,
    piece: Bytes,
    times: usize,
    last: Bytes,
    company: Option<Company>,
}

/// Answers that are sent at the same time.
#[derive(Clone, Debug)]
pub(crate) struct Company {
    /// Where they wait for each other when half of the pieces have been sent.
    meeting: Arc<Barrier>,
    /// Bytes that may be on their way: without this bound Envoy would hold what its client is too slow for.
    credit: Arc<Semaphore>,
}

impl Company {
    /// So many answers, of which so many bytes are on their way.
    pub(crate) fn new(count: usize, bytes: usize) -> Self {
        Self {
            meeting: Arc::new(Barrier::new(count)),
            credit: Arc::new(Semaphore::new(bytes)),
        }
    }

    /// A client has read so many bytes.
    pub(crate) fn read(&self, bytes: usize) {
        // Envoy joins chunks: less framing arrives than was sent.
        self.credit.add_permits(bytes + bytes / 256);
    }

    async fn wait(&self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Ok(credit) = self.credit.acquire_many(bytes).await {
            credit.forget();
        }
    }
}

impl Answer {
    /// A JSON body with `content-length`.
    pub(crate) fn json(body: &Value) -> Self {
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Self {
            first: (head + &body).into(),
            ..Self::default()
        }
    }

    /// The same as one event, and the end of the stream.
    pub(crate) fn event(message: &Value) -> Self {
        Self {
            first: HEAD_OF_EVENTS.into(),
            last: (chunk(&event(message)) + "0\r\n\r\n").into(),
            ..Self::default()
        }
    }

    /// Progress in `count` events of `size` bytes each, and a short result.
    pub(crate) fn events(size: usize, count: usize) -> Self {
        // A block of many events for one write; of each event a chunk of its own, as servers send them.
        let together = (WRITE / size).clamp(1, count);
        let done = result("done");
        Self {
            piece: chunk(&progress(size)).repeat(together).into(),
            times: count / together,
            ..Self::event(&done)
        }
    }

    /// Sent in company.
    pub(crate) fn among(self, company: &Company) -> Self {
        Self {
            company: Some(company.clone()),
            ..self
        }
    }

    async fn write(&self, stream: &mut TcpStream) -> io::Result<()> {
        self.send(stream, &self.first).await?;
        for index in 0..self.times {
            if let (Some(company), true) = (&self.company, index == self.times / 2) {
                company.meeting.wait().await;
            }
            self.send(stream, &self.piece).await?;
        }
        self.send(stream, &self.last).await
    }

    async fn send(&self, stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
        let Some(company) = &self.company else {
            return stream.write_all(bytes).await;
        };
        for piece in bytes.chunks(WRITE) {
            company.wait(piece.len()).await;
            stream.write_all(piece).await?;
        }
        Ok(())
    }
}

/// Starts a server on loopback that lasts as long as the runtime.
pub(crate) async fn start(answers: BTreeMap<&'static str, Answer>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a port on loopback");
    let address = listener.local_addr().expect("bound");
    let answers = Arc::new(answers);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answers = Arc::clone(&answers);
            // A client that leaves is no matter here: it would fail by itself.
            tokio::spawn(async move { serve(stream, &answers).await });
        }
    });
    address
}

/// The result of a tool, with this text.
pub(crate) fn result(text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": ID, "result": {
        "resultType": "complete", "content": [{ "type": "text", "text": text }]
    } })
}

/// A list of so many tools of about 400 bytes, of which a pattern `get_*` means every other one.
pub(crate) fn tools(count: usize) -> Value {
    let tool = |index: usize| {
        let name = format!(
            "{}_document_{index}",
            if index.is_multiple_of(2) { "get" } else { "delete" }
        );
        json!({
            "name": name,
            "title": format!("Document {index}"),
            "description": "Works on one document of the archive by its number; \"latest\" stands for the newest revision.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "id": { "type": "integer", "minimum": 1, "description": "Number of the document" },
                    "revision": { "type": "string", "maxLength": 64, "default": "latest" }
                },
                "required": ["id"],
                "additionalProperties": false
            }
        })
    };
    let tools: Vec<Value> = (0..count).map(tool).collect();
    json!({ "jsonrpc": "2.0", "id": ID, "result": { "resultType": "complete", "tools": tools } })
}

/// So many bytes of what tools return: lines of ASCII in which something is escaped now and then.
pub(crate) fn text(length: usize) -> String {
    const LINE: &str =
        "2026-07-28T10:15:42Z INFO  http: GET /v1/documents/8271 -> 200 \"text/html\" in 18 ms\n";
    // Quotes and line ends take two bytes in JSON; other things take as many as they are.
    let mut text = String::with_capacity(length);
    let mut left = length;
    for character in LINE.chars().cycle() {
        let size = if matches!(character, '"' | '\n') { 2 } else { 1 };
        if left < size {
            break;
        }
        text.push(character);
        left -= size;
    }
    text + &"x".repeat(left)
}

/// What is written at once.
const WRITE: usize = 64 * 1024;

const HEAD_OF_EVENTS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// One event of exactly this many bytes.
fn progress(size: usize) -> String {
    let notification = |data: &str| {
        event(&json!({
            "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": data }
        }))
    };
    let padding = size.saturating_sub(notification("").len());
    let event = notification(&text(padding));
    assert_eq!(event.len(), size);
    event
}

fn event(message: &Value) -> String {
    format!("event: message\ndata: {message}\n\n")
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

async fn serve(mut stream: TcpStream, answers: &BTreeMap<&'static str, Answer>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::new();
    loop {
        let head = loop {
            if let Some(head) = Head::take(&mut buffer)? {
                break head;
            }
            if !read_more(&mut stream, &mut buffer).await? {
                return Ok(());
            }
        };
        let field = |name| std::str::from_utf8(head.header(name).unwrap_or_default()).unwrap_or_default();
        let length = field("content-length").parse::<usize>().unwrap_or(0);
        while buffer.len() < length {
            if !read_more(&mut stream, &mut buffer).await? {
                return Ok(());
            }
        }
        buffer.advance(length);
        let answer = answers.get(field(ANSWER)).ok_or(io::ErrorKind::NotFound)?;
        answer.write(&mut stream).await?;
    }
}
