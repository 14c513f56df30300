//! The same fields in a real OpenTelemetry Collector: as log records and in spans.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use toolgate_tests::access_log::AccessLog;
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::collector::{Collector, Sent};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::upstream::mcp_server;
use toolgate_tests::{ports, run};

use super::{PATH, TRACE, legacy, policy, traceparent};

const QUERY: &str = "token=query-secret";

async fn gate(release: Release, hold: &str, otlp: &str, log: &AccessLog) -> Gate {
    let options = Options {
        release,
        ..Options::default()
    };
    let mut policy = policy(&json!({ "arguments": "values" }));
    policy["hold"] = json!(hold);
    let answer = mcp_server(json!([]));
    // A server that pretends to be the filter.
    let script = move |received: &_| {
        answer(received)
            .header("x-toolgate-span-key", "forged")
            .header("x-toolgate-span-would-deny", "forged")
    };
    let adjust = |render| log.written_by(render).arg("--otlp").arg(otlp);
    Gate::start_with(options, policy, script, adjust, |text| text).await
}

#[test]
fn records_and_spans_say_what_the_access_log_says() {
    for (release, hold) in [(Release::V1_36, "body"), (Release::V1_40, "headers")] {
        run(say(release, hold));
    }
}

async fn say(release: Release, hold: &str) {
    let (collector, log) = (Collector::start().await, AccessLog::new());
    let gate = gate(release, hold, &collector.address().to_string(), &log).await;
    let target = format!("{PATH}?{QUERY}");
    let call = |id, tool: &str| {
        let mut request = legacy(id, tool, &json!({ "q": "x" }));
        request.target.clone_from(&target);
        request
    };
    for request in [
        call(1, "priced").header("traceparent", traceparent(TRACE)),
        call(2, "delete_all"),
        call(3, "search").header("x-toolgate-trace-id", "1".repeat(32)),
        Request::json(
            PATH,
            &json!({ "jsonrpc": "2.0", "id": 4, "method": "tools/list" }),
        )
        .key("nobody"),
    ] {
        let answer = gate.send(&request, Transport::Length).await;
        let ours: Vec<_> = answer
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("x-toolgate-span"))
            .collect();
        assert!(ours.is_empty(), "{release:?}: {ours:?}");
    }
    let lines = log.wait_for(4, |_| true).await;
    let (logs, spans) = (collector.logs(4).await, collector.spans(4).await);
    for line in &lines {
        let trace = line["trace_id"]
            .as_str()
            .unwrap_or_else(|| panic!("{release:?}: {line}"));
        let record = of(&logs, trace);
        assert_eq!(record.resource, json!({ "service.name": "toolgate" }));
        // Each field of the line, and no other.
        let text = |value: &Value| match value {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let line_fields = line.as_object().unwrap();
        let names = |fields: &Value| fields.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&record.attributes), names(line), "{release:?}");
        for (name, value) in line_fields {
            assert_eq!(record.attributes[name], text(value), "{release:?}: {name}");
        }
        let span = of(&spans, trace);
        assert_eq!(span.resource["service.name"], "toolgate");
        assert_eq!(record.whole["spanId"], span.whole["spanId"], "{release:?}");
        for name in [
            "policy",
            "decision",
            "would_deny",
            "detail",
            "key",
            "team",
            "server",
            "mcp.method.name",
            "gen_ai.tool.name",
            "object",
            "jsonrpc.request.id",
            "mcp.protocol.version",
            "mcp.session.id",
            "limit",
            "cost_micros",
            "rate_limit",
            "arguments_digest",
        ] {
            assert_eq!(
                span.attributes[name], line[name],
                "{release:?}: {name}: {:?}",
                span.attributes
            );
        }
        assert_eq!(span.attributes["url.path"], PATH);
        assert!(!span.whole.to_string().contains("query-secret"), "{}", span.whole);
        assert!(
            !record.whole.to_string().contains("query-secret"),
            "{}",
            record.whole
        );
    }
    let by_id = |id: &str| {
        lines
            .iter()
            .find(|line| line["jsonrpc.request.id"] == id)
            .unwrap()
    };
    assert_eq!(
        (&by_id("1")["trace_id"], &by_id("1")["chain_seq"]),
        (&json!(TRACE), &json!("1"))
    );
    assert_eq!(by_id("2")["decision"], "hidden");
    // A trace that only Envoy knows makes no chain, and no client can choose it.
    assert_eq!(by_id("2")["chain_id"], Value::Null);
    assert_ne!(by_id("3")["trace_id"], "1".repeat(32));
    assert_eq!(
        lines.iter().filter(|line| line["decision"] == "bad_key").count(),
        1
    );
    // What went on carries the span, and not what is between Envoy and the filter. (Where only bodies are held, the heads of
    // refused requests may arrive.)
    let received = gate.upstream.received();
    for received in received.iter().filter(|request| request.complete) {
        let parent = String::from_utf8(received.header("traceparent").unwrap_or_default().to_vec()).unwrap();
        let id = received.json()["id"].to_string();
        let trace = by_id(&id)["trace_id"].as_str().unwrap();
        assert!(
            parent.starts_with(&format!("00-{trace}-")),
            "{release:?}: {parent}"
        );
        assert!(received.header("x-toolgate-trace-id").is_none(), "{release:?}");
    }
    let envoy = gate.envoy.log();
    assert!(
        !envoy.contains("panicked") && !envoy.contains("[critical]"),
        "{envoy}"
    );
}

#[test]
fn a_collector_that_is_not_there_costs_no_request() {
    for (release, hold) in [(Release::V1_36, "headers"), (Release::V1_40, "body")] {
        run(async {
            let log = AccessLog::new();
            let gate = gate(release, hold, &ports::free().to_string(), &log).await;
            let begin = Instant::now();
            for id in 1..=50 {
                let answer = gate
                    .send(&legacy(id, "search", &json!({})), Transport::Length)
                    .await;
                assert_eq!(answer.status, 200, "{answer:?}");
            }
            assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
            log.wait_for(50, |line| line["decision"] == "allowed").await;
        });
    }
}

#[test]
fn what_is_no_address_is_refused() {
    let render = |otlp: &str| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        toolgate_tests::toolgate::Render::new(policy(&json!({})))
            .upstream("docs", "http://127.0.0.1:1/mcp")
            .arg("--otlp")
            .arg(otlp)
            .run(directory.path(), nowhere, nowhere)
    };
    for otlp in [
        "collector",
        "http://collector:4317",
        "collector:4317/v1/logs",
        ":4317",
        "",
    ] {
        let error = render(otlp).expect_err(otlp);
        assert!(
            error.contains("--otlp") && error.contains("127.0.0.1:4317"),
            "{otlp}: {error}"
        );
    }
    assert!(render("collector.example:4317").is_ok());
}

fn of<'a>(sent: &'a [Sent], trace: &str) -> &'a Sent {
    let mut found = sent.iter().filter(|sent| sent.whole["traceId"] == trace);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("nothing of trace {trace} in {sent:#?}"));
    assert!(found.next().is_none(), "{trace} twice");
    first
}
