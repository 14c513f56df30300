//! The end of an exchange: what came of it, and what is settled.

use super::tasks;
use super::{Cause, Ending, Exchange, Forwarded, State, UnixNanos};
use crate::mcp::revision::Era;
use crate::outcome::Outcome;
use crate::store::Store;
use crate::telemetry::At;

impl Exchange {
    /// Whether [`Exchange::finish`] has something to do: then it must be called when the exchange ends.
    pub fn settles(&self) -> bool {
        self.unsettled.is_some() || self.chain.is_some() || self.state.settles()
    }

    /// The exchange has ended: says what came of it, gives back what was charged for nothing, charges what the result
    /// costs, and adds the record to its chain.
    pub fn finish(&mut self, ending: &dyn Ending, store: &dyn Store, now: UnixNanos) {
        self.tallied(store, |this, store| this.end(ending, store, now));
        if let Some(chain) = self.chain.take() {
            let fields = self.record.fields().map(|(field, value)| (field.name(), value));
            // A record that cannot be numbered is in no chain, which is no reason to refuse anything.
            self.record.link = chain.link(fields, store, now).ok();
        }
    }

    fn end(&mut self, ending: &dyn Ending, store: &dyn Store, now: UnixNanos) {
        let state = std::mem::replace(&mut self.state, State::Finished);
        match self.unsettled.take().unwrap_or(state) {
            State::Asking(mut asking) => self.unanswered_for_good(&mut asking, store, now),
            State::Forwarded(mut forwarded) => self.end_forwarded(&mut forwarded, ending, store, now),
            State::New | State::Waiting(_) | State::Finished => {}
        }
    }

    fn end_forwarded(
        &mut self,
        forwarded: &mut Forwarded,
        ending: &dyn Ending,
        store: &dyn Store,
        now: UnixNanos,
    ) {
        let learned = self.learn_ending(forwarded, ending, now);
        let outcome = learned.map(|(outcome, _)| outcome);
        let says = learned.filter(|(outcome, _)| !is_excused(forwarded, *outcome, ending));
        self.report(forwarded, says, store, now);
        let Some(charged) = forwarded.charged.take() else {
            return;
        };
        match forwarded.asked {
            asked if asked.fetches_result() => {
                if outcome.is_some_and(tasks::is_final) {
                    self.settle_result(&charged, ending, store, now);
                }
            }
            _ => self.settle(&charged, ending, store, now),
        }
        self.measure_cost(forwarded);
    }

    /// Has measured what the record says that it has cost, now that this is final.
    fn measure_cost(&mut self, forwarded: &Forwarded) {
        let policy = &self.engine.policy;
        let cost = self.record.cost_micros.filter(|cost| *cost > 0);
        let (Some(micros), true) = (cost, policy.telemetry().per_key) else {
            return;
        };
        let at = At {
            server: policy.server(forwarded.server),
            tool: forwarded.tool.as_deref(),
        };
        let key = policy.key(forwarded.caller.key);
        self.measures.cost(&at, &key.name, key.team.as_ref(), micros);
    }
}

/// Whether a request without an answer may have ended by what its client did or left undone: then it says nothing about
/// the server, or one client could have all others refused.
fn is_excused(forwarded: &Forwarded, outcome: Outcome, ending: &dyn Ending) -> bool {
    match outcome {
        // A client that does not read what comes, or does not answer what it is asked.
        Outcome::Timeout => {
            let passes = forwarded.stream.is_some() || forwarded.learned.reader.is_some();
            let begun = forwarded.learned.refused().is_none() && ending.result_bytes() > 0;
            (passes && begun) || forwarded.asks_the_client()
        }
        // It has cancelled the request, ended the session, or not answered.
        // https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/cancellation
        Outcome::Truncated => {
            let clean = forwarded.stream.is_some() && ending.cause() == Cause::Complete;
            (clean && forwarded.era == Era::Legacy) || forwarded.asks_the_client()
        }
        _ => false,
    }
}

impl State {
    /// Whether something is to be told or settled when the exchange ends.
    pub(super) fn settles(&self) -> bool {
        match self {
            State::Asking(_) | State::Forwarded(_) => true,
            State::New | State::Waiting(_) | State::Finished => false,
        }
    }
}
