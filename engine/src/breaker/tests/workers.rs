//! Many workers on one store: on threads, and interleaved at the worst moments.

use std::cell::{Cell, RefCell};
use std::sync::{Barrier, Mutex};

use proptest::prelude::*;

use super::*;
use crate::slots::testing::{Busy, SharedStore};

/// Four workers with fifty callers each try to get through; returns the permits of those that did.
fn rush(settings: &Breaker, store: &SharedStore, now: UnixNanos) -> Vec<Permit> {
    let (passed, barrier) = (Mutex::new(Vec::new()), Barrier::new(4));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..50 {
                    if let Admission::Pass(permit) = admit(settings, id(), store, now).unwrap() {
                        passed.lock().unwrap().push(permit);
                    }
                }
            });
        }
    });
    passed.into_inner().unwrap()
}

#[test]
fn threads_get_exactly_the_probes_and_nothing_while_it_is_open() {
    for probes in [1, 3, 20] {
        let (store, settings) = (SharedStore::default(), settings(5, probes));
        open(&settings, &store, NOW);
        let mut now = NOW;
        for round in 0..3 {
            assert_eq!(rush(&settings, &store, later(now, ALMOST_OPEN)), []);
            now = later(now, OPEN);
            let mut permits = rush(&settings, &store, now);
            assert_eq!(permits.len(), probes as usize, "round {round}");
            assert!(permits.iter().all(Permit::is_probe));
            let transitions = permits.iter().filter_map(Permit::transition);
            assert_eq!(transitions.collect::<Vec<_>>(), [State::HalfOpen], "told once");
            let last = permits.pop().unwrap();
            for permit in permits {
                assert_eq!(report(&settings, permit, Health::Good, &store, now), Ok(None));
            }
            assert_eq!(rush(&settings, &store, now), []);
            let state = report(&settings, last, Health::Bad, &store, now);
            assert_eq!(state, Ok(Some(State::Open)));
        }
    }
}

#[test]
fn threads_open_and_close_it_once() {
    let (store, settings) = (SharedStore::default(), settings(100, 4));
    let told = Mutex::new(Vec::new());
    let each = |health: Health, permits: Vec<Permit>, now: UnixNanos| {
        let permits = Mutex::new(permits);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some(permit) = { permits.lock().unwrap().pop() } {
                        told.lock()
                            .unwrap()
                            .extend(report(&settings, permit, health, &store, now).unwrap());
                    }
                });
            }
        });
        std::mem::take(&mut *told.lock().unwrap())
    };
    let permits = rush(&settings, &store, NOW);
    assert_eq!(permits.len(), 200);
    // 99 failures do not open it; not one report is lost.
    let mut few = permits;
    let many = few.split_off(99);
    assert_eq!(each(Health::Bad, few, NOW), []);
    assert_eq!(each(Health::Bad, many, NOW), [State::Open]);
    let elapsed = later(NOW, OPEN);
    let probes = rush(&settings, &store, elapsed);
    assert_eq!(probes.len(), 4);
    assert_eq!(each(Health::Good, probes, elapsed), [State::Closed]);
    assert_eq!(rush(&settings, &store, elapsed).len(), 200);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Whatever another worker does between a read and a write, exactly the probes pass.
    #[test]
    fn interleaved_workers_get_exactly_the_probes(
        probes in 1..12_u32,
        mut turns in prop::collection::vec(any::<bool>(), 1..20),
    ) {
        turns.push(false);
        let (store, settings) = (MemoryStore::new(), settings(2, probes));
        open(&settings, &store, NOW);
        let elapsed = later(NOW, OPEN);
        let permits = RefCell::new(Vec::new());
        let knock = |store: &dyn Store| match admit(&settings, id(), store, elapsed).unwrap() {
            Admission::Pass(permit) => permits.borrow_mut().push(permit),
            Admission::Refused { after } => assert_eq!(after, Duration::from_secs(1)),
        };
        let busy = Busy { inner: &store, turns: &turns, at: Cell::new(0), other: &knock };
        for _ in 0..30 {
            knock(&busy);
        }
        prop_assert_eq!(permits.borrow().len(), probes as usize);
        // All report at once, and the last one closes it.
        let finish = |store: &dyn Store| {
            let permit = permits.borrow_mut().pop()?;
            report(&settings, permit, Health::Good, store, elapsed).unwrap()
        };
        let closed = Cell::new(0);
        let other = |store: &dyn Store| {
            closed.set(closed.get() + u32::from(finish(store) == Some(State::Closed)));
        };
        let busy = Busy { inner: &store, turns: &turns, at: Cell::new(0), other: &other };
        while !permits.borrow().is_empty() {
            prop_assert_eq!(closed.get(), 0);
            other(&busy);
        }
        prop_assert_eq!(closed.get(), 1);
        prop_assert!(!passes(&settings, id(), &store, elapsed).is_probe());
    }

    /// Nor is a failure lost that ends while another worker writes.
    #[test]
    fn interleaved_failures_all_count(
        failures in 1..30_u32,
        mut turns in prop::collection::vec(any::<bool>(), 1..20),
    ) {
        turns.push(false);
        let (store, settings) = (MemoryStore::new(), settings(failures, 1));
        let (reported, opened) = (Cell::new(0), Cell::new(0));
        let fail = |store: &dyn Store| {
            if let Admission::Pass(permit) = admit(&settings, id(), store, NOW).unwrap() {
                reported.set(reported.get() + 1);
                let state = report(&settings, permit, Health::Bad, store, NOW).unwrap();
                opened.set(opened.get() + u32::from(state == Some(State::Open)));
            }
        };
        let busy = Busy { inner: &store, turns: &turns, at: Cell::new(0), other: &fail };
        for _ in 0..60 {
            fail(&busy);
        }
        prop_assert_eq!(opened.get(), 1);
        // Those that were under way when it opened come on top.
        prop_assert!(reported.get() >= failures && reported.get() <= failures + 1, "{}", reported.get());
    }
}
