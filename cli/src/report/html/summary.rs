//! What somebody on call or an auditor wants to know first.

use maud::{Markup, html};

use super::text::{name, shown};
use super::{over_time, spikes, unused};
use crate::report::numbers::{cost, count, milliseconds, percent, short};
use crate::report::{Entry, Report};

/// A tool fails often if at least one of ten calls does, and not only once or twice.
const OFTEN: u64 = 10;
const LEAST_FAILED: u64 = 5;

pub(super) fn source(report: &Report) -> Markup {
    let lines = count(report.records);
    let records = if report.records == 1 { "record" } else { "records" };
    html! {
        p.source {
            (lines) " " (records) " from "
            @match report.sources.as_slice() {
                [one] => (name(one)),
                many => { (many.len()) " files" },
            }
        }
    }
}

pub(super) fn section(report: &Report) -> Markup {
    let counts = &report.total.counts;
    let went_on = counts.went_on();
    let times = &report.total.times;
    html! {
        section #summary aria-label="Summary" {
            dl.tiles {
                (tile("Tool calls", &short(counts.calls), &format!("{} went on", count(went_on)), ""))
                (tile("Refused", &short(counts.refused), &format!("{} of calls", percent(counts.refused, counts.calls)),
                    if counts.refused > 0 { "bad" } else { "" }))
                (tile("Would be refused", &short(counts.would_deny), "let through by shadow mode",
                    if counts.would_deny > 0 { "note" } else { "" }))
                (tile("Failed", &short(counts.failed), &format!("{} of those that went on", percent(counts.failed, went_on)),
                    if counts.failed > 0 { "bad" } else { "" }))
                (tile("Cost", &cost(counts.cost_micros), "in the policy's currency", ""))
                (tile("Result tokens", &short(counts.tokens), "about, at four bytes each", ""))
                (tile("Answer time", &milliseconds(times.quantile(0.5)),
                    &format!("median; 95 % within {}", milliseconds(times.quantile(0.95))), ""))
                (tile("Callers", &short(report.keys.len() as u64),
                    &format!("keys; {} teams, {} tools", report.teams.len(), report.tools.len()), ""))
            }
            (attention(report))
        }
    }
}

fn tile(title: &str, value: &str, note: &str, class: &str) -> Markup {
    html! {
        div.tile {
            dt { (title) }
            dd.value.(class) { (value) }
            dd.about { (note) }
        }
    }
}

/// What stands out, with the place where more is said.
fn attention(report: &Report) -> Markup {
    let mut lines: Vec<Markup> = Vec::new();
    for event in spikes::events(report).iter().take(3) {
        if let Some(unusual) = event.first() {
            lines.push(html! { a href="#spikes" { "Spike" } ": " (spikes::sentence(report, unusual)) });
        }
    }
    for (tool, entry) in failing(report).into_iter().take(3) {
        let counts = &entry.counts;
        lines.push(html! {
            a href="#tools" { "Failing" } ": " (name(tool)) ", " (count(counts.failed)) " of " (count(counts.went_on()))
            " calls (" (percent(counts.failed, counts.went_on())) ")"
        });
    }
    for (reason, what) in [
        ("internal", "a fault of Toolgate's own"),
        ("upstream", "a server's answer that could not be used"),
    ] {
        let times = report.refused.get(reason);
        if times > 0 {
            lines.push(html! { a href="#refusals" { "Refused" } ": " (count(times)) " times for " (what) });
        }
    }
    let shadowed = report.would_deny.total();
    if shadowed > 0 {
        let reasons = report.would_deny.sorted();
        let reasons: Vec<String> = reasons
            .iter()
            .take(3)
            .map(|(reason, times)| format!("{} {}", shown(reason), count(*times)))
            .collect();
        lines.push(html! {
            a href="#refusals" { "Shadow mode" } ": enforcement would refuse " (count(shadowed)) " requests ("
            (reasons.join(", ")) ")"
        });
    }
    if let Some(leftover) = report
        .leftover
        .as_ref()
        .filter(|leftover| unused::patterns(leftover) > 0)
    {
        lines.push(html! {
            a href="#unused" { "Unused" } ": " (unused::patterns(leftover)) " of " (leftover.of_patterns)
            " granted patterns were not needed"
        });
    }
    if report.damaged.lines > 0 {
        lines.push(
            html! { a href="#log" { "Damaged" } ": " (count(report.damaged.lines))
            @if report.damaged.lines == 1 { " line" } @else { " lines" } " of the log could not be read" },
        );
    }
    html! {
        div.attention {
            h2 { "To look at" }
            @if report.records == 0 {
                p { "There is no record in the log." }
            } @else if lines.is_empty() {
                p { "Nothing stands out: no spike, no tool that fails often, nothing damaged." }
            } @else {
                ul { @for line in lines { li { (line) } } }
            }
            (over_time::total(report))
        }
    }
}

/// Tools that fail often, most failures first.
fn failing(report: &Report) -> Vec<(&str, &Entry)> {
    let mut failing = report.tools.sorted();
    failing.retain(|(_, entry)| {
        let counts = &entry.counts;
        counts.failed >= LEAST_FAILED && counts.failed.saturating_mul(OFTEN) >= counts.went_on()
    });
    failing.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.counts.failed));
    failing
}
