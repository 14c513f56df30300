//! What the way back costs: answers as JSON and as events, and lists that are filtered.
//!
//! Each run is a whole exchange; its request costs a few microseconds of it.

mod work;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use work::{Work, quoted_result, structured_result, text_result};

const MEGABYTE: usize = 1_000_000;

fn answers(c: &mut Criterion) {
    let mut group = c.benchmark_group("answer");
    for (name, work) in [
        ("JSON, 1 MB of text", Work::json(text_result(MEGABYTE))),
        ("JSON, 1 MB of records", Work::json(structured_result(MEGABYTE))),
        (
            "JSON, 1 MB of JSON in a text",
            Work::json(quoted_result(MEGABYTE)),
        ),
        ("events of 4 KB", Work::notifications(4096, MEGABYTE)),
        ("events of 64 KB", Work::notifications(65536, MEGABYTE)),
        ("events of 1 MB", Work::notifications(MEGABYTE, MEGABYTE)),
        ("an event, 1 MB of text", Work::event(&text_result(MEGABYTE))),
        (
            "an event, 1 MB of records",
            Work::event(&structured_result(MEGABYTE)),
        ),
        ("a list of 5000 tools, 2 MB", Work::list(5000)),
    ] {
        assert_ne!(work.run(), 0, "{name}");
        group.throughput(Throughput::Bytes(work.body.len() as u64));
        group.bench_function(name, |b| b.iter(|| work.run()));
    }
    group.finish();
}

criterion_group!(benches, answers);
criterion_main!(benches);
