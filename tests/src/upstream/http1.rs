//! The HTTP/1.1 side of the scripted upstream.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::answer::{Action, Answer, Delimiter};
use super::{Received, Shared};
use crate::wire::{self, Body, Framing, Head};

pub(super) async fn serve(mut stream: TcpStream, connection: usize, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    // An error here is the peer's end of the connection; the record keeps what had arrived.
    let _ = exchanges(&mut stream, connection, &shared).await;
}

async fn exchanges(stream: &mut TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    while let Some(number) = receive(stream, &mut buffer, connection, shared).await? {
        let answer = shared.complete(number);
        if !send(stream, &answer, number, shared).await? {
            break;
        }
    }
    Ok(())
}

/// Receives one request into the record; `None` when the connection has ended before one began.
async fn receive(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    connection: usize,
    shared: &Shared,
) -> io::Result<Option<usize>> {
    if buffer.is_empty() && !wire::read_more(stream, buffer).await? {
        return Ok(None);
    }
    // From its first byte on, a request is on record.
    let number = shared.record(Received {
        connection,
        head: buffer.to_vec(),
        ..Received::default()
    });
    let head = loop {
        if let Some(head) = Head::take(buffer)? {
            break head;
        }
        let more = wire::read_more(stream, buffer).await?;
        shared.update(number, |received| received.head = buffer.to_vec());
        if !more {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let mut body = Body::new(head.framing(Framing::Length(0))?);
    let continues = head
        .header("expect")
        .is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
    let mut words = head.start.split(' ').map(str::to_owned);
    shared.update(number, |received| {
        received.method = words.next().unwrap_or_default();
        received.target = words.next().unwrap_or_default();
        received.head = head.raw;
        received.headers = head.headers;
    });
    if continues && buffer.is_empty() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    if shared.is_early(number) {
        send(stream, &shared.answer(number), number, shared).await?;
        return Ok(None);
    }
    loop {
        body.feed(buffer)?;
        shared.update(number, |received| {
            received
                .raw_body
                .extend_from_slice(&body.raw[received.raw_body.len()..]);
            received
                .body
                .extend_from_slice(&body.content[received.body.len()..]);
            received.trailers.clone_from(&body.trailers);
        });
        if body.complete {
            return Ok(Some(number));
        }
        if !wire::read_more(stream, buffer).await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Returns whether the connection can be used again.
async fn send(stream: &mut TcpStream, answer: &Answer, number: usize, shared: &Shared) -> io::Result<bool> {
    if let Some(pause) = answer.before {
        sleep(pause).await;
    }
    if let Some(door) = &answer.door
        && !waits(stream, door.passed(), number, shared).await
    {
        return Ok(false);
    }
    if let Some(head) = answer.head() {
        stream.write_all(&head).await?;
    }
    for action in &answer.actions {
        match action {
            Action::Send(piece) => stream.write_all(&answer.framed(piece)).await?,
            Action::Repeat(piece, times) => {
                let framed = answer.framed(piece);
                for _ in 0..*times {
                    stream.write_all(&framed).await?;
                }
            }
            Action::Wait(pause) => sleep(*pause).await,
            Action::Until(notified) => {
                if !waits(stream, notified.notified(), number, shared).await {
                    return Ok(false);
                }
            }
            Action::Reset => {
                stream.set_zero_linger()?;
                return Ok(false);
            }
            Action::Close => return Ok(false),
        }
    }
    stream.write_all(&answer.end()).await?;
    Ok(!matches!(answer.delimiter, Delimiter::Close | Delimiter::Nothing))
}

/// Waits for what a test does; `false` if the peer has closed the connection before.
async fn waits(stream: &TcpStream, until: impl Future<Output = ()>, number: usize, shared: &Shared) -> bool {
    let mut byte = [0];
    tokio::select! {
        () = until => true,
        _ = stream.peek(&mut byte) => {
            shared.update(number, |received| received.abandoned = true);
            false
        }
    }
}
