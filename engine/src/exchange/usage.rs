//! Quotas and budgets of a call that every other check let pass.
//!
//! Local limits are charged first, because that can be taken back; then the rate limit service is asked.

use std::rc::Rc;
use std::time::Duration;

use super::{
    Asking, BodyStep, Charged, Ending, Engine, Exchange, Forwarded, RateLimitCall, RateLimitReply, State,
    UnixNanos,
};
use crate::decide::{Refusal, Telling};
use crate::policy::{Mode, OnError, Scope};
use crate::quota::{self, Answer, Bill, LimitRef, Over, Spent, Stop};
use crate::reason::Reason;
use crate::store::Store;
use crate::telemetry::{Outcome, Tally};

/// Why a call is refused here.
enum No {
    Over(Over),
    /// A limit could not be looked up or charged.
    Unknown {
        limit: Option<LimitRef>,
        budget: bool,
        why: String,
    },
}

/// What a caller is told to wait when nobody knows how long it will take.
const RETRY: Duration = Duration::from_secs(1);

impl Exchange {
    /// What came of the call that [`BodyStep::Ask`] asked for.
    pub fn rate_limit_reply(
        &mut self,
        reply: &RateLimitReply<'_>,
        store: &dyn Store,
        now: UnixNanos,
    ) -> BodyStep {
        self.tallied(store, |this, store| this.answered_question(reply, store, now))
    }

    fn answered_question(
        &mut self,
        reply: &RateLimitReply<'_>,
        store: &dyn Store,
        now: UnixNanos,
    ) -> BodyStep {
        let engine = Rc::clone(&self.engine);
        let mut asking = match std::mem::replace(&mut self.state, State::Finished) {
            State::Asking(asking) => asking,
            // Nothing was asked: whatever goes on, goes on without this.
            other @ (State::New | State::Waiting(_) | State::Forwarded(_) | State::Finished) => {
                self.state = other;
                return BodyStep::Reply(self.fault());
            }
        };
        let Some(mut asked) = asking.asks.pop() else {
            return BodyStep::Reply(self.fault());
        };
        let answer = engine.book.read(&mut asked, reply);
        for (limit, micros) in engine.book.spent(&asked) {
            self.measures
                .spent(&engine.book, limit, micros, &engine.limits_said);
        }
        match answer {
            Answer::Within => {
                self.measures.rate_limit_service(Outcome::Within);
                self.record.rate_limit = Some("within".to_owned());
                self.ask(*asking, now)
            }
            Answer::Over(over) => {
                self.measures.rate_limit_service(Outcome::Over);
                self.record.rate_limit = Some("over".to_owned());
                // What the service has counted all the same is struck from it.
                asking.asks.push(asked);
                engine.book.unasked(&asking.asks, store);
                self.take_back(&engine, *asking, &No::Over(over), store, now)
            }
            Answer::Failed(why) => {
                self.measures.rate_limit_service(Outcome::Error);
                asking.asks.push(asked);
                engine.book.unasked(&asking.asks, store);
                self.unanswered(&engine, *asking, &why, store, now)
            }
        }
    }

    /// Charges a call that is about to go on.
    pub(super) fn charge(
        &mut self,
        forwarded: Box<Forwarded>,
        store: &dyn Store,
        now: UnixNanos,
    ) -> BodyStep {
        let engine = Rc::clone(&self.engine);
        let caller = &forwarded.caller;
        // Enforcement would have refused the call before it was charged.
        if caller.mode == Mode::Shadow && self.record.would_deny.is_some() {
            return self.go(forwarded, now);
        }
        let Some(bill) = engine.book.bill(&quota::Call {
            key: caller.key,
            subject: caller.subject.as_deref(),
            server: engine.policy.server(forwarded.server),
            tool: forwarded.tool.as_deref().unwrap_or_default(),
        }) else {
            return self.go(forwarded, now);
        };
        self.tallied(store, |this, store| {
            this.charge_bill(&engine, forwarded, bill, store, now)
        })
    }

