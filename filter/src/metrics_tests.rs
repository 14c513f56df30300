//! What Envoy's metrics say of calls: a policy in force, streams, and a scripted Envoy.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};
use toolgate_engine::exchange::Exchange;
use toolgate_engine::telemetry::Kind;

use super::{escape, forget};
use crate::host::Level;
use crate::root::Plugin;
use crate::stream::{Flow, Stream};
use crate::testing::FakeHost;

/// `name` has a budget of two units in a day, and a call costs a half.
fn plugin(host: &FakeHost, name: &str, global: bool) -> Plugin {
    let scope = if global { "global" } else { "local" };
    let mut policy = json!({
        "version": 1,
        "identity": { "anonymous": name },
        "servers": { "docs": { "path": "/mcp", "tools": { "half": { "cost": 0.5 }, "free": {} } } },
        "roles": { "all": { "allow": ["docs/*"] } },
        "keys": { name: { "roles": ["all"], "budget": { "limit": 2, "per": "day", "scope": scope } } },
    });
    if global {
        policy["rateLimitService"] = json!({ "cluster": "rl", "onError": "allow" });
    }
    forget();
    host.state_mut().configuration = policy.to_string().into_bytes();
    host.state_mut().wall = 1_795_178_096_000_000_000;
    let plugin = Plugin::configure(host, 1).unwrap_or_else(|| panic!("{}", host.logged()));
    host.state_mut().calls.clear();
    plugin
}

