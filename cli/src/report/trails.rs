//! What callers did step by step: the records of one trace, or where there is none, of one session.
//!
//! Of many, those are kept that somebody will want to look at: with refusals, failures and many steps. Which those are
//! shows only in the end, so more are kept meanwhile; one that was given up is not begun again in its middle.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use crate::log::{self, Record, Text};

/// How many trails are kept while reading.
const KEPT: usize = 256;
/// How many of them are shown.
pub(crate) const SHOWN: usize = 20;
/// How many steps of a trail are kept, and of one that was asked for.
const STEPS: usize = 100;
const STEPS_ASKED_FOR: usize = 2_000;
/// Characters of a text that are kept.
const TEXT: usize = 300;
/// Names that are remembered as given up.
const FORGOTTEN: usize = 1_000_000;

/// What happened to the requests of one trace or session.
#[derive(Debug)]
pub(crate) struct Trail {
    /// The trace id, or the session.
    pub(crate) id: Box<str>,
    pub(crate) is_trace: bool,
    pub(crate) steps: Vec<Step>,
    /// Steps that are not kept.
    pub(crate) more: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    pub(crate) cost_micros: u64,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) time_ms: i64,
    pub(crate) method: Box<str>,
    /// `server/tool`, or what else it is about.
    pub(crate) what: Box<str>,
    pub(crate) key: Option<Box<str>>,
    pub(crate) decision: Option<Box<str>>,
    pub(crate) would_deny: Option<Box<str>>,
    pub(crate) detail: Option<Box<str>>,
    pub(crate) outcome: Option<Box<str>>,
    pub(crate) failed: bool,
    pub(crate) took_ms: Option<u64>,
    pub(crate) cost_micros: Option<u64>,
    pub(crate) tokens: Option<u64>,
    pub(crate) arguments: Option<Box<str>>,
    pub(crate) arguments_digest: Option<Box<str>>,
    pub(crate) status: Option<u64>,
    pub(crate) client: Option<Box<str>>,
    pub(crate) request_id: Option<Box<str>>,
    pub(crate) chain_id: Option<Box<str>>,
    pub(crate) chain_seq: Option<u64>,
    pub(crate) chain_digest: Option<Box<str>>,
}

/// The trails of a log.
#[derive(Debug, Default)]
pub(crate) struct Trails {
    kept: HashMap<Box<str>, Trail>,
    given_up: HashSet<u64>,
    hasher: RandomState,
    /// How many there are, also those that are not kept.
    pub(crate) seen: u64,
    /// What a record may call it: as it is, which may have been taken from a report, or cut.
    asked_for: Option<(String, Option<String>)>,
}

impl Trails {
    /// Only the trail with this trace id or session, if one is asked for.
    pub(crate) fn new(asked_for: Option<&str>) -> Self {
        Self {
            asked_for: asked_for.map(|id| (id.to_owned(), log::clipped(id))),
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, record: &Record<'_>, refused: bool, failed: bool) {
        let Some((id, is_trace)) = self.id_of(record) else {
            return;
        };
        if !self.kept.contains_key(id) {
            if !self.given_up.is_empty() && self.given_up.contains(&self.hasher.hash_one(id)) {
                return;
            }
            self.seen += 1;
            if self.kept.len() >= 2 * KEPT {
                self.shrink();
            }
        }
        let most = if self.asked_for.is_some() {
            STEPS_ASKED_FOR
        } else {
            STEPS
        };
        let trail = self
            .kept
            .entry(id.into())
            .or_insert_with(|| Trail::new(id, is_trace));
        trail.refused += u64::from(refused);
        trail.failed += u64::from(failed);
        trail.cost_micros = trail
            .cost_micros
            .saturating_add(record.cost_micros().unwrap_or_default());
        if trail.steps.len() < most {
            trail.steps.push(Step::of(record, failed));
        } else {
            trail.more += 1;
        }
    }

    /// Those to show, the ones to look at first in front.
    pub(crate) fn finished(self) -> Vec<Trail> {
        let mut trails: Vec<Trail> = self.kept.into_values().collect();
        trails.sort_by(|a, b| b.weight().cmp(&a.weight()).then_with(|| a.id.cmp(&b.id)));
        trails.truncate(SHOWN);
        for trail in &mut trails {
            // Lines are written when exchanges end; what was done is told in the order in which it began.
            trail.steps.sort_by_key(|step| step.time_ms);
        }
        trails
    }

    fn id_of<'r>(&self, record: &'r Record<'_>) -> Option<(&'r str, bool)> {
        let (trace, session) = (record.trace_id.as_deref(), record.session.as_deref());
        match &self.asked_for {
            None => trace.map(|id| (id, true)).or(session.map(|id| (id, false))),
            Some((whole, cut)) => {
                let is_it = |id: &&str| *id == whole || Some(*id) == cut.as_deref();
                let trace = trace.filter(is_it).map(|id| (id, true));
                trace.or(session.filter(is_it).map(|id| (id, false)))
            }
        }
    }

