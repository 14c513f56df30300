//! Breakers through the store; the state machine by itself is in `machine`.

mod machine;
mod model;
mod workers;

use std::num::NonZeroU32;

use super::*;
use crate::policy::{Breaker, BreakerEach, Ratio};
use crate::slots::testing::{Counting, size};
use crate::store::{Expect, MemoryStore};

const NOW: UnixNanos = UnixNanos(1_767_225_600_000_000_000);
const OPEN: Duration = Duration::from_secs(30);
const ALMOST_OPEN: Duration = Duration::from_nanos(29_999_999_999);

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn settings(failures: u32, probes: u32) -> Breaker {
    Breaker {
        each: BreakerEach::Tool,
        failures: NonZeroU32::new(failures),
        ratio: None,
        open: OPEN,
        probes: number(probes),
        slow: None,
        count_tool_errors: false,
    }
}

/// Of the calls in 10 seconds, at least 4, so many percent fail.
fn with_ratio(failures: u32, percent: u32) -> Breaker {
    Breaker {
        ratio: Some(Ratio {
            millionths: percent * 10_000,
            min_calls: number(4),
            window: Duration::from_secs(10),
        }),
        ..settings(failures, 1)
    }
}

fn later(now: UnixNanos, wait: Duration) -> UnixNanos {
    UnixNanos(now.0 + u64::try_from(wait.as_nanos()).unwrap())
}

fn id() -> BreakerId {
    BreakerId::of("docs", Some("search"))
}

fn passes(settings: &Breaker, id: BreakerId, store: &dyn Store, now: UnixNanos) -> Permit {
    match admit(settings, id, store, now).unwrap() {
        Admission::Pass(permit) => permit,
        Admission::Refused { after } => panic!("refused for {after:?}"),
    }
}

fn refused(settings: &Breaker, id: BreakerId, store: &dyn Store, now: UnixNanos) -> Duration {
    match admit(settings, id, store, now).unwrap() {
        Admission::Refused { after } => after,
        Admission::Pass(permit) => panic!("passed: {permit:?}"),
    }
}

fn call(
    settings: &Breaker,
    id: BreakerId,
    health: Health,
    store: &dyn Store,
    now: UnixNanos,
) -> Option<State> {
    let permit = passes(settings, id, store, now);
    report(settings, permit, health, store, now).unwrap()
}

/// A store in which the breaker is open since now.
fn open(settings: &Breaker, store: &dyn Store, now: UnixNanos) {
    for _ in 1..settings.failures.unwrap().get() {
        assert_eq!(call(settings, id(), Health::Bad, store, now), None);
    }
    assert_eq!(call(settings, id(), Health::Bad, store, now), Some(State::Open));
}

fn key(id: BreakerId) -> String {
    format!("toolgate/breaker/1/{:03x}", id.slot)
}

#[test]
fn states_have_names_and_numbers() {
    let all = [State::Closed, State::HalfOpen, State::Open];
    assert_eq!(all.map(State::as_str), ["closed", "half_open", "open"]);
    assert_eq!(all.map(State::number), [0, 1, 2]);
}

#[test]
fn breakers_are_found_again_by_every_later_build() {
    assert_eq!(
        id(),
        BreakerId {
            id: 0xc392_d75c_6c83_1ae3,
            slot: 0x167,
        }
    );
    let ids = [
        id(),
        BreakerId::of("docs", None),
        BreakerId::of("docs", Some("")),
        BreakerId::of("docss", Some("earch")),
        BreakerId::of("docssearch", None),
    ];
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[..at].contains(id), "{at}");
    }
}

#[test]
fn a_call_costs_one_read_and_is_written_only_if_it_says_something() {
    let (store, settings) = (Counting::default(), settings(3, 1));
    let permit = passes(&settings, id(), &store, NOW);
    assert!(!permit.is_probe());
    assert_eq!(permit.transition(), None);
    assert_eq!(store.asked(), (1, 0));
    assert_eq!(report(&settings, permit, Health::Good, &store, NOW), Ok(None));
    assert_eq!(store.asked(), (1, 0));

    let permit = passes(&settings, id(), &store, NOW);
    store.asked();
    assert_eq!(report(&settings, permit, Health::Unknown, &store, NOW), Ok(None));
    assert_eq!(store.asked(), (0, 0));

    assert_eq!(call(&settings, id(), Health::Bad, &store, NOW), None);
    assert_eq!(store.asked(), (2, 1));
    // It ends the run of failures, and leaves nothing to read.
    assert_eq!(call(&settings, id(), Health::Good, &store, NOW), None);
    assert_eq!(store.asked(), (2, 1));
    assert_eq!(Held::<Record>::read(id().slot, &store).unwrap().record.len(), 0);

    open(&settings, &store, NOW);
    store.asked();
    assert_eq!(refused(&settings, id(), &store, NOW), OPEN);
    assert_eq!(store.asked(), (1, 0));
}

