//! Envoy's OpenTelemetry tracer, and what its spans say of decisions.
//!
//! Up to 1.36 Envoy can put only metadata into spans, and a wasm filter can set none. So what the filter leaves as filter
//! state takes a detour on the way back: as headers, of which Envoy's own filters make metadata before they would be sent.
//! What becomes known after that (what came of the call, its place in its chain) is in the access log alone.
//!
//! <https://www.envoyproxy.io/docs/envoy/latest/api-v3/type/tracing/v3/custom_tag.proto>

use serde_json::{Value, json};
use toolgate_engine::exchange::{FIELDS, Field};

use super::{access_log, otlp};

/// What is known when the answer's head is sent.
const KNOWN: &[&str] = &[
    "policy",
    "decision",
    "would_deny",
    "detail",
    "key",
    "team",
    "server",
    "method",
    "tool",
    "object",
    "id",
    "protocol",
    "session",
    "limit",
    "cost_micros",
    "rate_limit",
    "arguments_digest",
];

/// The namespace of the metadata, and the beginning of the headers' names.
const NAMESPACE: &str = "toolgate";
const HEADER: &str = "x-toolgate-span-";

/// The path without the query, which may carry secrets, by the name that OpenTelemetry has for it.
/// <https://opentelemetry.io/docs/specs/semconv/attributes-registry/url/>
const PATH: (&str, &str, &str) = ("url.path", "path", "%PATH(NQ:ORIG_OR_PATH)%");

/// `tracing` of the connection manager.
pub(super) fn tracing() -> Value {
    json!({
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
                "grpc_service": otlp::service(),
                "service_name": otlp::SERVICE,
            },
        },
        // Of the URL, Envoy's own tag has the query too.
        "max_path_tag_length": 0,
        "custom_tags": carried().map(|carried| tag(&carried)).collect::<Vec<_>>(),
    })
}

/// Before the filter: tells it which trace the span is in, which it cannot ask for. It never forwards this.
pub(super) fn tell_trace() -> Value {
    json!({
        "name": "toolgate.trace",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": { "request_mutations": [append("x-toolgate-trace-id", "%TRACE_ID%")] },
        },
    })
}

/// Around the filter, the first of them outermost: what it left becomes headers, and these become metadata.
pub(super) fn carry() -> [Value; 2] {
    let rules: Vec<Value> = carried()
        .map(|carried| {
            json!({
                "header": carried.header,
                "on_header_present": { "metadata_namespace": NAMESPACE, "key": carried.key, "type": "STRING" },
                "remove": true,
            })
        })
        .collect();
    // A server may send such headers too.
    let mutations: Vec<Value> = carried()
        .flat_map(|carried| {
            [
                json!({ "remove": carried.header }),
                append(&carried.header, &carried.operator),
            ]
        })
        .collect();
    [
        json!({
            "name": "toolgate.span",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config",
                "response_rules": rules,
            },
        }),
        json!({
            "name": "toolgate.span.headers",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
                "mutations": { "response_mutations": mutations },
            },
        }),
    ]
}

/// A value on its way into spans.
struct Carried {
    /// The name of the attribute.
    tag: &'static str,
    header: String,
    /// Its name in the metadata.
    key: &'static str,
    operator: String,
}

fn carried() -> impl Iterator<Item = Carried> {
    let fields = FIELDS.iter().filter(|field| KNOWN.contains(&field.name()));
    let known = fields.map(|field: &Field| (field.log, field.name(), access_log::state(field)));
    let path = (PATH.0, PATH.1, PATH.2.to_owned());
    known.chain([path]).map(|(tag, key, operator)| Carried {
        tag,
        header: format!("{HEADER}{}", key.replace('_', "-")),
        key,
        operator,
    })
}

fn tag(carried: &Carried) -> Value {
    json!({
        "tag": carried.tag,
        "metadata": {
            "kind": { "request": {} },
            "metadata_key": { "key": NAMESPACE, "path": [{ "key": carried.key }] },
        },
    })
}

fn append(name: &str, value: &str) -> Value {
    json!({ "append": {
        "header": { "key": name, "value": value },
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_is_known_is_carried() {
        assert_eq!(carried().count(), KNOWN.len() + 1);
    }
}
