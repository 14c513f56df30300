use serde_json::json;

use super::*;
use crate::policy::{Period, Scope};
use crate::quota::calendar::{Date, label, until_next};
use crate::quota::{Bill, Over, Stop};
use crate::store::MemoryStore;

/// Unix seconds, and what the calendar says then.
const KNOWN: [(u64, &str); 14] = [
    (0, "1970-01-01"),
    (86_399, "1970-01-01"),
    (86_400, "1970-01-02"),
    (951_782_399, "2000-02-28"),
    (951_782_400, "2000-02-29"),
    (951_868_800, "2000-03-01"),
    // Where clocks in Europe and America change: days of 24 hours all the same.
    (1_774_747_800, "2026-03-29"),
    (1_792_900_800, "2026-10-25"),
    (1_795_219_200, "2026-11-21"),
    (1_798_761_599, "2026-12-31"),
    (1_798_761_600, "2027-01-01"),
    (1_835_395_200, "2028-02-29"),
    (4_107_542_400, "2100-03-01"),
    (18_446_744_073, "2554-07-21"),
];

#[test]
fn known_dates() {
    for (seconds, date) in KNOWN {
        assert_eq!(
            Date::at(UnixNanos(seconds * SECOND)).to_string(),
            date,
            "{seconds}"
        );
    }
}

/// Every day until 64 bits of nanoseconds end, against a calendar that only counts.
#[test]
fn every_day() {
    let mut months = 0;
    let (mut year, mut month, mut day) = (1970u64, 1u64, 1u64);
    let last = u64::MAX / DAY;
    for number in 0..=last {
        let now = UnixNanos(number * DAY);
        assert_eq!(Date::at(now), Date { year, month, day });
        assert_eq!(u64::from(label(Period::Day, now)), number);
        assert_eq!(label(Period::Month, now), months);
        assert_eq!(label(Period::Total, now), 0);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if number < last {
            let noon = UnixNanos(now.0 + DAY / 2);
            assert_eq!(until_next(Period::Day, noon), Some(Duration::from_hours(12)));
            let rest = Duration::from_nanos(DAY) * u32::try_from(days - day).unwrap();
            assert_eq!(
                until_next(Period::Month, noon),
                Some(rest + Duration::from_hours(12))
            );
        }
        day += 1;
        if day > days {
            (day, month, months) = (1, month + 1, months + 1);
        }
        if month > 12 {
            (month, year) = (1, year + 1);
        }
    }
    assert_eq!((year, month, day), (2554, 7, 22));
}

#[test]
fn the_end_of_time_has_an_end() {
    let end = UnixNanos(u64::MAX);
    for per in [Period::Day, Period::Month] {
        assert!(until_next(per, end).is_some_and(|wait| wait > Duration::ZERO));
    }
    assert_eq!(until_next(Period::Total, end), None);
    assert_eq!(
        until_next(Period::Day, UnixNanos(DAY - 1)),
        Some(Duration::from_nanos(1))
    );
}

/// A key with a budget, and its charges.
struct Purse {
    world: World,
    store: MemoryStore,
}

impl Purse {
    fn new(limit: f64, per: &str) -> Purse {
        Purse {
            world: World::of_key(&json!({ "budget": { "limit": limit, "per": per } })),
            store: MemoryStore::new(),
        }
    }

    /// The same store under a changed policy.
    fn limit(self, limit: f64, per: &str) -> Purse {
        Purse {
            store: self.store,
            ..Purse::new(limit, per)
        }
    }

    fn bill(&self, tool: &str) -> Bill {
        self.world.bill("key", tool)
    }

    fn charge(&self, tool: &str, seconds: u64) -> Result<(), Option<Duration>> {
        let now = UnixNanos(seconds * SECOND);
        match self
            .world
            .book
            .charge(&self.bill(tool), Scope::Local, &self.store, now)
        {
            Ok(_) => Ok(()),
            Err(Stop::Over(Over {
                wait, budget: true, ..
            })) => Err(wait),
            Err(stop) => panic!("{stop:?}"),
        }
    }

