//! What one caller did, step by step.

use maud::{Markup, html};

use super::Section;
use super::chart;
use super::text::{name, name_or, shown};
use crate::report::Report;
use crate::report::numbers::{clock, cost, count, milliseconds, time};
use crate::report::trails::{Step, Trail};

pub(super) fn section(report: &Report) -> Option<Section> {
    if report.trails.is_empty() {
        return None;
    }
    let body = html! {
        p.about {
            @if report.trails.len() as u64 == report.trails_seen { (count(report.trails_seen)) " in the log." }
            @else {
                (report.trails.len()) " of " (count(report.trails_seen)) ": those with the most refusals, failures and steps. "
                code { "--trace ID" } " shows one of the others."
            }
        }
        @for (index, trail) in report.trails.iter().enumerate() { (one(trail, index == 0)) }
    };
    Some(Section {
        id: "traces",
        title: "Traces, step by step",
        body,
    })
}

fn one(trail: &Trail, open: bool) -> Markup {
    let started = trail.steps.first().map_or(0, |step| step.time_ms);
    let offset = |step: &Step| u64::try_from(step.time_ms.saturating_sub(started)).unwrap_or_default();
    let ended = |step: &Step| offset(step).saturating_add(step.took_ms.unwrap_or_default());
    let whole = trail.steps.iter().map(ended).max().unwrap_or_default().max(1);
    let steps = trail.steps.len() as u64 + trail.more;
    html! {
        details.trail open[open] {
            summary {
                span.kind { @if trail.is_trace { "trace" } @else { "session" } } " " code { (name(&trail.id)) }
                span.facts {
                    span { (count(steps)) @if steps == 1 { " step" } @else { " steps" } }
                    span { (milliseconds(whole)) }
                    @if trail.cost_micros > 0 { span { "cost " (cost(trail.cost_micros)) } }
                    @if trail.refused > 0 { span.badge.bad { (count(trail.refused)) " refused" } }
                    @if trail.failed > 0 { span.badge.bad { (count(trail.failed)) " failed" } }
                }
            }
            p.about { "Began " (time(started)) "." }
            ol {
                @for step in &trail.steps { (step_of(step, offset(step), whole)) }
            }
            @if trail.more > 0 { p.about { "and " (count(trail.more)) " more steps" } }
        }
    }
}

fn step_of(step: &Step, offset: u64, whole: u64) -> Markup {
    let (class, verdict) = verdict(step);
    html! {
        li {
            div.line {
                span.clock { (clock(step.time_ms)) }
                span.what { span.method { (name(&step.method)) } " " (name(&step.what)) }
                span.badge.(class) { (verdict) }
            }
            (chart::span(class, offset, step.took_ms.unwrap_or_default(), whole))
            p.facts {
                span { "key " (name_or(step.key.as_deref(), "none")) }
                @if let Some(client) = &step.client { span { "from " (shown(client)) } }
                @if let Some(status) = step.status { span { "HTTP " (status) } }
                @if let Some(outcome) = &step.outcome { span.(if step.failed { "bad" } else { "" }) { (shown(outcome)) } }
                @if let Some(ms) = step.took_ms { span { (milliseconds(ms)) } }
                @if let Some(micros) = step.cost_micros.filter(|micros| *micros > 0) { span { "cost " (cost(micros)) } }
                @if let Some(tokens) = step.tokens { span { (count(tokens)) " tokens" } }
                @if let Some(digest) = &step.arguments_digest {
                    span { "arguments " code title=(shown(digest)) { (shortened(digest)) } }
                }
                @if let Some(number) = step.chain_seq { span { "number " (count(number)) " of its chain" } }
            }
            @if let Some(id) = &step.request_id { p.detail { "request " code { (shown(id)) } } }
            @if let Some(detail) = &step.detail { p.detail { (shown(detail)) } }
            @if let Some(arguments) = &step.arguments { p.detail { code { (shown(arguments)) } } }
        }
    }
}

/// Enough of a digest to see that two differ.
fn shortened(digest: &str) -> String {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    shown(hex).chars().take(12).collect()
}

/// The class of the style sheet, and the words.
fn verdict(step: &Step) -> (&'static str, String) {
    match (step.decision.as_deref(), step.would_deny.as_deref()) {
        (None, _) => ("quiet", "no decision".to_owned()),
        (Some("allowed"), None) => ("good", "allowed".to_owned()),
        (Some("allowed"), Some(reason)) => ("note", format!("would deny: {}", shown(reason))),
        (Some(reason), _) => ("bad", format!("refused: {}", shown(reason))),
    }
}
