use proptest::prelude::*;

use super::model::{Numbers, Passed};
use super::*;
use crate::quota::entry::{renew, take_call};
use crate::quota::gcra::Limiter;
use crate::quota::record::Record;

/// One count in a record of its own.
struct Count {
    limiter: Limiter,
    record: Record,
}

impl Count {
    fn new(numbers: Numbers) -> Count {
        Count {
            limiter: Limiter::new(&numbers.quota()),
            record: Record::default(),
        }
    }

    /// The policy changes; the count stays.
    fn change(&mut self, numbers: Numbers) {
        self.limiter = Limiter::new(&numbers.quota());
    }

    /// Charges one call as `Book::charge` does: a refusal changes nothing but what is stale.
    fn take(&mut self, now: u64) -> Result<(), Duration> {
        let (mut copy, mut stale) = (self.record.clone(), false);
        match take_call(&mut copy, 1, 0, &self.limiter, UnixNanos(now), &mut stale).unwrap() {
            Ok(_) => {
                self.record = copy;
                Ok(())
            }
            Err(wait) => {
                let changed = renew(&mut self.record, 1, 0, &self.limiter, UnixNanos(now)).unwrap();
                assert_eq!(changed, stale);
                Err(wait.expect("waiting helps"))
            }
        }
    }

    fn take_all(&mut self, now: u64) -> u64 {
        (0..100_000).take_while(|_| self.take(now).is_ok()).count() as u64
    }
}

fn numbers() -> impl Strategy<Value = Numbers> {
    let windows = prop_oneof![
        1..5_000u64,
        Just(60_000),
        Just(86_400_000),
        Just(365 * 86_400_000)
    ];
    (1..40u32, windows, 1..50u32).prop_map(|(limit, millis, burst)| Numbers {
        limit,
        window: Duration::from_millis(millis),
        burst,
    })
}

/// A pause between two calls, as a share of the time per call and a few nanoseconds more or less: the edges are what matters.
fn pauses() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let share = prop_oneof![5 => Just(0u64), 3 => 0..1_000u64, 3 => Just(1_000), 1 => 1_000..60_000u64];
    prop::collection::vec((share, 0..3u64), 1..150)
}