    /// How many calls at 0.05 there is money for.
    fn calls(&self, seconds: u64) -> usize {
        (0..1000)
            .take_while(|_| self.charge("paid", seconds).is_ok())
            .count()
    }
}

const NOON: u64 = 1_795_219_200 + 43_200;
const DAY_SECONDS: u64 = 86_400;

#[test]
fn a_budget_is_spent_to_the_last_micro_and_starts_again_at_midnight() {
    let purse = Purse::new(0.12, "day");
    assert_eq!(purse.calls(NOON), 2);
    assert_eq!(purse.charge("paid", NOON), Err(Some(Duration::from_hours(12))));
    // What is left covers a cheaper call.
    assert_eq!(purse.charge("both", NOON), Ok(()));
    assert_eq!(purse.charge("both", NOON), Ok(()));
    assert_eq!(purse.charge("both", NOON), Err(Some(Duration::from_hours(12))));
    assert_eq!(purse.calls(NOON + 43_199), 0);
    assert_eq!(purse.calls(NOON + 43_200), 2);
}

#[test]
fn months_end_where_they_end() {
    for (last, first) in [
        (1_835_481_599, 1_835_481_600), // 2028-02-29, 2028-03-01
        (1_803_859_199, 1_803_859_200), // 2027-02-28, 2027-03-01
        (1_798_761_599, 1_798_761_600), // 2026-12-31, 2027-01-01
        (1_793_491_199, 1_793_491_200), // 2026-10-31, 2026-11-01
    ] {
        let purse = Purse::new(0.1, "month");
        assert_eq!(purse.calls(last - 20 * DAY_SECONDS), 2);
        assert_eq!(purse.charge("paid", last), Err(Some(Duration::from_secs(1))));
        assert_eq!(purse.calls(first), 2, "a new month at {first}");
        assert_eq!(purse.calls(first + 27 * DAY_SECONDS), 0);
    }
}

#[test]
fn a_total_never_starts_again() {
    let purse = Purse::new(0.1, "total");
    assert_eq!(purse.calls(NOON), 2);
    assert_eq!(purse.charge("paid", NOON + 3_000 * DAY_SECONDS), Err(None));
    assert_eq!(purse.limit(0.15, "total").calls(NOON + 3_001 * DAY_SECONDS), 1);
}

#[test]
fn what_costs_more_than_the_whole_budget_never_passes() {
    let purse = Purse::new(0.04, "day");
    assert_eq!(purse.charge("paid", NOON), Err(None));
    assert_eq!(purse.charge("both", NOON), Ok(()));
}

#[test]
fn a_changed_budget_keeps_what_is_spent() {
    let purse = Purse::new(0.1, "day");
    assert_eq!(purse.calls(NOON), 2);
    let purse = purse.limit(0.25, "day");
    assert_eq!(purse.calls(NOON), 3);
    let purse = purse.limit(0.2, "day");
    assert_eq!(purse.calls(NOON), 0);
}

#[test]
fn a_step_back_over_midnight_spends_nothing_twice() {
    let purse = Purse::new(0.1, "day");
    assert_eq!(purse.calls(NOON), 2);
    assert_eq!(purse.calls(NOON + DAY_SECONDS), 2);
    // Back to a day that is known: its count goes on.
    assert_eq!(purse.calls(NOON), 0);
    assert_eq!(purse.calls(NOON + DAY_SECONDS), 0);
    // Back to one that is not: refused until that day ends.
    assert_eq!(
        purse.charge("paid", NOON - DAY_SECONDS),
        Err(Some(Duration::from_hours(12)))
    );
    assert_eq!(
        purse.calls(NOON - DAY_SECONDS + 43_200),
        0,
        "the day after is known and spent"
    );
    assert_eq!(purse.calls(NOON + 2 * DAY_SECONDS), 2);
    // And between two known ones.
    assert_eq!(purse.calls(NOON + 9 * DAY_SECONDS), 2);
    assert_eq!(purse.calls(NOON + 5 * DAY_SECONDS), 0);
    assert_eq!(purse.calls(NOON + 2 * DAY_SECONDS), 0);
}

