//! The HTTP/2 side of the scripted upstream (no TLS, prior knowledge).

use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::answer::{Action, Answer, Delimiter};
use super::{Received, Shared};
use crate::client::send_all;
use crate::wire::Headers;

pub(super) async fn serve(stream: TcpStream, connection: usize, shared: Arc<Shared>) {
    let Ok(mut streams) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = streams.accept().await {
        let shared = Arc::clone(&shared);
        // An error here is the peer's end of the stream; the record keeps what had arrived.
        tokio::spawn(async move { exchange(request, respond, connection, &shared).await });
    }
}

async fn exchange(
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    connection: usize,
    shared: &Shared,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let number = shared.record(Received {
        connection,
        method: head.method.to_string(),
        target: head
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        headers: fields(&head.headers),
        ..Received::default()
    });
    while let Some(piece) = body.data().await {
        let piece = piece?;
        let _ = body.flow_control().release_capacity(piece.len());
        shared.update(number, |received| {
            received.raw_body.extend_from_slice(&piece);
            received.body.extend_from_slice(&piece);
        });
    }
    let trailers = body.trailers().await?;
    shared.update(number, |received| {
        received.trailers = trailers.as_ref().map(fields).unwrap_or_default();
    });
    send(respond, &shared.complete(number)).await
}

async fn send(mut respond: SendResponse<Bytes>, answer: &Answer) -> Result<(), h2::Error> {
    if let Some(pause) = answer.before {
        sleep(pause).await;
    }
    if let Some(door) = &answer.door {
        door.passed().await;
    }
    let head = match answer.delimiter {
        Delimiter::Nothing => None,
        _ => response(answer),
    };
    let Some(head) = head else {
        respond.send_reset(Reason::INTERNAL_ERROR);
        return Ok(());
    };
    let mut stream = respond.send_response(head, false)?;
    for action in &answer.actions {
        match action {
            Action::Send(piece) => send_all(&mut stream, piece.clone()).await?,
            Action::Repeat(piece, times) => {
                for _ in 0..*times {
                    send_all(&mut stream, piece.clone()).await?;
                }
            }
            Action::Wait(pause) => sleep(*pause).await,
            Action::Until(notified) => notified.notified().await,
            Action::Reset | Action::Close => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
        }
    }
    finish(&mut stream, &answer.trailers)
}

fn finish(stream: &mut SendStream<Bytes>, trailers: &Headers) -> Result<(), h2::Error> {
    if trailers.is_empty() {
        return stream.send_data(Bytes::new(), true);
    }
    stream.send_trailers(header_map(trailers))
}

fn response(answer: &Answer) -> Option<Response<()>> {
    let mut response = Response::builder().status(answer.status).body(()).ok()?;
    *response.headers_mut() = header_map(&answer.headers);
    Some(response)
}

/// Fields that HTTP/2 cannot carry are left out.
fn header_map(headers: &Headers) -> HeaderMap {
    headers
        .iter()
        .filter_map(|(name, value)| {
            Some((
                HeaderName::from_bytes(name.as_bytes()).ok()?,
                HeaderValue::from_bytes(value).ok()?,
            ))
        })
        .collect()
}

fn fields(map: &HeaderMap) -> Headers {
    map.iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect()
}
