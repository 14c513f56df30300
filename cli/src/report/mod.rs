//! What agents did, from access logs: collected in one pass and bounded memory, told as a page or as data.

mod collect;
mod counts;
mod csv;
mod html;
mod json;
mod numbers;
mod spikes;
mod tally;
#[cfg(test)]
mod tests;
mod timeline;
mod trails;

use toolgate_engine::policy::Policy;

use crate::failure::{Failure, Outcome};
use crate::learn::Unused;
use crate::log::{Damaged, Logs};
use collect::Collector;
use counts::Counts;
use spikes::Spike;
use tally::{Dimension, Entry, Names};
use timeline::Timeline;
use trails::Trail;

/// Everything that a report tells.
pub(crate) struct Report {
    /// The files' names, safe for a terminal.
    pub(crate) sources: Vec<String>,
    pub(crate) timeline: Timeline,
    /// Lines that are records.
    pub(crate) records: u64,
    pub(crate) damaged: Damaged,
    /// All tool calls.
    pub(crate) total: Entry,
    pub(crate) teams: Dimension,
    pub(crate) keys: Dimension,
    pub(crate) tools: Dimension,
    /// Requests by JSON-RPC method.
    pub(crate) methods: Names,
    /// All requests that were refused, by reason.
    pub(crate) refused: Names,
    /// Requests that shadow mode let through, by the reason enforcement would have had.
    pub(crate) would_deny: Names,
    /// Who was refused what: key, what, reason (a shadowed one in brackets).
    pub(crate) refusals: Vec<(Refusal, u64)>,
    /// Requests that something before Toolgate answered.
    pub(crate) undecided: u64,
    /// Requests by the policy that decided.
    pub(crate) policies: Names,
    pub(crate) spikes: Vec<Unusual>,
    pub(crate) trails: Vec<Trail>,
    /// How many traces and sessions there are.
    pub(crate) trails_seen: u64,
    /// With a policy.
    pub(crate) leftover: Option<Leftover>,
}

/// What a policy grants and nobody needed.
pub(crate) struct Leftover {
    pub(crate) unused: Vec<Unused>,
    /// How many patterns the policy has.
    pub(crate) of_patterns: usize,
    /// Keys of the log that the policy does not have.
    pub(crate) strangers: Vec<String>,
}

/// A combination that was refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Refusal {
    pub(crate) key: Option<Box<str>>,
    /// `server/tool`, or what else it was about.
    pub(crate) what: Box<str>,
    pub(crate) reason: Box<str>,
    /// Shadow mode let it through.
    pub(crate) shadow: bool,
}

/// The spikes of a series, of which there is at least one.
pub(crate) struct Unusual {
    /// `calls`, `refused` or `cost`.
    pub(crate) measure: Measure,
    /// `team`, `key` or `tool`, and its name; all of them together without.
    pub(crate) of: Option<(&'static str, String)>,
    pub(crate) highest: Spike,
    /// The others, the next highest first.
    pub(crate) others: Vec<Spike>,
    pub(crate) values: Vec<u64>,
}

/// What is counted over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Calls,
    Refused,
    Cost,
    Tokens,
}

impl Unusual {
    /// All of them, the highest first.
    pub(crate) fn spikes(&self) -> impl Iterator<Item = &Spike> {
        std::iter::once(&self.highest).chain(&self.others)
    }
}

impl Measure {
    pub(crate) fn of(self, counts: &Counts) -> u64 {
        match self {
            Self::Calls => counts.calls,
            Self::Refused => counts.refused,
            Self::Cost => counts.cost_micros,
            Self::Tokens => counts.tokens,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Refused => "refused",
            Self::Cost => "cost",
            Self::Tokens => "tokens",
        }
    }
}

impl Report {
    /// Reads the logs to their end. With a policy, what of it was not needed; with the id of a trace or session, only
    /// that one step by step.
    pub(crate) fn collect(logs: &Logs, policy: Option<&Policy>, trail: Option<&str>) -> Outcome<Self> {
        let mut collector = Collector::new(policy, trail);
        let summary = logs.read_names(|record| collector.take(record))?;
        let report = collector.finished(logs.names(), summary);
        match trail {
            Some(id) if report.trails.is_empty() => Err(Failure::no(format!(
                "no record of trace or session {:?} is in these logs",
                crate::style::clean(id)
            ))
            .fix("give the whole trace_id (32 hex digits) or mcp.session.id as the log has it")),
            _ => Ok(report),
        }
    }

    /// One page that needs nothing else.
    pub(crate) fn to_html(&self) -> String {
        html::page(self)
    }

    /// One document with all aggregates.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        json::document(self)
    }

    /// One table with a row for each name.
    pub(crate) fn to_csv(&self) -> String {
        csv::table(self)
    }

    /// The dimensions with what they are called.
    fn dimensions(&self) -> [(&'static str, &Dimension); 3] {
        [("team", &self.teams), ("key", &self.keys), ("tool", &self.tools)]
    }
}
