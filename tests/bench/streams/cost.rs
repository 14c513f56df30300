//! CPU time of Envoy, plain and governed, round by round in turn.

use std::collections::BTreeMap;

use toolgate_tests::measure::{cpu, median};

use super::client::{self, Client};
use super::pair::Pair;
use super::source::{self, Answer};

const KB: usize = 1024;
const MB: usize = 1024 * KB;

/// The policy's default.
const RESULT_BYTES: usize = 8 * MB;

/// What is compared with a bar.
#[derive(Clone, Copy)]
enum Bar {
    /// Milliseconds of CPU that the filter adds to one answer.
    Added(f64),
    /// CPU with the filter over CPU without.
    Ratio(f64),
    /// For information.
    None,
}

/// One row of the table.
struct Case {
    name: &'static str,
    answer: Answer,
    request: Vec<u8>,
    /// Answers in one round.
    calls: usize,
    bar: Bar,
    /// Milliseconds per answer, one for each round.
    plain: Vec<f64>,
    governed: Vec<f64>,
}

/// Measures and prints.
pub(crate) async fn measure(smoke: bool) {
    let rounds = if smoke { 1 } else { 7 };
    let mut cases = cases(smoke);
    let answers: BTreeMap<_, _> = cases
        .iter()
        .map(|case| (case.name, case.answer.clone()))
        .collect();
    let pair = Pair::start(source::start(answers).await, RESULT_BYTES).await;
    let mut plain = Client::connect(pair.plain.address())
        .await
        .expect("Envoy accepts");
    let mut governed = Client::connect(pair.governed.address())
        .await
        .expect("Envoy accepts");
    println!(
        "{:<28} {:>10} {:>12} {:>10} {:>8}  bar",
        "", "plain ms", "governed ms", "added ms", "ratio"
    );
    for case in &mut cases {
        // The first round opens connections and lets memory grow.
        for round in 0..=rounds {
            let of_plain = spent(&mut plain, pair.plain.id(), case).await;
            let of_governed = spent(&mut governed, pair.governed.id(), case).await;
            if round > 0 {
                case.plain.push(of_plain);
                case.governed.push(of_governed);
            }
        }
        report(case);
    }
}

/// Milliseconds of CPU per answer.
async fn spent(client: &mut Client, envoy: u32, case: &Case) -> f64 {
    let before = cpu(envoy);
    for _ in 0..case.calls {
        client.exchange(&case.request).await.expect("an answer");
    }
    let spent = cpu(envoy).saturating_sub(before);
    spent.as_secs_f64() * 1e3 / f64::from(u32::try_from(case.calls).unwrap_or(u32::MAX))
}

fn report(case: &Case) {
    let (plain, governed) = (median(&case.plain), median(&case.governed));
    let (added, ratio) = (governed - plain, governed / plain);
    let bar = match case.bar {
        Bar::Added(most) => format!("added ≤ {most} ms: {}", verdict(added <= most)),
        Bar::Ratio(most) => format!("ratio ≤ {most}: {}", verdict(ratio <= most)),
        Bar::None => String::new(),
    };
    println!(
        "{:<28} {plain:>10.3} {governed:>12.3} {added:>10.3} {ratio:>8.2}  {bar}",
        case.name
    );
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

fn cases(smoke: bool) -> Vec<Case> {
    let stream = if smoke { 4 * MB } else { 64 * MB };
    let calls = |full: usize| if smoke { 2 } else { full };
    let result = |size: usize| {
        let frame = source::result("").to_string().len();
        Answer::json(&source::result(&source::text(size - frame)))
    };
    let tools = source::tools(5_000);
    let case = |name, answer, request: fn(&str) -> Vec<u8>, calls, bar| Case {
        name,
        answer,
        request: request(name),
        calls,
        bar,
        plain: Vec::new(),
        governed: Vec::new(),
    };
    let events = |size: usize| Answer::events(size, stream / size);
    vec![
        case("json-1KB", result(KB), client::call, calls(500), Bar::None),
        case("json-64KB", result(64 * KB), client::call, calls(200), Bar::None),
        case("json-1MB", result(MB), client::call, calls(30), Bar::Added(1.0)),
        case("sse-events-of-512B", events(512), client::call, 1, Bar::None),
        case(
            "sse-events-of-4KB",
            events(4 * KB),
            client::call,
            1,
            Bar::Ratio(1.3),
        ),
        case(
            "sse-events-of-64KB",
            events(64 * KB),
            client::call,
            1,
            Bar::Ratio(1.3),
        ),
        case("sse-events-of-1MB", events(MB), client::call, 1, Bar::Ratio(1.3)),
        case(
            "list-json",
            Answer::json(&tools),
            client::list,
            calls(5),
            Bar::Added(40.0),
        ),
        case(
            "list-sse",
            Answer::event(&tools),
            client::list,
            calls(5),
            Bar::Added(40.0),
        ),
    ]
}
