//! Quotas, budgets and the rate limit service.

use super::Lint;
use super::reach::{Costly, Reach};
use crate::policy::error::{At, quoted};
use crate::policy::{Allowance, Each, GlobSet, Key, Micros, OnError, Scope, ServiceEngine};

/// The most that a question to Limitador can add to a count: its protocol has 32 bits for it, and there it is asked in
/// millionths.
const MOST_ASKED: Micros = Micros(u32::MAX as u64);

/// What is known about the keys that share a limit.
#[derive(Clone, Default)]
struct Callers {
    any: bool,
    /// Some of them are presented by JWTs.
    subjects: bool,
    /// Some of them may get roles that only their JWTs name.
    claims: bool,
    /// The dearest call that one of them can make, if any costs something.
    dearest: Option<(Micros, String)>,
}

impl Callers {
    fn add(&mut self, key: &Key, claims: bool, dearest: Option<&Costly>) {
        self.any = true;
        self.subjects |= !key.subjects.is_empty();
        self.claims |= claims && !key.subjects.is_empty();
        if let Some(dearest) = dearest
            && self
                .dearest
                .as_ref()
                .is_none_or(|(cost, _)| *cost < dearest.per_call)
        {
            self.dearest = Some((dearest.per_call, dearest.name()));
        }
    }
}

impl Lint<'_> {
    pub(super) fn usage(&mut self) {
        let policy = self.policy;
        let claims = self.roles_from_claim();
        let mut reach = Reach::new(policy);
        let mut of_teams = vec![Callers::default(); policy.teams().count()];
        let mut of_keys = Vec::new();
        for (id, key) in policy.keys() {
            let chain = || policy.teams_of(id);
            let spends =
                key.allowance.budget.is_some() || chain().any(|(_, team)| team.allowance.budget.is_some());
            let dearest = spends.then(|| reach.dearest(key)).flatten();
            for (team, _) in chain() {
                if let Some(callers) = of_teams.get_mut(team.index()) {
                    callers.add(key, claims, dearest);
                }
            }
            let mut callers = Callers::default();
            callers.add(key, claims, dearest);
            of_keys.push(callers);
        }
        let section = At::Root.member("teams");
        for ((_, team), callers) in policy.teams().zip(&of_teams) {
            let at = section.member(&team.name);
            self.allowance(&team.allowance, callers, "a key of the team", &at);
        }
        let section = At::Root.member("keys");
        for ((_, key), callers) in policy.keys().zip(&of_keys) {
            let at = section.member(&key.name);
            self.allowance(&key.allowance, callers, "the key", &at);
            if !callers.claims && !key.roles.is_empty() {
                self.quotas_in_vain(key, &mut reach, &at.member("quotas"));
            }
        }
        self.service();
    }

    /// The limits of somebody, named `who`.
    fn allowance(&mut self, allowance: &Allowance, callers: &Callers, who: &str, owner: &At<'_>) {
        let quotas = owner.member("quotas");
        for (index, quota) in allowance.quotas.iter().enumerate() {
            if quota.each == Some(Each::Subject) && callers.any && !callers.subjects {
                let message = format!("no JWT presents {who}, so all calls share one count");
                self.warn(&quotas.element(index).member("each"), message);
            }
        }
        let Some(budget) = &allowance.budget else {
            return;
        };
        let at = owner.member("budget");
        if budget.scope == Scope::Local {
            let message =
                "what is spent is forgotten when Envoy restarts; with \"scope\": \"global\" it is kept";
            self.warn(&at, message);
        }
        match &callers.dearest {
            None if callers.any && !callers.claims => {
                let message = format!("nothing that {who} can call has a cost, so nothing is ever spent");
                self.warn(&at, message);
            }
            Some((cost, call)) if *cost > budget.limit => {
                let call = quoted(call);
                let message = format!("{call} costs {cost}, more than the whole budget, so it can never run");
                self.warn(&at.member("limit"), message);
            }
            Some((cost, call)) if budget.scope == Scope::Global && self.limitador() && *cost > MOST_ASKED => {
                let call = quoted(call);
                let message = format!(
                    "{call} costs {cost}; the engine \"limitador\" counts at most {MOST_ASKED} for a call, so it can never run"
                );
                self.warn(&at.member("scope"), message);
            }
            _ => {}
        }
    }

    /// Quotas that count nothing that the key can call.
    fn quotas_in_vain<'a>(&mut self, key: &'a Key, reach: &mut Reach<'a>, at: &At<'_>) {
        for (index, quota) in key.allowance.quotas.iter().enumerate() {
            let mut patterns = quota.on.iter().flat_map(GlobSet::patterns).peekable();
            let Some(first) = patterns.peek().copied() else {
                continue;
            };
            if !patterns.any(|pattern| reach.meets(key, pattern)) {
                let message = format!("the key's roles grant nothing that {} matches", quoted(first));
                self.warn(&at.element(index).member("on"), message);
            }
        }
    }

    fn limitador(&self) -> bool {
        let service = self.policy.rate_limit_service();
        service.is_some_and(|service| service.engine == ServiceEngine::Limitador)
    }

    fn service(&mut self) {
        let policy = self.policy;
        let Some(service) = policy.rate_limit_service() else {
            return;
        };
        let global = |allowance: &Allowance| {
            let budget = allowance.budget.iter().map(|budget| budget.scope);
            let quotas = allowance.quotas.iter().map(|quota| quota.scope);
            quotas.chain(budget).any(|scope| scope == Scope::Global)
        };
        let used = policy.keys().any(|(_, key)| global(&key.allowance))
            || policy.teams().any(|(_, team)| global(&team.allowance));
        let at = At::Root.member("rateLimitService");
        if !used {
            let message = "no limit has \"scope\": \"global\", so this service is never asked";
            self.warn(&at, message);
        } else if service.on_error == OnError::Allow {
            let message = "while the service gives no usable answer, global limits limit nothing";
            self.warn(&at.member("onError"), message);
        }
    }
}
