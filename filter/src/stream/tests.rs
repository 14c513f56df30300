//! The shell's own rules, with scripted verdicts, in a small model of Envoy.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use toolgate_engine::exchange::{BodyStep, ChunkStep, Ended, HeadStep, HeaderEdit, ResponseStep, ResultStep};
use toolgate_engine::policy::Hold;

use super::{Flow, Settings, Stream};
use crate::deadlines;
use crate::host::{Direction, Level};
use crate::testing::{FakeHost, ROOT, Script, reply};

mod asking;
mod ending;
mod request;
mod response;
mod rewriting;
mod time;

/// How a message ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Head,
    /// `end_of_stream` with the last bytes (HTTP/2).
    LastByte,
    /// An empty last callback (HTTP/1).
    Empty,
    Trailers,
}

const ENDS: [End; 3] = [End::LastByte, End::Empty, End::Trailers];

/// Envoy around one stream: keeps what is paused, lets go what continues.
struct Envoy {
    host: FakeHost,
    stream: Rc<RefCell<Stream<FakeHost, Script>>>,
    asked: Rc<RefCell<Vec<String>>>,
    times: Rc<RefCell<Vec<u64>>>,
    measured: Rc<RefCell<Vec<String>>>,
    endings: Rc<RefCell<Vec<Ended>>>,
    settings: Rc<Settings>,
    upstream: Wire,
    client: Wire,
    own_reply_seen: bool,
}

#[derive(Debug, Default, PartialEq)]
struct Wire {
    head: bool,
    body: Vec<u8>,
    ended: bool,
}

impl Envoy {
    fn new(script: Script) -> Self {
        Self::with(script, Settings::default())
    }

    fn with(script: Script, settings: Settings) -> Self {
        let host = FakeHost::default();
        for response in [false, true] {
            let lines = vec![
                (b"content-length".to_vec(), b"3".to_vec()),
                (b"x".to_vec(), vec![0xff]),
            ];
            host.state_mut().heads.insert(response, Some(lines));
        }
        let asked = script.asked.clone();
        let (times, endings) = (script.times.clone(), script.endings.clone());
        let measured = script.measured.clone();
        let settings = Rc::new(Settings {
            body_timeout: Duration::from_secs(1),
            root_id: ROOT,
            ..settings
        });
        deadlines::start(&host, settings.body_timeout).unwrap();
        host.state_mut().calls.clear();
        let stream = Stream::new(host.clone(), script, settings.clone(), 7);
        let (upstream, client) = (Wire::default(), Wire::default());
        Envoy {
            host,
            stream,
            asked,
            times,
            measured,
            endings,
            settings,
            upstream,
            client,
            own_reply_seen: false,
        }
    }

    fn request(&mut self, chunks: &[&str], end: End) -> &mut Self {
        self.send(Direction::Request, chunks, end);
        self
    }

    fn response(&mut self, chunks: &[&str], end: End) -> &mut Self {
        self.send(Direction::Response, chunks, end);
        self
    }

    fn send(&mut self, direction: Direction, chunks: &[&str], end: End) {
        if !self.head(direction, end == End::Head) {
            return;
        }
        for (index, chunk) in chunks.iter().enumerate() {
            let last = end == End::LastByte && index + 1 == chunks.len();
            self.body(direction, chunk.as_bytes(), last);
        }
        match end {
            End::Head | End::LastByte => {}
            End::Empty => self.body(direction, b"", true),
            End::Trailers => self.trailers(direction),
        }
    }

    /// False when Envoy would not call any more for this direction.
    fn head(&mut self, direction: Direction, end: bool) -> bool {
        self.host.state_mut().context = None;
        let flow = {
            let mut stream = self.stream.borrow_mut();
            match direction {
                Direction::Request => stream.request_headers(end),
                Direction::Response => stream.response_headers(end),
            }
        };
        if flow == Flow::Continue {
            self.release(direction, end);
        }
        self.deliver_own_reply();
        self.host.state().replies.is_empty()
    }

