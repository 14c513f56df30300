//! Counting by name, in bounded memory: what happens often is counted exactly, the long rest together.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use super::counts::Counts;
use super::timeline::{Series, Timeline};

/// How many names are kept when there are too many of them.
pub(crate) const KEPT: usize = 2_000;
/// In milliseconds; what takes longer counts as this.
const LONGEST_MS: u64 = 7 * 24 * 3600 * 1000;

/// Everything about one name.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) counts: Counts,
    pub(crate) series: Series,
    pub(crate) times: Times,
    pub(crate) outcomes: Names,
}

/// How long answers took.
#[derive(Debug, Default)]
pub(crate) struct Times {
    histogram: Option<Box<Histogram<u32>>>,
    longest: u64,
}

/// Entries by name; what has no name, and the names that were too many, have their own.
#[derive(Debug, Default)]
pub(crate) struct Dimension {
    entries: HashMap<Box<str>, Entry>,
    /// Calls without a name.
    pub(crate) none: Entry,
    /// Calls with names that are not kept.
    pub(crate) other: Entry,
    /// How many times a name was given up.
    pub(crate) given_up: u64,
}

/// How often each of a few names occurs; where they are not few, the rest is `other`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    counts: HashMap<Box<str>, u64>,
    pub(crate) other: u64,
}

/// One call, as it is counted under each of its names.
pub(crate) struct Call<'a> {
    pub(crate) bucket: i64,
    pub(crate) counts: Counts,
    /// Until the answer, if it went on.
    pub(crate) took_ms: Option<u64>,
    pub(crate) outcome: Option<&'a str>,
}

impl Entry {
    pub(crate) fn add(&mut self, timeline: &Timeline, call: &Call<'_>) {
        self.counts.add(&call.counts);
        self.series.add(timeline, call.bucket, &call.counts);
        if let Some(ms) = call.took_ms {
            self.times.add(ms);
        }
        if let Some(outcome) = call.outcome {
            self.outcomes.add(outcome);
        }
    }

    fn merge(&mut self, timeline: &Timeline, other: Entry) {
        self.counts.add(&other.counts);
        self.series.merge(timeline, other.series);
        self.times.merge(other.times);
        self.outcomes.merge(&other.outcomes);
    }
}

impl Times {
    fn add(&mut self, ms: u64) {
        let ms = ms.min(LONGEST_MS);
        self.longest = self.longest.max(ms);
        if let Some(histogram) = self.made() {
            // It grows as far as it has to; only one that cannot grow refuses.
            let _ = histogram.record(ms);
        }
    }

    fn merge(&mut self, other: Times) {
        self.longest = self.longest.max(other.longest);
        if let (Some(mine), Some(others)) = (self.made(), other.histogram) {
            let _ = mine.add(&*others);
        }
    }

    /// Two digits are exact.
    fn made(&mut self) -> Option<&mut Histogram<u32>> {
        if self.histogram.is_none() {
            self.histogram = Histogram::new(2).ok().map(Box::new);
        }
        self.histogram.as_deref_mut()
    }

    pub(crate) fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, |histogram| histogram.len())
    }

    /// In milliseconds; `share` is 0.5 for the median.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let value = |histogram: &Histogram<u32>| histogram.value_at_quantile(share).min(self.longest);
        self.histogram.as_deref().map_or(0, value)
    }
}

impl Dimension {
    pub(crate) fn add(&mut self, timeline: &Timeline, name: Option<&str>, call: &Call<'_>) {
        let Some(name) = name else {
            return self.none.add(timeline, call);
        };
        if let Some(entry) = self.entries.get_mut(name) {
            return entry.add(timeline, call);
        }
        if self.entries.len() >= 2 * KEPT {
            self.shrink(timeline);
        }
        self.entries.entry(name.into()).or_default().add(timeline, call);
    }

    /// By calls, most first; equals by name. Without those that have none.
    pub(crate) fn sorted(&self) -> Vec<(&str, &Entry)> {
        let mut sorted: Vec<_> = self
            .entries
            .iter()
            .map(|(name, entry)| (&**name, entry))
            .collect();
        sorted.sort_unstable_by(|a, b| b.1.counts.calls.cmp(&a.1.counts.calls).then_with(|| a.0.cmp(b.0)));
        sorted
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn shrink(&mut self, timeline: &Timeline) {
        let mut calls: Vec<u64> = self.entries.values().map(|entry| entry.counts.calls).collect();
        calls.sort_unstable_by(|a, b| b.cmp(a));
        let least = calls.get(KEPT).copied().unwrap_or_default();
        let other = &mut self.other;
        let mut given_up = 0;
        self.entries.retain(|_, entry| {
            let stays = entry.counts.calls > least;
            if !stays {
                given_up += 1;
                other.merge(timeline, std::mem::take(entry));
            }
            stays
        });
        self.given_up += given_up;
    }
}

impl Names {
    /// Reasons, outcomes, methods and policies are few.
    const MOST: usize = 64;

    pub(crate) fn add(&mut self, name: &str) {
        self.add_many(name, 1);
    }

    fn add_many(&mut self, name: &str, times: u64) {
        if let Some(count) = self.counts.get_mut(name) {
            *count += times;
        } else if self.counts.len() < Self::MOST {
            self.counts.insert(name.into(), times);
        } else {
            self.other += times;
        }
    }

    fn merge(&mut self, other: &Names) {
        for (name, count) in &other.counts {
            self.add_many(name, *count);
        }
        self.other += other.other;
    }

    /// Most first; equals by name.
    pub(crate) fn sorted(&self) -> Vec<(&str, u64)> {
        let mut sorted: Vec<_> = self
            .counts
            .iter()
            .map(|(name, count)| (&**name, *count))
            .collect();
        sorted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        sorted
    }

    pub(crate) fn get(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    pub(crate) fn total(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call<'static> {
        Call {
            bucket: 0,
            counts: Counts {
                calls: 1,
                tokens: u64::MAX,
                ..Counts::default()
            },
            took_ms: Some(7),
            outcome: Some("ok"),
        }
    }

    #[test]
    fn names_without_number_leave_what_is_frequent_exact() {
        let mut timeline = Timeline::default();
        timeline.bucket(0);
        let mut tools = Dimension::default();
        for number in 0..20_000_u64 {
            tools.add(&timeline, Some(&format!("flood{number}")), &call());
            if number % 10 == 0 {
                tools.add(&timeline, Some("docs/search"), &call());
            }
        }
        assert!(tools.len() <= 2 * KEPT);
        let first = tools.sorted()[0];
        assert_eq!((first.0, first.1.counts.calls), ("docs/search", 2_000));
        let kept: u64 = tools.sorted().iter().map(|(_, entry)| entry.counts.calls).sum();
        assert_eq!(kept + tools.other.counts.calls, 22_000);
        assert_eq!(tools.other.times.count() + kept, 22_000);
        assert_eq!(tools.other.counts.calls, tools.given_up);
    }

    #[test]
    fn times_are_exact_to_two_digits_and_bounded() {
        let mut times = Times::default();
        for ms in 1..=1000 {
            times.add(ms);
        }
        assert!(
            (495..=505).contains(&times.quantile(0.5)),
            "{}",
            times.quantile(0.5)
        );
        assert_eq!(times.quantile(1.0), 1000);
        times.add(u64::MAX);
        assert_eq!(times.quantile(1.0), LONGEST_MS);
        assert_eq!((Times::default().quantile(0.5), times.count()), (0, 1001));
    }
}
