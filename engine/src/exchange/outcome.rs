//! What came of a request that went on: learned on the way back, told at its end.

use std::time::Duration;

use super::tasks;
use super::{Asked, Cause, Ending, Exchange, Forwarded, UnixNanos};
use crate::mcp::revision::Era;
use crate::outcome::Outcome;
use crate::telemetry::At;

/// A token has about so many bytes of JSON text.
const BYTES_PER_TOKEN: u64 = 4;

impl Exchange {
    /// Concludes what came of a request whose exchange has ended, and writes it down.
    pub(super) fn learn_ending(
        &mut self,
        forwarded: &mut Forwarded,
        ending: &dyn Ending,
        now: UnixNanos,
    ) -> Option<(Outcome, Duration)> {
        if matches!(forwarded.asked, Asked::Listen | Asked::End) {
            return None;
        }
        let outcome = match forwarded.learned.known() {
            Some(outcome) => outcome,
            None => conclude(forwarded, ending),
        };
        let learned = &forwarded.learned;
        // An answer that was read along is here with its latest window, however slowly the client takes it.
        let arrived = learned.latest.filter(|_| outcome.is_answer());
        let since = |then: UnixNanos| then.since(forwarded.started);
        let took = since(learned.known.or(arrived).unwrap_or(now));
        let bytes = ending.result_bytes();
        let at = At {
            server: self.engine.policy.server(forwarded.server),
            tool: forwarded.tool.as_deref(),
        };
        match forwarded.asked {
            Asked::Call => {
                self.measures.result(&at, outcome, bytes);
                self.measures.call_duration(&at, millis(took));
            }
            // How long the call took is not known here.
            asked if asked.fetches_result() && tasks::is_final(outcome) => {
                self.measures.result(&at, outcome, bytes);
            }
            _ => {}
        }
        self.record.outcome = Some(outcome);
        self.record.result_bytes = Some(bytes);
        let read = || learned.reader.as_ref().map(|reader| reader.bytes());
        // What broke off is no answer that a model would read.
        let answer = learned.answer_bytes.or_else(read).filter(|_| outcome.is_answer());
        self.record.result_tokens = answer.map(|bytes| bytes.div_ceil(BYTES_PER_TOKEN));
        self.record.first_byte_ms = learned.first_byte.map(|then| millis(since(then)));
        self.record.duration_ms = Some(millis(took));
        Some((outcome, took))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What came of a request whose answer was never read to its end.
fn conclude(forwarded: &Forwarded, ending: &dyn Ending) -> Outcome {
    let learned = &forwarded.learned;
    let refused = learned.refused();
    let cause = ending.cause();
    match cause {
        Cause::Timeout => return Outcome::Timeout,
        Cause::ClientGone => return Outcome::ClientGone,
        // Envoy answers for a server that it does not reach.
        Cause::Reset if learned.status.is_none() || refused.is_some() => return Outcome::Reset,
        Cause::Complete | Cause::Reset => {}
    }
    if let Some(status) = refused {
        // 2026-07-28 answers many JSON-RPC errors with a status of the 4xx range.
        // https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
        return match learned.reader.as_ref().map(|reader| reader.finish()) {
            Some(error @ Outcome::RpcError(_)) if status < 500 => error,
            _ => Outcome::HttpError(status),
        };
    }
    if forwarded.asked == Asked::Nothing {
        return Outcome::Accepted;
    }
    if let Some(stream) = &forwarded.stream {
        // It can be resumed, and the answer comes then.
        // https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#sending-messages-to-the-server
        let goes_on = forwarded.era == Era::Legacy && stream.saw_event_id();
        return if goes_on {
            Outcome::Accepted
        } else {
            Outcome::Truncated
        };
    }
    match learned.reader.as_ref().map(|reader| reader.finish()) {
        Some(Outcome::Malformed) => Outcome::Malformed,
        // Clients reject a body that is shorter than its length, whatever is in it.
        Some(outcome) if cause == Cause::Complete => outcome,
        Some(_) | None => Outcome::Truncated,
    }
}