    fn body(&mut self, direction: Direction, chunk: &[u8], end: bool) {
        let response = direction == Direction::Response;
        let size = {
            let mut state = self.host.state_mut();
            state.context = None;
            let buffer = state.buffers.entry(response).or_default();
            buffer.extend_from_slice(chunk);
            buffer.len()
        };
        let flow = {
            let mut stream = self.stream.borrow_mut();
            if response {
                stream.response_body(size, end)
            } else {
                stream.request_body(size, end)
            }
        };
        if flow == Flow::Continue {
            self.release(direction, end);
        }
        self.deliver_own_reply();
    }

    fn trailers(&mut self, direction: Direction) {
        self.host.state_mut().context = None;
        let flow = {
            let mut stream = self.stream.borrow_mut();
            match direction {
                Direction::Request => stream.request_trailers(),
                Direction::Response => stream.response_trailers(),
            }
        };
        if flow == Flow::Continue {
            self.release(direction, true);
        }
        self.deliver_own_reply();
    }

    /// The end of a gRPC call, as the SDK announces it.
    fn grpc_end(&mut self, token: u32, status: u32, message: &[u8]) {
        {
            let mut state = self.host.state_mut();
            state.context = Some(7);
            state.grpc_answer = message.to_vec();
        }
        self.stream.borrow_mut().rate_limit_answer(token, status);
        self.after();
    }

    /// What Envoy does after a callback that is not about this stream's bytes.
    fn after(&mut self) {
        let resumed = std::mem::take(&mut self.host.state_mut().resumed);
        for _ in 0..resumed {
            self.release(Direction::Request, true);
        }
        self.host.state_mut().context = None;
        self.deliver_own_reply();
    }

    fn end(&mut self) {
        // For the log, and for the end of the context.
        self.stream.borrow_mut().done();
        self.stream.borrow_mut().done();
    }

    fn release(&mut self, direction: Direction, end: bool) {
        let response = direction == Direction::Response;
        let mut state = self.host.state_mut();
        state.heads.insert(response, None);
        let wire = if response {
            &mut self.client
        } else {
            &mut self.upstream
        };
        wire.head = true;
        wire.body
            .append(&mut state.buffers.remove(&response).unwrap_or_default());
        wire.ended |= end;
    }

    /// Envoy runs a local reply through our own response callbacks, and ends the request.
    fn deliver_own_reply(&mut self) {
        if self.own_reply_seen || self.host.state().replies.is_empty() {
            return;
        }
        self.own_reply_seen = true;
        let mut stream = self.stream.borrow_mut();
        assert_eq!(stream.response_headers(false), Flow::Continue);
        assert_eq!(stream.response_body(2, true), Flow::Continue);
        assert_eq!(stream.request_body(99, true), Flow::Pause);
        assert_eq!(stream.request_trailers(), Flow::Pause);
    }

    fn replies(&self) -> Vec<u16> {
        self.host
            .state()
            .replies
            .iter()
            .map(|(reply, _)| reply.status)
            .collect()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    fn advance(&mut self, seconds: u64) {
        self.host.state_mut().monotonic += seconds * 1_000_000_000;
        deadlines::tick(&self.host, ROOT);
        self.after();
    }
}

fn wire(body: &str) -> Wire {
    Wire {
        head: true,
        body: body.as_bytes().to_vec(),
        ended: true,
    }
}

fn set(name: &str) -> Vec<HeaderEdit> {
    vec![HeaderEdit::Set(name.into(), b"v".to_vec())]
}

fn await_body(hold: Hold) -> HeadStep {
    HeadStep::Await {
        edits: set("at-head"),
        hold,
    }
}

fn await_result(hold: Hold) -> ResponseStep {
    ResponseStep::Await {
        edits: set("at-head"),
        hold,
    }
}
