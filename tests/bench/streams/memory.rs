//! What Envoy's memory grows by, plain and governed, each in processes of its own: what a filter's VM has taken it never
//! gives back.

use std::collections::BTreeMap;

use toolgate_tests::envoy::Envoy;
use toolgate_tests::measure::{memory, reset_peak};

use super::client::{Client, call};
use super::pair::Pair;
use super::source::{self, Answer, Company};

const KB: usize = 1024;
const MB: usize = 1024 * KB;

/// The largest that a policy can allow.
const MAX_RESULT_BYTES: usize = 64 * MB;

/// Kilobytes that one answer may add, with noise: what the smoke run asserts.
const ACCEPTED: f64 = 16.0 * 1024.0;

/// Bytes that are sent and not yet read, of all streams and of the warm-up: what Envoy holds for a client that is slower
/// than the server is no matter here.
const ON_THEIR_WAY: usize = 2 * MB;
const WARM_UP: usize = 256 * KB;

/// One row of the table.
struct Case {
    name: &'static str,
    answer: Answer,
    /// Streams at once.
    streams: usize,
    result_bytes: usize,
    /// Kilobytes per stream; whether only what the filter adds counts.
    bar: f64,
    beyond_plain: bool,
}

/// Measures and prints.
pub(crate) async fn measure(smoke: bool) {
    println!(
        "{:<28} {:>10} {:>12} {:>10}  bar",
        "", "plain KB", "governed KB", "beyond KB"
    );
    for case in cases() {
        let (company, alone) = (Company::new(case.streams, ON_THEIR_WAY), Company::new(1, WARM_UP));
        let warm_up = Answer::events(4 * KB, 16 * MB / (4 * KB)).among(&alone);
        let answer = case.answer.clone().among(&company);
        let answers = BTreeMap::from([(case.name, answer), ("warm-up", warm_up)]);
        let pair = Pair::start(source::start(answers).await, case.result_bytes).await;
        let plain = grown(&pair.plain, &case, &company, &alone).await;
        let governed = grown(&pair.governed, &case, &company, &alone).await;
        let beyond = governed - plain;
        let judged = if case.beyond_plain { beyond } else { governed };
        let met = if judged <= case.bar { "met" } else { "MISSED" };
        let what = if case.beyond_plain { "beyond" } else { "governed" };
        println!(
            "{:<28} {plain:>10.1} {governed:>12.1} {beyond:>10.1}  {what} ≤ {} KB: {met}",
            case.name, case.bar
        );
        assert!(
            !smoke || case.streams > 1 || governed <= ACCEPTED,
            "{}: it grew by {governed} KB",
            case.name
        );
    }
}

fn cases() -> Vec<Case> {
    let events = |bytes: usize| Answer::events(4 * KB, bytes / (4 * KB));
    let frame = source::result("").to_string().len();
    let result = source::result(&source::text(MAX_RESULT_BYTES - frame));
    vec![
        Case {
            name: "sse-256MB",
            answer: events(256 * MB),
            streams: 1,
            result_bytes: 8 * MB,
            bar: 4096.0,
            beyond_plain: false,
        },
        Case {
            name: "sse-8MB-x-100 (each)",
            answer: events(8 * MB),
            streams: 100,
            result_bytes: 8 * MB,
            bar: 64.0,
            beyond_plain: true,
        },
        Case {
            name: "json-64MB",
            answer: Answer::json(&result),
            streams: 1,
            result_bytes: MAX_RESULT_BYTES,
            bar: 4096.0,
            beyond_plain: false,
        },
    ]
}

/// Kilobytes per stream between the peak and what Envoy has taken after a warm-up.
async fn grown(envoy: &Envoy, case: &Case, company: &Company, alone: &Company) -> f64 {
    read("warm-up", envoy, alone).await;
    let rest = memory(envoy.id(), "VmRSS");
    reset_peak(envoy.id());
    let streams = (0..case.streams).map(|_| read(case.name, envoy, company));
    let mut together = tokio::task::JoinSet::new();
    for stream in streams {
        together.spawn(stream);
    }
    together.join_all().await;
    let kilobytes = memory(envoy.id(), "VmHWM").saturating_sub(rest);
    let streams = u32::try_from(case.streams).unwrap_or(u32::MAX);
    f64::from(u32::try_from(kilobytes).unwrap_or(u32::MAX)) / f64::from(streams)
}

fn read(answer: &str, envoy: &Envoy, company: &Company) -> impl Future<Output = ()> + Send + use<> {
    let (request, address, company) = (call(answer), envoy.address(), company.clone());
    async move {
        let client = Client::connect(address).await.expect("Envoy accepts");
        client
            .among(&company)
            .exchange(&request)
            .await
            .expect("an answer");
    }
}
