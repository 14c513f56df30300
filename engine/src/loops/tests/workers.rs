//! Many workers on one store: on threads, interleaved at the worst moments, and against a simpler guard.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;
use crate::slots::testing::{Busy, SharedStore};

#[test]
fn threads_make_exactly_as_many_calls_as_they_may() {
    for (identical, any_call, expected) in [(1, 0, 1), (50, 0, 50), (0, 70, 70), (90, 60, 60), (60, 90, 60)] {
        let (store, settings) = (SharedStore::default(), loops(identical, any_call));
        let (passed, barrier) = (AtomicU32::new(0), Barrier::new(4));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    for _ in 0..100 {
                        if call(&settings, 1, &store, NOW).is_none() {
                            passed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), expected, "{settings:?}");
    }
}

#[test]
fn threads_with_arguments_of_their_own_share_the_run() {
    let (store, settings) = (SharedStore::default(), loops(40, 100));
    let (passed, barrier) = (AtomicU32::new(0), Barrier::new(4));
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (settings, store, passed, barrier) = (&settings, &store, &passed, &barrier);
            scope.spawn(move || {
                barrier.wait();
                let mut mine = 0;
                for _ in 0..100 {
                    mine += u32::from(call(settings, worker, store, NOW).is_none());
                }
                assert!(mine <= 40);
                passed.fetch_add(mine, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(passed.into_inner(), 100);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever another worker does between a read and a write, exactly as many calls pass as may.
    #[test]
    fn interleaved_workers_make_exactly_as_many_calls_as_they_may(
        identical in 0..20_u32,
        any_call in 0..30_u32,
        mut turns in prop::collection::vec(any::<bool>(), 1..20),
    ) {
        turns.push(false);
        let (store, settings) = (MemoryStore::new(), loops(identical, any_call));
        let (passed, turn) = ([Cell::new(0), Cell::new(0)], Cell::new(0_u8));
        let knock = |store: &dyn Store| {
            turn.set(turn.get() ^ 1);
            let which = turn.get();
            if call(&settings, which, store, NOW).is_none() {
                let mine = &passed[usize::from(which)];
                mine.set(mine.get() + 1);
            }
        };
        let busy = Busy { inner: &store, turns: &turns, at: Cell::new(0), other: &knock };
        for _ in 0..80 {
            knock(&busy);
        }
        if settings == loops(0, 0) {
            return Ok(());
        }
        let passed = passed.map(Cell::into_inner);
        let most = |limit: u32| if limit == 0 { u32::MAX } else { limit };
        prop_assert!(passed.iter().all(|passed| *passed <= most(identical)), "{:?}", passed);
        prop_assert_eq!(passed[0] + passed[1], most(any_call).min(most(identical).saturating_mul(2)));
    }

    /// One worker, any calls at any times: a guard that remembers every call in plain maps does the same.
    #[test]
    fn the_guard_does_what_the_model_does(
        identical in 0..4_u32,
        any_call in 0..6_u32,
        events in prop::collection::vec((0..3_u8, 0..2_u8, 0..90_u64), 1..80),
    ) {
        let (store, settings) = (MemoryStore::new(), loops(identical, any_call));
        // By arguments and by session: when the window began, and its calls.
        let mut same: HashMap<u8, (UnixNanos, u32)> = HashMap::new();
        let mut any: HashMap<u8, (UnixNanos, u32)> = HashMap::new();
        let mut now = NOW;
        for (arguments, session, seconds) in events {
            now = later(now, Duration::from_secs(seconds));
            let wait = |window: Option<&(UnixNanos, u32)>, repeats: Option<Repeats>| {
                let (Some((began, calls)), Some(repeats)) = (window, repeats) else {
                    return None;
                };
                let ends = later(*began, repeats.per);
                (now < ends && *calls >= repeats.limit.get()).then(|| Duration::from_nanos(ends.0 - now.0))
            };
            let expected = match (
                wait(any.get(&session), settings.any_call),
                wait(same.get(&arguments), settings.identical),
            ) {
                (None, None) => None,
                (Some(any), same) => Some((What::AnyCall, any.max(same.unwrap_or_default()))),
                (None, Some(same)) => Some((What::Identical, same)),
            };
            let answer = try_call(&settings, Run::Session(&[session]), arguments, &store, now).unwrap();
            prop_assert_eq!(told(answer), expected);
            if expected.is_none() {
                let windows = [(same.entry(arguments), MINUTE), (any.entry(session), 10 * MINUTE)];
                for (window, per) in windows {
                    let window = window.or_insert((now, 0));
                    if later(window.0, per) <= now {
                        *window = (now, 0);
                    }
                    window.1 += 1;
                }
            }
        }
    }
}
