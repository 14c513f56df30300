//! The request's way: head, body, verdict; or the deadline.

use std::rc::Weak;

use toolgate_engine::exchange::{HeadStep, HeaderEdit, RequestHead, UnixNanos};
use toolgate_engine::policy::Hold;

use super::{During, Fault, Flow, Outcome, RequestPhase, Stream};
use crate::deadlines::{self, Waiting};
use crate::host::{Direction, Host, HostStatus, Level, pairs};
use crate::judge::Judge;
use crate::jwt;
use crate::store::SharedData;

impl<H: Host + 'static, J: Judge + 'static> Stream<H, J> {
    pub(super) fn judge_request_head(&mut self, end_of_stream: bool) -> Outcome {
        let map = self
            .host
            .header_map(Direction::Request)
            .during("reading the request's head")?;
        let headers = pairs::parse(&map).during("reading the request's head")?;
        let claims = self.settings.jwt.as_ref();
        let jwt = claims.map(|claims| jwt::read(&self.host, claims)).transpose();
        let jwt = jwt.during("reading the verified JWT")?.flatten();
        let now = self.now()?;
        let head = RequestHead {
            headers: &headers,
            end_of_stream,
            jwt: jwt.as_ref(),
        };
        match self.judge.request_head(&head, &SharedData(&self.host), now) {
            HeadStep::Ignore(edits) => {
                self.apply(Direction::Request, &edits)?;
                self.request = RequestPhase::Ignored;
                Ok(Flow::Continue)
            }
            HeadStep::Forward(edits) => self.forward(&edits),
            HeadStep::Reply(reply) => Ok(self.reply(Direction::Request, &reply)),
            HeadStep::Await { edits, hold } => {
                self.apply(Direction::Request, &edits)?;
                if end_of_stream {
                    // The head is in our hands whatever `hold` says.
                    return self.judge_bytes(Hold::Headers, &[], now);
                }
                Ok(self.wait_for_body(hold))
            }
        }
    }

    pub(super) fn hold_request_body(&mut self, hold: Hold, size: usize, end_of_stream: bool) -> Outcome {
        if hold == Hold::Headers {
            self.settings.body_callback_seen.set(true);
        }
        if self.request_held != Some(size) {
            self.request_held = Some(size);
            if let Some(reply) = self.judge.request_size(size) {
                return Ok(self.reply(Direction::Request, &reply));
            }
        }
        if end_of_stream {
            self.judge_request_body(hold)
        } else {
            Ok(Flow::Pause)
        }
    }

    /// The end of the held body, at its last byte or at the trailers.
    pub(super) fn judge_request_body(&mut self, hold: Hold) -> Outcome {
        let body = self.whole_body(Direction::Request, self.request_held.unwrap_or(0))?;
        // Where nothing depends on when that is, the clock need not be read again.
        let now = if self.settings.needs_time {
            self.now()?
        } else {
            self.latest
        };
        self.judge_bytes(hold, &body, now)
    }

    /// A host call failed before the verdict: that is a refusal.
    pub(super) fn request_fault(&mut self, fault: &Fault) -> Flow {
        self.warn(fault);
        let reply = self.judge.fault();
        self.reply(Direction::Request, &reply)
    }

    fn judge_bytes(&mut self, hold: Hold, body: &[u8], now: UnixNanos) -> Outcome {
        let step = self.judge.request_body(body, &SharedData(&self.host), now);
        self.take(hold, step, now)
    }

    pub(super) fn now(&mut self) -> Result<UnixNanos, Fault> {
        self.latest = self
            .host
            .wall_clock()
            .map(UnixNanos)
            .during("reading the clock")?;
        Ok(self.latest)
    }

    /// Lets go a body that was held, in this form if there is another one.
    pub(super) fn let_go(&mut self, hold: Hold, edits: &[HeaderEdit], body: Option<&[u8]>) -> Outcome {
        if hold == Hold::Body && !edits.is_empty() {
            return Err(Fault("editing a head that went on", HostStatus::INTERNAL_FAILURE));
        }
        if let Some(body) = body {
            self.rewrite(body)?;
        }
        self.forward(edits)
    }

    fn forward(&mut self, edits: &[HeaderEdit]) -> Outcome {
        self.apply(Direction::Request, edits)?;
        deadlines::forget(self.context_id);
        self.measure();
        self.export();
        self.request = RequestPhase::Passing;
        Ok(Flow::Continue)
    }

    /// Every byte of the old body goes. Its length stays, which may have gone ahead, or the upstream would take what is
    /// left over for the next request: the host does not check.
    fn rewrite(&self, body: &[u8]) -> Result<(), Fault> {
        let held = self.request_held.unwrap_or(0);
        if body.len() != held {
            return Err(Fault(
                "changing the length of a request",
                HostStatus::INTERNAL_FAILURE,
            ));
        }
        if held == 0 {
            return Ok(());
        }
        self.host
            .replace_body(Direction::Request, held, body)
            .during("replacing the request's body")
    }

    fn wait_for_body(&mut self, hold: Hold) -> Flow {
        let this: Weak<std::cell::RefCell<dyn Waiting>> = self.this.clone();
        deadlines::watch(self.context_id, self.settings.body_timeout, this);
        self.request = RequestPhase::Held(hold);
        match hold {
            Hold::Headers => Flow::Pause,
            Hold::Body => Flow::Continue,
        }
    }
}

impl<H: Host + 'static, J: Judge + 'static> Waiting for Stream<H, J> {
    fn expire(&mut self) {
        match self.request {
            RequestPhase::Held(hold) => self.body_is_late(hold),
            RequestPhase::Asking(question) => self.answer_is_late(question),
            RequestPhase::Start | RequestPhase::Passing | RequestPhase::Ignored | RequestPhase::Stopped => {}
        }
    }
}

impl<H: Host + 'static, J: Judge + 'static> Stream<H, J> {
    fn body_is_late(&mut self, hold: Hold) {
        let mut text = format!(
            "toolgate: context {}: the request body did not arrive in {:?} ({} bytes did): 408",
            self.context_id,
            self.settings.body_timeout,
            self.request_held.unwrap_or(0)
        );
        let flag_unproven = !self.settings.body_callback_seen.get();
        if hold == Hold::Headers && flag_unproven {
            text.push_str(
                "; no body callback ever came while a head was held: `allow_on_headers_stop_iteration: true` is \
                 probably missing in the plugin's configuration (hosts that cannot set it need `\"hold\": \"body\"`)",
            );
        }
        self.host.log(Level::Warn, &text);
        let reply = self.judge.request_timeout();
        let _paused = self.reply(Direction::Request, &reply);
    }
}
