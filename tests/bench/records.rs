//! What records add: Envoy's CPU per call without and with an access log, and with what costs most in it.

use serde_json::{Value, json};
use tempfile::TempDir;
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::load;
use toolgate_tests::measure::{cpu, median};
use toolgate_tests::ports;
use toolgate_tests::toolgate::Render;

use super::{CONNECTIONS, call, filters, per_call, plain, policy};

/// The row without the filter.
const PLAIN: &str = "plain";

/// A call in its Envoy.
struct Row {
    name: &'static str,
    envoy: Envoy,
    request: Vec<u8>,
    micros: Vec<f64>,
}

/// Measures and prints.
pub(crate) async fn measure(smoke: bool) {
    let (rounds, requests) = if smoke { (1, 200) } else { (25, 3_000) };
    let upstream = load::answering_envoy().await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let none = json!({ "arguments": "off", "chains": false });
    let file = ["--access-log"];
    let mut rows = Vec::new();
    for (name, telemetry, trace, options) in [
        (PLAIN, &none, false, &[][..]),
        ("no log, no record of calls", &none, false, &[]),
        ("no log", &json!({}), false, &[]),
        ("no log, chain", &json!({}), true, &[]),
        ("log without digest", &none, false, &file),
        ("log", &json!({}), false, &file),
        ("log, chain", &json!({}), true, &file),
        (
            "log, chain, values",
            &json!({ "arguments": "values" }),
            true,
            &file,
        ),
        (
            "log, chain, OTLP to nobody",
            &json!({}),
            true,
            &["--access-log", "--otlp"],
        ),
    ] {
        rows.push(Row {
            name,
            envoy: start(&upstream, &directory, telemetry, options, name == PLAIN).await,
            request: request(trace),
            micros: Vec::new(),
        });
    }
    for round in 0..=rounds {
        for row in &mut rows {
            let before = cpu(row.envoy.id());
            let requests_sent = [row.request.clone()];
            let tally = load::run(row.envoy.address(), &requests_sent, CONNECTIONS, requests).await;
            let decision = if row.name == PLAIN { "none" } else { "allowed" };
            assert_eq!(tally.of(decision), requests, "{}: {}", row.name, tally.last);
            // The first round opens connections and fills caches.
            if round > 0 {
                row.micros
                    .push(per_call(cpu(row.envoy.id()).saturating_sub(before), requests));
            }
        }
    }
    report(&rows);
}

fn report(rows: &[Row]) {
    let least = |row: &Row| row.micros.iter().copied().fold(f64::MAX, f64::min);
    let of = |row: usize| {
        rows.get(row)
            .map_or((f64::NAN, f64::NAN), |row| (median(&row.micros), least(row)))
    };
    let (bare, first) = (of(0), of(1));
    println!(
        "{:<28} {:>11} {:>8} {:>8} {:>8} {:>8}",
        "records", "µs (median)", "adds", "least", "adds", "share"
    );
    for row in rows {
        let (middle, least) = (median(&row.micros), least(row));
        println!(
            "{:<28} {middle:>11.1} {:>8.1} {least:>8.1} {:>8.1} {:>7.0}%",
            row.name,
            middle - first.0,
            least - first.1,
            (least - first.1) / bare.1 * 100.0
        );
    }
}

/// All of them in one trace, if any.
fn request(trace: bool) -> Vec<u8> {
    let mut call = call();
    if trace {
        call["params"]["_meta"]["traceparent"] =
            json!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    }
    load::call("/docs/mcp", "bench-key", "search", &call)
}

async fn start(
    upstream: &Envoy,
    directory: &TempDir,
    telemetry: &Value,
    options: &[&str],
    without: bool,
) -> Envoy {
    let mut policy = policy(&json!({}));
    policy["telemetry"] = telemetry.clone();
    let file = tempfile::Builder::new().tempfile_in(directory).expect("a file");
    let log = file
        .into_temp_path()
        .keep()
        .expect("it stays")
        .display()
        .to_string();
    let mut render = Render::new(policy).upstream("docs", &upstream.url("/docs/mcp"));
    for option in options {
        let value = if *option == "--otlp" {
            ports::free().to_string()
        } else {
            log.clone()
        };
        render = render.arg(*option).arg(value);
    }
    let options = Options {
        release: Release::V1_40,
        concurrency: 1,
    };
    Envoy::start(options, |listener, admin| {
        let text = render
            .run(directory.path(), listener, admin)
            .expect("the policy renders");
        let mut bootstrap: Value = serde_json::from_str(&text).expect("the bootstrap is JSON");
        if without {
            plain(filters(&mut bootstrap));
        }
        bootstrap.to_string()
    })
    .await
}
