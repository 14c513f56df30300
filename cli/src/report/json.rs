//! The aggregates as one document.

use serde_json::{Map, Value, json};

use super::tally::{Dimension, Entry, Names};
use super::timeline::Timeline;
use super::trails::{Step, Trail};
use super::{Leftover, Measure, Report, Unusual};

/// Of how many names in each dimension the values over time are told.
const SERIES: usize = 20;

pub(super) fn document(report: &Report) -> Value {
    let timeline = &report.timeline;
    let (first, buckets) = timeline.buckets();
    let seconds = timeline.width().seconds();
    let mut document = json!({
        "sources": report.sources,
        "records": report.records,
        "damaged": report.damaged.to_json(),
        "from_ms": timeline.range().map(|range| range.0),
        "to_ms": timeline.range().map(|range| range.1),
        "bucket_seconds": seconds,
        "first_bucket_ms": (buckets > 0).then(|| first * seconds * 1000),
        "all": entry(Some(timeline), &report.total),
        "methods": names(&report.methods),
        "refused": names(&report.refused),
        "would_deny": names(&report.would_deny),
        "undecided": report.undecided,
        "policies": names(&report.policies),
        "spikes": report.spikes.iter().map(|at| unusual(timeline, at)).collect::<Vec<_>>(),
        "traces_and_sessions": report.trails_seen,
        "traces": report.trails.iter().map(trail).collect::<Vec<_>>(),
        "unused": report.leftover.as_ref().map(leftover),
    });
    let refusals = report.refusals.iter().map(|(refusal, count)| {
        json!({ "key": refusal.key, "what": refusal.what, "reason": refusal.reason, "shadow": refusal.shadow,
            "count": count })
    });
    document["refusals"] = refusals.collect();
    for (name, dimension) in report.dimensions() {
        document[format!("{name}s")] = dimension_of(timeline, dimension);
    }
    document
}

fn dimension_of(timeline: &Timeline, names: &Dimension) -> Value {
    let named: Vec<Value> = names
        .sorted()
        .into_iter()
        .enumerate()
        .map(|(index, (name, of))| {
            let mut of = entry((index < SERIES).then_some(timeline), of);
            of["name"] = json!(name);
            of
        })
        .collect();
    let unless_empty = |of: &Entry| (of.counts.calls > 0).then(|| entry(Some(timeline), of));
    json!({
        "named": named,
        "without_name": unless_empty(&names.none),
        "other": unless_empty(&names.other),
    })
}

/// With values over time, if there is a timeline.
fn entry(timeline: Option<&Timeline>, entry: &Entry) -> Value {
    let counts = &entry.counts;
    let series = timeline.map(|timeline| {
        let series = [Measure::Calls, Measure::Refused, Measure::Cost, Measure::Tokens].map(|measure| {
            let values = entry.series.values(timeline, |counts| measure.of(counts));
            (measure.as_str().to_owned(), json!(values))
        });
        Map::from_iter(series)
    });
    let times = (entry.times.count() > 0).then(|| {
        json!({
            "p50_ms": entry.times.quantile(0.5),
            "p95_ms": entry.times.quantile(0.95),
            "max_ms": entry.times.quantile(1.0),
        })
    });
    json!({
        "calls": counts.calls,
        "refused": counts.refused,
        "would_deny": counts.would_deny,
        "failed": counts.failed,
        "cost_micros": counts.cost_micros,
        "result_tokens": counts.tokens,
        "outcomes": names(&entry.outcomes),
        "times": times,
        "series": series,
    })
}

fn names(names: &Names) -> Value {
    let mut map: Map<String, Value> = names
        .sorted()
        .into_iter()
        .map(|(name, count)| (name.to_owned(), json!(count)))
        .collect();
    if names.other > 0 {
        map.insert("(other)".to_owned(), json!(names.other));
    }
    Value::Object(map)
}

fn unusual(timeline: &Timeline, at: &Unusual) -> Value {
    let (first, _) = timeline.buckets();
    let seconds = timeline.width().seconds();
    let starts = |index: usize| (first + i64::try_from(index).unwrap_or_default()) * seconds * 1000;
    let spikes = at.spikes().map(|spike| {
        json!({
            "from_ms": starts(spike.from),
            "to_ms": starts(spike.to + 1),
            "peak": spike.peak,
            "median": spike.median,
            "bound": spike.bound,
        })
    });
    json!({
        "measure": at.measure.as_str(),
        "dimension": at.of.as_ref().map(|(dimension, _)| dimension),
        "name": at.of.as_ref().map(|(_, name)| name),
        "spikes": spikes.collect::<Vec<_>>(),
    })
}

fn trail(trail: &Trail) -> Value {
    json!({
        "id": trail.id,
        "kind": if trail.is_trace { "trace" } else { "session" },
        "refused": trail.refused,
        "failed": trail.failed,
        "cost_micros": trail.cost_micros,
        "steps": trail.steps.iter().map(step).collect::<Vec<_>>(),
        "more_steps": trail.more,
    })
}

fn step(step: &Step) -> Value {
    json!({
        "time_ms": step.time_ms,
        "method": step.method,
        "what": step.what,
        "key": step.key,
        "decision": step.decision,
        "would_deny": step.would_deny,
        "detail": step.detail,
        "outcome": step.outcome,
        "took_ms": step.took_ms,
        "cost_micros": step.cost_micros,
        "result_tokens": step.tokens,
        "arguments": step.arguments,
        "arguments_digest": step.arguments_digest,
        "status": step.status,
        "client": step.client,
        "request_id": step.request_id,
        "chain_id": step.chain_id,
        "chain_seq": step.chain_seq,
        "chain_digest": step.chain_digest,
    })
}

fn leftover(leftover: &Leftover) -> Value {
    json!({ "grants": leftover.unused, "unknown_keys": leftover.strangers })
}
