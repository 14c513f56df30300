//! One line per decision, from Envoy's access log.

use std::fmt::Write as _;

use serde_json::Value;

use crate::style::{BAD, DIM, GOOD, NOTE, clean};

/// The line for one record of the access log; `None` if it is not one.
pub(super) fn line(record: &str) -> Option<String> {
    let record: Value = serde_json::from_str(record).ok().filter(Value::is_object)?;
    let text = |name: &str| record.get(name).and_then(Value::as_str).map(clean);
    let number = |name: &str| record.get(name).and_then(Value::as_u64).unwrap_or_default();
    let time = text("time").unwrap_or_default();
    let time = time.get(11..19).unwrap_or_default();
    let mut line = format!(
        "{DIM}{time}{DIM:#} {}",
        verdict(text("decision").as_deref(), text("would_deny").as_deref())
    );
    for part in [text("key").or(Some("-".to_owned())), Some(what(&text))]
        .into_iter()
        .flatten()
    {
        // Writing to a string cannot fail.
        let _ = write!(line, "  {part}");
    }
    let status = number("status");
    // From the verdict to the answer; of what was refused, all there is.
    let took = text("call_duration_ms").unwrap_or_else(|| number("duration_ms").to_string());
    let _ = match outcome(&text, status) {
        None => write!(line, "  {DIM}{status} {took} ms{DIM:#}"),
        Some(Came { text, well: true }) => write!(line, "  {DIM}{status} {text} {took} ms{DIM:#}"),
        Some(Came { text, well: false }) => write!(
            line,
            "  {DIM}{status}{DIM:#} {BAD}{text}{BAD:#} {DIM}{took} ms{DIM:#}"
        ),
    };
    let detail = text("detail").or_else(|| trouble(&text));
    for part in detail.into_iter().chain(gap(&text)) {
        let _ = write!(line, "  {part}");
    }
    Some(line)
}

/// What came of a request that went on.
struct Came {
    text: String,
    /// Whether there is nothing to look into.
    well: bool,
}

/// With its code, unless the status says that already.
fn outcome(text: &impl Fn(&str) -> Option<String>, status: u64) -> Option<Came> {
    let outcome = text("outcome")?;
    let well = matches!(
        outcome.as_str(),
        "ok" | "accepted" | "task" | "input_required" | "client_gone"
    );
    let code = text("outcome_code").filter(|code| *code != status.to_string());
    let text = match code {
        Some(code) => format!("{outcome} {code}"),
        None => outcome,
    };
    Some(Came { text, well })
}

/// A rate limit service that gave no usable answer, whatever `onError` made of it.
fn gap(text: &impl Fn(&str) -> Option<String>) -> Option<String> {
    let said = text("rate_limit")?;
    said.starts_with("error")
        .then(|| format!("rate limit service: {said}"))
}

/// What Envoy says of a request that it could not carry through, such as a server that is not there.
fn trouble(text: &impl Fn(&str) -> Option<String>) -> Option<String> {
    // Agents end streams by leaving ("DC"), which is in order.
    let flags = text("flags").filter(|flags| !matches!(flags.as_str(), "-" | "DC"))?;
    let details = text("details").unwrap_or_default();
    Some(format!("{flags} {details}").trim_end().to_owned())
}

/// Padded, so that what follows stands in columns.
fn verdict(decision: Option<&str>, would_deny: Option<&str>) -> String {
    match (decision, would_deny) {
        (Some("allowed"), None) => format!("{GOOD}{:<22}{GOOD:#}", "allowed"),
        // In shadow mode: allowed, and the policy's refusal is only told.
        (Some("allowed"), Some(reason)) => format!("{NOTE}{:<22}{NOTE:#}", format!("would deny: {reason}")),
        (Some(reason), _) => format!("{BAD}{:<22}{BAD:#}", format!("refused: {reason}")),
        // Envoy answered by itself, before the filter.
        (None, _) => format!("{NOTE}{:<22}{NOTE:#}", "no decision"),
    }
}

