//! Stores that fail, records that are damaged, and clocks that are wrong.

use super::*;

#[test]
fn a_store_that_fails_lets_nothing_through() {
    let (store, settings) = (Counting::default(), loops(3, 3));
    for error in [StoreError::Host(10), StoreError::Conflict] {
        store.get_fails.set(Some(error));
        assert_eq!(try_call(&settings, Run::None, 1, &store, NOW), Err(error));
        store.get_fails.set(None);
        store.set_fails.set(Some(error));
        assert_eq!(try_call(&settings, Run::None, 1, &store, NOW), Err(error));
        store.set_fails.set(None);
    }
    // Nothing of it was counted.
    assert_eq!(
        [1, 1, 1].map(|arguments| call(&settings, arguments, &store, NOW)),
        [None; 3]
    );
}

/// Fails when the second record is written.
struct SecondFails(Counting);

impl Store for SecondFails {
    fn get(&self, key: &str) -> Result<Option<crate::store::Versioned>, StoreError> {
        self.0.get(key)
    }

    fn set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), StoreError> {
        let fails = self.0.sets.get() == 1;
        self.0.set(key, value, expect)?;
        if fails {
            // Even if it was written.
            return Err(StoreError::Host(2));
        }
        Ok(())
    }
}

#[test]
fn what_cannot_be_counted_twice_is_taken_back() {
    let settings = loops(3, 100);
    let store = SecondFails(Counting::default());
    for _ in 0..10 {
        assert_eq!(
            try_call(&settings, Run::None, 1, &store, NOW),
            Err(StoreError::Host(2))
        );
        store.0.asked();
    }
    assert_eq!(
        [1, 1, 1].map(|arguments| call(&settings, arguments, &store.0, NOW)),
        [None; 3]
    );
    assert!(call(&settings, 1, &store.0, NOW).is_some());
}

#[test]
fn a_damaged_record_refuses_one_call() {
    let settings = loops(2, 0);
    let key = {
        let store = MemoryStore::new();
        assert_eq!(call(&settings, 1, &store, NOW), None);
        let keys = (0..0x1000).map(|slot| format!("toolgate/loops/1/{slot:03x}"));
        keys.into_iter()
            .find(|key| store.get(key).unwrap().is_some())
            .unwrap()
    };
    // The last one counts no call at all.
    for damaged in [
        &b""[..],
        b"\x02",
        &[1; 20],
        &[[1_u8; 17].as_slice(), &[0; 4]].concat(),
    ] {
        let store = MemoryStore::new();
        store.set(&key, damaged, Expect::Anything).unwrap();
        assert_eq!(
            try_call(&settings, Run::None, 1, &store, NOW),
            Err(StoreError::Corrupt)
        );
        assert_eq!(
            [1, 1].map(|arguments| call(&settings, arguments, &store, NOW)),
            [None; 2]
        );
        assert!(call(&settings, 1, &store, NOW).is_some());
    }
}

#[test]
fn a_clock_that_goes_back_keeps_nobody_waiting_for_ever() {
    let back = UnixNanos(NOW.0 / 2);
    for settings in [loops(2, 0), loops(0, 2), loops(2, 2)] {
        let store = MemoryStore::new();
        let per = if settings.any_call.is_some() {
            10 * MINUTE
        } else {
            MINUTE
        };
        assert_eq!(
            [1, 1].map(|arguments| call(&settings, arguments, &store, NOW)),
            [None; 2]
        );
        assert_eq!(call(&settings, 1, &store, back).unwrap().after, per);
        let at = UnixNanos(later(back, per).0 - 1_000_000_000);
        assert_eq!(call(&settings, 1, &store, at).unwrap().after, SECOND);
        let at = later(back, per);
        assert_eq!(
            [1, 1].map(|arguments| call(&settings, arguments, &store, at)),
            [None; 2]
        );
        assert!(call(&settings, 1, &store, at).is_some());
    }
}

#[test]
fn a_clock_that_jumps_ahead_ends_windows() {
    let (store, settings) = (MemoryStore::new(), loops(1, 1));
    let mut now = NOW;
    for _ in 0..3 {
        assert_eq!(call(&settings, 1, &store, now), None);
        assert!(call(&settings, 1, &store, now).is_some());
        now = later(now, Duration::from_hours(24 * 365));
    }
    let last = UnixNanos(u64::MAX - 1);
    assert_eq!(call(&settings, 1, &store, last), None);
    assert!(call(&settings, 1, &store, last).is_some());
    assert_eq!(call(&settings, 1, &store, UnixNanos(u64::MAX)), None);
}
