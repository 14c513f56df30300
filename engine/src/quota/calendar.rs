//! Days and months of the UTC calendar, which knows no summer time.

use std::fmt;
use std::time::Duration;

use crate::policy::Period;
use crate::time::UnixNanos;

const DAY_SECONDS: u64 = 86_400;
const NANOS: u64 = 1_000_000_000;
/// Days in 400 years of the Gregorian calendar, after which it repeats.
const ERA_DAYS: u64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: u64 = 719_468;

/// A date of the proleptic Gregorian calendar, displayed as `2026-11-21`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: u64,
    /// 1 to 12.
    pub(super) month: u64,
    /// 1 to 31.
    pub(super) day: u64,
}

impl Date {
    /// The UTC date at a time.
    pub(super) fn at(now: UnixNanos) -> Date {
        Date::of_day(now.seconds() / DAY_SECONDS)
    }

    /// The date that many days after 1970-01-01. Years are counted from March on, so that the leap day comes last.
    fn of_day(days: u64) -> Date {
        let days = days.saturating_add(EPOCH_DAYS);
        let (era, day) = (days / ERA_DAYS, days % ERA_DAYS);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (carry, month) = if month < 10 {
            (0, month + 3)
        } else {
            (1, month - 9)
        };
        Date {
            year: era * 400 + year + carry,
            month,
            day,
        }
    }

    /// Days since 1970-01-01, for dates from then on.
    fn days(self) -> u64 {
        let (year, month) = if self.month > 2 {
            (self.year, self.month - 3)
        } else {
            (self.year.saturating_sub(1), self.month + 9)
        };
        let leap_days = year / 4 - year / 100 + year / 400;
        (year * 365 + leap_days + (153 * month + 2) / 5 + self.day).saturating_sub(1 + EPOCH_DAYS)
    }

    /// The first of the next month.
    fn next_month(self) -> Date {
        let (year, month) = if self.month < 12 {
            (self.year, self.month + 1)
        } else {
            (self.year + 1, 1)
        };
        Date { year, month, day: 1 }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Which period a time lies in: days or months since 1970-01-01; 0 where there is only one.
pub(super) fn label(per: Period, now: UnixNanos) -> u32 {
    let number = match per {
        Period::Day => now.seconds() / DAY_SECONDS,
        Period::Month => {
            let date = Date::at(now);
            date.year.saturating_sub(1970) * 12 + date.month - 1
        }
        Period::Total => 0,
    };
    // 64 bits of nanoseconds end in the year 2554.
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// How long until the period after this one begins; `None` if there is none.
pub(super) fn until_next(per: Period, now: UnixNanos) -> Option<Duration> {
    let day = match per {
        Period::Day => now.seconds() / DAY_SECONDS + 1,
        Period::Month => Date::at(now).next_month().days(),
        Period::Total => return None,
    };
    let seconds = (day * DAY_SECONDS).saturating_sub(now.seconds() + 1);
    let nanos = NANOS - now.0 % NANOS;
    Some(Duration::from_secs(seconds) + Duration::from_nanos(nanos))
}
