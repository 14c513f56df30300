//! What breakers and loop guards add to a call.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use toolgate_engine::breaker::{self, Admission, BreakerId, Permit};
use toolgate_engine::canonical;
use toolgate_engine::json::{Limits, parse};
use toolgate_engine::loops::{self, Caller, Run};
use toolgate_engine::outcome::Health;
use toolgate_engine::policy::{Breaker, BreakerEach, Loops, Ratio, Repeats};
use toolgate_engine::store::{MemoryStore, Store};
use toolgate_engine::time::UnixNanos;

const NOW: UnixNanos = UnixNanos(1_767_225_600_000_000_000);

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

fn breaker(ratio: bool) -> Breaker {
    Breaker {
        each: BreakerEach::Tool,
        failures: Some(number(5)),
        ratio: ratio.then(|| Ratio {
            millionths: 500_000,
            min_calls: number(20),
            window: Duration::from_secs(30),
        }),
        open: Duration::from_secs(30),
        probes: number(1),
        slow: None,
        count_tool_errors: false,
    }
}

fn pass(settings: &Breaker, id: BreakerId, store: &dyn Store, now: UnixNanos) -> Permit {
    match breaker::admit(settings, id, store, now) {
        Ok(Admission::Pass(permit)) => permit,
        other => panic!("{other:?}"),
    }
}

fn breakers(c: &mut Criterion) {
    let mut group = c.benchmark_group("breaker");
    group.bench_function("id", |b| {
        b.iter(|| BreakerId::of(black_box("docs"), black_box(Some("search_docs"))));
    });
    let id = BreakerId::of("docs", Some("search_docs"));
    for (name, settings) in [
        ("failures", breaker(false)),
        ("failures and ratio", breaker(true)),
    ] {
        let store = MemoryStore::new();
        let mut now = NOW;
        group.bench_function(format!("{name}: admit and report a success"), |b| {
            b.iter(|| {
                now.0 += 1_000_000;
                let permit = pass(&settings, id, &store, now);
                breaker::report(&settings, permit, Health::Good, &store, now)
            });
        });
    }
    let (store, settings) = (MemoryStore::new(), breaker(false));
    for _ in 0..5 {
        let permit = pass(&settings, id, &store, NOW);
        breaker::report(&settings, permit, Health::Bad, &store, NOW).expect("the store works");
    }
    group.bench_function("open: refuse", |b| {
        b.iter(|| breaker::admit(&settings, id, &store, NOW));
    });
    group.finish();
}

fn guards(c: &mut Criterion) {
    let repeats = |limit| {
        Some(Repeats {
            limit: number(limit),
            per: Duration::from_secs(1),
        })
    };
    let mut group = c.benchmark_group("loops");
    for (name, identical, any_call) in [
        ("identical", repeats(1_000_000), None),
        ("identical and any call", repeats(1_000_000), repeats(1_000_000)),
    ] {
        let (store, settings) = (MemoryStore::new(), Loops { identical, any_call });
        let caller = Caller {
            key: "ci-bot",
            subject: None,
        };
        let mut now = NOW;
        group.bench_function(name, |b| {
            b.iter(|| {
                now.0 += 1_000_000;
                let run = Run::Session(b"0123456789abcdef");
                loops::count(
                    &settings,
                    caller,
                    run,
                    "docs",
                    "search_docs",
                    &[7; 32],
                    &store,
                    now,
                )
            });
        });
    }
    group.finish();
}

fn digests(c: &mut Criterion) {
    let usual =
        json!({ "query": "select ".repeat(90), "limit": 50, "tags": ["one", "two", "three"] }).to_string();
    // A megabyte whose members are in the wrong order on every level.
    let mut nested = "\"x\"".to_owned();
    for _ in 0..60 {
        nested = format!("{{\"b\":{nested},\"a\":1.5}}");
    }
    let hostile = format!(
        "{}{}{}",
        "{\"z\":".repeat(2),
        "[".to_owned() + &vec![nested; 1_200].join(",") + "]",
        ",\"a\":0}".repeat(2)
    );
    let mut group = c.benchmark_group("canonical digest");
    for (name, text) in [("700 bytes", usual), ("1 MB, 62 levels out of order", hostile)] {
        let value = parse(text.as_bytes(), &Limits::default()).expect("strict JSON");
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| canonical::digest(Some(black_box(value)), &[]));
        });
    }
    group.finish();
}

criterion_group!(benches, breakers, guards, digests);
criterion_main!(benches);
