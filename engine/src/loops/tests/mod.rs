//! What is counted together, what is not, and what agents are told.

mod trouble;
mod workers;

use std::num::NonZeroU32;

use super::*;
use crate::policy::Loops;
use crate::slots::testing::{Counting, size};
use crate::store::{Expect, MemoryStore};

const NOW: UnixNanos = UnixNanos(1_767_225_600_000_000_000);
const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

const ALICE: Caller<'_> = Caller {
    key: "alice",
    subject: None,
};

fn repeats(limit: u32, per: Duration) -> Option<Repeats> {
    NonZeroU32::new(limit).map(|limit| Repeats { limit, per })
}

/// So many identical calls a minute, so many of any kind in ten minutes; 0 is no limit.
fn loops(identical: u32, any_call: u32) -> Loops {
    Loops {
        identical: repeats(identical, MINUTE),
        any_call: repeats(any_call, 10 * MINUTE),
    }
}

fn later(now: UnixNanos, wait: Duration) -> UnixNanos {
    UnixNanos(now.0 + u64::try_from(wait.as_nanos()).unwrap())
}

/// A call whose arguments have this number.
fn try_call(
    settings: &Loops,
    run: Run<'_>,
    arguments: u8,
    store: &dyn Store,
    now: UnixNanos,
) -> Result<Option<Looping>, StoreError> {
    count(
        settings,
        ALICE,
        run,
        "docs",
        "search",
        &[arguments; 32],
        store,
        now,
    )
}

fn call(settings: &Loops, arguments: u8, store: &dyn Store, now: UnixNanos) -> Option<Looping> {
    try_call(settings, Run::None, arguments, store, now).unwrap()
}

/// What was refused, and for how long.
fn told(looping: Option<Looping>) -> Option<(What, Duration)> {
    looping.map(|looping| (looping.what, looping.after))
}

fn windows(store: &dyn Store) -> usize {
    let read = |slot| Held::<Record>::read(slot, store).unwrap().record.len();
    (0..0x1000).map(read).sum()
}

#[test]
fn identical_calls_are_refused_from_the_limit_on() {
    for limit in [1, 2, 5, 100] {
        let (store, settings) = (MemoryStore::new(), loops(limit, 0));
        for _ in 0..limit {
            assert_eq!(call(&settings, 1, &store, NOW), None);
        }
        let at = later(NOW, 20 * SECOND);
        for _ in 0..3 {
            let looping = Looping {
                what: What::Identical,
                limit,
                per: MINUTE,
                after: 40 * SECOND,
            };
            assert_eq!(call(&settings, 1, &store, at), Some(looping));
        }
        assert_eq!(call(&settings, 2, &store, at), None, "other arguments");
    }
}

#[test]
fn a_window_begins_with_its_first_call() {
    let (store, settings) = (MemoryStore::new(), loops(2, 0));
    assert_eq!(call(&settings, 1, &store, NOW), None);
    let late = later(NOW, 59 * SECOND);
    assert_eq!(call(&settings, 1, &store, late), None);
    assert_eq!(
        told(call(&settings, 1, &store, late)),
        Some((What::Identical, SECOND))
    );
    let next = later(NOW, MINUTE);
    assert_eq!(call(&settings, 1, &store, next), None);
    assert_eq!(call(&settings, 1, &store, next), None);
    assert_eq!(
        told(call(&settings, 1, &store, next)),
        Some((What::Identical, MINUTE))
    );
}

#[test]
fn only_the_same_call_of_the_same_caller_is_identical() {
    let (store, settings) = (MemoryStore::new(), loops(1, 0));
    let subject = |subject| Caller {
        key: "alice",
        subject: Some(subject),
    };
    let bob = Caller {
        key: "bob",
        subject: None,
    };
    let calls = [
        (ALICE, "docs", "search", [1; 32]),
        (ALICE, "docs", "search", [2; 32]),
        (ALICE, "docs", "fetch", [1; 32]),
        (ALICE, "files", "search", [1; 32]),
        (ALICE, "docss", "earch", [1; 32]),
        (bob, "docs", "search", [1; 32]),
        (subject(""), "docs", "search", [1; 32]),
        (subject("a"), "docs", "search", [1; 32]),
        (subject("b"), "docs", "search", [1; 32]),
    ];
    let count = |(caller, server, tool, digest): (Caller<'_>, &str, &str, [u8; 32]), run| {
        count(&settings, caller, run, server, tool, &digest, &store, NOW).unwrap()
    };
    for call in calls {
        assert_eq!(count(call, Run::Session(b"1")), None, "{call:?}");
    }
    for call in calls {
        // Whatever run it is in.
        assert!(count(call, Run::Trace(b"2")).is_some(), "{call:?}");
    }
}

