//! Unusual spikes: buckets far above what a series mostly is.
//!
//! A bucket is high if it is above median + 6 × spread, where the spread is the median absolute deviation, but never less
//! than the square root of the median, as it is for events that come by chance, nor than a tenth of it. The median takes
//! no notice of the spike itself. What is small is no spike, and what is high in more than one bucket of twenty is how
//! that series is.

/// How many spreads above the median.
pub(crate) const SPREADS: u64 = 6;
/// Fewer buckets than this say nothing about what is usual.
pub(crate) const FEWEST_BUCKETS: usize = 12;
/// Of so many buckets, one may be high.
pub(crate) const ONE_IN: usize = 20;

/// Buckets in a row that are high.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spike {
    /// Index of the first.
    pub(crate) from: usize,
    /// Index of the last.
    pub(crate) to: usize,
    /// The highest of them.
    pub(crate) peak: u64,
    /// What is usual.
    pub(crate) median: u64,
    /// What would still have been.
    pub(crate) bound: u64,
}

impl Spike {
    /// By how many times the peak is above what would have been usual, in percent: the order of the list.
    pub(crate) fn weight(&self) -> u64 {
        self.peak.saturating_mul(100) / self.bound.max(1)
    }
}

/// The spikes of a series of buckets in which a value below `least` is none.
pub(crate) fn of(values: &[u64], least: u64) -> Vec<Spike> {
    if values.len() < FEWEST_BUCKETS {
        return Vec::new();
    }
    let middle = median(values.to_vec());
    let deviations = values.iter().map(|value| value.abs_diff(middle)).collect();
    let spread = median(deviations).max(middle.isqrt()).max(middle / 10).max(1);
    let bound = middle.saturating_add(spread.saturating_mul(SPREADS));
    let is_high = |value: u64| value > bound && value >= least;
    let high = values.iter().filter(|value| is_high(**value)).count();
    if high > (values.len() / ONE_IN).max(1) {
        return Vec::new();
    }
    let mut spikes: Vec<Spike> = Vec::new();
    for (index, &value) in values.iter().enumerate().filter(|(_, value)| is_high(**value)) {
        match spikes.last_mut() {
            Some(last) if last.to + 1 == index => {
                last.to = index;
                last.peak = last.peak.max(value);
            }
            _ => spikes.push(Spike {
                from: index,
                to: index,
                peak: value,
                median: middle,
                bound,
            }),
        }
    }
    spikes
}

/// The lower one of an even number.
fn median(mut values: Vec<u64>) -> u64 {
    let middle = values.len().saturating_sub(1) / 2;
    values.sort_unstable();
    values.get(middle).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_is_found_once_with_all_its_buckets() {
        let mut values = vec![10; 60];
        for (index, value) in values.iter_mut().enumerate() {
            *value += (index % 5) as u64;
        }
        assert_eq!(of(&values, 20), []);
        values[30] = 200;
        values[31] = 150;
        let spikes = of(&values, 20);
        assert_eq!(spikes.len(), 1);
        assert_eq!(
            (spikes[0].from, spikes[0].to, spikes[0].peak, spikes[0].median),
            (30, 31, 200, 12)
        );
        assert!(spikes[0].bound < 40);
        assert_eq!(of(&values, 201), []);
    }

    #[test]
    fn what_always_comes_in_bursts_and_what_is_too_short_has_none() {
        let bursts: Vec<u64> = (0..60)
            .map(|index| if index % 7 == 0 { 500 } else { 0 })
            .collect();
        assert_eq!(of(&bursts, 20), []);
        assert_eq!(of(&[0, 0, 0, 900], 20), []);
        assert_eq!(of(&[], 0), []);
        // One burst in a quiet series is one.
        let once: Vec<u64> = (0..60).map(|index| u64::from(index == 7) * 500).collect();
        assert_eq!(of(&once, 20).len(), 1);
    }

    #[test]
    fn no_value_is_too_large() {
        let mut values = vec![u64::MAX / 2; 30];
        values[3] = u64::MAX;
        assert!(of(&values, 1).len() <= 1);
    }
}