    fn charge_bill(
        &mut self,
        engine: &Engine,
        forwarded: Box<Forwarded>,
        bill: Bill,
        store: &dyn Store,
        now: UnixNanos,
    ) -> BodyStep {
        let receipt = match engine.book.charge(&bill, Scope::Local, store, now) {
            Ok(receipt) => receipt,
            Err(stop) => return self.no(engine, forwarded, &stop.into(), store, now),
        };
        self.measure(engine, &bill, receipt.spent());
        if receipt.conflicts > 0 {
            self.record.store_conflicts = Some(receipt.conflicts);
        }
        let mut asking = Asking {
            forwarded,
            bill,
            receipt,
            asks: Vec::new(),
        };
        match engine.book.ask(&asking.bill, store, now) {
            Ok(mut asks) => {
                asks.reverse();
                asking.asks = asks;
                self.ask(asking, now)
            }
            Err(over) => self.take_back(engine, asking, &No::Over(over), store, now),
        }
    }

    /// The exchange ended while the service was asked.
    pub(super) fn unanswered_for_good(&mut self, asking: &mut Asking, store: &dyn Store, now: UnixNanos) {
        let engine = Rc::clone(&self.engine);
        let spent = engine.book.refund(&asking.receipt, store, now);
        self.measure(&engine, &asking.bill, spent);
        engine.book.unasked(&asking.asks, store);
        self.record.rate_limit = Some("error: the caller left before the answer".to_owned());
        self.report(&mut asking.forwarded, None, store, now);
    }

    /// The exchange of a call that was charged has ended: gives back what was charged for nothing, and charges what the
    /// result costs.
    pub(super) fn settle(
        &mut self,
        charged: &Charged,
        ending: &dyn Ending,
        store: &dyn Store,
        now: UnixNanos,
    ) {
        let engine = Rc::clone(&self.engine);
        let spent = if ending.reached() {
            let bytes = ending.result_bytes();
            self.record.cost_micros = charged.bill.cost_with(bytes);
            engine.book.settle(&charged.bill, bytes, store, now)
        } else {
            self.record.cost_micros = self.record.cost_micros.and(Some(0));
            engine.book.refund_budgets(&charged.receipt, store, now)
        };
        self.measure(&engine, &charged.bill, spent);
    }

    /// The result of a task was fetched, whose call was charged before.
    pub(super) fn settle_result(
        &mut self,
        charged: &Charged,
        ending: &dyn Ending,
        store: &dyn Store,
        now: UnixNanos,
    ) {
        let engine = Rc::clone(&self.engine);
        let bytes = ending.result_bytes();
        self.record.cost_micros = Some(charged.bill.result_cost(bytes));
        let spent = engine.book.settle(&charged.bill, bytes, store, now);
        self.measure(&engine, &charged.bill, spent);
    }

    /// Has the conflicts measured of what is done with the store.
    pub(super) fn tallied<T>(
        &mut self,
        store: &dyn Store,
        act: impl FnOnce(&mut Self, &dyn Store) -> T,
    ) -> T {
        let tally = Tally::new(store);
        let done = act(self, &tally);
        self.measures.store_conflicts(tally.conflicts());
        done
    }

    /// Has measured what is spent of a bill's budgets that are counted here. (A global one is counted here only in place of
    /// the service, which knows what all have spent.)
    fn measure(&mut self, engine: &Engine, bill: &Bill, spent: impl IntoIterator<Item = Spent>) {
        for Spent { limit, micros } in spent {
            let is = |at: &LimitRef| engine.book.limit(*at).is_some_and(|(_, known)| known.id == limit);
            let mut budgets = bill
                .lines
                .iter()
                .filter(|line| line.budget && line.scope == Scope::Local);
            if let Some(line) = budgets.find(|line| is(&line.limit)) {
                self.measures
                    .spent(&engine.book, line.limit, micros, &engine.limits_said);
            }
        }
    }