    fn shrink(&mut self) {
        let mut weights: Vec<_> = self.kept.values().map(Trail::weight).collect();
        weights.sort_unstable_by(|a, b| b.cmp(a));
        let least = weights.get(KEPT).copied().unwrap_or_default();
        let (given_up, hasher) = (&mut self.given_up, &self.hasher);
        self.kept.retain(|id, trail| {
            let stays = trail.weight() > least;
            if !stays && given_up.len() < FORGOTTEN {
                given_up.insert(hasher.hash_one(&**id));
            }
            stays
        });
    }
}

impl Trail {
    fn new(id: &str, is_trace: bool) -> Self {
        Self {
            id: id.into(),
            is_trace,
            steps: Vec::new(),
            more: 0,
            refused: 0,
            failed: 0,
            cost_micros: 0,
        }
    }

    /// How much there is to see.
    fn weight(&self) -> (u64, u64) {
        let steps = self.steps.len() as u64 + self.more;
        (self.refused.min(10) + self.failed.min(10), steps)
    }
}

impl Step {
    fn of(record: &Record<'_>, failed: bool) -> Self {
        // Names are short already, and the same as in every other part.
        let named = |value: &Option<Text<'_>>| value.as_deref().map(Into::into);
        let name = record.tool.as_deref().or(record.object.as_deref());
        let what = match (record.server.as_deref(), name) {
            (Some(server), Some(name)) => format!("{server}/{name}"),
            (Some(server), None) => server.to_owned(),
            (None, _) => record.path.as_deref().unwrap_or_default().to_owned(),
        };
        let method = named(&record.rpc_method).or_else(|| text(record.method.as_ref()));
        Self {
            time_ms: record.time_ms,
            method: method.unwrap_or_default(),
            what: what.into(),
            key: named(&record.key),
            decision: named(&record.decision),
            would_deny: named(&record.would_deny),
            // Of what something before Toolgate answered, Envoy says why.
            detail: text(match record.decision {
                Some(_) => record.detail.as_ref(),
                None => record.details.as_ref(),
            }),
            outcome: match (record.outcome.as_deref(), record.outcome_code.as_deref()) {
                (Some(outcome), Some(code)) => Some(clipped(&format!("{outcome} {code}"))),
                (outcome, _) => outcome.map(clipped),
            },
            failed,
            took_ms: record.call_duration_ms().or(record.duration_ms),
            cost_micros: record.cost_micros(),
            tokens: record.result_tokens(),
            arguments: text(record.arguments.as_ref()),
            arguments_digest: text(record.arguments_digest.as_ref()),
            status: record.status,
            client: text(record.client.as_ref()),
            request_id: text(record.request_id.as_ref()),
            chain_id: text(record.chain_id.as_ref()),
            chain_seq: record.chain_seq(),
            chain_digest: text(record.chain_digest.as_ref()),
        }
    }
}

fn text(value: Option<&Text<'_>>) -> Option<Box<str>> {
    value.map(|value| clipped(value))
}

fn clipped(text: &str) -> Box<str> {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}
