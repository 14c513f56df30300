//! Breakers, loop guards and sessions.

use super::Lint;
use crate::policy::error::{At, quoted};
use crate::policy::{Breaker, BreakerEach, GlobSet, Key, Ratio, Server, UnlistedTools};

/// More calls a second than one Envoy process passes on.
const MANY: u64 = 10_000;
/// Secrets have at least as many bytes; names of variables rarely do.
const SECRET: usize = 32;

impl Lint<'_> {
    pub(super) fn sessions(&mut self) {
        let sessions = At::Root.member("sessions");
        match &self.policy.sessions().secret_env {
            None if self.policy.servers().next().is_some() => {
                let message =
                    "without \"secretEnv\", sessions end with the process and do not cross replicas";
                self.warn(&sessions, message);
            }
            // Not shown: it may be one.
            Some(name) if name.len() >= SECRET && !name.contains('_') => {
                let message =
                    "this looks like the secret itself, and it should name the variable that holds it";
                self.warn(&sessions.member("secretEnv"), message);
            }
            _ => {}
        }
    }

    pub(super) fn breakers(&mut self, server: &Server) {
        let servers = At::Root.member("servers");
        let at = servers.member(&server.name);
        let unseen = self.why_no_call(server);
        if let Some(breaker) = &server.breaker {
            let at = at.member("breaker");
            let covered = || {
                let all = server.unlisted_tools == UnlistedTools::Deny
                    && server.tools().all(|tool| tool.breaker.is_some());
                all.then_some("every tool has a breaker of its own, and \"unlistedTools\" denies all others")
            };
            let in_vain = unseen.or_else(covered);
            if let Some(why) = in_vain.filter(|_| breaker.each == BreakerEach::Tool) {
                self.warn(&at, format!("this breaker watches nothing: {why}"));
            }
            self.breaker(breaker, &at);
        }
        let at = at.member("tools");
        let mut tools: Vec<_> = server.tools().collect();
        tools.sort_unstable_by_key(|tool| &tool.name);
        for tool in tools {
            let Some(breaker) = &tool.breaker else {
                continue;
            };
            let at = at.member(&tool.name);
            let at = at.member("breaker");
            if let Some(why) = unseen {
                self.warn(&at, format!("this breaker watches nothing: {why}"));
            }
            self.breaker(breaker, &at);
        }
    }

    /// Why no call of any tool ever reaches the server.
    fn why_no_call(&self, server: &Server) -> Option<&'static str> {
        let accepted = |methods: &GlobSet| methods.matches_text("tools/call");
        if !server.methods.as_ref().is_none_or(accepted) {
            return Some("the server's \"methods\" have no tools/call");
        }
        let granted = self
            .policy
            .roles()
            .any(|(_, role)| role.allow.reaches(&server.name));
        (!granted).then_some("no role grants a tool of this server")
    }

    fn breaker(&mut self, breaker: &Breaker, at: &At<'_>) {
        let Some(ratio) = breaker.ratio else {
            return;
        };
        if let Some(failures) = breaker.failures
            && never_first(failures.get(), &ratio)
        {
            let message =
                format!("so many failures never come without {failures} in a row, which open it before");
            self.warn(&at.member("ratio"), message);
            return;
        }
        // In thousandths of a second, so that half seconds count.
        let millis = u64::try_from(ratio.window.as_millis()).unwrap_or(u64::MAX).max(1);
        let each_second = u64::from(ratio.min_calls.get()) * 1_000 / millis;
        if each_second > MANY {
            let message = format!(
                "that takes {each_second} calls a second; as long as there are fewer, \"ratio\" decides nothing"
            );
            self.warn(&at.member("minCalls"), message);
        }
    }

    pub(super) fn loops(&mut self, key: &Key) {
        // A role from a claim could grant anything.
        let claimed = self.roles_from_claim() && !key.subjects.is_empty();
        let policy = self.policy;
        let granted = || key.roles.iter().any(|id| !policy.role(*id).allow.is_empty());
        if !key.loops.is_empty() && !claimed && !granted() {
            let keys = At::Root.member("keys");
            let message = format!(
                "{} may call no tool, so there is nothing to repeat",
                quoted(&key.name)
            );
            self.warn(&keys.member(&key.name).member("loops"), message);
        }
    }
}

/// Whether `failures` in a row must have come before the ratio is reached.
///
/// Without such a row, g successes part at most (g + 1)(f − 1) failures. Of n calls at least rn fail and at most
/// (1 − r)n do not, so a row is certain if rn > ((1 − r)n + 1)(f − 1), that is n(rf − (f − 1)) > f − 1. Where that holds
/// for the fewest calls that count, it holds for more.
fn never_first(failures: u32, ratio: &Ratio) -> bool {
    const ALL: i128 = 1_000_000;
    let others = i128::from(failures) - 1;
    let slope = i128::from(ratio.millionths) * i128::from(failures) - ALL * others;
    i128::from(ratio.min_calls.get()) * slope > ALL * others
}
