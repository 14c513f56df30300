//! The server side of the protocol: gRPC over HTTP/2 without TLS.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue};
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::client::{frame, unframe};
use super::{Answer, METHOD, Request};
use crate::client::send_all;
use crate::wire::Headers;

/// A request as a service got it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What it says.
    pub request: Request,
    /// When it had arrived completely.
    pub at: Instant,
    /// Number of the connection it came on, from 0.
    pub connection: usize,
    /// Its fields, names in lower case: `grpc-timeout` and initial metadata.
    pub headers: Headers,
}

pub(super) type Script = dyn Fn(&Request) -> Answer + Send + Sync;

/// A server that answers by a script and keeps what it was asked. Dropping it closes its port and its connections.
pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    script: Mutex<Arc<Script>>,
    asked: Mutex<Vec<Asked>>,
    connections: AtomicUsize,
}

impl Server {
    /// Listens on `address`.
    ///
    /// # Panics
    ///
    /// When the port cannot be bound.
    pub(super) async fn start(address: SocketAddr, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port on loopback");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            asked: Mutex::default(),
            connections: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            accepting,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn script(&self, script: Arc<Script>) {
        *lock(&self.shared.script) = script;
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Ends the server. Its port is free, and its connections are closed, when this returns.
    pub(super) async fn stop(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The connections are tasks of a set that ends with this future.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = shared.connections.fetch_add(1, Ordering::Relaxed);
        let _ = stream.set_nodelay(true);
        connections.spawn(serve(stream, number, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, connection: usize, shared: Arc<Shared>) {
    let Ok(mut streams) = h2::server::handshake(stream).await else {
        return;
    };
    let close = Arc::new(Notify::new());
    let mut exchanges = JoinSet::new();
    loop {
        tokio::select! {
            () = close.notified() => return,
            next = streams.accept() => {
                let Some(Ok((request, respond))) = next else { return };
                let (shared, close) = (Arc::clone(&shared), Arc::clone(&close));
                // An error here is the peer's end of the stream.
                exchanges.spawn(async move { exchange(request, respond, connection, &shared, &close).await });
            }
        }
        while exchanges.try_join_next().is_some() {}
    }
}

async fn exchange(
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
    connection: usize,
    shared: &Shared,
    close: &Notify,
) -> Result<(), h2::Error> {
    let (head, body) = request.into_parts();
    let body = read(body).await?;
    let request = unframe(&body).and_then(|message| Request::decode(message).ok());
    let answer = match request {
        _ if head.uri.path() != METHOD => Answer::Error(12, "no such method".to_owned()),
        None => Answer::Error(13, "the request cannot be decoded".to_owned()),
        Some(request) => {
            let script = Arc::clone(&lock(&shared.script));
            lock(&shared.asked).push(Asked {
                request: request.clone(),
                at: Instant::now(),
                connection,
                headers: fields(&head.headers),
            });
            script(&request)
        }
    };
    send(respond, answer, close).await
}

async fn read(mut body: RecvStream) -> Result<BytesMut, h2::Error> {
    let mut read = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        let _ = body.flow_control().release_capacity(piece.len());
        read.extend_from_slice(&piece);
    }
    Ok(read)
}

async fn send(mut respond: SendResponse<Bytes>, answer: Answer, close: &Notify) -> Result<(), h2::Error> {
    let mut answer = answer;
    while let Answer::After(pause, then) = answer {
        sleep(pause).await;
        answer = *then;
    }
    let body = match answer {
        Answer::Statuses(response) => frame(&response.encode_to_vec()),
        Answer::Message(message) => frame(&message),
        Answer::Body(body) => body,
        Answer::Error(code, message) => {
            respond.send_response(head(200, Some((code, &message))), true)?;
            return Ok(());
        }
        Answer::Http(status) => {
            respond.send_response(head(status, None), true)?;
            return Ok(());
        }
        Answer::Reset => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        Answer::Close => {
            close.notify_one();
            return std::future::pending().await;
        }
        // Until the connection ends, and this task with it.
        Answer::Never | Answer::After(..) => return std::future::pending().await,
    };
    let mut stream = respond.send_response(head(200, None), false)?;
    send_all(&mut stream, body).await?;
    stream.send_trailers(status(0, ""))
}

fn head(code: u16, failure: Option<(u32, &str)>) -> http::Response<()> {
    let mut head = http::Response::new(());
    *head.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    if let Some((code, message)) = failure {
        *head.headers_mut() = status(code, message);
    }
    head.headers_mut()
        .insert("content-type", HeaderValue::from_static("application/grpc"));
    head
}

fn status(code: u32, message: &str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert("grpc-status", HeaderValue::from(code));
    if let (false, Ok(message)) = (message.is_empty(), HeaderValue::from_str(message)) {
        fields.insert("grpc-message", message);
    }
    fields
}

fn fields(map: &HeaderMap) -> Headers {
    map.iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
