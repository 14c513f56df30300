//! The response's way: passed, held as a whole, or judged window by window.

use toolgate_engine::exchange::{ChunkStep, ResponseHead, ResponseStep, ResultStep};
use toolgate_engine::policy::Hold;

use super::{During, Fault, Flow, Outcome, ResponsePhase, Stream};
use crate::host::{Direction, Host, HostStatus, Lines, pairs};
use crate::judge::Judge;
use crate::reached;
use crate::store::SharedData;

/// The callback in which a held body was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There is no body.
    Head,
    /// With its last byte.
    Body,
    /// With a byte too many: more may come.
    Early,
    /// With the trailers.
    Trailers,
}

impl<H: Host + 'static, J: Judge + 'static> Stream<H, J> {
    pub(super) fn judge_response_head(&mut self, end_of_stream: bool) -> Outcome {
        let map = self
            .host
            .header_map(Direction::Response)
            .during("reading the response's head")?;
        let headers = pairs::parse(&map).during("reading the response's head")?;
        // Envoy's own answers, which cost no result, are never a success; and only what was charged can cost more.
        self.response_foreign =
            self.judge.settles() && !is_success(&headers) && !reached::answered(&self.host);
        let now = self.time();
        let head = ResponseHead {
            headers: &headers,
            end_of_stream,
        };
        let step = self.judge.response_head(&head, now);
        self.measure();
        match step {
            ResponseStep::Pass(edits) => {
                self.apply(Direction::Response, &edits)?;
                Ok(self.pass())
            }
            ResponseStep::Await { edits, hold } => {
                self.apply(Direction::Response, &edits)?;
                if end_of_stream {
                    // The head is in our hands whatever `hold` says.
                    return self.judge_response_bytes(Hold::Headers, &[], End::Head);
                }
                self.response = ResponsePhase::Held(hold);
                Ok(match hold {
                    Hold::Headers => Flow::Pause,
                    Hold::Body => Flow::Continue,
                })
            }
            ResponseStep::Stream(edits) => {
                self.apply(Direction::Response, &edits)?;
                self.response = ResponsePhase::Streaming;
                Ok(if end_of_stream {
                    self.pass()
                } else {
                    Flow::Continue
                })
            }
            ResponseStep::Replace(reply) => Ok(self.reply(Direction::Response, &reply)),
        }
    }

    pub(super) fn hold_response_body(&mut self, hold: Hold, size: usize, end_of_stream: bool) -> Outcome {
        if self.response_held != size {
            self.response_held = size;
            if let Some(step) = self.judge.response_size(size) {
                self.measure();
                let end = if end_of_stream { End::Body } else { End::Early };
                return self.obey(hold, step, end);
            }
        }
        if end_of_stream {
            self.judge_response_body(hold, End::Body)
        } else {
            Ok(Flow::Pause)
        }
    }

    /// The end of the held body, at its last byte or at the trailers.
    pub(super) fn judge_response_body(&mut self, hold: Hold, end: End) -> Outcome {
        let body = self.whole_body(Direction::Response, self.response_held)?;
        self.judge_response_bytes(hold, &body, end)
    }

    pub(super) fn judge_window(&mut self, size: usize, end_of_stream: bool) -> Outcome {
        if size > 0 {
            let window = self.whole_body(Direction::Response, size)?;
            let now = self.time();
            let step = self.judge.response_chunk(&window, &SharedData(&self.host), now);
            self.measure();
            match step {
                ChunkStep::Keep => {}
                ChunkStep::Rewrite(bytes) => self.replace(size, &bytes)?,
                ChunkStep::Splice { front, keep } => {
                    // What stays as it is is not written back.
                    if keep < window.len() {
                        self.replace(size, window.get(..keep).unwrap_or(&window))?;
                    }
                    if !front.is_empty() {
                        self.replace(0, &front)?;
                    }
                }
            }
        }
        Ok(if end_of_stream {
            self.pass()
        } else {
            Flow::Continue
        })
    }

    pub(super) fn drop_window(&mut self, size: usize) -> Outcome {
        self.replace(size, &[])?;
        Ok(Flow::Continue)
    }

    /// A host call failed: not one unjudged byte goes on. While nothing has, the client gets an answer.
    pub(super) fn response_fault(&mut self, fault: &Fault) -> Flow {
        self.warn(fault);
        let reply = self.judge.fault();
        match self.response {
            ResponsePhase::Start | ResponsePhase::Held(Hold::Headers) => {
                self.reply(Direction::Response, &reply)
            }
            _ => {
                self.export();
                self.close(Direction::Response);
                Flow::Pause
            }
        }
    }

    fn judge_response_bytes(&mut self, hold: Hold, body: &[u8], end: End) -> Outcome {
        let now = self.time();
        let step = self.judge.response_body(body, &SharedData(&self.host), now);
        self.measure();
        self.obey(hold, step, end)
    }

    fn obey(&mut self, hold: Hold, step: ResultStep, end: End) -> Outcome {
        match step {
            ResultStep::Keep => Ok(self.pass()),
            ResultStep::Replace(reply) if hold == Hold::Headers => {
                Ok(self.reply(Direction::Response, &reply))
            }
            ResultStep::Rewrite { edits, body } if hold == Hold::Headers || edits.is_empty() => {
                if end == End::Head && !body.is_empty() {
                    return Err(Fault("adding a body to a head", HostStatus::INTERNAL_FAILURE));
                }
                self.apply(Direction::Response, &edits)?;
                self.replace(self.response_held, &body)?;
                let flow = self.pass();
                if end == End::Early {
                    self.response = ResponsePhase::Dropping;
                }
                Ok(flow)
            }
            ResultStep::Replace(_) | ResultStep::Rewrite { .. } => {
                Err(Fault("editing a head that went on", HostStatus::INTERNAL_FAILURE))
            }
        }
    }

    fn replace(&self, size: usize, bytes: &[u8]) -> Result<(), Fault> {
        if size == 0 && bytes.is_empty() {
            return Ok(());
        }
        self.host
            .replace_body(Direction::Response, size, bytes)
            .during("replacing the body")
    }

    /// The verdict on the response is complete.
    pub(super) fn pass(&mut self) -> Flow {
        self.export();
        self.response = ResponsePhase::Passing;
        Flow::Continue
    }
}

fn is_success(headers: &Lines<'_>) -> bool {
    let mut statuses = headers.iter().filter(|(name, _)| *name == b":status");
    statuses
        .next()
        .is_some_and(|(_, status)| status.starts_with(b"2"))
}