fn pause(numbers: Numbers, (share, nanos): (u64, u64)) -> u64 {
    let long = u128::from(numbers.t()) * u128::from(share) / 1_000;
    // Not so long that 150 of them leave the calendar.
    (u64::try_from(long).unwrap().min(400 * DAY) + nanos).saturating_sub(1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Exact both ways: never more than the promise allows over any interval, and never fewer.
    #[test]
    fn what_passes_is_what_the_model_allows(numbers in numbers(), pauses in pauses()) {
        let (mut count, mut passed, mut now) = (Count::new(numbers), Passed::default(), NOW.0);
        for step in pauses {
            now += pause(numbers, step);
            let allowed = passed.allows(numbers, now);
            prop_assert_eq!(count.take(now).is_ok(), allowed, "at {}", now - NOW.0);
            if allowed {
                passed.0.push(now);
            }
        }
        passed.check(numbers);
    }

    /// The wait that a refusal names is exact: a nanosecond earlier it would be refused again.
    #[test]
    fn the_wait_is_exact(numbers in numbers(), pauses in pauses()) {
        let (mut count, mut now) = (Count::new(numbers), NOW.0);
        for step in pauses {
            now += pause(numbers, step);
            let Err(wait) = count.take(now) else { continue };
            let wait = u64::try_from(wait.as_nanos()).unwrap();
            prop_assert!(wait <= numbers.t());
            prop_assert!(count.take(now + wait - 1).is_err());
            now += wait;
            prop_assert!(count.take(now).is_ok());
        }
    }

    /// Steps back give nothing: never more than the burst and what the time that went forward allows. And whoever is refused
    /// gets through within a window.
    #[test]
    fn a_clock_that_steps_back(
        numbers in numbers(),
        pauses in pauses(),
        steps in prop::collection::vec((0..150usize, 1..100_000u64), 0..6),
    ) {
        let (mut count, mut now, mut forward, mut passed) = (Count::new(numbers), NOW.0, 0, 0);
        let skew = Duration::from_millis(50).min(numbers.window);
        for (index, step) in pauses.into_iter().enumerate() {
            for (_, share) in steps.iter().filter(|(at, _)| *at == index) {
                now -= pause(numbers, (*share, 0)).min(now / 2);
            }
            let ahead = pause(numbers, step);
            now += ahead;
            forward += ahead;
            match count.take(now) {
                Ok(()) => passed += 1,
                Err(wait) => {
                    prop_assert!(wait <= Duration::from_nanos(numbers.t()) + skew);
                    let wait = u64::try_from(wait.as_nanos()).unwrap();
                    now += wait;
                    forward += wait;
                    prop_assert!(count.take(now).is_ok(), "still refused after the wait");
                    passed += 1;
                }
            }
            prop_assert!(passed <= numbers.most(forward), "{} passed in {}", passed, forward);
        }
    }

    /// Workers whose clocks are apart by less than the skew let through what one exact clock would.
    #[test]
    fn workers_that_were_interrupted_give_nothing(
        numbers in numbers(),
        pauses in pauses(),
        behind in prop::collection::vec(0..50_000_000u64, 150),
    ) {
        let (mut count, mut latest, mut passed) = (Count::new(numbers), NOW.0, 0);
        let skew = u64::try_from(numbers.window.as_nanos()).unwrap();
        for (step, behind) in pauses.into_iter().zip(behind) {
            latest += pause(numbers, step);
            if count.take(latest - behind.min(skew)).is_ok() {
                passed += 1;
            }
        }
        prop_assert!(passed <= numbers.most(latest - NOW.0 + skew.min(50_000_000)));
    }

    /// A changed limit keeps the calls made, up to the new burst, and never locks anybody out longer than the new one does.
    #[test]
    fn a_changed_limit_keeps_what_was_used(old in numbers(), new in numbers(), used in 0..50u32, later in 0..2_000u64) {
        let mut count = Count::new(old);
        let used = u64::from(used.min(old.burst));
        for _ in 0..used {
            count.take(NOW.0).unwrap();
        }
        let now = NOW.0 + pause(old, (later, 1));
        let drained = (now - NOW.0) / old.t();
        let kept = used.saturating_sub(drained);
        count.change(new);
        let left = u64::from(new.burst).saturating_sub(kept);
        if new.t() == old.t() {
            return Ok(());
        }
        prop_assert_eq!(count.take_all(now), left);
        // To the nanosecond: what of a call has drained under the old limit stays drained.
        let full = u128::from(old.t()) * u128::from(used);
        let kept = (full.saturating_sub(u128::from(now - NOW.0)) * u128::from(new.t())).div_ceil(u128::from(old.t()));
        let span = u128::from(new.t()) * u128::from(new.burst);
        let wait = kept.min(span) + u128::from(new.t()) * u128::from(left + 1) - span;
        let wait = u64::try_from(wait).unwrap();
        prop_assert!(wait <= new.t());
        prop_assert!(count.take(now + wait - 1).is_err());
        prop_assert!(count.take(now + wait).is_ok());
    }

    /// Two policies of one process that give a key different limits (and one burst) count together, and call after call
    /// changes hands: never more than the higher limit allows, and whoever keeps trying gets through.
    #[test]
    fn two_limits_for_one_count(one in numbers(), other in numbers(), share in 1..400u64) {
        let other = Numbers { burst: one.burst, ..other };
        let mut count = Count::new(one);
        let step = (one.t().min(other.t()) * share / 1_000).max(1);
        let longest = one.t().max(other.t());
        let (mut passed, mut since, mut now) = (0, 0, NOW.0);
        for turn in 0..2_000 {
            let numbers = if turn % 2 == 0 { one } else { other };
            count.change(numbers);
            if count.take(now).is_ok() {
                (passed, since) = (passed + 1, 0);
            }
            // Each change of hands may round up by a nanosecond.
            prop_assert!(since <= longest + 2 * turn + 2 * step, "nothing for {} of {}", since, longest);
            (since, now) = (since + step, now + step);
        }
        prop_assert!(passed <= one.most(now - NOW.0).max(other.most(now - NOW.0)));
    }

    /// Whatever is stored and whatever the clock says: no overflow, and a wait that ends.
    #[test]
    fn extremes_do_not_overflow(
        limit in prop_oneof![1..3u32, Just(u32::MAX), any::<u32>()],
        burst in prop_oneof![1..3u32, Just(u32::MAX), any::<u32>()],
        window in prop_oneof![Just(Duration::MAX), Just(Duration::ZERO), any::<u64>().prop_map(Duration::from_nanos)],
        times in prop::collection::vec(prop_oneof![Just(0u64), Just(u64::MAX), any::<u64>()], 1..20),
    ) {
        let numbers = Numbers { limit: limit.max(1), burst: burst.max(1), window };
        let mut count = Count::new(numbers);
        for now in times {
            let _ = count.take(now);
        }
    }
}

const PER_MINUTE: Numbers = Numbers {
    limit: 100,
    window: Duration::from_mins(1),
    burst: 100,
};

#[test]
fn an_exhausted_limit_that_is_raised_has_room_at_once() {
    let mut count = Count::new(PER_MINUTE);
    assert_eq!(count.take_all(NOW.0), 100);
    count.change(Numbers {
        limit: 150,
        burst: 150,
        ..PER_MINUTE
    });
    assert_eq!(count.take_all(NOW.0), 50);
}

#[test]
fn an_exhausted_limit_that_is_lowered_does_not_wait_for_the_old_one() {
    let day = Numbers {
        limit: 100,
        window: Duration::from_hours(24),
        burst: 100,
    };
    let mut count = Count::new(day);
    assert_eq!(count.take_all(NOW.0), 100);
    count.change(Numbers {
        limit: 10,
        burst: 10,
        ..PER_MINUTE
    });
    // Full, and refused: but it drains at the new pace from now on.
    assert_eq!(count.take(NOW.0), Err(Duration::from_secs(6)));
    assert_eq!(count.take_all(NOW.0 + 6 * SECOND), 1);
    assert_eq!(count.take_all(NOW.0 + MINUTE), 9);
}

#[test]
fn a_lowered_burst_holds_at_once_and_a_raised_one_keeps_what_was_used() {
    let mut count = Count::new(PER_MINUTE);
    assert_eq!(count.take_all(NOW.0), 100);
    count.change(Numbers {
        burst: 20,
        ..PER_MINUTE
    });
    assert_eq!(count.take(NOW.0), Err(Duration::from_millis(600)));
    assert_eq!(count.take_all(NOW.0 + MINUTE), 20);
    count.change(PER_MINUTE);
    assert_eq!(count.take_all(NOW.0 + MINUTE), 80);
}

#[test]
fn after_a_step_back_of_years_the_first_call_passes_after_one_interval() {
    for back in [HOUR, 400 * DAY, NOW.0] {
        let mut count = Count::new(Numbers {
            limit: 1,
            burst: 1,
            ..PER_MINUTE
        });
        count.take(NOW.0).unwrap();
        let now = NOW.0 - back;
        assert_eq!(count.take(now), Err(Duration::from_mins(1)));
        assert_eq!(count.take(now + MINUTE / 2), Err(Duration::from_secs(30)));
        assert_eq!(count.take_all(now + MINUTE), 1);
    }
}

#[test]
fn fewer_calls_than_the_window_has_nanoseconds_are_still_never_too_many() {
    // 7 per second: 142,857,142.86 ns each.
    let numbers = Numbers {
        limit: 7,
        window: Duration::from_secs(1),
        burst: 1,
    };
    let mut count = Count::new(numbers);
    let mut passed = Passed::default();
    for now in (NOW.0..NOW.0 + 3 * SECOND).step_by(1_000_001) {
        if count.take(now).is_ok() {
            passed.0.push(now);
        }
    }
    passed.check(numbers);
    assert!(passed.0.len() >= 20, "{}", passed.0.len());
}

#[test]
fn interrupted_workers_do_not_make_a_fast_limit_faster() {
    // One call per millisecond; every other worker read its clock 0.9 ms ago.
    let numbers = Numbers {
        limit: 1_000,
        window: Duration::from_secs(1),
        burst: 1,
    };
    let mut count = Count::new(numbers);
    let mut passed = 0;
    for now in (NOW.0..NOW.0 + SECOND).step_by(100_000) {
        passed += u64::from(count.take(now).is_ok());
        passed += u64::from(count.take(now - 900_000).is_ok());
    }
    assert_eq!(passed, 1_000);
}
