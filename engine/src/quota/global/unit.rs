//! The windows that the rate limit service knows, and how the policy's windows are counted in them.
//!
//! `envoyproxy/ratelimit` counts in fixed windows that are aligned to the Unix epoch: second, minute, hour, day,
//! 30 days (`MONTH`) and 365 days (`YEAR`).
//! <https://github.com/envoyproxy/ratelimit/blob/main/src/utils/utilities.go>
//!
//! A window of exactly such a length needs nothing else. Any other one is counted in a longer unit under a label that
//! changes where the window ends: a calendar month as `2026-11`, the rest as a number.
//!
//! **The seam.** A label keeps its count only as long as the unit around it lasts. Below a day that never shows,
//! because these windows divide their unit. Windows of a day and more are labelled within `YEAR`, which ends every
//! 365 days after the epoch (2026-12-18, 2027-12-18, 2028-12-17, …): the window that this moment falls into starts
//! again in its middle, and may admit up to twice its limit. Only windows that 365 days are a multiple of (like 5 and
//! 73 days) have no seam.

use std::time::Duration;

use crate::policy::Period;
use crate::quota::calendar::{self, Date};
use crate::time::UnixNanos;

const DAY: u64 = 86_400;

/// A unit of the service.
/// <https://www.envoyproxy.io/docs/envoy/latest/api-v3/type/v3/ratelimit_unit.proto>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Second = 1,
    Minute = 2,
    Hour = 3,
    Day = 4,
    Month = 5,
    Year = 6,
}

impl Unit {
    /// From the shortest on.
    const ALL: [Unit; 6] = [
        Unit::Second,
        Unit::Minute,
        Unit::Hour,
        Unit::Day,
        Unit::Month,
        Unit::Year,
    ];

    /// Its number in the protocol.
    pub(super) fn number(self) -> i32 {
        self as i32
    }

    /// How long it is, in seconds.
    pub(super) fn seconds(self) -> u64 {
        match self {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 3_600,
            Unit::Day => DAY,
            Unit::Month => 30 * DAY,
            Unit::Year => 365 * DAY,
        }
    }
}

/// How a window of the policy is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// The unit that it is counted in.
    pub(super) unit: Unit,
    rhythm: Rhythm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rhythm {
    /// The unit's own.
    Unit,
    /// A new window every so many seconds after the epoch.
    Every(u64),
    /// Calendar months.
    Month,
}

/// What tells a window from the others in its unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    /// The descriptor entry.
    pub(super) key: &'static str,
    /// Its value.
    pub(super) value: String,
}

impl Fit {
    /// How a quota's window is counted; `None` if it cannot be: it is no whole number of seconds, shorter than a day
    /// without dividing it, or longer than 365 days.
    pub(super) fn of_window(length: Duration) -> Option<Fit> {
        let seconds = length.as_secs();
        if length.subsec_nanos() != 0 || seconds == 0 || seconds > Unit::Year.seconds() {
            return None;
        }
        if let Some(unit) = Unit::ALL.into_iter().find(|unit| unit.seconds() == seconds) {
            return Some(Fit {
                unit,
                rhythm: Rhythm::Unit,
            });
        }
        let unit = if seconds > DAY {
            Unit::Year
        } else {
            Unit::ALL
                .into_iter()
                .take_while(|unit| unit.seconds() <= DAY)
                .find(|unit| unit.seconds().is_multiple_of(seconds))?
        };
        Some(Fit {
            unit,
            rhythm: Rhythm::Every(seconds),
        })
    }

    /// How a budget's period is counted; `None` for one that never ends, because every unit does.
    pub(super) fn of_period(period: Period) -> Option<Fit> {
        match period {
            Period::Day => Some(Fit {
                unit: Unit::Day,
                rhythm: Rhythm::Unit,
            }),
            Period::Month => Some(Fit {
                unit: Unit::Year,
                rhythm: Rhythm::Month,
            }),
            Period::Total => None,
        }
    }

    /// The label of the window that `now` is in, if it needs one.
    pub(super) fn label(self, now: UnixNanos) -> Option<Label> {
        let (key, value) = match self.rhythm {
            Rhythm::Unit => return None,
            Rhythm::Every(length) => ("window", self.number(length, now).to_string()),
            Rhythm::Month => ("period", month(now)),
        };
        Some(Label { key, value })
    }

    /// The number of a window. The service keeps statistics of every descriptor for ever, so that numbers below a day
    /// are used again; not before the unit after the next, because around its end two clocks disagree which it is.
    fn number(self, length: u64, now: UnixNanos) -> u64 {
        let number = now.seconds().checked_div(length).unwrap_or_default();
        let in_two_units = (2 * self.unit.seconds()).checked_div(length);
        match in_two_units {
            Some(count) if length < DAY => number.checked_rem(count).unwrap_or_default(),
            _ => number,
        }
    }

    /// The longest that the window which `now` is in can last from now on. Where the window is the service's own, its
    /// clock decides, and that may be anywhere in it.
    pub(super) fn left(self, now: UnixNanos) -> Duration {
        match self.rhythm {
            Rhythm::Unit => Duration::from_secs(self.unit.seconds()),
            Rhythm::Every(length) => {
                let length = Duration::from_secs(length).as_nanos();
                let gone = u128::from(now.0).checked_rem(length).unwrap_or_default();
                Duration::from_nanos(u64::try_from(length - gone).unwrap_or(u64::MAX))
            }
            Rhythm::Month => calendar::until_next(Period::Month, now).unwrap_or_default(),
        }
    }
}

/// The calendar month, as `2026-11`.
pub(super) fn month(now: UnixNanos) -> String {
    let date = Date::at(now);
    format!("{:04}-{:02}", date.year, date.month)
}
