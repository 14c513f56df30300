//! What was unusual, and by which rule.

use maud::{Markup, html};

use super::Section;
use super::chart;
use super::text::name;
use crate::report::collect::{LEAST_CALLS, LEAST_COST};
use crate::report::numbers::{cost, count, second, span};
use crate::report::spikes::{FEWEST_BUCKETS, ONE_IN, SPREADS};
use crate::report::{Measure, Report, Unusual};

pub(super) fn section(report: &Report) -> Section {
    let (_, buckets) = report.timeline.buckets();
    let body = html! {
        @if buckets < FEWEST_BUCKETS {
            p.empty { "The log is too short to tell what is usual." }
        } @else if report.spikes.is_empty() {
            p.empty { "No spike." }
        } @else {
            ul.spikes {
                @for unusual in &report.spikes {
                    li {
                        p { (sentence(report, unusual)) }
                        (chart::sparkline(&unusual.values, |index| is_high(unusual, index)))
                    }
                }
            }
        }
        p.about {
            "The rule: a bucket is a spike if it is above median + " (SPREADS) " × spread of all buckets of its series, and holds \
            at least " (LEAST_CALLS) " calls or refusals, or costs at least " (cost(LEAST_COST)) " and a hundredth of all that was spent. The spread is the median \
            absolute deviation, but at least the square root of the median, a tenth of it, and one. A series with more than one \
            such bucket in " (ONE_IN) " comes in bursts, and none of them is unusual."
        }
    };
    Section {
        id: "spikes",
        title: "Spikes",
        body,
    }
}

/// What, where, when, and what would have been usual.
pub(super) fn sentence(report: &Report, unusual: &Unusual) -> Markup {
    let (first, _) = report.timeline.buckets();
    let width = report.timeline.width().seconds();
    let start = (first + i64::try_from(unusual.highest.from).unwrap_or_default()) * width * 1000;
    let spike = &unusual.highest;
    let shown = |value: u64| match unusual.measure {
        Measure::Cost => cost(value),
        _ => count(value),
    };
    let what = match unusual.measure {
        Measure::Calls => "calls",
        Measure::Refused => "refused calls",
        Measure::Cost => "spent",
        Measure::Tokens => "tokens",
    };
    html! {
        strong { (shown(spike.peak)) " " (what) } " in " (span(width.unsigned_abs()))
        @match &unusual.of {
            Some((dimension, label)) => { " by " (dimension) " " (name(label)) },
            None => " in all",
        }
        ", " (second(start)) " (usually " (shown(spike.median)) ", unusual above " (shown(spike.bound)) ")"
        @match unusual.others.len() {
            0 => {}
            1 => ", and once more",
            more => { ", and " (more) " times more" }
        }
    }
}

fn is_high(unusual: &Unusual, index: usize) -> bool {
    unusual
        .spikes()
        .any(|spike| (spike.from..=spike.to).contains(&index))
}