#[test]
fn a_clock_that_was_far_ahead_does_not_lock_the_budget_until_it_is_there_again() {
    for ahead in [2, 3, 40, 4_000] {
        let purse = Purse::new(0.1, "day");
        assert_eq!(purse.calls(NOON + ahead * DAY_SECONDS), 2);
        // Put right: this day may have been spent, so it counts as that, and the next one does not.
        let wait = Some(Duration::from_hours(12));
        for _ in 0..3 {
            assert_eq!(purse.charge("paid", NOON), Err(wait), "{ahead}");
        }
        assert_eq!(purse.calls(NOON + 43_199), 0, "{ahead}");
        assert_eq!(purse.calls(NOON + 43_200), 2, "{ahead}");
        assert_eq!(purse.calls(NOON), 0, "{ahead}");
        assert_eq!(purse.calls(NOON + 2 * DAY_SECONDS), 2, "{ahead}");
    }
}

#[test]
fn results_are_charged_afterwards_and_can_pass_the_limit() {
    let purse = Purse::new(0.01, "day");
    let settle = |tool, bytes, seconds: u64| {
        let now = UnixNanos(seconds * SECOND);
        purse
            .world
            .book
            .settle(&purse.bill(tool), bytes, &purse.store, now);
    };
    // 0.001 for each KiB, rounded up to the micro.
    assert_eq!(purse.charge("long", NOON), Ok(()));
    settle("long", 9 * 1024, NOON);
    assert_eq!(purse.charge("long", NOON), Ok(()));
    settle("long", 1022, NOON);
    assert_eq!(purse.charge("long", NOON), Ok(()), "a micro is left");
    settle("long", 1, NOON);
    assert_eq!(purse.charge("long", NOON), Err(Some(Duration::from_hours(12))));
    // Over the limit, and not beyond the numbers.
    settle("long", u64::MAX, NOON);
    settle("long", u64::MAX, NOON);
    assert_eq!(purse.charge("long", NOON), Err(Some(Duration::from_hours(12))));
    assert_eq!(purse.charge("both", NOON + DAY_SECONDS), Ok(()));
    // What a tool without a price for results returns is free.
    settle("paid", 1 << 40, NOON + 2 * DAY_SECONDS);
    assert_eq!(purse.charge("both", NOON + 2 * DAY_SECONDS), Ok(()));
}

#[test]
fn what_is_free_asks_no_budget() {
    let world = World::of_key(&json!({ "budget": { "limit": 1, "per": "day" } }));
    assert_eq!(world.bill_of("key", "free", None), None);
}

#[test]
fn results_under_a_global_budget_become_a_debt() {
    let world = World::of_key(&json!({ "budget": { "limit": 1, "per": "day", "scope": "global" } }));
    let (store, bill) = (MemoryStore::new(), world.bill("key", "long"));
    let line = bill.lines[0];
    let take = || world.book.take_debt(line.limit, line.part, &store);
    assert_eq!(take(), 0);
    world.book.settle(&bill, 2048, &store, NOW);
    world.book.settle(&bill, 1024, &store, NOW);
    assert_eq!(take(), 3_000);
    assert_eq!(take(), 0);
    world.book.put_debt(line.limit, line.part, 5, &store);
    world.book.put_debt(line.limit, line.part, 6, &store);
    world.book.put_debt(line.limit, line.part, 0, &store);
    assert_eq!(take(), 11);
    world.book.put_debt(line.limit, line.part, u64::MAX, &store);
    world.book.put_debt(line.limit, line.part, u64::MAX, &store);
    assert_eq!(take(), u64::MAX);
    // Counted here in place of the service, the results count here as well.
    assert!(world.book.charge(&bill, Scope::Global, &store, NOW).is_ok());
    world.book.settle(&bill, 1000 * 1024, &store, NOW);
    assert!(world.book.charge(&bill, Scope::Global, &store, NOW).is_err());
    assert_eq!(take(), 1_000_000);
}
