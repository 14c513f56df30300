//! The state machine: what opens it, what closes it, and what it ignores.

use super::super::machine::{Answer, Machine};
use super::*;

/// A machine with a clock.
struct Bench {
    settings: Breaker,
    machine: Machine,
    now: UnixNanos,
}

type Passed = (u64, bool);

impl Bench {
    fn new(settings: Breaker) -> Bench {
        Bench {
            settings,
            machine: Machine::default(),
            now: NOW,
        }
    }

    fn opened(settings: Breaker) -> Bench {
        let mut bench = Bench::new(settings);
        while bench.machine.state() == State::Closed {
            bench.call(Health::Bad);
        }
        bench
    }

    fn wait(&mut self, wait: Duration) {
        self.now = later(self.now, wait);
    }

    fn pass(&mut self) -> Passed {
        match self.machine.admit(&self.settings, self.now) {
            Answer::Pass { probe } => (self.machine.generation, probe),
            Answer::Refused { after } => panic!("refused for {after:?}"),
        }
    }

    fn refused(&mut self) -> Duration {
        match self.machine.admit(&self.settings, self.now) {
            Answer::Refused { after } => after,
            Answer::Pass { probe } => panic!("passed, probe: {probe}"),
        }
    }

    fn report(&mut self, passed: Passed, health: Health) -> State {
        self.machine.report(&self.settings, passed, health, self.now);
        self.machine.state()
    }

    fn call(&mut self, health: Health) -> State {
        let passed = self.pass();
        self.report(passed, health)
    }
}

const SECOND: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_mins(5);

use Health::{Bad, Good, Unknown};
use State::{Closed, HalfOpen, Open};

#[test]
fn failures_in_a_row_open_it() {
    for failures in [1, 2, 5, 1000] {
        let mut bench = Bench::new(settings(failures, 1));
        for _ in 1..failures {
            assert_eq!(bench.call(Bad), Closed);
        }
        assert_eq!(bench.call(Good), Closed, "a success ends the run");
        for _ in 1..failures {
            assert_eq!(bench.call(Bad), Closed);
            assert_eq!(bench.call(Unknown), Closed, "neither ends nor extends it");
        }
        assert_eq!(bench.call(Bad), Open);
    }
}

#[test]
fn a_share_of_enough_calls_opens_it() {
    // Four calls are enough, and half of them too many.
    for (calls, opens) in [
        ([Bad, Bad, Bad, Bad], true),
        ([Good, Good, Bad, Bad], true),
        ([Bad, Bad, Good, Good], true),
        ([Good, Bad, Good, Good], false),
        ([Bad, Bad, Bad, Unknown], false),
    ] {
        let mut bench = Bench::new(with_ratio(0, 50));
        for (at, health) in calls.into_iter().enumerate() {
            let state = bench.call(health);
            let expected = if opens && at == 3 { Open } else { Closed };
            assert_eq!(state, expected, "{calls:?}, after {}", at + 1);
        }
    }
    let mut all = Bench::new(with_ratio(0, 100));
    assert_eq!([Bad, Bad, Bad, Good].map(|health| all.call(health)), [Closed; 4]);
    let mut all = Bench::new(with_ratio(0, 100));
    assert_eq!(
        [Bad; 4].map(|health| all.call(health)),
        [Closed, Closed, Closed, Open]
    );
}

#[test]
fn the_share_is_exact() {
    let mut third = with_ratio(0, 0);
    third.ratio = Some(Ratio {
        millionths: 333_334,
        min_calls: number(1),
        window: SECOND,
    });
    let mut bench = Bench::new(third);
    // 1 of 3 is less than 33.3334 %, 2 of 5 is more.
    assert_eq!(
        [Good, Good, Bad, Good, Bad].map(|h| bench.call(h)),
        [Closed, Closed, Closed, Closed, Open]
    );
}

#[test]
fn what_is_older_than_the_window_does_not_count() {
    let mut bench = Bench::new(with_ratio(0, 50));
    assert_eq!([Bad, Bad, Bad].map(|health| bench.call(health)), [Closed; 3]);
    bench.wait(Duration::from_secs(10));
    assert_eq!([Good, Good].map(|health| bench.call(health)), [Closed; 2]);
    assert_eq!(bench.call(Bad), Closed, "3 calls in the window");
    bench.wait(9 * SECOND);
    assert_eq!(bench.call(Bad), Open, "2 of 4");
    // Bucket by bucket: one failure in three seconds is never half of the calls.
    let mut bench = Bench::new(with_ratio(0, 50));
    for second in 0..100 {
        let health = if second % 3 == 2 { Bad } else { Good };
        assert_eq!(bench.call(health), Closed);
        bench.wait(SECOND);
    }
}

