//! When things happened: buckets that grow with the time between the first record and the last.

use super::counts::Counts;

/// In seconds. Each divides the next, so that buckets can be joined.
const WIDTHS: [i64; 16] = [
    1,
    5,
    15,
    60,
    300,
    900,
    3600,
    3 * 3600,
    6 * 3600,
    12 * 3600,
    86_400,
    7 * 86_400,
    28 * 86_400,
    364 * 86_400,
    3_640 * 86_400,
    36_400 * 86_400,
];
/// More than this many buckets become fewer and wider ones.
pub(crate) const MOST: i64 = 180;

/// The buckets that all series have in common.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timeline {
    width: Width,
    /// The first and the last record, in Unix milliseconds.
    range: Option<(i64, i64)>,
}

/// An index of [`WIDTHS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Width(usize);

/// What happened in which bucket. Buckets with nothing in them take no room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    width: Width,
    points: Vec<(i64, Counts)>,
}

impl Timeline {
    /// Takes a time in and returns its bucket.
    pub(crate) fn bucket(&mut self, ms: i64) -> i64 {
        let (first, last) = self
            .range
            .map_or((ms, ms), |(first, last)| (first.min(ms), last.max(ms)));
        self.range = Some((first, last));
        while self.width.of(last) - self.width.of(first) >= MOST && self.width.0 + 1 < WIDTHS.len() {
            self.width.0 += 1;
        }
        self.width.of(ms)
    }

    /// The first and the last record, in Unix milliseconds.
    pub(crate) fn range(&self) -> Option<(i64, i64)> {
        self.range
    }

    pub(crate) fn width(&self) -> Width {
        self.width
    }

    /// The first bucket, and how many there are.
    pub(crate) fn buckets(&self) -> (i64, usize) {
        let Some((first, last)) = self.range else {
            return (0, 0);
        };
        let (first, last) = (self.width.of(first), self.width.of(last));
        (first, usize::try_from(last - first + 1).unwrap_or_default())
    }
}

impl Width {
    pub(crate) fn seconds(self) -> i64 {
        WIDTHS.get(self.0).copied().unwrap_or(1)
    }

    fn of(self, ms: i64) -> i64 {
        ms.div_euclid(self.seconds() * 1000)
    }
}

impl Series {
    /// Adds to a bucket of the timeline.
    pub(crate) fn add(&mut self, timeline: &Timeline, bucket: i64, counts: &Counts) {
        self.widen(timeline.width());
        match self.points.last_mut() {
            // Logs are written in order, nearly.
            Some((last, point)) if *last == bucket => point.add(counts),
            Some((last, _)) if *last > bucket => {
                match self.points.binary_search_by_key(&bucket, |point| point.0) {
                    Ok(index) => self
                        .points
                        .iter_mut()
                        .skip(index)
                        .take(1)
                        .for_each(|(_, point)| point.add(counts)),
                    Err(index) => self.points.insert(index, (bucket, *counts)),
                }
            }
            _ => self.points.push((bucket, *counts)),
        }
    }

    /// Adds everything of another series.
    pub(crate) fn merge(&mut self, timeline: &Timeline, mut other: Series) {
        other.widen(timeline.width());
        for (bucket, counts) in &other.points {
            self.add(timeline, *bucket, counts);
        }
    }

    /// One value for each bucket of the timeline.
    pub(crate) fn values(&self, timeline: &Timeline, of: impl Fn(&Counts) -> u64) -> Vec<u64> {
        let (first, length) = timeline.buckets();
        let mut values = vec![0; length];
        let mut points = self.clone();
        points.widen(timeline.width());
        for (bucket, counts) in &points.points {
            let index = usize::try_from(bucket - first).unwrap_or(usize::MAX);
            if let Some(value) = values.get_mut(index) {
                *value = of(counts);
            }
        }
        values
    }

    fn widen(&mut self, width: Width) {
        if self.width == width {
            return;
        }
        let factor = width.seconds() / self.width.seconds();
        self.width = width;
        let mut joined: Vec<(i64, Counts)> = Vec::new();
        for (bucket, counts) in self.points.drain(..) {
            let bucket = bucket.div_euclid(factor);
            match joined.last_mut() {
                Some((last, point)) if *last == bucket => point.add(&counts),
                _ => joined.push((bucket, counts)),
            }
        }
        self.points = joined;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Counts {
        Counts {
            calls: 1,
            ..Counts::default()
        }
    }

    #[test]
    fn widths_divide_each_other() {
        assert!(WIDTHS.windows(2).all(|pair| pair[1] % pair[0] == 0));
    }

    #[test]
    fn nothing_is_lost_as_buckets_grow_in_whatever_order() {
        for step in [700, 40_000, 3_000_000, 400_000_000_i64] {
            let mut timeline = Timeline::default();
            let (mut series, mut seldom) = (Series::default(), Series::default());
            for number in 0..5_000_i64 {
                // Forth and back.
                let ms = (number * 2_654_435_761 % 5_000) * step - 1_000_000;
                let bucket = timeline.bucket(ms);
                series.add(&timeline, bucket, &one());
                if number % 1_000 == 0 {
                    seldom.add(&timeline, bucket, &one());
                }
            }
            let (_, length) = timeline.buckets();
            assert!(
                length <= usize::try_from(MOST).unwrap() && length > 20,
                "{length} of {step}"
            );
            series.merge(&timeline, seldom);
            let values = series.values(&timeline, |counts| counts.calls);
            assert_eq!(values.len(), length);
            assert_eq!(values.iter().sum::<u64>(), 5_005);
        }
    }

    #[test]
    fn times_of_every_year_are_taken() {
        let mut timeline = Timeline::default();
        for ms in [-62_135_596_800_000, 253_402_300_799_999] {
            timeline.bucket(ms);
        }
        assert!(timeline.buckets().1 < 200);
    }
}
