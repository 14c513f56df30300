//! Reading what the service answered.
//!
//! A limit that the service does not know is one that it lets everything through, with status OK. So a yes counts only
//! with the proof that the limit was applied; a no counts always.

use std::time::Duration;

use prost::Message;

use super::wire::{self, RateLimitResponse, Status, code};
use super::{Answer, Ask, Asked};
use crate::exchange::RateLimitReply;
use crate::policy::{RateLimitService, ServiceEngine};
use crate::quota::charge::Over;

/// More than any answer needs, in bytes; decoding takes a small multiple of it.
const MAX_ANSWER: usize = 64 * 1024;

/// The names of gRPC's statuses, by number.
/// <https://grpc.io/docs/guides/status-codes/>
const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Reads an answer, and strikes the debts that were counted.
pub(super) fn read(service: &RateLimitService, ask: &mut Ask, reply: &RateLimitReply<'_>) -> Answer {
    let cluster = &service.cluster;
    match reply {
        RateLimitReply::Answer(bytes) => read_answer(service, ask, bytes),
        RateLimitReply::Status(number) => {
            let name = usize::try_from(*number).ok().and_then(|n| STATUSES.get(n));
            let name = name.unwrap_or(&"no known status");
            Answer::Failed(format!("gRPC status {number} ({name}) from cluster {cluster:?}"))
        }
        RateLimitReply::NotSent(status) => Answer::Failed(format!(
            "not asked (host status {status}): is there a cluster {cluster:?}?"
        )),
        RateLimitReply::TimedOut => Answer::Failed(format!(
            "no answer from cluster {cluster:?} within {:?}",
            service.timeout
        )),
    }
}

fn read_answer(service: &RateLimitService, ask: &mut Ask, bytes: &[u8]) -> Answer {
    if bytes.len() > MAX_ANSWER {
        return Answer::Failed(format!("an answer of {} bytes", bytes.len()));
    }
    let Ok(response) = RateLimitResponse::decode(bytes) else {
        return Answer::Failed("an answer that is no RateLimitResponse".to_owned());
    };
    match service.engine {
        ServiceEngine::Envoyproxy => read_statuses(service, ask, &response),
        ServiceEngine::Limitador => read_overall(&ask.lines, response.overall_code),
    }
}

/// Limitador says one word about all limits. Where it refuses, it has counted nothing.
fn read_overall(lines: &[Asked], overall: i32) -> Answer {
    match overall {
        code::OK => Answer::Within,
        code::OVER_LIMIT => Answer::Over(unnamed(lines)),
        other => Answer::Failed(format!("overall code {other}")),
    }
}

fn read_statuses(service: &RateLimitService, ask: &mut Ask, response: &RateLimitResponse) -> Answer {
    let (asked, answered) = (ask.lines.len(), response.statuses.len());
    if asked != answered {
        return Answer::Failed(format!("{answered} statuses for {asked} limits"));
    }
    let mut longest: Option<Over> = None;
    let mut fault = None;
    for (index, (asked, status)) in ask.lines.iter_mut().zip(&response.statuses).enumerate() {
        match read_status(asked, status) {
            Ok(Verdict::Within) => asked.remaining = Some(status.limit_remaining),
            Ok(Verdict::Over(over)) => {
                // The service has counted the call beyond the limit, and the debt with it: the window is spent.
                asked.debt = 0;
                asked.remaining = Some(0);
                let longer = |other: &Over| other.wait < over.wait;
                if longest.as_ref().is_none_or(longer) {
                    longest = Some(over);
                }
            }
            Err(why) => {
                fault.get_or_insert_with(|| {
                    let domain = &service.domain;
                    format!("limit {} of {answered} in domain {domain:?}: {why}", index + 1)
                });
            }
        }
    }
    match (longest, fault, response.overall_code) {
        (Some(over), _, _) => Answer::Over(over),
        (None, Some(why), _) => Answer::Failed(why),
        (None, None, code::OK) => Answer::Within,
        (None, None, code::OVER_LIMIT) => Answer::Over(unnamed(&ask.lines)),
        (None, None, other) => Answer::Failed(format!("overall code {other}")),
    }
}

enum Verdict {
    Within,
    Over(Over),
}

fn read_status(asked: &Asked, status: &Status) -> Result<Verdict, String> {
    if let (Some(applied), Some(sent)) = (status.current_limit, asked.sent)
        && applied != sent
    {
        return Err(format!(
            "another limit was applied ({} per unit {}, not {} per unit {})",
            applied.requests_per_unit, applied.unit, sent.requests_per_unit, sent.unit
        ));
    }
    match status.code {
        code::OK if status.current_limit.is_some() => Ok(Verdict::Within),
        code::OK => Err("no limit was applied; does the service know the domain?".to_owned()),
        code::OVER_LIMIT => Ok(Verdict::Over(Over {
            limit: Some(asked.line.limit),
            budget: asked.line.budget,
            wait: wait(asked, status.duration_until_reset),
        })),
        other => Err(format!("status code {other}")),
    }
}

/// When the count starts again: what the service says, as far as it can be true.
fn wait(asked: &Asked, reset: Option<wire::Duration>) -> Option<Duration> {
    let said = reset.map(|reset| {
        let seconds = u64::try_from(reset.seconds).unwrap_or(0);
        let nanos = u32::try_from(reset.nanos).unwrap_or(0).min(999_999_999);
        Duration::new(seconds, nanos)
    });
    match (said, asked.left) {
        (Some(said), Some(left)) => Some(said.min(left)),
        (None, left) => left,
        (said, None) => said,
    }
}

/// One of these limits is used up. If it is one of several, nobody knows which: trying again is of use when the first
/// of their windows has ended.
fn unnamed(lines: &[Asked]) -> Over {
    let only = match lines {
        [only] => Some(only.line.limit),
        _ => None,
    };
    Over {
        limit: only,
        budget: lines.iter().all(|asked| asked.line.budget),
        wait: lines.iter().filter_map(|asked| asked.left).min(),
    }
}
