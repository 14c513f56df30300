//! Calls, cost and tokens over time: all together, and by team, key and tool.

use maud::{Markup, html};

use super::Section;
use super::chart::{self, Layer};
use super::text::{name, shown};
use crate::report::numbers::{self, cost, count, percent, short};
use crate::report::tally::{Dimension, Entry, KEPT};
use crate::report::{Counts, Measure, Report};

/// Colours of the style sheet; what is not among the first is grey.
const COLOURS: [&str; 6] = ["c1", "c2", "c3", "c4", "c5", "c6"];
/// Rows of a table; the rest is one.
const ROWS: usize = 15;
const MEASURES: [(Measure, &str); 3] = [
    (Measure::Calls, "Calls"),
    (Measure::Cost, "Cost"),
    (Measure::Tokens, "Result tokens"),
];

/// All calls: those that went on, and those that did not.
pub(super) fn total(report: &Report) -> Markup {
    if report.total.counts.calls == 0 {
        return html! {};
    }
    let values = |of: fn(&Counts) -> u64| report.total.series.values(&report.timeline, of);
    let layers = [
        Layer {
            class: "allowed",
            name: "went on".to_owned(),
            values: values(Counts::went_on),
        },
        Layer {
            class: "refused",
            name: "refused".to_owned(),
            values: values(|counts| counts.refused),
        },
    ];
    html! {
        figure {
            figcaption {
                "Tool calls per " (width(report)) ": "
                span.legend { "went on" } " and " span.legend.refused { "refused" }
            }
            (chart::columns(&report.timeline, &layers, "Tool calls", short))
        }
    }
}

pub(super) fn section(report: &Report) -> Section {
    let dimensions = report.dimensions();
    let body = html! {
        @if report.total.counts.calls == 0 {
            p.empty { "There is no tool call in the log." }
        } @else {
            div.explorer {
                // The choice is the browser's own: radio buttons, and a style sheet that looks at them.
                @for (index, (dimension, _)) in dimensions.iter().enumerate() {
                    input type="radio" name="by" id={ "by-" (dimension) } checked[index == 0];
                    label for={ "by-" (dimension) } { "by " (dimension) }
                }
                span.gap {}
                @for (index, (measure, title)) in MEASURES.iter().enumerate() {
                    input type="radio" name="measure" id={ "m-" (measure.as_str()) } checked[index == 0];
                    label for={ "m-" (measure.as_str()) } { (title) }
                }
                div.panels {
                    @for (dimension, names) in dimensions { (panel(report, dimension, names)) }
                }
            }
            (as_table(report))
        }
    };
    Section {
        id: "time",
        title: "Over time",
        body,
    }
}

fn panel(report: &Report, dimension: &str, names: &Dimension) -> Markup {
    let shown_first = colourful(names);
    let colour = |name: &str| {
        shown_first
            .iter()
            .position(|first| *first == name)
            .and_then(|index| COLOURS.get(index))
    };
    let sorted = names.sorted();
    html! {
        div class={ "panel " (dimension) } {
            @for (measure, title) in MEASURES {
                @let layers = layers(report, names, &shown_first, measure);
                figure class=(measure.as_str()) {
                    figcaption { (title) " per " (width(report)) ", by " (dimension) }
                    @if measure == Measure::Cost {
                        (chart::columns(&report.timeline, &layers, title, cost))
                    } @else {
                        (chart::columns(&report.timeline, &layers, title, short))
                    }
                }
            }
            div.scroll {
                table {
                    thead { tr {
                        th { (dimension) } th.num { "calls" } th.num { "refused" } th.num.opt { "failed" }
                        th.num { "cost" } th.num.opt { "tokens" }
                    } }
                    tbody {
                        @for (label, entry) in sorted.iter().take(ROWS) {
                            (row(&html! { span.swatch.(colour(label).copied().unwrap_or("other")) {} (name(label)) }, entry))
                        }
                        @let rest = rest(&sorted, names);
                        @if rest.calls > 0 {
                            (counts_row(&html! { span.swatch.other {} i.none { "other " (dimension) "s" } }, &rest))
                        }
                        @if names.none.counts.calls > 0 {
                            (row(&html! { span.swatch.other {} i.none { "without a " (dimension) } }, &names.none))
                        }
                    }
                }
            }
            @if names.given_up > 0 {
                p.about { "There are very many names; those that are not among the " (count(KEPT as u64))
                    " most frequent ones are counted together." }
            }
        }
    }
}

