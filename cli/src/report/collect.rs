//! One pass over the records.

use std::collections::HashMap;
use std::fmt::Write as _;

use toolgate_engine::policy::Policy;

use super::counts::Counts;
use super::tally::{Call, Dimension, Entry, Names};
use super::timeline::Timeline;
use super::trails::Trails;
use super::{Leftover, Measure, Refusal, Report, Unusual, spikes};
use crate::learn::{Observed, unused};
use crate::log::{Record, Summary};

/// How many different combinations are kept of who was refused what.
const REFUSALS: usize = 4_000;
/// How many of them are told.
const REFUSALS_TOLD: usize = 100;
/// How many keys are named that the policy does not have.
const STRANGERS: usize = 10;
/// Of how many series the spikes are told.
const SPIKES: usize = 30;
/// Of how many names in each dimension the series is looked at.
const LOOKED_AT: usize = 200;
/// Fewer calls or refusals in a bucket are no spike.
pub(super) const LEAST_CALLS: u64 = 20;
/// Less in a bucket is no spike: one unit of currency, or the hundredth part of all that was spent.
pub(super) const LEAST_COST: u64 = 1_000_000;
pub(super) const LEAST_COST_SHARE: u64 = 100;

/// Outcomes of requests that came to nothing; `docs/outcomes.md`.
const FAILED: [&str; 8] = [
    "tool_error",
    "rpc_error",
    "http_error",
    "reset",
    "timeout",
    "malformed",
    "truncated",
    "too_large",
];

pub(super) struct Collector<'p> {
    timeline: Timeline,
    total: Entry,
    teams: Dimension,
    keys: Dimension,
    tools: Dimension,
    methods: Names,
    refused: Names,
    would_deny: Names,
    refusals: HashMap<Refusal, u64>,
    undecided: u64,
    policies: Names,
    trails: Trails,
    /// With a policy, who used what.
    observed: Option<(&'p Policy, Observed)>,
    /// The name being looked up.
    name: String,
}

impl<'p> Collector<'p> {
    pub(super) fn new(policy: Option<&'p Policy>, trail: Option<&str>) -> Self {
        Self {
            timeline: Timeline::default(),
            total: Entry::default(),
            teams: Dimension::default(),
            keys: Dimension::default(),
            tools: Dimension::default(),
            methods: Names::default(),
            refused: Names::default(),
            would_deny: Names::default(),
            refusals: HashMap::new(),
            undecided: 0,
            policies: Names::default(),
            trails: Trails::new(trail),
            observed: policy.map(|policy| (policy, Observed::default())),
            name: String::new(),
        }
    }

    /// Takes one record in, whose names are short: they become keys of maps.
    pub(super) fn take(&mut self, record: &Record<'_>) {
        let bucket = self.timeline.bucket(record.time_ms);
        let decision = record.decision.as_deref();
        let refused = decision.is_some_and(|decision| decision != "allowed");
        let failed = !refused
            && record
                .outcome
                .as_deref()
                .is_some_and(|outcome| FAILED.contains(&outcome));
        if decision.is_none() {
            self.undecided += 1;
        }
        if let Some(method) = record.rpc_method.as_deref() {
            self.methods.add(method);
        }
        if let Some(policy) = record.policy.as_deref() {
            self.policies.add(policy);
        }
        if refused {
            self.refused.add(decision.unwrap_or_default());
        } else if let Some(reason) = record.would_deny.as_deref() {
            self.would_deny.add(reason);
        }
        if let Some((_, observed)) = &mut self.observed {
            observed.take(record);
        }
        self.trails.add(record, refused, failed);
        self.name_what(record);
        self.take_refusal(record, refused);
        if record.rpc_method.as_deref() == Some("tools/call") && decision.is_some() {
            self.take_call(record, bucket, refused, failed);
        }
    }

    fn take_call(&mut self, record: &Record<'_>, bucket: i64, refused: bool, failed: bool) {
        let call = Call {
            bucket,
            counts: Counts {
                calls: 1,
                refused: u64::from(refused),
                would_deny: u64::from(!refused && record.would_deny.is_some()),
                failed: u64::from(failed),
                cost_micros: record.cost_micros().unwrap_or_default(),
                tokens: record.result_tokens().unwrap_or_default(),
            },
            took_ms: record.call_duration_ms().filter(|_| !refused),
            outcome: record.outcome.as_deref(),
        };
        self.total.add(&self.timeline, &call);
        self.teams.add(&self.timeline, record.team.as_deref(), &call);
        self.keys.add(&self.timeline, record.key.as_deref(), &call);
        let tool = record.tool.as_ref().map(|_| self.name.as_str());
        self.tools.add(&self.timeline, tool, &call);
    }

