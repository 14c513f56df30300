//! What an agent is told that goes round in circles.

use super::{Looping, What};
use crate::quota::{about, window};

/// A sentence that the agent can act on.
pub fn sentence(looping: &Looping) -> String {
    let (limit, per, after) = (looping.limit, window(looping.per), about(looping.after));
    let plural = if limit == 1 { "" } else { "s" };
    match looping.what {
        What::Identical => {
            let times = if limit == 1 {
                "once".to_owned()
            } else {
                format!("{limit} times")
            };
            format!(
                "This tool was already called {times} with exactly these arguments, which is all that this key may do \
                 per {per}. Repeating the call does not help: use what it returned, change the arguments, or try again \
                 in {after}."
            )
        }
        What::AnyCall => format!(
            "This run has made {limit} call{plural}, which is all that this key may make in one run per {per}. Answer with \
             what the calls returned so far, or try again in {after}."
        ),
    }
}
