//! A breaker against a simpler one that remembers everything.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Remembers every call, and looks at all of them.
struct Model {
    settings: Breaker,
    /// The number of the current phase; reports from earlier ones are ignored.
    epoch: u32,
    phase: Phase,
}

enum Phase {
    /// When each call of this phase ended, and whether it failed.
    Closed(Vec<(UnixNanos, bool)>),
    /// When it opened.
    Open(UnixNanos),
    /// The probes under way, those that succeeded, and when the latest one started.
    HalfOpen(BTreeSet<usize>, u32, UnixNanos),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Passes { probe: bool },
    Refused(Duration),
}

const LEASE: Duration = Duration::from_mins(5);

impl Model {
    fn state(&self) -> State {
        match self.phase {
            Phase::Closed(_) => State::Closed,
            Phase::Open(_) => State::Open,
            Phase::HalfOpen(..) => State::HalfOpen,
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.epoch += 1;
        self.phase = phase;
    }

    fn admit(&mut self, call: usize, now: UnixNanos) -> Said {
        if let Phase::Open(since) = self.phase {
            let until = later(since, self.settings.open);
            if now < until {
                return Said::Refused(Duration::from_nanos(until.0 - now.0));
            }
            self.enter(Phase::HalfOpen(BTreeSet::new(), 0, now));
        }
        let Phase::HalfOpen(under_way, good, since) = &mut self.phase else {
            return Said::Passes { probe: false };
        };
        let until = later(*since, LEASE);
        if now >= until && !under_way.is_empty() {
            under_way.clear();
            self.epoch += 1;
        }
        if u32::try_from(under_way.len()).unwrap() + *good == self.settings.probes.get() {
            return Said::Refused(Duration::from_nanos(until.0 - now.0).min(Duration::from_secs(1)));
        }
        under_way.insert(call);
        *since = now;
        Said::Passes { probe: true }
    }

    fn report(&mut self, call: usize, epoch: u32, health: Health, now: UnixNanos) {
        if epoch != self.epoch {
            return;
        }
        match (&mut self.phase, health) {
            (Phase::Closed(calls), Health::Good | Health::Bad) => {
                calls.push((now, health == Health::Bad));
                if self.opens(now) {
                    self.enter(Phase::Open(now));
                }
            }
            (Phase::HalfOpen(..), Health::Bad) => self.enter(Phase::Open(now)),
            (Phase::HalfOpen(under_way, good, _), health) => {
                under_way.remove(&call);
                *good += u32::from(health == Health::Good);
                if *good == self.settings.probes.get() {
                    self.enter(Phase::Closed(Vec::new()));
                }
            }
            _ => {}
        }
    }

    fn opens(&self, now: UnixNanos) -> bool {
        let Phase::Closed(calls) = &self.phase else {
            return false;
        };
        let run = calls.iter().rev().take_while(|(_, bad)| *bad).count();
        if self
            .settings
            .failures
            .is_some_and(|most| run >= most.get() as usize)
        {
            return true;
        }
        self.settings.ratio.is_some_and(|ratio| {
            let tenth = |at: UnixNanos| u128::from(at.0) / (ratio.window.as_nanos() / 10);
            let recent: Vec<bool> = calls
                .iter()
                .filter(|(at, _)| tenth(*at) + 10 > tenth(now))
                .map(|(_, bad)| *bad)
                .collect();
            let bad = recent.iter().filter(|bad| **bad).count();
            let tenths = ratio.millionths as usize / 100_000;
            recent.len() >= ratio.min_calls.get() as usize && bad * 10 >= tenths * recent.len()
        })
    }
}

#[derive(Clone, Debug)]
enum Event {
    Call,
    /// One of the calls that are under way ends.
    End(prop::sample::Index, Health),
    /// One of them is never heard of again.
    Lost(prop::sample::Index),
    Wait(Duration),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let health = prop_oneof![4 => Just(Health::Bad), 4 => Just(Health::Good), 1 => Just(Health::Unknown)];
    let wait = prop_oneof![
        6 => 0..2_000_u64,
        3 => 5_000..12_000_u64,
        2 => 29_000..31_000_u64,
        1 => 299_000..301_000_u64,
    ];
    let event = prop_oneof![
        10 => Just(Event::Call),
        12 => (any::<prop::sample::Index>(), health).prop_map(|(index, health)| Event::End(index, health)),
        1 => any::<prop::sample::Index>().prop_map(Event::Lost),
        6 => wait.prop_map(|millis| Event::Wait(Duration::from_millis(millis))),
    ];
    prop::collection::vec(event, 1..200)
}

fn breakers() -> impl Strategy<Value = Breaker> {
    let ratio = prop::option::of((1..=10_u32, 1..8_u32, 1..20_u64)).prop_map(|ratio| {
        ratio.map(|(tenths, calls, seconds)| Ratio {
            millionths: tenths * 100_000,
            min_calls: number(calls),
            window: Duration::from_secs(seconds),
        })
    });
    (0..5_u32, 1..4_u32, ratio).prop_map(|(failures, probes, ratio)| {
        let failures = if ratio.is_none() {
            failures.max(1)
        } else {
            failures
        };
        Breaker {
            ratio,
            ..settings(failures, probes)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_breaker_does_what_the_model_does(settings in breakers(), events in events()) {
        let store = MemoryStore::new();
        let mut model = Model { settings: settings.clone(), epoch: 0, phase: Phase::Closed(Vec::new()) };
        let mut under_way: Vec<(usize, u32, Permit)> = Vec::new();
        let mut now = NOW;
        for (call, event) in events.into_iter().enumerate() {
            let before = model.state();
            match event {
                Event::Wait(wait) => now = later(now, wait),
                Event::Call => {
                    let expected = model.admit(call, now);
                    let changed = (model.state() != before).then(|| model.state());
                    match admit(&settings, id(), &store, now).unwrap() {
                        Admission::Pass(permit) => {
                            prop_assert_eq!(Said::Passes { probe: permit.is_probe() }, expected);
                            prop_assert_eq!(permit.transition(), changed);
                            under_way.push((call, model.epoch, permit));
                        }
                        Admission::Refused { after } => prop_assert_eq!(Said::Refused(after), expected),
                    }
                }
                Event::Lost(index) if !under_way.is_empty() => {
                    let _ = under_way.swap_remove(index.index(under_way.len()));
                }
                Event::End(index, health) if !under_way.is_empty() => {
                    let (call, epoch, permit) = under_way.swap_remove(index.index(under_way.len()));
                    model.report(call, epoch, health, now);
                    let changed = (model.state() != before).then(|| model.state());
                    prop_assert_eq!(report(&settings, permit, health, &store, now), Ok(changed));
                }
                Event::Lost(_) | Event::End(..) => {}
            }
        }
    }
}
