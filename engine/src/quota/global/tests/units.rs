use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use super::super::scale::Scale;
use super::super::unit::{Fit, Unit};
use super::{NOW, at};
use crate::policy::Period;
use crate::time::UnixNanos;

const DAY: u64 = 86_400;

fn fit(seconds: u64) -> Fit {
    Fit::of_window(Duration::from_secs(seconds)).unwrap_or_else(|| panic!("{seconds} s"))
}

fn label(fit: Fit, now: UnixNanos) -> Option<(&'static str, String)> {
    fit.label(now).map(|label| (label.key, label.value))
}

#[test]
fn windows_map_to_units() {
    let now = NOW.seconds();
    for (seconds, unit, window) in [
        (1, Unit::Second, None),
        (60, Unit::Minute, None),
        (3_600, Unit::Hour, None),
        (DAY, Unit::Day, None),
        (30 * DAY, Unit::Month, None),
        (365 * DAY, Unit::Year, None),
        (2, Unit::Minute, Some(now / 2 % 60)),
        (10, Unit::Minute, Some(now / 10 % 12)),
        (30, Unit::Minute, Some(now / 30 % 4)),
        (8, Unit::Hour, Some(now / 8 % 900)),
        (300, Unit::Hour, Some(now / 300 % 24)),
        (1_800, Unit::Hour, Some(now / 1_800 % 4)),
        (2_700, Unit::Day, Some(now / 2_700 % 64)),
        (43_200, Unit::Day, Some(now / 43_200 % 4)),
        (36 * 3_600, Unit::Year, Some(now / (36 * 3_600))),
        (7 * DAY, Unit::Year, Some(now / (7 * DAY))),
        (364 * DAY, Unit::Year, Some(now / (364 * DAY))),
    ] {
        let fit = fit(seconds);
        let window = window.map(|number: u64| ("window", number.to_string()));
        assert_eq!((fit.unit, label(fit, NOW)), (unit, window), "{seconds} s");
    }
}

#[test]
fn windows_that_the_service_cannot_count() {
    for length in [
        Duration::ZERO,
        Duration::from_millis(500),
        Duration::from_millis(60_500),
        Duration::from_mins(7),
        Duration::from_secs(DAY - 1),
        Duration::from_millis(DAY * 1_000 + 1),
        Duration::from_secs(365 * DAY + 1),
        Duration::MAX,
    ] {
        assert_eq!(Fit::of_window(length), None, "{length:?}");
    }
    assert_eq!(Fit::of_period(Period::Total), None);
}

#[test]
fn units_are_numbered_as_in_the_protocol() {
    let numbers = [
        Unit::Second,
        Unit::Minute,
        Unit::Hour,
        Unit::Day,
        Unit::Month,
        Unit::Year,
    ]
    .map(|unit| (unit.number(), unit.seconds()));
    let expected = [
        (1, 1),
        (2, 60),
        (3, 3_600),
        (4, DAY),
        (5, 2_592_000),
        (6, 31_536_000),
    ];
    assert_eq!(numbers, expected);
}

#[test]
fn periods() {
    let day = Fit::of_period(Period::Day).unwrap();
    assert_eq!((day.unit, label(day, NOW)), (Unit::Day, None));
    let month = Fit::of_period(Period::Month).unwrap();
    assert_eq!(month.unit, Unit::Year);
    for (now, name, left) in [
        (1_795_178_096, "2026-11", 10 * DAY + 41_104),
        // The last second of November and the first of December.
        (1_796_083_199, "2026-11", 1),
        (1_796_083_200, "2026-12", 31 * DAY),
        // The turn of a year, and a leap day.
        (1_798_761_599, "2026-12", 1),
        (1_798_761_600, "2027-01", 31 * DAY),
        (1_835_481_599, "2028-02", 1),
        (1_835_395_200, "2028-02", DAY),
        (1_835_481_600, "2028-03", 31 * DAY),
        (0, "1970-01", 31 * DAY),
    ] {
        assert_eq!(label(month, at(now)), Some(("period", name.to_owned())), "{now}");
        assert_eq!(month.left(at(now)), Duration::from_secs(left), "{now}");
    }
}

#[test]
fn a_label_changes_where_its_window_ends_and_nowhere_else() {
    for seconds in [2, 10, 300, 2_700, 43_200, 36 * 3_600, 7 * DAY] {
        let fit = fit(seconds);
        let start = NOW.seconds() / seconds * seconds;
        let (first, last) = (at(start), UnixNanos(at(start + seconds).0 - 1));
        assert_eq!(fit.label(first), fit.label(last), "{seconds} s");
        assert_ne!(fit.label(last), fit.label(at(start + seconds)), "{seconds} s");
        assert_ne!(fit.label(first), fit.label(UnixNanos(first.0 - 1)), "{seconds} s");
        assert_eq!(fit.left(first), Duration::from_secs(seconds));
        assert_eq!(fit.left(last), Duration::from_nanos(1));
    }
}