#[test]
fn breakers_do_not_disturb_each_other() {
    let (store, settings) = (MemoryStore::new(), settings(2, 1));
    open(&settings, &store, NOW);
    for other in [
        BreakerId::of("docs", None),
        BreakerId::of("docs", Some("fetch")),
        BreakerId::of("files", Some("search")),
        // In the same record.
        BreakerId {
            id: id().id + 1,
            ..id()
        },
    ] {
        assert_eq!(call(&settings, other, Health::Bad, &store, NOW), None);
        assert_eq!(call(&settings, other, Health::Good, &store, NOW), None);
    }
    assert_eq!(refused(&settings, id(), &store, NOW), OPEN);
}

#[test]
fn what_cannot_be_a_probe_waits_for_one() {
    let (store, settings) = (Counting::default(), settings(1, 1));
    assert_eq!(wait(&settings, id(), &store, NOW), Ok(None));
    open(&settings, &store, NOW);
    store.asked();
    assert_eq!(wait(&settings, id(), &store, NOW), Ok(Some(OPEN)));
    let elapsed = later(NOW, OPEN);
    assert_eq!(
        wait(&settings, id(), &store, elapsed),
        Ok(Some(Duration::from_secs(1)))
    );
    assert_eq!(store.asked(), (2, 0));
    // It took no place.
    let permit = passes(&settings, id(), &store, elapsed);
    assert!(permit.is_probe());
    assert_eq!(
        wait(&settings, id(), &store, elapsed),
        Ok(Some(Duration::from_secs(1)))
    );
    assert_eq!(
        report(&settings, permit, Health::Good, &store, elapsed),
        Ok(Some(State::Closed))
    );
    assert_eq!(wait(&settings, id(), &store, elapsed), Ok(None));
}

#[test]
fn a_store_that_fails_lets_nothing_through() {
    let (store, settings) = (Counting::default(), settings(2, 1));
    let permit = passes(&settings, id(), &store, NOW);
    for error in [StoreError::Host(10), StoreError::Conflict] {
        store.get_fails.set(Some(error));
        assert_eq!(admit(&settings, id(), &store, NOW), Err(error));
        assert_eq!(wait(&settings, id(), &store, NOW), Err(error));
    }
    store.get_fails.set(None);
    store.set_fails.set(Some(StoreError::Host(2)));
    let lost = report(&settings, permit, Health::Bad, &store, NOW);
    assert_eq!(lost, Err(StoreError::Host(2)));
    store.set_fails.set(None);
    open(&settings, &store, NOW);
    // A probe that cannot be written down is none.
    store.set_fails.set(Some(StoreError::Host(2)));
    let elapsed = later(NOW, OPEN);
    assert_eq!(admit(&settings, id(), &store, elapsed), Err(StoreError::Host(2)));
}

#[test]
fn a_damaged_record_refuses_one_call() {
    let settings = settings(2, 1);
    let damages: [fn(&mut Vec<u8>); 5] = [
        Vec::clear,
        |bytes| bytes.truncate(9),
        |bytes| bytes.push(0),
        |bytes| bytes[0] = 9,
        // The state.
        |bytes| bytes[25] = 3,
    ];
    for (at, damage) in damages.iter().enumerate() {
        let store = MemoryStore::new();
        open(&settings, &store, NOW);
        let mut bytes = store.get(&key(id())).unwrap().unwrap().value;
        damage(&mut bytes);
        let damaged = || store.set(&key(id()), &bytes, Expect::Anything).unwrap();
        damaged();
        assert_eq!(
            admit(&settings, id(), &store, NOW),
            Err(StoreError::Corrupt),
            "{at}"
        );
        let permit = passes(&settings, id(), &store, NOW);
        damaged();
        assert_eq!(
            report(&settings, permit, Health::Bad, &store, NOW),
            Err(StoreError::Corrupt)
        );
        assert_eq!(call(&settings, id(), Health::Bad, &store, NOW), None);
        assert_eq!(call(&settings, id(), Health::Bad, &store, NOW), Some(State::Open));
    }
}

