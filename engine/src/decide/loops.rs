//! Whether a key goes round in circles.

use std::time::Duration;

use super::{Context, Pass, Refusal, Telling, Verdict};
use crate::canonical;
use crate::json::Value;
use crate::loops::{self, Looping, Run, What};
use crate::mcp::call::{Call, Object};
use crate::reason::Reason;

/// What makes a retry another call than the one before, with the same arguments.
/// <https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr>
const ANSWERS: [&str; 2] = ["inputResponses", "requestState"];

/// What a caller is told to wait when nobody knows how often the call was made.
const RETRY: Duration = Duration::from_secs(1);

/// Counts a `tools/call`, and refuses it if it was made too often.
pub(super) fn check<'a>(context: &Context<'a>, call: &Call<'_>) -> Verdict<'a> {
    let key = context.policy.key(context.caller.key);
    let (Object::Tool { name, arguments }, false) = (&call.object, key.loops.is_empty()) else {
        return Verdict::NotApplicable;
    };
    let run = match (context.session, &context.trace) {
        (Some(session), _) => Run::Session(session),
        (None, Some(trace)) => Run::Trace(trace),
        (None, None) => Run::None,
    };
    let caller = loops::Caller {
        key: &key.name,
        subject: context.caller.subject.as_deref(),
    };
    let digest = digest(context, *arguments);
    let counted = loops::count(
        &key.loops,
        caller,
        run,
        &context.server.name,
        name,
        &digest,
        context.store,
        context.now,
    );
    let (text, after, detail) = match counted {
        Ok(None) => return Verdict::Passes(Pass::Loops),
        Ok(Some(looping)) => (loops::sentence(&looping), looping.after, detail(&looping)),
        Err(error) => (
            "How often this call was made cannot be found out at the moment. Try again later.".to_owned(),
            RETRY,
            format!("counting failed: {error}"),
        ),
    };
    Verdict::Refused(Refusal {
        reason: Reason::Loop,
        telling: Telling::RetryLater {
            text,
            after: Some(after),
        },
        mode: context.caller.mode,
        detail,
    })
}

/// For operators.
fn detail(looping: &Looping) -> String {
    let what = match looping.what {
        What::Identical => "the same call",
        What::AnyCall => "calls in one run",
    };
    format!("{what}: more than {} in {:?}", looping.limit, looping.per)
}

fn digest(context: &Context<'_>, arguments: Option<Value<'_>>) -> [u8; 32] {
    let answers: Vec<(&str, Value<'_>)> = ANSWERS
        .into_iter()
        .filter_map(|name| Some((name, context.params.get(name)?)))
        .collect();
    if answers.is_empty() {
        return context.digest_of(arguments);
    }
    canonical::digest(arguments, &answers)
}