#[test]
fn either_opens_it() {
    let mut both = Bench::new(with_ratio(3, 50));
    assert_eq!(
        [Bad, Bad, Bad].map(|health| both.call(health)),
        [Closed, Closed, Open]
    );
    let mut both = Bench::new(with_ratio(3, 50));
    assert_eq!(
        [Bad, Good, Bad, Bad].map(|health| both.call(health)),
        [Closed, Closed, Closed, Open]
    );
}

#[test]
fn it_stays_open_until_the_time_is_up() {
    let mut bench = Bench::opened(settings(2, 1));
    assert_eq!(bench.refused(), OPEN);
    bench.wait(ALMOST_OPEN);
    assert_eq!(bench.refused(), Duration::from_nanos(1));
    bench.wait(Duration::from_nanos(1));
    assert!(bench.pass().1);
    assert_eq!(bench.machine.state(), HalfOpen);
    // However late the next call comes.
    let mut bench = Bench::opened(settings(2, 1));
    bench.wait(Duration::from_hours(240));
    assert!(bench.pass().1);
}

#[test]
fn exactly_so_many_probes_pass() {
    for probes in [1, 3, 100] {
        let mut bench = Bench::opened(settings(2, probes));
        bench.wait(OPEN);
        let passed: Vec<Passed> = (0..probes).map(|_| bench.pass()).collect();
        assert!(passed.iter().all(|(_, probe)| *probe));
        assert_eq!(bench.refused(), SECOND);
        // One success lets no further one through.
        let mut state = HalfOpen;
        for passed in passed {
            assert_eq!(state, HalfOpen);
            bench.refused();
            state = bench.report(passed, Good);
        }
        assert_eq!(state, Closed);
        assert!(!bench.pass().1);
    }
}

#[test]
fn counts_start_anew_when_it_closes() {
    let mut bench = Bench::opened(with_ratio(2, 100));
    bench.wait(OPEN);
    assert_eq!(bench.call(Good), Closed);
    assert_eq!(
        [Bad, Good, Bad, Good].map(|health| bench.call(health)),
        [Closed; 4]
    );
    assert_eq!([Bad, Bad].map(|health| bench.call(health)), [Closed, Open]);
}

#[test]
fn one_failing_probe_opens_it_again() {
    let mut bench = Bench::opened(settings(2, 3));
    bench.wait(OPEN);
    let [first, second, third] = [(); 3].map(|()| bench.pass());
    assert_eq!(bench.report(first, Good), HalfOpen);
    bench.wait(SECOND);
    assert_eq!(bench.report(second, Bad), Open);
    assert_eq!(bench.refused(), OPEN, "the whole time again");
    assert_eq!(bench.report(third, Good), Open, "too late");
    bench.wait(OPEN);
    // The earlier success does not count.
    let again = [(); 3].map(|()| bench.pass());
    bench.refused();
    assert_eq!(bench.report(third, Good), HalfOpen);
    assert_eq!(
        again.map(|passed| bench.report(passed, Good)),
        [HalfOpen, HalfOpen, Closed]
    );
}

#[test]
fn a_probe_that_found_out_nothing_gives_its_place_back() {
    let mut bench = Bench::opened(settings(2, 1));
    bench.wait(OPEN);
    for _ in 0..5 {
        let probe = bench.pass();
        bench.refused();
        assert_eq!(bench.report(probe, Unknown), HalfOpen);
    }
    assert_eq!(bench.call(Good), Closed);
}

#[test]
fn a_probe_that_never_reports_is_given_up() {
    let mut bench = Bench::opened(settings(2, 2));
    bench.wait(OPEN);
    let lost = bench.pass();
    assert_eq!(bench.call(Good), HalfOpen);
    bench.wait(Duration::from_millis(299_999));
    assert_eq!(
        bench.refused(),
        Duration::from_millis(1),
        "no longer than it takes"
    );
    bench.wait(Duration::from_millis(1));
    let next = bench.pass();
    assert!(next.1);
    bench.refused();
    // What was given up has nothing to say, and what succeeded before still counts.
    assert_eq!(bench.report(lost, Bad), HalfOpen);
    assert_eq!(bench.report(next, Good), Closed);

    // A breaker that stays open longer waits longer.
    let mut slow = settings(2, 1);
    slow.open = Duration::from_hours(1);
    let mut bench = Bench::opened(slow);
    bench.wait(Duration::from_hours(1));
    bench.pass();
    bench.wait(Duration::from_secs(3599));
    bench.refused();
    bench.wait(SECOND);
    bench.pass();
}