#[test]
fn a_run_is_a_session_or_a_trace_or_all_that_is_in_neither() {
    let (store, settings) = (MemoryStore::new(), loops(0, 2));
    let runs = [
        Run::None,
        Run::Session(b""),
        Run::Session(b"1"),
        Run::Session(b"\xff"),
        Run::Trace(b"1"),
    ];
    let count = |caller, run, arguments: u8| {
        count(
            &settings,
            caller,
            run,
            "docs",
            "search",
            &[arguments; 32],
            &store,
            NOW,
        )
        .unwrap()
    };
    for run in runs {
        assert_eq!(count(ALICE, run, 1), None, "{run:?}");
        assert_eq!(count(ALICE, run, 2), None, "{run:?}");
    }
    for run in runs {
        assert_eq!(
            told(count(ALICE, run, 3)),
            Some((What::AnyCall, 10 * MINUTE)),
            "{run:?}"
        );
        let other = Caller {
            key: "bob",
            subject: None,
        };
        assert_eq!(count(other, run, 3), None, "{run:?}");
    }
}

#[test]
fn what_either_refuses_counts_in_neither() {
    let (store, settings) = (MemoryStore::new(), loops(2, 5));
    assert_eq!(
        [1, 1, 1].map(|arguments| told(call(&settings, arguments, &store, NOW))),
        [None, None, Some((What::Identical, MINUTE))]
    );
    // Three of five are left, whatever was refused.
    for _ in 0..10 {
        assert!(call(&settings, 1, &store, NOW).is_some());
    }
    assert_eq!(
        [2, 3, 4].map(|arguments| call(&settings, arguments, &store, NOW)),
        [None; 3]
    );
    for _ in 0..10 {
        assert_eq!(
            told(call(&settings, 5, &store, NOW)),
            Some((What::AnyCall, 10 * MINUTE))
        );
    }
    // So that they have not been made.
    let other = loops(2, 0);
    assert_eq!(
        [5, 5].map(|arguments| call(&other, arguments, &store, NOW)),
        [None; 2]
    );
}

#[test]
fn of_two_refusals_the_one_is_told_that_other_arguments_do_not_help() {
    let store = MemoryStore::new();
    let settings = Loops {
        identical: repeats(1, 20 * MINUTE),
        ..loops(0, 1)
    };
    assert_eq!(call(&settings, 1, &store, NOW), None);
    // The wait is that of this very call.
    assert_eq!(
        call(&settings, 1, &store, NOW),
        Some(Looping {
            what: What::AnyCall,
            limit: 1,
            per: 10 * MINUTE,
            after: 20 * MINUTE
        })
    );
    assert_eq!(
        told(call(&settings, 2, &store, NOW)),
        Some((What::AnyCall, 10 * MINUTE))
    );
    let later = later(NOW, 10 * MINUTE);
    assert_eq!(
        told(call(&settings, 1, &store, later)),
        Some((What::Identical, 10 * MINUTE))
    );
}

#[test]
fn a_call_costs_one_read_and_one_write_for_each_limit() {
    let store = Counting::default();
    for (settings, cost) in [
        (loops(0, 0), (0, 0)),
        (loops(9, 0), (1, 1)),
        (loops(0, 9), (1, 1)),
        (loops(8, 8), (2, 2)),
    ] {
        assert_eq!(call(&settings, 1, &store, NOW), None);
        assert_eq!(store.asked(), cost, "{settings:?}");
    }
    assert!(call(&loops(1, 0), 1, &store, NOW).is_some());
    assert_eq!(store.asked(), (1, 0));
    assert!(call(&loops(1, 1), 1, &store, NOW).is_some());
    assert_eq!(store.asked(), (2, 0));
}

