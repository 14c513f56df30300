//! Which tools are slow, and which fail.

use maud::{Markup, html};

use super::Section;
use super::chart;
use super::text::{name, shown};
use crate::report::numbers::{count, milliseconds, percent};
use crate::report::{Entry, Report};

/// Rows of each table.
const ROWS: usize = 10;

pub(super) fn section(report: &Report) -> Option<Section> {
    let mut tools = report.tools.sorted();
    tools.retain(|(_, entry)| entry.counts.went_on() > 0);
    if tools.is_empty() {
        return None;
    }
    let body = html! {
        (slowest(&tools))
        (failing(&tools))
    };
    Some(Section {
        id: "tools",
        title: "Tools",
        body,
    })
}

fn slowest(tools: &[(&str, &Entry)]) -> Markup {
    let mut slow: Vec<(&str, &Entry, [u64; 3])> = tools
        .iter()
        .filter(|(_, entry)| entry.times.count() > 0)
        .map(|(name, entry)| {
            (
                *name,
                *entry,
                [0.5, 0.95, 1.0].map(|share| entry.times.quantile(share)),
            )
        })
        .collect();
    slow.sort_by_key(|(_, _, [_, high, _])| std::cmp::Reverse(*high));
    slow.truncate(ROWS);
    let longest = slow
        .iter()
        .map(|(_, _, [.., highest])| *highest)
        .max()
        .unwrap_or_default();
    html! {
        h3 { "Slowest" }
        @if slow.is_empty() {
            p.empty { "No call says how long its answer took." }
        } @else {
            div.scroll {
                table {
                    thead { tr { th { "tool" } th.num.opt { "answers" } th.num { "median" } th.num { "95 %" } th.num { "longest" }
                        th.wide.opt aria-hidden="true" {} } }
                    tbody {
                        @for (tool, entry, times) in slow {
                            tr {
                                th scope="row" { (name(tool)) }
                                td.num.opt { (count(entry.times.count())) }
                                @for ms in times { td.num { (milliseconds(ms)) } }
                                td.wide.opt { (chart::range(times, longest)) }
                            }
                        }
                    }
                }
            }
            p.about { "From the verdict to the answer. Half of the answers took no longer than the median; times are exact to \
                two digits. In the picture, on a logarithmic scale, the dot is the median, the thick line ends at 95 %, the \
                thin one at the longest." }
        }
    }
}

fn failing(tools: &[(&str, &Entry)]) -> Markup {
    let mut failing: Vec<&(&str, &Entry)> = tools
        .iter()
        .filter(|(_, entry)| entry.counts.failed > 0)
        .collect();
    failing.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.counts.failed));
    let more = failing.len().saturating_sub(ROWS);
    failing.truncate(ROWS);
    html! {
        h3 { "Failing" }
        @if failing.is_empty() {
            p.empty { "Every call that went on came to something." }
        } @else {
            div.scroll {
                table {
                    thead { tr { th { "tool" } th.num { "failed" } th.num { "of calls" } th { "how" }
                        th.wide.opt aria-hidden="true" {} } }
                    tbody {
                        @for (tool, entry) in failing {
                            tr {
                                th scope="row" { (name(tool)) }
                                td.num { span.bad { (count(entry.counts.failed)) } }
                                td.num { (percent(entry.counts.failed, entry.counts.went_on())) }
                                td { (how(entry)) }
                                td.wide.opt { (chart::bar("refused", entry.counts.failed, entry.counts.went_on())) }
                            }
                        }
                    }
                }
            }
            @if more > 0 { p.about { "and " (more) " more tools with failures" } }
        }
    }
}

/// Outcomes and how often, without those that are in order.
fn how(entry: &Entry) -> String {
    let outcomes = entry.outcomes.sorted();
    let bad = outcomes.into_iter().filter(|(outcome, _)| {
        !matches!(
            *outcome,
            "ok" | "accepted" | "task" | "input_required" | "client_gone"
        )
    });
    let told: Vec<String> = bad
        .take(4)
        .map(|(outcome, times)| format!("{} {}", shown(outcome), count(times)))
        .collect();
    told.join(", ")
}