#[test]
fn a_window_is_alone_under_its_label_in_its_unit_and_the_next() {
    for seconds in [2, 8, 300, 2_700] {
        let fit = fit(seconds);
        let unit = fit.unit.seconds();
        let start = NOW.seconds() / unit * unit;
        let windows = 2 * unit / seconds;
        let labels: HashSet<_> = (0..windows)
            .map(|i| label(fit, at(start + i * seconds)))
            .collect();
        assert_eq!(labels.len() as u64, windows, "{seconds} s");
        assert_eq!(
            label(fit, at(start)),
            label(fit, at(start + 2 * unit)),
            "{seconds} s"
        );
    }
}

/// The service's year ends at multiples of 365 days. Where a window ends there as well, its count goes on to its end.
#[test]
fn the_seam_is_where_the_year_ends_within_a_window() {
    let years = 57..70;
    assert_eq!(365 * DAY * years.start, 1_797_552_000, "2026-12-18T00:00:00Z");
    let goes_on = |fit: Fit| {
        years.clone().map(|year| at(year * 365 * DAY)).any(|seam| {
            let before = label(fit, UnixNanos(seam.0 - 1));
            before.is_some() && before == label(fit, seam)
        })
    };
    for (seconds, has_seam) in [
        (1, false),
        (300, false),
        (2_700, false),
        (DAY, false),
        (5 * DAY, false),
        (73 * DAY, false),
        (365 * DAY, false),
        (36 * 3_600, true),
        (7 * DAY, true),
        (364 * DAY, true),
    ] {
        assert_eq!(goes_on(fit(seconds)), has_seam, "{seconds} s");
    }
    assert!(goes_on(Fit::of_period(Period::Month).unwrap()));
    assert!(!goes_on(Fit::of_period(Period::Day).unwrap()));
}

#[test]
fn scales() {
    const MAX: u64 = u32::MAX as u64;
    for (limit, exponent, units) in [
        (1, 0, 1),
        (MAX, 0, u32::MAX),
        (MAX + 1, 1, 429_496_729),
        (5_000_000_000, 1, 500_000_000),
        (10 * MAX + 9, 1, u32::MAX),
        (10 * MAX + 10, 2, 429_496_729),
        (u64::MAX, 10, 1_844_674_407),
    ] {
        let (scale, got) = Scale::of(limit);
        assert_eq!((scale.exponent, got), (exponent, units), "{limit}");
    }
    let (tens, _) = Scale::of(5_000_000_000);
    for (micros, charged) in [
        (0, 1),
        (1, 1),
        (10, 1),
        (11, 2),
        (20, 2),
        (u64::MAX, u64::MAX / 10 + 1),
    ] {
        assert_eq!(tens.charged(micros), charged, "{micros}");
    }
}

proptest! {
    #[test]
    fn never_more_is_let_through_than_the_limit(limit in 1_u64.., cost in any::<u64>()) {
        let (scale, units) = Scale::of(limit);
        let unit = 10_u128.pow(scale.exponent);
        // The limit is not above the real one, and less than a unit below it.
        prop_assert!(u128::from(units) * unit <= u128::from(limit));
        prop_assert!((u128::from(units) + 1) * unit > u128::from(limit));
        // The smallest scale.
        prop_assert!(scale.exponent == 0 || u128::from(limit) / (unit / 10) > u128::from(u32::MAX));
        // A cost is not charged less than it is, nor a whole unit more, but for nothing.
        let charged = u128::from(scale.charged(cost)) * unit;
        prop_assert!(charged >= u128::from(cost));
        prop_assert!(charged < u128::from(cost) + unit || cost == 0);
        prop_assert_eq!(u128::from(scale.micros(units)), u128::from(units) * unit);
    }

    #[test]
    fn no_time_and_no_window_is_too_odd(seconds in any::<u64>(), nanos in 0_u32..1_000_000_000, now in any::<u64>()) {
        for length in [seconds, seconds % (366 * DAY), seconds % DAY] {
            let fits = [Fit::of_window(Duration::new(length, nanos)), Fit::of_window(Duration::from_secs(length))];
            for fit in fits.into_iter().flatten() {
                let _ = fit.label(UnixNanos(now));
                let left = fit.left(UnixNanos(now));
                prop_assert!(left > Duration::ZERO && left <= Duration::from_secs(length));
            }
        }
    }
}
