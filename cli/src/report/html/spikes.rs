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
                @for event in events(report) {
                    @if let Some((unusual, also)) = event.split_first() {
                        li {
                            p {
                                (sentence(report, unusual))
                                @if !also.is_empty() {
                                    span.about { ". Also: "
                                        @for (index, other) in also.iter().enumerate() {
                                            @if index > 0 { ", " }
                                            (amount(other)) (of(other))
                                        }
                                    }
                                }
                            }
                            (chart::sparkline(&unusual.values, |index| is_high(unusual, index)))
                        }
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

/// Series that are highest at the same time: one event, which shows in several of them.
pub(super) fn events(report: &Report) -> Vec<Vec<&Unusual>> {
    let mut events: Vec<Vec<&Unusual>> = Vec::new();
    for unusual in &report.spikes {
        let same = |event: &&mut Vec<&Unusual>| {
            let began = event.first().map(|first| &first.highest);
            began.is_some_and(|first| (first.from..=first.to).contains(&unusual.highest.from))
        };
        match events.iter_mut().find(same) {
            Some(event) => event.push(unusual),
            None => events.push(vec![unusual]),
        }
    }
    events
}

/// What, where, when, and what would have been usual.
pub(super) fn sentence(report: &Report, unusual: &Unusual) -> Markup {
    let (first, _) = report.timeline.buckets();
    let width = report.timeline.width().seconds();
    let start = (first + i64::try_from(unusual.highest.from).unwrap_or_default()) * width * 1000;
    let spike = &unusual.highest;
    html! {
        strong { (amount(unusual)) } " in " (span(width.unsigned_abs())) (of(unusual)) ", " (second(start)) " (usually "
        (shown(unusual, spike.median)) ", unusual above " (shown(unusual, spike.bound)) ")"
        @match unusual.others.len() {
            0 => {}
            1 => ", and once more",
            more => { ", and " (more) " times more" }
        }
    }
}

fn amount(unusual: &Unusual) -> String {
    let what = match unusual.measure {
        Measure::Calls => "calls",
        Measure::Refused => "refused calls",
        Measure::Cost => "spent",
        Measure::Tokens => "tokens",
    };
    format!("{} {what}", shown(unusual, unusual.highest.peak))
}

fn of(unusual: &Unusual) -> Markup {
    html! {
        @match &unusual.of {
            Some((dimension, label)) => { " by " (dimension) " " (name(label)) },
            None => " in all",
        }
    }
}

fn shown(unusual: &Unusual, value: u64) -> String {
    match unusual.measure {
        Measure::Cost => cost(value),
        _ => count(value),
    }
}

fn is_high(unusual: &Unusual, index: usize) -> bool {
    unusual
        .spikes()
        .any(|spike| (spike.from..=spike.to).contains(&index))
}
