//! One JSON line per request, with names from OpenTelemetry where it has them.
//! <https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/>

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use toolgate_engine::exchange::{FIELDS, Field};

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

/// One access logger.
pub(super) fn logger(log: &AccessLog) -> Value {
    let fields: Map<String, Value> = fields()
        .map(|(name, operator)| (name.to_owned(), json!(operator)))
        .collect();
    let format = json!({ "json_format": fields });
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

/// Names and operators of all fields.
pub(super) fn fields() -> impl Iterator<Item = (&'static str, String)> {
    let http = HTTP
        .iter()
        .map(|(name, operator)| (*name, (*operator).to_owned()));
    http.chain(FIELDS.iter().map(|field| (field.log, state(field))))
}

/// What the filter left of a field. The host prefixes what a wasm filter sets; PLAIN, or the value comes as encoded
/// protobuf.
pub(super) fn state(field: &Field) -> String {
    format!("%FILTER_STATE(wasm.{}:PLAIN)%", field.state)
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
        let mut rendered: Vec<_> = fields().map(|(name, _)| name).collect();
        documented.sort_unstable();
        rendered.sort_unstable();
        assert_eq!(documented, rendered);
        // In the order in which digests take them.
        let named: Vec<_> = quoted(states).skip(2).take(FIELDS.len()).collect();
        let exported: Vec<_> = FIELDS.iter().map(Field::name).collect();
        assert_eq!(named, exported);
    }
}
