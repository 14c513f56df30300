//! Charts as SVG. Columns stretch with the page, text does not: a plot has coordinates of its own inside of a drawing
//! that has none.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::report::numbers;
use crate::report::timeline::Timeline;

/// Height of the plot, in pixels.
const HEIGHT: u64 = 170;
/// Units of the plot's height.
const UNITS: u128 = 1000;
/// What is not nothing can be seen.
const LEAST: u128 = 8;

/// One colour of a stack.
pub(super) struct Layer<'a> {
    /// Of the style sheet.
    pub(super) class: &'a str,
    pub(super) name: String,
    pub(super) values: Vec<u64>,
}

/// Columns over time, each a stack of layers.
pub(super) fn columns(
    timeline: &Timeline,
    layers: &[Layer<'_>],
    what: &str,
    shown: impl Fn(u64) -> String,
) -> Markup {
    let (_, buckets) = timeline.buckets();
    let total = |index: usize| -> u64 {
        layers
            .iter()
            .filter_map(|layer| layer.values.get(index))
            .fold(0, |sum, value| sum.saturating_add(*value))
    };
    let top = nice((0..buckets).map(total).max().unwrap_or_default());
    let paths = stacked(layers, buckets, top);
    let tips = (0..buckets).filter(|index| total(*index) > 0).map(|index| {
        let parts = layers.iter().filter_map(|layer| {
            let value = *layer.values.get(index)?;
            (value > 0).then(|| format!("{}: {}", layer.name, shown(value)))
        });
        let parts: Vec<String> = parts.collect();
        let tip = format!("{}\n{}", bucket_name(timeline, index), parts.join("\n"));
        (index, tip)
    });
    let bottom = HEIGHT + 12;
    let half = top.is_multiple_of(2).then_some(top / 2);
    let lines = [(Some(top), 12), (half, 12 + HEIGHT / 2)];
    html! {
        div.chart {
            svg.scale aria-hidden="true" width="40" height=(bottom + 22) {
                @for (value, y) in lines {
                    @if let Some(value) = value { text.tick x="36" y=(y + 4) text-anchor="end" { (shown(value)) } }
                }
                text.tick x="36" y=(bottom + 4) text-anchor="end" { "0" }
            }
            svg role="img" aria-label={ (what) " over time" } width="100%" height=(bottom + 22) {
                @for (value, y) in lines {
                    @if value.is_some() { line.grid x1="0" x2="100%" y1=(y) y2=(y) {} }
                }
                svg x="0" y="12" width="100%" height=(HEIGHT) viewBox={ "0 0 " (buckets.max(1)) " 1000" }
                    preserveAspectRatio="none" {
                    @for (layer, path) in layers.iter().zip(&paths) { path class=(layer.class) d=(path) {} }
                    @for (index, tip) in tips {
                        rect.tip x=(index) y="0" width="1" height="1000" { title { (tip) } }
                    }
                }
                line.axis x1="0" x2="100%" y1=(bottom) y2=(bottom) {}
                @for tick in ticks(timeline) {
                    line.axis x1=(tick.at) x2=(tick.at) y1=(bottom) y2=(bottom + 4) {}
                    text.tick x=(tick.at) y=(bottom + 17) text-anchor=(tick.anchor) { (tick.text) }
                }
            }
        }
    }
}

/// A small series, with some of its buckets marked.
pub(super) fn sparkline(values: &[u64], is_marked: impl Fn(usize) -> bool) -> Markup {
    let top = values.iter().copied().max().unwrap_or_default().max(1);
    let split = |wanted: bool| -> Vec<u64> {
        let values = values.iter().enumerate();
        values
            .map(
                |(index, value)| {
                    if is_marked(index) == wanted { *value } else { 0 }
                },
            )
            .collect()
    };
    let layer = |class, values| Layer {
        class,
        name: String::new(),
        values,
    };
    let layers = [layer("quiet", split(false)), layer("refused", split(true))];
    let paths = stacked(&layers, values.len(), top);
    html! {
        svg.spark aria-hidden="true" viewBox={ "0 0 " (values.len().max(1)) " 1000" } preserveAspectRatio="none" {
            @for (layer, path) in layers.iter().zip(&paths) { path class=(layer.class) d=(path) {} }
        }
    }
}

/// A share of a whole as a bar.
pub(super) fn bar(class: &str, part: u64, whole: u64) -> Markup {
    let width = per_mille(part, whole);
    html! {
        svg.bar aria-hidden="true" width="100%" height="8" {
            @if part > 0 { rect class=(class) width=(percent(width.max(4))) height="8" rx="2" {} }
        }
    }
}

/// Median, 95th percentile and maximum on a logarithmic scale that ends at `longest`.
pub(super) fn range(times: [u64; 3], longest: u64) -> Markup {
    let [median, high, highest] = times.map(|ms| percent(logarithmic(ms, longest)));
    html! {
        svg.range aria-hidden="true" width="100%" height="14" {
            line.thin x1=(median) x2=(highest) y1="7" y2="7" {}
            line.thick x1=(median) x2=(high) y1="7" y2="7" {}
            circle.dot cx=(median) cy="7" r="4" {}
        }
    }
}

/// When something began and how long it took, within a whole.
pub(super) fn span(class: &str, from: u64, length: u64, whole: u64) -> Markup {
    let from = per_mille(from, whole).min(990);
    let length = per_mille(length, whole).clamp(8, 1000 - from);
    html! {
        svg.span aria-hidden="true" width="100%" height="8" {
            rect class=(class) x=(percent(from)) width=(percent(length)) height="8" rx="2" {}
        }
    }
}

/// From when to when a bucket goes.
pub(super) fn bucket_name(timeline: &Timeline, index: usize) -> String {
    let (first, _) = timeline.buckets();
    let width = timeline.width().seconds();
    let start = (first + i64::try_from(index).unwrap_or_default()) * width * 1000;
    let length = numbers::span(width.unsigned_abs());
    format!("{}, {length}", numbers::second(start))
}

/// One path for each layer, on top of those before it.
fn stacked(layers: &[Layer<'_>], buckets: usize, top: u64) -> Vec<String> {
    // Wide columns have a gap between them.
    let width = if buckets <= 120 { "0.8" } else { "1" };
    let mut heights = vec![0_u128; buckets];
    let one = |layer: &Layer<'_>| {
        let mut path = String::new();
        for (index, (value, height)) in layer.values.iter().zip(&mut heights).enumerate() {
            if *value == 0 {
                continue;
            }
            let own = (u128::from(*value) * UNITS / u128::from(top.max(1))).max(LEAST);
            *height = (*height + own).min(UNITS);
            let y = UNITS - *height;
            // Writing to a string cannot fail.
            let _ = write!(path, "M{index} {y}h{width}v{own}h-{width}z");
        }
        path
    };
    layers.iter().map(one).collect()
}

struct Tick {
    /// In percent of the width.
    at: String,
    anchor: &'static str,
    text: String,
}

/// At most five, at round times.
fn ticks(timeline: &Timeline) -> Vec<Tick> {
    const STEPS: [i64; 22] = [
        1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
        172_800, 604_800, 1_209_600, 2_419_200, 31_449_600,
    ];
    let (first, buckets) = timeline.buckets();
    let width = timeline.width().seconds();
    let (start, length) = (first * width, i64::try_from(buckets).unwrap_or_default() * width);
    if length == 0 {
        return Vec::new();
    }
    let step = STEPS.into_iter().find(|step| length / step < 5);
    let step = step.unwrap_or(length / 4 + 1);
    let mut at = start.div_euclid(step) * step;
    if at < start {
        at += step;
    }
    let mut ticks = Vec::new();
    while at < start + length {
        let share = (at - start).unsigned_abs() * 1000 / length.unsigned_abs();
        ticks.push(Tick {
            at: percent(share),
            anchor: match share {
                0..60 => "start",
                940.. => "end",
                _ => "middle",
            },
            text: numbers::tick(at * 1000, step),
        });
        at += step;
    }
    ticks
}

/// The next round number.
fn nice(value: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for step in [1, 2, 3, 4, 5, 6, 8] {
            let candidate = unit.saturating_mul(step);
            if candidate >= value {
                return candidate;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

fn per_mille(part: u64, whole: u64) -> u64 {
    let share = u128::from(part) * 1000 / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(1000).min(1000)
}

fn percent(per_mille: u64) -> String {
    format!("{}.{}%", per_mille / 10, per_mille % 10)
}

/// In thousandths of the width; the scale begins at a millisecond.
fn logarithmic(ms: u64, longest: u64) -> u64 {
    // Two digits are enough for a picture: a 64-bit number has at most 64 of them.
    let log = |value: u64| {
        let value = value.saturating_add(1);
        let whole = u64::from(value.ilog2());
        whole * 1000
            + ((value - (1 << whole)) * 1000)
                .checked_shr(value.ilog2())
                .unwrap_or_default()
    };
    (log(ms) * 980 / log(longest).max(1)).min(980) + 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers_and_have_few_ticks() {
        assert_eq!(
            [0, 1, 3, 7, 11, 95, 1_234].map(nice),
            [1, 1, 3, 8, 20, 100, 2_000]
        );
        assert_eq!(nice(u64::MAX), u64::MAX);
        for length in [1, 59, 60, 3_599, 86_400, 86_400 * 45, 86_400 * 4_000] {
            let mut timeline = Timeline::default();
            timeline.bucket(1_795_209_849_914);
            timeline.bucket(1_795_209_849_914 + length * 1000);
            let ticks = ticks(&timeline);
            assert!((1..=6).contains(&ticks.len()), "{length}: {}", ticks.len());
        }
        assert!(ticks(&Timeline::default()).is_empty());
    }

    #[test]
    fn stacks_stay_inside_of_the_plot() {
        let layer = |values: &[u64]| Layer {
            class: "c1",
            name: String::new(),
            values: values.to_vec(),
        };
        let paths = stacked(&[layer(&[1000, 0, 1]), layer(&[1, 500, u64::MAX])], 3, 1000);
        assert_eq!(paths[0], "M0 0h0.8v1000h-0.8zM2 992h0.8v8h-0.8z");
        assert!(
            paths[1].starts_with("M0 0h0.8v8h-0.8zM1 500h0.8v500"),
            "{}",
            paths[1]
        );
    }

    #[test]
    fn longer_times_are_further_to_the_right() {
        let places: Vec<u64> = [0, 1, 10, 100, 1_000, 10_000]
            .map(|ms| logarithmic(ms, 10_000))
            .to_vec();
        assert!(
            places.windows(2).all(|pair| pair[0] < pair[1]) && places[5] <= 1000,
            "{places:?}"
        );
    }
}