#[test]
fn a_changed_policy_applies_at_once() {
    let store = MemoryStore::new();
    assert_eq!(
        [1; 5].map(|arguments| call(&loops(5, 0), arguments, &store, NOW)),
        [None; 5]
    );
    assert!(call(&loops(3, 0), 1, &store, NOW).is_some());
    assert_eq!(call(&loops(6, 0), 1, &store, NOW), None);
    let shorter = Loops {
        identical: repeats(6, SECOND),
        any_call: None,
    };
    assert_eq!(call(&shorter, 1, &store, NOW).unwrap().after, SECOND);
    assert_eq!(call(&shorter, 1, &store, later(NOW, SECOND)), None);
}

#[test]
fn a_hundred_thousand_arguments_take_no_more_than_the_slots_hold() {
    let (store, settings) = (MemoryStore::new(), loops(1, 0));
    let digest = |call: u32| -> [u8; 32] { Sha256::digest(call.to_le_bytes()).into() };
    let count = |number: u32, now: UnixNanos| {
        let digest = digest(number);
        count(
            &settings,
            ALICE,
            Run::None,
            "docs",
            "search",
            &digest,
            &store,
            now,
        )
        .unwrap()
    };
    for number in 0..100_000 {
        assert_eq!(count(number, NOW), None, "{number}");
    }
    let (slots, bytes) = size("loops", &store);
    assert_eq!(slots, 4096);
    assert!(bytes <= 4096 * (1 + 64 * 20), "{bytes}");
    // So many fit: every one is still known.
    assert_eq!(windows(&store), 100_000);
    assert!(
        (0..100_000)
            .step_by(997)
            .all(|number| count(number, NOW).is_some())
    );
    // Windows that have ended make room, as soon as a slot is written.
    for number in 100_000..120_000 {
        assert_eq!(count(number, later(NOW, MINUTE)), None, "{number}");
    }
    assert!(windows(&store) < 22_000, "{}", windows(&store));
}

#[test]
fn a_full_record_forgets_what_ends_first() {
    let mut record = Record::default();
    let minute = repeats(1, MINUTE).unwrap();
    for id in 0..64 {
        // The one with id 40 begins first.
        let now = later(NOW, Duration::from_millis(if id == 40 { 0 } else { 1 + id }));
        assert!(matches!(record.count(id, &minute, now), Room::Counted(_)));
    }
    let at = later(NOW, 30 * SECOND);
    assert!(matches!(record.count(99, &minute, at), Room::Counted(_)));
    assert_eq!(record.len(), 64);
    for id in (0..64).filter(|id| *id != 40).chain([99]) {
        assert!(matches!(record.count(id, &minute, at), Room::None { .. }), "{id}");
    }
    assert!(matches!(record.count(40, &minute, at), Room::Counted(_)));
}

#[test]
fn sentences() {
    let identical = Looping {
        what: What::Identical,
        limit: 5,
        per: MINUTE,
        after: Duration::from_millis(39_200),
    };
    assert_eq!(
        sentence(&identical),
        "This tool was already called 5 times with exactly these arguments, which is all that this key may do per \
         minute. Repeating the call does not help: use what it returned, change the arguments, or try again in 40 \
         seconds."
    );
    let once = Looping {
        limit: 1,
        per: Duration::from_mins(10),
        after: Duration::from_secs(1),
        ..identical
    };
    assert_eq!(
        sentence(&once),
        "This tool was already called once with exactly these arguments, which is all that this key may do per 10 \
         minutes. Repeating the call does not help: use what it returned, change the arguments, or try again in 1 \
         second."
    );
    let any = Looping {
        what: What::AnyCall,
        limit: 100,
        per: Duration::from_mins(10),
        after: Duration::from_secs(200),
    };
    assert_eq!(
        sentence(&any),
        "This run has made 100 calls, which is all that this key may make in one run per 10 minutes. Answer with what \
         the calls returned so far, or try again in 4 minutes."
    );
    let one = Looping { limit: 1, ..any };
    assert!(sentence(&one).starts_with("This run has made 1 call, which"));
}
