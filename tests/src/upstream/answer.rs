//! What a scripted upstream answers: decent HTTP, and everything that is not.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{Notify, watch};

use crate::wire::Headers;

/// One thing to do, in order.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sends body bytes (framed if the head says `chunked`).
    Send(Bytes),
    /// Sends the same body bytes so many times.
    Repeat(Bytes, usize),
    /// Waits.
    Wait(Duration),
    /// Waits until a test says so.
    Until(Arc<Notify>),
    /// Ends the connection with a TCP reset (HTTP/2: resets the stream).
    Reset,
    /// Closes the connection without ending the message (HTTP/2: resets the stream).
    Close,
}

/// What answers wait behind until a test opens it, however many they are and whenever they come.
#[derive(Clone, Debug)]
pub struct Door(watch::Sender<bool>);

impl Door {
    /// A closed one.
    pub fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets through what waits, and what will come.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn passed(&self) {
        // It lasts as long as this borrow.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// How the body is delimited on HTTP/1.1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Delimiter {
    Length(Option<usize>),
    Chunked,
    Close,
    Nothing,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) before: Option<Duration>,
    pub(super) door: Option<Door>,
    pub(super) delimiter: Delimiter,
    pub(super) actions: Vec<Action>,
    pub(super) trailers: Headers,
}

impl Answer {
    /// An answer without a body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            before: None,
            door: None,
            delimiter: Delimiter::Length(None),
            actions: Vec::new(),
            trailers: Vec::new(),
        }
    }

    /// 200 with a JSON body and `content-length`.
    pub fn json(body: &Value) -> Self {
        Self::new(200)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// 200 with an event stream, chunked: each event's text is sent as it stands, after its pause.
    pub fn sse<T: Into<Bytes>>(events: impl IntoIterator<Item = (Duration, T)>) -> Self {
        let mut answer = Self::new(200)
            .header("content-type", "text/event-stream")
            .chunked::<Bytes>([]);
        for (pause, event) in events {
            answer = answer.then(Action::Wait(pause)).then(Action::Send(event.into()));
        }
        answer
    }

    /// 200 with JSON-RPC messages as an event stream, one `message` event each, without pauses.
    pub fn sse_messages<'a>(messages: impl IntoIterator<Item = &'a Value>) -> Self {
        let event = |message: &Value| (Duration::ZERO, format!("event: message\ndata: {message}\n\n"));
        Self::sse(messages.into_iter().map(event))
    }

    /// No answer: the connection is reset.
    pub fn reset() -> Self {
        Self {
            delimiter: Delimiter::Nothing,
            ..Self::new(0)
        }
        .then(Action::Reset)
    }

    /// No answer, ever: the connection stays open.
    pub fn silence() -> Self {
        Self {
            delimiter: Delimiter::Nothing,
            ..Self::new(0)
        }
        .then(Action::Until(Arc::new(Notify::new())))
    }

    /// These bytes instead of an HTTP answer, then the connection is closed.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self {
            delimiter: Delimiter::Nothing,
            ..Self::new(0)
        }
        .then(Action::Send(bytes.into()))
        .then(Action::Close)
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sets the status.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Sends this body with `content-length`.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let delimiter = Delimiter::Length(Some(body.len()));
        Self {
            delimiter,
            actions: vec![Action::Send(body)],
            ..self
        }
    }

    /// Sends these pieces, each a chunk of its own.
    #[must_use]
    pub fn chunked<T: Into<Bytes>>(self, pieces: impl IntoIterator<Item = T>) -> Self {
        let actions = pieces
            .into_iter()
            .map(|piece| Action::Send(piece.into()))
            .collect();
        Self {
            delimiter: Delimiter::Chunked,
            actions,
            ..self
        }
    }

    /// Sends this body and closes the connection to end it.
    #[must_use]
    pub fn until_close(self, body: impl Into<Bytes>) -> Self {
        Self {
            delimiter: Delimiter::Close,
            actions: vec![Action::Send(body.into())],
            ..self
        }
    }

    /// Declares `length`, sends this body whatever its length, and closes the connection.
    #[must_use]
    pub fn declared(self, length: usize, body: impl Into<Bytes>) -> Self {
        let actions = vec![Action::Send(body.into()), Action::Close];
        Self {
            delimiter: Delimiter::Length(Some(length)),
            actions,
            ..self
        }
    }

    /// Waits before the head is sent.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        Self {
            before: Some(pause),
            ..self
        }
    }

    /// Waits behind a door before the head is sent.
    #[must_use]
    pub fn behind(self, door: &Door) -> Self {
        Self {
            door: Some(door.clone()),
            ..self
        }
    }

    /// Adds something to do after what is there already.
    #[must_use]
    pub fn then(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    /// Adds something to do before the last thing that is there already.
    #[must_use]
    pub fn before_the_end(mut self, action: Action) -> Self {
        let end = self.actions.pop();
        self.actions.push(action);
        self.actions.extend(end);
        self
    }

    /// Ends in an orderly way after all, where it was to close the connection.
    #[must_use]
    pub fn complete(mut self) -> Self {
        self.actions.retain(|action| !matches!(action, Action::Close));
        self
    }

    /// Adds a trailer field (sent with HTTP/2 and with chunked HTTP/1.1).
    #[must_use]
    pub fn trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.trailers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// The head on HTTP/1.1; `None` when there is to be none.
    pub(super) fn head(&self) -> Option<Vec<u8>> {
        if self.delimiter == Delimiter::Nothing {
            return None;
        }
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            field(&mut head, name, value);
        }
        match self.delimiter {
            Delimiter::Length(length) if self.status != 204 => {
                field(
                    &mut head,
                    "content-length",
                    length.unwrap_or(0).to_string().as_bytes(),
                );
            }
            Delimiter::Chunked => field(&mut head, "transfer-encoding", b"chunked"),
            Delimiter::Close => field(&mut head, "connection", b"close"),
            Delimiter::Length(_) | Delimiter::Nothing => {}
        }
        head.extend_from_slice(b"\r\n");
        Some(head)
    }

    /// `piece` as it goes on the wire on HTTP/1.1.
    pub(super) fn framed(&self, piece: &[u8]) -> Vec<u8> {
        if self.delimiter != Delimiter::Chunked {
            return piece.to_vec();
        }
        // An empty chunk would end the body.
        if piece.is_empty() {
            return Vec::new();
        }
        let mut framed = Vec::with_capacity(piece.len() + 16);
        let _ = write!(framed, "{:x}\r\n", piece.len());
        framed.extend_from_slice(piece);
        framed.extend_from_slice(b"\r\n");
        framed
    }

    /// What ends the body on HTTP/1.1.
    pub(super) fn end(&self) -> Vec<u8> {
        if self.delimiter != Delimiter::Chunked {
            return Vec::new();
        }
        let mut end = b"0\r\n".to_vec();
        for (name, value) in &self.trailers {
            field(&mut end, name, value);
        }
        end.extend_from_slice(b"\r\n");
        end
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