#[test]
fn late_reports_change_nothing() {
    let mut bench = Bench::new(settings(2, 1));
    let [early, late, later] = [(); 3].map(|()| bench.pass());
    assert_eq!(bench.call(Bad), Closed);
    assert_eq!(bench.call(Bad), Open);
    let opened = bench.machine;
    assert_eq!(bench.report(early, Good), Open);
    assert_eq!(bench.machine, opened);
    bench.wait(OPEN);
    let probe = bench.pass();
    assert_eq!(bench.report(early, Good), HalfOpen);
    assert_eq!(bench.report(late, Bad), HalfOpen);
    assert_eq!(bench.report(late, Unknown), HalfOpen);
    bench.refused();
    assert_eq!(bench.report(probe, Good), Closed);
    // Nor after it has closed again.
    let closed = bench.machine;
    for passed in [early, late, later, probe] {
        assert_eq!(bench.report(passed, Bad), Closed);
        assert_eq!(bench.machine, closed);
    }
}

#[test]
fn a_clock_that_goes_back_keeps_nothing_open_for_ever() {
    let mut bench = Bench::opened(settings(2, 1));
    bench.now = UnixNanos(NOW.0 / 2);
    assert_eq!(bench.refused(), OPEN);
    bench.wait(OPEN);
    let probe = bench.pass();
    assert!(probe.1);
    bench.now = UnixNanos(NOW.0 / 4);
    bench.refused();
    bench.wait(LEASE);
    assert!(bench.pass().1, "the lease is cut too");
    assert_eq!(bench.report(probe, Bad), HalfOpen, "generations only grow");

    let mut bench = Bench::new(with_ratio(0, 50));
    assert_eq!([Bad; 3].map(|health| bench.call(health)), [Closed; 3]);
    bench.now = UnixNanos(NOW.0 / 2);
    assert_eq!(bench.call(Bad), Closed, "what was counted is of no known age");
    assert_eq!([Bad; 3].map(|health| bench.call(health)), [Closed, Closed, Open]);
    bench.now = UnixNanos(0);
    bench.refused();
}

#[test]
fn workers_whose_clocks_differ_a_little_count_together() {
    let mut bench = Bench::new(with_ratio(0, 50));
    let step = Duration::from_millis(1);
    assert_eq!([Bad; 2].map(|health| bench.call(health)), [Closed; 2]);
    bench.now = UnixNanos(bench.now.0 - u64::try_from(step.as_nanos()).unwrap());
    assert_eq!([Bad; 2].map(|health| bench.call(health)), [Closed, Open]);
}

#[test]
fn a_clock_that_jumps_ahead_only_ends_waits() {
    let mut bench = Bench::opened(settings(2, 1));
    bench.now = UnixNanos(u64::MAX - 5);
    let probe = bench.pass();
    assert!(probe.1);
    assert_eq!(bench.report(probe, Bad), Open);
    bench.refused();
    bench.now = UnixNanos(u64::MAX);
    assert!(bench.pass().1);
    assert_eq!(bench.call(Good), Closed);
}

#[test]
fn a_changed_policy_applies_at_once() {
    // Open for less time than it was to be.
    let mut bench = Bench::opened(settings(2, 1));
    bench.settings.open = SECOND;
    assert_eq!(bench.refused(), SECOND);
    bench.wait(SECOND);
    assert!(bench.pass().1);
    // Fewer probes than have succeeded already.
    let mut bench = Bench::opened(settings(2, 5));
    bench.wait(OPEN);
    assert_eq!([Good; 3].map(|health| bench.call(health)), [HalfOpen; 3]);
    bench.settings.probes = number(2);
    assert!(!bench.pass().1);
    assert_eq!(bench.machine.state(), Closed);
    // Fewer failures than there were: the next one opens it.
    let mut bench = Bench::new(settings(5, 1));
    assert_eq!([Bad; 3].map(|health| bench.call(health)), [Closed; 3]);
    bench.settings.failures = Some(number(2));
    assert_eq!(bench.call(Bad), Open);
    // Another window.
    let mut bench = Bench::new(with_ratio(0, 50));
    assert_eq!([Bad; 3].map(|health| bench.call(health)), [Closed; 3]);
    bench.settings.ratio = bench.settings.ratio.map(|ratio| Ratio {
        window: Duration::from_hours(1),
        ..ratio
    });
    assert_eq!(
        [Bad; 4].map(|health| bench.call(health)),
        [Closed, Closed, Closed, Open]
    );
}