fn row(label: &Markup, entry: &Entry) -> Markup {
    counts_row(label, &entry.counts)
}

fn counts_row(label: &Markup, counts: &Counts) -> Markup {
    html! {
        tr {
            th scope="row" { (label) }
            td.num { (count(counts.calls)) }
            td.num { @if counts.refused > 0 { span.bad { (count(counts.refused)) } } @else { "0" } }
            td.num.opt { (count(counts.failed))
                @if counts.failed > 0 { span.share { (percent(counts.failed, counts.went_on())) } } }
            td.num { (cost(counts.cost_micros)) }
            td.num.opt { (short(counts.tokens)) }
        }
    }
}

/// Everything behind the rows.
fn rest(sorted: &[(&str, &Entry)], names: &Dimension) -> Counts {
    let mut rest = names.other.counts;
    for (_, entry) in sorted.iter().skip(ROWS) {
        rest.add(&entry.counts);
    }
    rest
}

/// The names that get colours of their own, the same in all charts: half by calls, then by cost and by tokens.
fn colourful(names: &Dimension) -> Vec<&str> {
    let mut first: Vec<&str> = Vec::new();
    let mut sorted = names.sorted();
    for (measure, up_to) in [
        (Measure::Calls, 4),
        (Measure::Cost, 5),
        (Measure::Tokens, 6),
        (Measure::Calls, 6),
    ] {
        sorted.sort_by_key(|(_, entry)| std::cmp::Reverse(measure.of(&entry.counts)));
        for (name, entry) in &sorted {
            if first.len() < up_to && measure.of(&entry.counts) > 0 && !first.contains(name) {
                first.push(name);
            }
        }
    }
    // Blue is what is most frequent, whatever brought the others in.
    sorted.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.counts.calls));
    let mut ordered: Vec<&str> = sorted.into_iter().map(|(name, _)| name).collect();
    ordered.retain(|name| first.contains(name));
    ordered
}

fn layers<'a>(report: &Report, names: &Dimension, first: &[&str], measure: Measure) -> Vec<Layer<'a>> {
    let timeline = &report.timeline;
    let values = |entry: &Entry| entry.series.values(timeline, |counts| measure.of(counts));
    let mut rest = values(&report.total);
    let mut layers: Vec<Layer<'a>> = Vec::new();
    let sorted = names.sorted();
    for (name, class) in first.iter().zip(COLOURS) {
        let Some((_, entry)) = sorted.iter().find(|(other, _)| other == name) else {
            continue;
        };
        let values = values(entry);
        for (rest, value) in rest.iter_mut().zip(&values) {
            *rest = rest.saturating_sub(*value);
        }
        layers.push(Layer {
            class,
            name: shown(name).chars().take(60).collect(),
            values,
        });
    }
    layers.push(Layer {
        class: "other",
        name: "other".to_owned(),
        values: rest,
    });
    layers
}

/// The numbers of the charts, for those who do not see them.
fn as_table(report: &Report) -> Markup {
    let values = |measure: Measure| {
        report
            .total
            .series
            .values(&report.timeline, |counts| measure.of(counts))
    };
    let (calls, refused) = (values(Measure::Calls), values(Measure::Refused));
    let (costs, tokens) = (values(Measure::Cost), values(Measure::Tokens));
    let rows = calls.iter().zip(refused).zip(costs).zip(tokens).enumerate();
    html! {
        details {
            summary { "All calls over time, as a table" }
            div.scroll {
                table {
                    thead { tr { th { "from" } th.num { "calls" } th.num { "refused" } th.num { "cost" } th.num.opt { "tokens" } } }
                    tbody {
                        @for (index, (((calls, refused), money), tokens)) in rows {
                            @if *calls > 0 {
                                tr {
                                    th scope="row" { (chart::bucket_name(&report.timeline, index)) }
                                    td.num { (count(*calls)) } td.num { (count(refused)) }
                                    td.num { (cost(money)) } td.num.opt { (count(tokens)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn width(report: &Report) -> String {
    match report.timeline.width().seconds() {
        1 => "second".to_owned(),
        60 => "minute".to_owned(),
        3_600 => "hour".to_owned(),
        86_400 => "day".to_owned(),
        seconds => numbers::span(seconds.unsigned_abs()),
    }
}
