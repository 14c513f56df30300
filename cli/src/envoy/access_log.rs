//! One JSON line per request, with names from OpenTelemetry where it has them.
//! <https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/>

use std::path::PathBuf;

use serde_json::{Map, Value, json};

/// Where lines go.
pub(crate) enum AccessLog {
    /// Appended to a file (absolute path).
    File(PathBuf),
    /// Envoy's standard output.
    Stdout,
}

/// Field names and Envoy's operators.
const HTTP: &[(&str, &str)] = &[
    ("time", "%START_TIME%"),
    ("status", "%RESPONSE_CODE%"),
    ("method", "%REQ(:METHOD)%"),
    // Without the query, which may carry secrets; as the client sent it, before the rewrite.
    ("path", "%PATH(NQ:ORIG_OR_PATH)%"),
    ("duration_ms", "%DURATION%"),
    ("request_bytes", "%BYTES_RECEIVED%"),
    ("response_bytes", "%BYTES_SENT%"),
    ("details", "%RESPONSE_CODE_DETAILS%"),
    ("flags", "%RESPONSE_FLAGS%"),
    ("upstream", "%UPSTREAM_HOST%"),
    ("client", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
];

/// Field names and the filter state that the filter leaves.
const DECISION: &[(&str, &str)] = &[
    ("decision", "toolgate.decision"),
    ("would_deny", "toolgate.would_deny"),
    ("detail", "toolgate.detail"),
    ("key", "toolgate.key"),
    ("team", "toolgate.team"),
    ("server", "toolgate.server"),
    ("object", "toolgate.object"),
    ("mcp.method.name", "toolgate.method"),
    ("gen_ai.tool.name", "toolgate.tool"),
    ("jsonrpc.request.id", "toolgate.id"),
    ("mcp.protocol.version", "toolgate.protocol"),
    ("mcp.session.id", "toolgate.session"),
    ("limit", "toolgate.limit"),
    ("cost_micros", "toolgate.cost_micros"),
    ("rate_limit", "toolgate.rate_limit"),
    ("store_conflicts", "toolgate.store_conflicts"),
    ("outcome", "toolgate.outcome"),
    ("outcome_code", "toolgate.outcome_code"),
    ("result_bytes", "toolgate.result_bytes"),
    ("result_tokens", "toolgate.result_tokens"),
    ("first_byte_ms", "toolgate.first_byte_ms"),
    ("call_duration_ms", "toolgate.duration_ms"),
];

/// One access logger.
pub(super) fn logger(log: &AccessLog) -> Value {
    let format = json!({ "json_format": fields() });
    match log {
        AccessLog::File(path) => json!({
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": path,
                "log_format": format,
            },
        }),
        AccessLog::Stdout => json!({
            "name": "envoy.access_loggers.stdout",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
                "log_format": format,
            },
        }),
    }
}

fn fields() -> Map<String, Value> {
    let http = HTTP
        .iter()
        .map(|(name, operator)| ((*name).to_owned(), json!(operator)));
    // The host prefixes what a wasm filter sets; PLAIN, or the value comes as encoded protobuf.
    let decision = DECISION.iter().map(|(name, state)| {
        (
            (*name).to_owned(),
            json!(format!("%FILTER_STATE(wasm.{state}:PLAIN)%")),
        )
    });
    http.chain(decision).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_names_every_field_and_no_other() {
        let text = include_str!("../../../docs/access-log.md");
        let (table, states) = text.split_once("\nThe filter leaves").unwrap();
        let quoted = |text: &'static str| text.split('`').skip(1).step_by(2);
        let first_column =
            |line: &'static str| line.strip_prefix("| `").and_then(|_| line.split(" | ").next());
        let mut documented: Vec<_> = table.lines().filter_map(first_column).flat_map(quoted).collect();
        let mut rendered: Vec<_> = HTTP.iter().chain(DECISION).map(|(name, _)| *name).collect();
        documented.sort_unstable();
        rendered.sort_unstable();
        assert_eq!(documented, rendered);
        let named: Vec<_> = quoted(states).skip(2).collect();
        let exported: Vec<_> = DECISION
            .iter()
            .filter_map(|(_, state)| state.strip_prefix("toolgate."))
            .collect();
        assert!(
            exported.iter().all(|state| named.contains(state)),
            "{named:?} {exported:?}"
        );
        assert_eq!(named.len(), exported.len());
    }
}
