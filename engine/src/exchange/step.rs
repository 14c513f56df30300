//! What the host hands in and what it must do next.

use std::rc::Rc;
use std::time::Duration;

use crate::http::{HeaderEdit, HeaderLines, LocalReply};
use crate::identity::VerifiedJwt;
use crate::policy::Hold;

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// All header lines.
    pub headers: &'a HeaderLines<'a>,
    /// No body follows.
    pub end_of_stream: bool,
    /// Present when `jwt_authn` put a payload where the policy says.
    pub jwt: Option<&'a VerifiedJwt>,
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// All header lines, `:status` included.
    pub headers: &'a HeaderLines<'a>,
    /// No body follows.
    pub end_of_stream: bool,
}

/// After the request's head.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadStep {
    /// Not a path of ours and the policy says `unmatched: "pass"`: apply the edits (no client may
    /// send `x-toolgate-*`), let everything through, both ways, and do not call this exchange again.
    Ignore(Vec<HeaderEdit>),
    /// Apply the edits. With [`Hold::Headers`] keep the head back, with [`Hold::Body`] let it go;
    /// keep every byte of the body back either way. Report each growth of the held body to
    /// `Exchange::request_size`, and hand the whole body to `Exchange::request_body` once, at the
    /// end of the body or at the trailers, whichever comes first. If neither comes within
    /// `limits.bodyTimeout`, send what `Exchange::request_timeout` answers.
    Await {
        /// To apply before anything goes on.
        edits: Vec<HeaderEdit>,
        /// Whether the head waits as well.
        hold: Hold,
    },
    /// Decided: apply the edits and let the request go.
    Forward(Vec<HeaderEdit>),
    /// Decided: answer this, send nothing upstream.
    Reply(LocalReply),
}

/// After the whole request body, or after an answer of the rate limit service.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyStep {
    /// Not decided yet: keep everything held, make this call, and hand what comes of it to
    /// `Exchange::rate_limit_reply`. Nothing may go on before that, whatever callbacks come.
    Ask(RateLimitCall),
    /// Let head and body go, byte for byte. The edits apply only while the head is still held;
    /// they are empty with [`Hold::Body`].
    Forward(Vec<HeaderEdit>),
    /// The same with another body of the same length, so that no header has to change.
    Rewrite {
        /// Empty with [`Hold::Body`].
        edits: Vec<HeaderEdit>,
        /// Takes the place of the whole held body.
        body: Vec<u8>,
    },
    /// Answer this, send nothing (more) upstream.
    Reply(LocalReply),
}

/// A unary gRPC call of `envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`.
/// <https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/ratelimit/v3/rls.proto>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitCall {
    /// The Envoy cluster to call.
    pub cluster: Rc<str>,
    /// How long to wait for the answer.
    pub timeout: Duration,
    /// The serialised `RateLimitRequest`.
    pub message: Vec<u8>,
}

/// What came of a [`RateLimitCall`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimitReply<'a> {
    /// The serialised `RateLimitResponse`.
    Answer(&'a [u8]),
    /// A gRPC status other than OK.
    /// <https://grpc.io/docs/guides/status-codes/>
    Status(u32),
    /// The call could not be made, with the host's status: most often there is no such cluster.
    NotSent(u32),
    /// Nothing came back in time.
    TimedOut,
}

/// How an exchange ended. Asked only for what is needed: a host may have to look it up.
pub trait Ending {
    /// Bytes of response body that came from the upstream.
    fn result_bytes(&self) -> u64;
    /// Whether the request may have reached a server. `false` only where that is certain.
    fn reached(&self) -> bool;
    /// What ended it.
    fn cause(&self) -> Cause;
}

/// What ended an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The response came to its end, whoever wrote it.
    Complete,
    /// There was no connection to the server, or it broke.
    Reset,
    /// The server took too long.
    Timeout,
    /// The client left.
    ClientGone,
}

/// An ending that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Bytes of response body that came from the upstream.
    pub result_bytes: u64,
    /// Whether the request may have reached a server.
    pub reached: bool,
    /// What ended it.
    pub cause: Cause,
}

impl Ending for Ended {
    fn result_bytes(&self) -> u64 {
        self.result_bytes
    }

    fn reached(&self) -> bool {
        self.reached
    }

    fn cause(&self) -> Cause {
        self.cause
    }
}

/// After the response's head.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseStep {
    /// Apply the edits, let everything through.
    Pass(Vec<HeaderEdit>),
    /// Apply the edits and hold the body, and with [`Hold::Headers`] the head as well. Report each
    /// growth to `Exchange::response_size`; at the end of the body or at the trailers hand the
    /// whole to `Exchange::response_body`.
    Await {
        /// To apply before anything goes on.
        edits: Vec<HeaderEdit>,
        /// Whether the head waits as well.
        hold: Hold,
    },
    /// Apply the edits, let the head go, and pass each window of the body through
    /// `Exchange::response_chunk`.
    Stream(Vec<HeaderEdit>),
    /// Answer this instead of the upstream's response.
    Replace(LocalReply),
}

/// After a held response body (or when it grew too large).
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultStep {
    /// Go on as it is.
    Keep,
    /// Put these bytes in place of the whole held body, apply the edits if the head is still
    /// held, and let it go. Whatever the upstream sends after this is dropped.
    Rewrite {
        /// Empty with [`Hold::Body`].
        edits: Vec<HeaderEdit>,
        /// The new body.
        body: Vec<u8>,
    },
    /// The head is still held: answer this instead.
    Replace(LocalReply),
}

/// After a window of a streamed response body.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkStep {
    /// The window goes on as it is.
    Keep,
    /// The window becomes these bytes (possibly none).
    Rewrite(Vec<u8>),
    /// So many bytes of the window stay, and these come before them.
    Splice {
        /// What was held of earlier windows.
        front: Vec<u8>,
        /// Bytes of the window's start; the rest is held, or left out.
        keep: usize,
    },
}