    /// Asks what is left to ask, or lets the call go.
    fn ask(&mut self, asking: Asking, now: UnixNanos) -> BodyStep {
        if let Some(ask) = asking.asks.last() {
            // Whoever has a question has a service to ask; without one nothing may go on unasked.
            let Some(service) = self.engine.book.service() else {
                return BodyStep::Reply(self.fault());
            };
            let call = RateLimitCall {
                cluster: Rc::clone(&service.cluster),
                timeout: service.timeout,
                message: ask.message.clone(),
            };
            self.state = State::Asking(Box::new(asking));
            return BodyStep::Ask(call);
        }
        let Asking {
            mut forwarded,
            bill,
            receipt,
            ..
        } = asking;
        self.record.cost_micros = bill.cost_with(0);
        // Calls are not given back, nor do they depend on the result: what costs nothing leaves nothing to settle.
        if bill.costs() {
            forwarded.charged = Some(Box::new(Charged { bill, receipt }));
        }
        self.go(forwarded, now)
    }

    /// The service gave no usable answer.
    fn unanswered(
        &mut self,
        engine: &Engine,
        mut asking: Asking,
        why: &str,
        store: &dyn Store,
        now: UnixNanos,
    ) -> BodyStep {
        asking.asks.clear();
        self.record.rate_limit = Some(format!("error: {why}"));
        match engine.book.on_error() {
            OnError::Allow => self.ask(asking, now),
            OnError::Local => match engine.book.charge(&asking.bill, Scope::Global, store, now) {
                Ok(receipt) => {
                    asking.receipt.add(receipt);
                    self.ask(asking, now)
                }
                Err(stop) => self.take_back(engine, asking, &stop.into(), store, now),
            },
            OnError::Deny => {
                let no = No::Unknown {
                    limit: None,
                    budget: asking.bill.only_budgets(Scope::Global),
                    why: format!("the rate limit service: {why}"),
                };
                self.take_back(engine, asking, &no, store, now)
            }
        }
    }

    /// Refuses a call whose local limits are charged.
    fn take_back(
        &mut self,
        engine: &Engine,
        asking: Asking,
        no: &No,
        store: &dyn Store,
        now: UnixNanos,
    ) -> BodyStep {
        let spent = engine.book.refund(&asking.receipt, store, now);
        self.measure(engine, &asking.bill, spent);
        self.no(engine, asking.forwarded, no, store, now)
    }

    /// Refuses a call of which nothing is charged, or records that it would be.
    fn no(
        &mut self,
        engine: &Engine,
        mut forwarded: Box<Forwarded>,
        no: &No,
        store: &dyn Store,
        now: UnixNanos,
    ) -> BodyStep {
        let refusal = no.refusal(engine, forwarded.caller.mode, now);
        if let Some(limit) = no.limit().filter(|limit| engine.book.is_local(*limit)) {
            // A limit that was lowered under what is spent lets no charge through that would say so.
            self.measures.limit(&engine.book, limit, &engine.limits_said);
        }
        self.record.limit = no.limit().and_then(|limit| engine.book.pointer(limit));
        if refusal.mode == Mode::Shadow {
            self.note_would_deny(Some(&refusal));
            return self.go(forwarded, now);
        }
        self.report(&mut forwarded, None, store, now);
        BodyStep::Reply(self.refused(refusal, forwarded.era, forwarded.id.as_deref()))
    }
}

impl No {
    fn limit(&self) -> Option<LimitRef> {
        match self {
            No::Over(over) => over.limit,
            No::Unknown { limit, .. } => *limit,
        }
    }

    fn refusal(&self, engine: &Engine, mode: Mode, now: UnixNanos) -> Refusal {
        let (budget, telling, detail) = match self {
            No::Over(over) => (
                over.budget,
                Telling::RetryLater {
                    text: quota::sentence(&engine.book, over, now),
                    after: over.wait,
                },
                engine.book.detail(over),
            ),
            No::Unknown { budget, why, .. } => (
                *budget,
                Telling::RetryLater {
                    text: "Whether this call is within its limits cannot be found out at the moment. Try again later."
                        .to_owned(),
                    after: Some(RETRY),
                },
                why.clone(),
            ),
        };
        Refusal {
            reason: if budget { Reason::Budget } else { Reason::Quota },
            telling,
            mode,
            detail,
        }
    }
}

impl From<Stop> for No {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Over(over) => No::Over(over),
            Stop::Failed { limit, budget, error } => No::Unknown {
                limit: Some(limit),
                budget,
                why: format!("charging failed: {error}"),
            },
        }
    }
}