    fn take_refusal(&mut self, record: &Record<'_>, refused: bool) {
        let reason = if refused {
            &record.decision
        } else {
            &record.would_deny
        };
        let Some(reason) = reason.as_deref() else {
            return;
        };
        let refusal = Refusal {
            key: record.key.as_deref().map(Into::into),
            what: self.name.as_str().into(),
            reason: reason.into(),
            shadow: !refused,
        };
        *self.refusals.entry(refusal).or_default() += 1;
        if self.refusals.len() >= 2 * REFUSALS {
            let mut counts: Vec<u64> = self.refusals.values().copied().collect();
            counts.sort_unstable_by(|a, b| b.cmp(a));
            let least = counts.get(REFUSALS).copied().unwrap_or_default();
            self.refusals.retain(|_, count| *count > least);
        }
    }

    /// Leaves `server/tool` in `name`, or what else the request is about.
    fn name_what(&mut self, record: &Record<'_>) {
        self.name.clear();
        let object = record.tool.as_deref().or(record.object.as_deref());
        // Writing to a string cannot fail.
        let _ = match (record.server.as_deref(), object) {
            (Some(server), Some(object)) => write!(self.name, "{server}/{object}"),
            (None, Some(object)) => write!(self.name, "{object}"),
            (Some(server), None) => write!(self.name, "{server}"),
            (None, None) => write!(self.name, "{}", record.path.as_deref().unwrap_or_default()),
        };
    }

    pub(super) fn finished(self, sources: Vec<String>, summary: Summary) -> Report {
        let mut refusals: Vec<(Refusal, u64)> = self.refusals.into_iter().collect();
        refusals.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        refusals.truncate(REFUSALS_TOLD);
        let mut report = Report {
            sources,
            timeline: self.timeline,
            records: summary.records,
            damaged: summary.damaged,
            total: self.total,
            teams: self.teams,
            keys: self.keys,
            tools: self.tools,
            methods: self.methods,
            refused: self.refused,
            would_deny: self.would_deny,
            refusals,
            undecided: self.undecided,
            policies: self.policies,
            spikes: Vec::new(),
            trails_seen: self.trails.seen,
            trails: self.trails.finished(),
            leftover: self
                .observed
                .map(|(policy, observed)| leftover(policy, &observed)),
        };
        report.spikes = unusual(&report);
        report
    }
}

fn leftover(policy: &Policy, observed: &Observed) -> Leftover {
    let patterns = policy.roles().map(|(_, role)| {
        let lists = [&role.allow, &role.resources, &role.prompts];
        lists
            .into_iter()
            .map(|list| list.patterns().count())
            .sum::<usize>()
    });
    let strangers = observed
        .keys
        .keys()
        .filter(|key| policy.key_by_name(key).is_none());
    Leftover {
        unused: unused(policy, observed),
        of_patterns: patterns.sum(),
        strangers: strangers.take(STRANGERS).cloned().collect(),
    }
}

/// The spikes of all series, the most unusual ones first.
fn unusual(report: &Report) -> Vec<Unusual> {
    let mut found = Vec::new();
    let least_cost = LEAST_COST.max(report.total.counts.cost_micros / LEAST_COST_SHARE);
    let mut look = |of: Option<(&'static str, &str)>, entry: &Entry| {
        for (measure, least) in [
            (Measure::Calls, LEAST_CALLS),
            (Measure::Refused, LEAST_CALLS),
            (Measure::Cost, least_cost),
        ] {
            let values = entry.series.values(&report.timeline, |counts| measure.of(counts));
            let mut spikes = spikes::of(&values, least);
            spikes.sort_by_key(|spike| std::cmp::Reverse(spike.peak));
            if !spikes.is_empty() {
                let highest = spikes.remove(0);
                found.push(Unusual {
                    measure,
                    of: of.map(|(dimension, name)| (dimension, name.to_owned())),
                    highest,
                    others: spikes,
                    values,
                });
            }
        }
    };
    // Of equals, the first is the one to tell: who did it comes before what it was, and before the whole.
    for (dimension, names) in [
        ("key", &report.keys),
        ("tool", &report.tools),
        ("team", &report.teams),
    ] {
        for (name, entry) in names.sorted().into_iter().take(LOOKED_AT) {
            look(Some((dimension, name)), entry);
        }
    }
    look(None, &report.total);
    found.sort_by_key(|unusual| std::cmp::Reverse(unusual.highest.weight()));
    found.truncate(SPIKES);
    found
}
