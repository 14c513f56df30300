//! The call to the rate limit service, and the request that waits for it.
//!
//! Four facts shape this module, seen on Envoy 1.36 and 1.40:
//!
//! * `Continue` from a body or trailers callback lets go what is held, call or no call.
//! * The SDK remembers each token until the call's end is announced, and Envoy announces nothing to a context that is
//!   gone. Calls therefore belong to the root context, which outlives them; a client that leaves costs no memory for
//!   ever.
//! * For the same reason no call is cancelled: Envoy ends each at its timeout, and what is no longer waited for is
//!   ignored.
//! * Envoy gives out the answer's message in the callback that announces it, whatever context is in effect, and acts on
//!   the stream of the context that is; the SDK has put ours in effect.

use std::rc::Weak;
use std::time::Duration;

use toolgate_engine::exchange::{BodyStep, RateLimitCall, RateLimitReply, UnixNanos};
use toolgate_engine::policy::Hold;

use super::{During, Fault, Flow, Outcome, Question, RequestPhase, Stream};
use crate::deadlines::{self, Waiting};
use crate::host::{Direction, GrpcCall, Host, HostResult, HostStatus, Level};
use crate::judge::Judge;
use crate::store::SharedData;

const SERVICE: &str = "envoy.service.ratelimit.v3.RateLimitService";
const METHOD: &str = "ShouldRateLimit";

/// How much later than Envoy's own timeout a call counts as lost.
const SLACK: Duration = Duration::from_secs(1);

/// More calls in a row that cannot be made are a defect of the engine.
const MAX_UNSENT: usize = 8;

/// Of gRPC's status codes. <https://grpc.io/docs/guides/status-codes/>
const OK: u32 = 0;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;

impl<H: Host + 'static, J: Judge + 'static> Stream<H, J> {
    /// The call with this token has ended, with this gRPC status.
    pub fn rate_limit_answer(&mut self, token: u32, status: u32) {
        let RequestPhase::Asking(question) = self.request else {
            return;
        };
        if question.token != token {
            return;
        }
        let outcome = if status == OK {
            match self.host.grpc_answer() {
                Ok(message) => self.conclude(question, &RateLimitReply::Answer(&message)),
                Err(error) => {
                    self.warn(&Fault("reading the rate limit service's answer", error));
                    self.conclude(question, &RateLimitReply::Status(INTERNAL))
                }
            }
        // An answer that does not come in time ends the call as `UNAVAILABLE`, like a service that is not there.
        } else if status == UNAVAILABLE && self.now().is_ok_and(|now| now >= question.due) {
            self.conclude(question, &RateLimitReply::TimedOut)
        } else {
            self.conclude(question, &RateLimitReply::Status(status))
        };
        self.resume(outcome);
    }

    /// Envoy should have ended the call by now. This is a tick, whose context is the root: another call from here would
    /// be announced to that and end here as well. The engine makes none after a failure.
    pub(super) fn answer_is_late(&mut self, question: Question) {
        let text = format!(
            "toolgate: context {}: the call to the rate limit service did not end",
            self.context_id
        );
        self.host.log(Level::Warn, &text);
        let outcome = self.conclude(question, &RateLimitReply::TimedOut);
        self.resume(outcome);
    }

    /// Does what the verdict on the body says, which was given at this time.
    pub(super) fn take(&mut self, hold: Hold, mut step: BodyStep, now: UnixNanos) -> Outcome {
        for _ in 0..MAX_UNSENT {
            let call = match step {
                BodyStep::Reply(reply) => return Ok(self.reply(Direction::Request, &reply)),
                BodyStep::Forward(edits) => return self.let_go(hold, &edits, None),
                BodyStep::Rewrite { edits, body } => return self.let_go(hold, &edits, Some(&body)),
                BodyStep::Ask(call) => call,
            };
            match self.ask(&call) {
                Ok(token) => {
                    let this: Weak<std::cell::RefCell<dyn Waiting>> = self.this.clone();
                    deadlines::watch(self.context_id, call.timeout.saturating_add(SLACK), this);
                    let soon = u64::try_from((call.timeout / 4 * 3).as_nanos()).unwrap_or(u64::MAX);
                    let due = UnixNanos(now.0.saturating_add(soon));
                    self.request = RequestPhase::Asking(Question { hold, token, due });
                    return Ok(Flow::Pause);
                }
                Err(HostStatus(status)) => {
                    let reply = RateLimitReply::NotSent(status);
                    step = self.judge.rate_limit_reply(&reply, &SharedData(&self.host), now);
                }
            }
        }
        Err(Fault(
            "asking the rate limit service",
            HostStatus::INTERNAL_FAILURE,
        ))
    }

    fn conclude(&mut self, question: Question, reply: &RateLimitReply<'_>) -> Outcome {
        let now = self.now()?;
        let step = self.judge.rate_limit_reply(reply, &SharedData(&self.host), now);
        self.take(question.hold, step, now)
    }

    /// Lets go a request that waited for this outcome.
    fn resume(&mut self, outcome: Outcome) {
        let resumed = outcome.and_then(|flow| match flow {
            Flow::Continue => self
                .host
                .resume(Direction::Request)
                .during("resuming the request"),
            Flow::Pause => Ok(()),
        });
        if let Err(fault) = resumed {
            let _paused = self.request_fault(&fault);
        }
    }

    /// The way back from the root context is to the one whose callback this is, so it is there; if it were not,
    /// everything would stay paused until Envoy's timeouts end it.
    fn ask(&self, call: &RateLimitCall) -> HostResult<u32> {
        self.host.set_effective_context(self.settings.root_id)?;
        let token = self.host.grpc_call(&GrpcCall {
            cluster: &call.cluster,
            service: SERVICE,
            method: METHOD,
            message: &call.message,
            timeout: call.timeout,
        });
        self.host.set_effective_context(self.context_id)?;
        token
    }
}