/// Server, method and what it names, as far as they are known.
fn what(text: &impl Fn(&str) -> Option<String>) -> String {
    let name = text("gen_ai.tool.name").or_else(|| text("object"));
    let place = match (text("server"), name) {
        (Some(server), Some(name)) => format!("{server}/{name}"),
        (Some(server), None) => server,
        (None, _) => text("path").unwrap_or_else(|| "-".to_owned()),
    };
    match text("mcp.method.name").or_else(|| text("method")) {
        Some(method) => format!("{method} {place}"),
        None => place,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{BAD, line};

    fn plain(record: &serde_json::Value) -> String {
        anstream::adapter::strip_str(&line(&record.to_string()).unwrap()).to_string()
    }

    #[test]
    fn tells_what_was_decided() {
        let record = json!({
            "time": "2026-11-20T21:24:09.914Z", "status": 200, "duration_ms": 3, "decision": "hidden", "key": "eng",
            "server": "docs", "gen_ai.tool.name": "drop_table", "mcp.method.name": "tools/call", "detail": "why",
        });
        assert_eq!(
            plain(&record),
            "21:24:09 refused: hidden         eng  tools/call docs/drop_table  200 3 ms  why"
        );
    }

    #[test]
    fn a_shadowed_refusal_is_not_plainly_allowed() {
        let record = json!({ "time": "", "decision": "allowed", "would_deny": "quota", "key": "eng" });
        assert!(plain(&record).contains("would deny: quota"));
    }

    #[test]
    fn what_came_of_a_request_is_told_with_the_time_it_took() {
        let record = |outcome: &str, code: serde_json::Value| {
            let status = if outcome == "http_error" { 503 } else { 200 };
            json!({ "time": "", "decision": "allowed", "key": "eng", "status": status, "duration_ms": 90,
                "outcome": outcome, "outcome_code": code, "call_duration_ms": "84" })
        };
        for (outcome, code, told) in [
            ("ok", json!(null), "200 ok 84 ms"),
            ("tool_error", json!(null), "200 tool_error 84 ms"),
            ("rpc_error", json!("-32603"), "200 rpc_error -32603 84 ms"),
            ("http_error", json!("503"), "  503 http_error 84 ms"),
        ] {
            let told_line = plain(&record(outcome, code));
            assert!(told_line.ends_with(told), "{told_line}");
        }
        let colour = |outcome| line(&record(outcome, json!(null)).to_string()).unwrap();
        let bad = format!("{BAD}");
        assert!(!colour("ok").contains(&bad) && colour("reset").contains(&bad));
    }

    #[test]
    fn a_rate_limit_service_that_did_not_answer_is_told_even_where_the_call_passed() {
        let record = |said: &str| json!({ "time": "", "decision": "allowed", "rate_limit": said });
        let failed = plain(&record("error: no answer in 100ms"));
        assert!(
            failed.ends_with("rate limit service: error: no answer in 100ms"),
            "{failed}"
        );
        assert!(!plain(&record("within")).contains("rate limit"));
    }

    #[test]
    fn a_server_that_is_not_there_is_told() {
        let record = json!({ "time": "", "decision": "allowed", "status": 503, "flags": "UF",
            "details": "upstream_reset_before_response_started{remote_connection_failure}" });
        assert!(
            plain(&record)
                .ends_with("503 0 ms  UF upstream_reset_before_response_started{remote_connection_failure}")
        );
        for flags in ["-", "DC"] {
            let record =
                json!({ "time": "", "decision": "allowed", "status": 200, "flags": flags, "details": "x" });
            assert!(plain(&record).ends_with("200 0 ms"), "{flags}");
        }
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let record = json!({ "time": "", "decision": "hidden", "server": "docs", "gen_ai.tool.name": "\u{1b}[2J\r\u{9b}1m" });
        assert!(!plain(&record).contains(['\u{1b}', '\r', '\u{9b}']));
    }

    #[test]
    fn what_is_no_record_is_no_decision() {
        assert!(line("[2026-11-20] starting").is_none());
        assert!(line("3").is_none());
    }
}
