//! What watches a call without refusing it here: whether it was made too often, and whether its server has failed, is
//! known where the calls are made.

use std::time::Duration;

use crate::decide::{Check, Step};
use crate::exchange::Engine;
use crate::policy::{Breaker, BreakerEach, Key, Ratio, Repeats, ServerId};
use crate::quota::window;

/// The breaker that a message has to pass. `tool`: the one that it calls.
pub(super) fn breaker(engine: &Engine, server: ServerId, tool: Option<&str>) -> Option<Step> {
    let server = engine.policy().server(server);
    let own = tool.and_then(|tool| server.tool(tool)?.breaker.as_ref());
    let breaker = own.or(server.breaker.as_ref())?;
    let what = match tool {
        _ if own.is_none() && breaker.each == BreakerEach::Server => server.name.to_string(),
        Some(tool) => format!("{}/{tool}", server.name),
        None => return None,
    };
    Some(Step {
        check: Check::Breaker,
        refused: None,
        shadow: false,
        text: opens(breaker, &what),
    })
}

/// Says what the loop guard of a key allows, where it has counted a call.
pub(super) fn name_loops(steps: &mut [Step], key: &Key) {
    let counted = steps
        .iter_mut()
        .find(|step| step.check == Check::Loop && step.refused.is_none());
    let (Some(step), false) = (counted, key.loops.is_empty()) else {
        return;
    };
    let identical = key
        .loops
        .identical
        .map(|repeats| calls(&repeats, "identical ", ""));
    let any = key
        .loops
        .any_call
        .map(|repeats| calls(&repeats, "", " of one run"));
    let guards: Vec<_> = identical.into_iter().chain(any).collect();
    step.text = format!("counts against {}, of key {:?}", guards.join(" and "), key.name);
}

/// `5 identical calls per minute`
fn calls(repeats: &Repeats, kind: &str, of: &str) -> String {
    let limit = repeats.limit.get();
    let plural = if limit == 1 { "" } else { "s" };
    format!("{limit} {kind}call{plural}{of} per {}", window(repeats.per))
}

/// `opens for 30 seconds after 5 failures in a row of docs/search`
fn opens(breaker: &Breaker, what: &str) -> String {
    let in_a_row = breaker.failures.map(|failures| match failures.get() {
        1 => "after the first failure".to_owned(),
        failures => format!("after {failures} failures in a row"),
    });
    let ratio = breaker.ratio.as_ref().map(share);
    let conditions: Vec<_> = in_a_row.into_iter().chain(ratio).collect();
    let mut text = format!("opens for {} {}", span(breaker.open), conditions.join(", or "));
    let slow = breaker.slow.map(|slow| format!("calls over {}", span(slow)));
    let tool_errors = breaker.count_tool_errors.then(|| "isError".to_owned());
    let counted: Vec<_> = slow.into_iter().chain(tool_errors).collect();
    if !counted.is_empty() {
        text = format!("{text} (counting {})", counted.join(" and "));
    }
    format!("{text}, of {what}")
}

/// `when 50 % of 20 or more calls per 30 seconds fail`
fn share(ratio: &Ratio) -> String {
    let percent = f64::from(ratio.millionths) / 10_000.0;
    let calls = match ratio.min_calls.get() {
        1 => "the calls".to_owned(),
        least => format!("{least} or more calls"),
    };
    format!("when {percent} % of {calls} per {} fail", window(ratio.window))
}

/// `1 minute`, where a window is a `minute`.
fn span(length: Duration) -> String {
    let text = window(length);
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        text
    } else {
        format!("1 {text}")
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::policy::Policy;

    fn breaker(json: &str) -> Breaker {
        let policy =
            format!(r#"{{ "version": 1, "servers": {{ "s": {{ "path": "/", "breaker": {json} }} }} }}"#);
        let policy = Policy::compile(policy.as_bytes()).unwrap();
        let (_, server) = policy.servers().next().unwrap();
        server.breaker.clone().unwrap()
    }

    #[test]
    fn breakers_are_told_in_one_sentence() {
        for (json, text) in [
            ("{}", "opens for 30 seconds after 5 failures in a row, of docs"),
            (
                r#"{ "failures": 1, "open": "1m", "slow": "1s" }"#,
                "opens for 1 minute after the first failure (counting calls over 1 second), of docs",
            ),
            (
                r#"{ "failures": 3, "ratio": 0.5, "window": "1m", "slow": "250ms", "countToolErrors": true }"#,
                "opens for 30 seconds after 3 failures in a row, or when 50 % of 20 or more calls per minute fail \
                 (counting calls over 250 milliseconds and isError), of docs",
            ),
            (
                r#"{ "ratio": 0.125, "minCalls": 1 }"#,
                "opens for 30 seconds when 12.5 % of the calls per 30 seconds fail, of docs",
            ),
        ] {
            assert_eq!(opens(&breaker(json), "docs"), text);
        }
    }

    #[test]
    fn loop_guards_are_told_with_their_windows() {
        let repeats = |limit, seconds| Repeats {
            limit: NonZeroU32::new(limit).unwrap(),
            per: Duration::from_secs(seconds),
        };
        assert_eq!(
            calls(&repeats(1, 60), "identical ", ""),
            "1 identical call per minute"
        );
        assert_eq!(
            calls(&repeats(20, 600), "", " of one run"),
            "20 calls of one run per 10 minutes"
        );
    }
}