/// Whatever numbers a record holds, it neither panics nor refuses for longer than the policy says.
#[test]
fn any_numbers_can_be_lived_with() {
    let policies = [settings(2, 1), with_ratio(2, 50)];
    for state in 0..3 {
        for byte in [0, 1, 0x7f, 0xff] {
            let store = MemoryStore::new();
            let mut bytes = vec![1; 1];
            bytes.extend(id().id.to_le_bytes());
            bytes.extend([byte; 109]);
            bytes[25] = state;
            store.set(&key(id()), &bytes, Expect::Anything).unwrap();
            for settings in &policies {
                for now in [NOW, UnixNanos(0), NOW] {
                    match admit(settings, id(), &store, now).unwrap() {
                        Admission::Refused { after } => assert!(after <= OPEN, "{state} {byte}"),
                        Admission::Pass(permit) => {
                            report(settings, permit, Health::Bad, &store, now).unwrap();
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_hundred_thousand_tools_take_no_more_than_the_slots_hold() {
    let store = MemoryStore::new();
    let one = settings(2, 1);
    open(&one, &store, NOW);
    // With a share to count, every call of every invented name is written.
    let hostile = with_ratio(0, 50);
    for tool in 0..100_000 {
        let name = format!("invented_{tool}");
        let id = BreakerId::of("docs", Some(&name));
        let permit = Permit {
            id,
            generation: 0,
            probe: false,
            transition: None,
        };
        let now = later(NOW, Duration::from_micros(tool));
        assert_eq!(report(&hostile, permit, Health::Bad, &store, now), Ok(None));
    }
    let (slots, bytes) = size("breaker", &store);
    assert_eq!(slots, 4096);
    assert!(bytes <= 4096 * (1 + 16 * 117), "{bytes}");
    // Those in use are not forgotten for those that are made up.
    let soon = later(NOW, Duration::from_secs(1));
    assert_eq!(
        refused(&one, id(), &store, soon),
        OPEN.checked_sub(Duration::from_secs(1)).unwrap()
    );
}

#[test]
fn a_full_record_forgets_what_matters_least() {
    let (store, settings) = (MemoryStore::new(), settings(2, 1));
    let other = |number: u64| BreakerId {
        id: number,
        slot: id().slot,
    };
    let at = |second: u64| later(NOW, Duration::from_secs(second));
    // One is open, the others have failed once, the third of them last.
    open(&settings, &store, NOW);
    for number in 1..16 {
        assert_eq!(
            call(&settings, other(number), Health::Bad, &store, at(number)),
            None
        );
    }
    let third = call(&with_ratio(3, 90), other(1), Health::Good, &store, at(16));
    assert_eq!(third, None);
    assert_eq!(call(&settings, other(99), Health::Bad, &store, at(17)), None);
    let record = Held::<Record>::read(id().slot, &store).unwrap().record;
    assert_eq!(record.len(), 16);
    let kept = |id: BreakerId| record.find(id.id).unwrap().0.is_some();
    assert!(kept(id()), "it is open");
    assert!(!kept(other(2)), "nothing was heard of it for longest");
    assert!(kept(other(1)) && kept(other(3)) && kept(other(99)));
}

#[test]
fn what_was_forgotten_begins_anew_and_old_probes_stay_old() {
    let (store, settings) = (MemoryStore::new(), settings(2, 1));
    open(&settings, &store, NOW);
    let elapsed = later(NOW, OPEN);
    let probe = passes(&settings, id(), &store, elapsed);
    let forget = || {
        let bytes = slots::Record::bytes(&Record::default()).to_vec();
        store.set(&key(id()), &bytes, Expect::Anything).unwrap();
    };
    forget();
    // A late failure of a call that passed a closed breaker counts, a probe's does not.
    assert_eq!(report(&settings, probe, Health::Bad, &store, elapsed), Ok(None));
    let before = passes(&settings, id(), &store, elapsed);
    open(&settings, &store, elapsed);
    assert_eq!(report(&settings, before, Health::Good, &store, elapsed), Ok(None));
    assert_eq!(refused(&settings, id(), &store, elapsed), OPEN);
    // So does one that passed when it had closed again.
    let again = later(elapsed, OPEN);
    assert_eq!(
        call(&settings, id(), Health::Good, &store, again),
        Some(State::Closed)
    );
    let passed = [(); 2].map(|()| passes(&settings, id(), &store, again));
    forget();
    let states = passed.map(|permit| report(&settings, permit, Health::Bad, &store, again).unwrap());
    assert_eq!(states, [None, Some(State::Open)]);
    // The probe of an earlier life is not the probe of this one.
    let again = later(again, OPEN);
    let old = passes(&settings, id(), &store, again);
    forget();
    open(&settings, &store, again);
    let new = passes(&settings, id(), &store, later(again, OPEN));
    assert_eq!(
        report(&settings, old, Health::Good, &store, later(again, OPEN)),
        Ok(None)
    );
    assert_eq!(
        report(&settings, new, Health::Good, &store, later(again, OPEN)),
        Ok(Some(State::Closed))
    );
}
