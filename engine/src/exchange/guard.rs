//! Circuit breakers: whether a server is spared this request, and what came of those that went.

use std::rc::Rc;
use std::time::Duration;

use super::{Asked, Engine, Exchange, Forwarded, UnixNanos};
use crate::answer::Answers;
use crate::breaker::{self, Admission, BreakerId};
use crate::decide::{Refusal, Telling};
use crate::http::LocalReply;
use crate::outcome::{Health, Outcome};
use crate::policy::{Breaker, BreakerEach, Mode, Server};
use crate::reason::Reason;
use crate::store::{Store, StoreError};
use crate::telemetry::At;

/// What a caller is told to wait when nobody knows how long it will take.
const RETRY: Duration = Duration::from_secs(1);

/// A breaker, and what it watches.
struct Watched<'a> {
    settings: &'a Breaker,
    server: &'a Server,
    /// The tool that is watched by itself.
    tool: Option<Rc<str>>,
}

impl Exchange {
    /// Asks the breaker of a request that everything before let pass. `None`: it may go on.
    pub(super) fn spared(
        &mut self,
        forwarded: &mut Forwarded,
        store: &dyn Store,
        now: UnixNanos,
    ) -> Option<LocalReply> {
        let engine = Rc::clone(&self.engine);
        let watched = watched(&engine, forwarded)?;
        // Enforcement would have refused it before.
        if forwarded.caller.mode == Mode::Shadow && self.record.would_deny.is_some() {
            return None;
        }
        let refusal = match self.admit(&watched, forwarded, store, now) {
            Ok(None) => return None,
            Ok(Some(after)) => watched.refusal(forwarded, after, "the breaker is open".to_owned()),
            Err(error) => watched.refusal(forwarded, RETRY, format!("the breaker's state: {error}")),
        };
        if refusal.mode == Mode::Shadow {
            self.note_would_deny(Some(&refusal));
            return None;
        }
        Some(self.spare(refusal, forwarded))
    }

    /// How long it is not to be sent; `None` if it may go on.
    fn admit(
        &mut self,
        watched: &Watched<'_>,
        forwarded: &mut Forwarded,
        store: &dyn Store,
        now: UnixNanos,
    ) -> Result<Option<Duration>, StoreError> {
        // What cannot show that the server works again is no probe.
        if !forwarded.asked.shows_health() {
            return breaker::wait(watched.settings, watched.id(), store, now);
        }
        Ok(
            match breaker::admit(watched.settings, watched.id(), store, now)? {
                Admission::Refused { after } => Some(after),
                Admission::Pass(permit) => {
                    if let Some(state) = permit.transition() {
                        self.measures.breaker(&watched.at(), state);
                    }
                    forwarded.permit = Some(permit);
                    None
                }
            },
        )
    }

    fn spare(&mut self, refusal: Refusal, forwarded: &Forwarded) -> LocalReply {
        if forwarded.asked.expects_answer() {
            return self.refused(refusal, forwarded.era, forwarded.id.as_deref());
        }
        let answers: Answers<'_> = self.answers(forwarded.era, None);
        let after = match refusal.telling {
            Telling::Unavailable { after, .. } => after,
            _ => RETRY,
        };
        let reply = answers.unavailable_notification(refusal.reason, after);
        self.record.detail = Some(refusal.detail);
        self.answered(refusal.reason, reply)
    }

    /// Tells the breaker what came of a request that it let pass, and after which time; `None` if that says nothing about
    /// the server.
    pub(super) fn report(
        &mut self,
        forwarded: &mut Forwarded,
        came: Option<(Outcome, Duration)>,
        store: &dyn Store,
        now: UnixNanos,
    ) {
        let engine = Rc::clone(&self.engine);
        let (Some(permit), Some(watched)) = (forwarded.permit.take(), watched(&engine, forwarded)) else {
            return;
        };
        let health = came.map_or(Health::Unknown, |(outcome, took)| {
            watched.health(outcome, took, forwarded)
        });
        // Best effort: a report that is lost leaves the breaker as it was, and a probe's place free after a while.
        if let Ok(Some(state)) = breaker::report(watched.settings, permit, health, store, now) {
            self.measures.breaker(&watched.at(), state);
        }
    }
}

/// The breaker that watches a request.
fn watched<'e>(engine: &'e Engine, forwarded: &Forwarded) -> Option<Watched<'e>> {
    let server = engine.policy.server(forwarded.server);
    let called = forwarded.tool.clone().filter(|_| forwarded.asked == Asked::Call);
    let own = called
        .as_ref()
        .and_then(|tool| server.tool(tool)?.breaker.as_ref());
    let (settings, tool) = match (own, &server.breaker) {
        (Some(own), _) => (own, called),
        (None, Some(shared)) if shared.each == BreakerEach::Server => (shared, None),
        (None, Some(shared)) => (shared, Some(called?)),
        (None, None) => return None,
    };
    Some(Watched {
        settings,
        server,
        tool,
    })
}

impl Watched<'_> {
    fn id(&self) -> BreakerId {
        BreakerId::of(&self.server.name, self.tool.as_deref())
    }

    fn at(&self) -> At<'_> {
        At {
            server: self.server,
            tool: self.tool.as_deref(),
        }
    }

    fn health(&self, outcome: Outcome, took: Duration, forwarded: &Forwarded) -> Health {
        let health = outcome.health(self.settings.count_tool_errors);
        // How long people think is not how slow a server is.
        let slow = self.settings.slow.filter(|_| !forwarded.asks_the_client());
        if health == Health::Good && slow.is_some_and(|slow| took > slow) {
            Health::Bad
        } else {
            health
        }
    }

    fn refusal(&self, forwarded: &Forwarded, after: Duration, detail: String) -> Refusal {
        let seconds = after.as_nanos().div_ceil(1_000_000_000).max(1);
        let telling = if forwarded.asked == Asked::Call {
            let what = if self.tool.is_some() {
                "This tool"
            } else {
                "This tool's server"
            };
            Telling::RetryLater {
                text: format!(
                    "{what} has failed repeatedly and is not called at the moment. Try again in {seconds} seconds, or go on \
                     without it."
                ),
                after: Some(after),
            }
        } else {
            Telling::Unavailable {
                text: format!("The server has failed repeatedly. Try again in {seconds} seconds."),
                after,
            }
        };
        Refusal {
            reason: Reason::Breaker,
            telling,
            mode: forwarded.caller.mode,
            detail,
        }
    }
}