fn call(host: &FakeHost, plugin: &Plugin, tool: &str) -> (Flow, Rc<RefCell<Stream<FakeHost, Exchange>>>) {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": tool, "arguments": {} } });
    let body = body.to_string().into_bytes();
    let size = body.len();
    let head = [
        (":method", "POST"),
        (":path", "/mcp"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    let lines = head.map(|(name, value)| (name.into(), value.into()));
    host.state_mut().heads.insert(false, Some(lines.to_vec()));
    host.state_mut().buffers.insert(false, body);
    host.state_mut().context = None;
    let stream = plugin.stream(host.clone(), 7);
    let paused = stream.borrow_mut().request_headers(false);
    assert_eq!(paused, Flow::Pause);
    let flow = stream.borrow_mut().request_body(size, true);
    (flow, stream)
}

fn metrics(host: &FakeHost) -> Value {
    let state = host.state();
    let of_limits = state.metrics.iter().filter(|(name, _)| !of_verdicts(name));
    of_limits
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect()
}

/// Every call tells its verdict, and every policy that it is in force.
fn of_verdicts(name: &str) -> bool {
    ["calls_total", "key_calls_total", "policy_"]
        .iter()
        .any(|family| name.starts_with(&format!("toolgate_{family}")))
}

fn defined(host: &FakeHost) -> Vec<(Kind, String)> {
    let state = host.state();
    let of_limits = state.defined.iter().filter(|(_, name)| !of_verdicts(name));
    of_limits.cloned().collect()
}

fn host_calls(host: &FakeHost) -> Vec<&'static str> {
    let state = host.state();
    let of_metrics = |call: &&&str| call.ends_with("_metric");
    state.calls.iter().filter(of_metrics).copied().collect()
}

#[test]
fn a_gauge_is_defined_once_and_set_after_each_charge() {
    let host = FakeHost::default();
    let plugin = plugin(&host, "alice", false);
    let spent = "toolgate_budget_spent_micros;owner=key;name=alice;per=day;scope=local";
    let limit = "toolgate_budget_limit_micros;owner=key;name=alice;per=day;scope=local";
    for micros in [500_000, 1_000_000] {
        assert_eq!(
            call(&host, &plugin, "half").0,
            Flow::Continue,
            "{}",
            host.logged()
        );
        assert_eq!(metrics(&host), json!({ spent: micros, limit: 2_000_000 }));
    }
    let gauges = [(Kind::Gauge, limit.to_owned()), (Kind::Gauge, spent.to_owned())];
    assert_eq!(defined(&host), gauges);
    let (define, record, increment) = ("define_metric", "record_metric", "increment_metric");
    let first = [
        define, record, define, record, define, increment, define, increment,
    ];
    assert_eq!(
        host_calls(&host),
        [&first[..], &[record, increment, increment]].concat()
    );
    // It never reached a server.
    let (_, stream) = call(&host, &plugin, "half");
    assert_eq!(metrics(&host)[spent], 1_500_000);
    host.put_property("upstream/request_attempt_count", &1_u64.to_le_bytes());
    stream.borrow_mut().done();
    assert_eq!(metrics(&host)[spent], 1_000_000);
}

#[test]
fn a_new_policy_in_the_same_vm_goes_on_with_the_same_metrics() {
    let host = FakeHost::default();
    let first = plugin(&host, "alice", false);
    assert_eq!(call(&host, &first, "half").0, Flow::Continue);
    let before = host_calls(&host).len();
    let second = Plugin::configure(&host, 2).unwrap();
    let policy_calls = host_calls(&host).len() - before;
    assert_eq!(call(&host, &second, "half").0, Flow::Continue);
    assert_eq!(defined(&host).len(), 2);
    // Each of four was defined; the second time, so many are told, the limit too: it could be another.
    let told = host_calls(&host).len() - policy_calls;
    assert_eq!(told, 8 + 4);
}

#[test]
fn what_came_of_a_call_is_measured_at_its_end() {
    let host = FakeHost::default();
    let plugin = plugin(&host, "alice", false);
    let results = "toolgate_results_total;server=docs;tool=free;outcome=client_gone";
    let [duration, bytes] = ["toolgate_call_duration_ms", "toolgate_result_bytes"]
        .map(|family| format!("{family};server=docs;tool=free"));
    for calls in [1, 2] {
        let (flow, stream) = call(&host, &plugin, "free");
        assert_eq!(flow, Flow::Continue);
        // What costs nothing says its verdict, and nothing else before its end.
        let told = ["define_metric", "increment_metric"].repeat(2);
        let told = if calls == 1 {
            &told[..]
        } else {
            &["increment_metric"; 2]
        };
        assert_eq!(host_calls(&host), told);
        host.state_mut().wall += 7_000_000;
        stream.borrow_mut().done();
        host.state_mut().calls.clear();
        assert_eq!(
            metrics(&host),
            json!({ results: calls, duration.as_str(): calls, bytes.as_str(): calls })
        );
    }
    let state = host.state();
    let of = |family: &String| {
        let values = state.recorded.iter().filter(|(name, _)| name == family);
        values.map(|(_, value)| *value).collect::<Vec<_>>()
    };
    assert_eq!((of(&duration), of(&bytes)), (vec![7, 7], vec![0, 0]));
    drop(state);
    let defined = defined(&host);
    let histograms = defined.iter().filter(|(kind, _)| *kind == Kind::Histogram);
    assert_eq!(
        (defined.len(), histograms.count()),
        (3, 2),
        "each is defined once"
    );
}

#[test]
fn verdicts_are_counted_when_they_are_carried_out() {
    let host = FakeHost::default();
    let plugin = plugin(&host, "alice", false);
    let count = |server: &str, reason: &str| {
        let name = format!("toolgate_calls_total{server};reason={reason};mode=enforce");
        host.state().metrics.get(&name).copied().unwrap_or_default()
    };
    let (_, mut stream) = call(&host, &plugin, "half");
    stream.borrow_mut().done();
    stream = call(&host, &plugin, "a;server=evil").1;
    stream.borrow_mut().done();
    assert_eq!(count(";server=docs;tool=half", "allowed"), 1);
    assert_eq!(count(";server=docs;tool=other", "allowed"), 1);
    // Refused by its head, by its size, and by the time it takes.
    let paths = [(":method", "POST"), (":path", "/nowhere")];
    let lines = paths.map(|(name, value)| (name.into(), value.into()));
    host.state_mut().heads.insert(false, Some(lines.to_vec()));
    stream = plugin.stream(host.clone(), 8);
    assert_eq!(stream.borrow_mut().request_headers(true), Flow::Pause);
    assert_eq!(count("", "hidden"), 1);
    stream.borrow_mut().done();
    assert_eq!(count("", "hidden"), 1);
}

#[test]
fn questions_that_cannot_be_asked_are_counted() {
    let host = FakeHost::default();
    let plugin = plugin(&host, "alice", true);
    host.fail("grpc_call", 10);
    for calls in [1, 2] {
        assert_eq!(
            call(&host, &plugin, "half").0,
            Flow::Continue,
            "{}",
            host.logged()
        );
        let expected = json!({ "toolgate_rate_limit_service_total;outcome=error": calls });
        assert_eq!(metrics(&host), expected);
    }
}

#[test]
fn answers_are_counted() {
    let host = FakeHost::default();
    let plugin = plugin(&host, "alice", true);
    let (flow, stream) = call(&host, &plugin, "half");
    assert_eq!((flow, metrics(&host)), (Flow::Pause, json!({})));
    // OVER_LIMIT, with one such status.
    host.state_mut().grpc_answer = vec![8, 2, 18, 2, 8, 2];
    stream.borrow_mut().rate_limit_answer(1, 0);
    let gauge =
        |family: &str| format!("toolgate_budget_{family}_micros;owner=key;name=alice;per=day;scope=global");
    assert_eq!(
        metrics(&host),
        json!({
            "toolgate_rate_limit_service_total;outcome=over": 1,
            (gauge("limit")): 2_000_000,
            (gauge("spent")): 2_000_000,
        })
    );
}

#[test]
fn a_failure_is_logged_once_and_costs_no_request() {
    for failing in ["define_metric", "record_metric"] {
        let host = FakeHost::default();
        let plugin = plugin(&host, "alice", false);
        host.fail(failing, 2);
        for _ in 0..4 {
            assert_eq!(call(&host, &plugin, "half").0, Flow::Continue, "{failing}");
        }
        let state = host.state();
        let [(Level::Warn, line)] = state.log.as_slice() else {
            panic!("{failing}: {:?}", state.log);
        };
        assert!(
            line.contains("metric toolgate_budget_") && line.contains("status 2"),
            "{line}"
        );
    }
}

#[test]
fn values_cannot_be_confused_with_names() {
    let escaped = |value: &str| {
        let mut out = String::new();
        escape(value, &mut out);
        out
    };
    assert_eq!(escaped("a.b c/ü\"'\\@"), "a.b c/ü\"'\\@");
    assert_eq!(escaped("a;scope=x"), "a%3Bscope%3Dx");
    assert_eq!(escaped("100%3B\n\0\x7f"), "100%253B%0A%00%7F");
    let host = FakeHost::default();
    let plugin = plugin(&host, "a;scope=x", false);
    assert_eq!(call(&host, &plugin, "half").0, Flow::Continue);
    let names: Vec<String> = host.state().metrics.keys().cloned().collect();
    assert!(
        names[1].ends_with(";owner=key;name=a%3Bscope%3Dx;per=day;scope=local"),
        "{names:?}"
    );
}
