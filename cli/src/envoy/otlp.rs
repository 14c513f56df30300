//! Records and spans for an OpenTelemetry collector, over OTLP's gRPC.
//! <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>

use serde_json::{Value, json};

use super::{access_log, cluster};
use crate::upstream::Endpoint;

/// Where an OpenTelemetry collector takes logs and spans.
pub(crate) struct Otlp {
    /// Its gRPC endpoint.
    pub(crate) endpoint: Endpoint,
}

/// The name of its cluster.
pub(crate) const CLUSTER: &str = "toolgate.otlp";

/// `service.name` of all that is sent.
/// <https://opentelemetry.io/docs/specs/semconv/resource/#service>
pub(super) const SERVICE: &str = "toolgate";

/// gRPC, so HTTP/2. Nothing waits for it: what cannot be sent is dropped.
pub(super) fn cluster(otlp: &Otlp) -> Value {
    let mut cluster = cluster::grpc(CLUSTER, &otlp.endpoint);
    cluster["circuit_breakers"] = json!({
        "thresholds": [{ "max_connections": 16, "max_pending_requests": 1_024, "max_requests": 1_024 }],
    });
    cluster
}

/// How the loggers and the tracer call it.
pub(super) fn service() -> Value {
    json!({ "envoy_grpc": { "cluster_name": CLUSTER }, "timeout": "10s" })
}

/// The access logger: the fields of the JSON lines as attributes of the same names, each of them text. Every Envoy gives
/// such records the ids of the request's span as well.
pub(super) fn logger() -> Value {
    let attributes: Vec<Value> = access_log::fields()
        .map(|(name, operator)| attribute(name, &operator))
        .collect();
    json!({
        "name": "envoy.access_loggers.open_telemetry",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
            // Deprecated since 1.38, and the only way before.
            "common_config": {
                "log_name": SERVICE,
                "grpc_service": service(),
                "transport_api_version": "V3",
            },
            "disable_builtin_labels": true,
            "resource_attributes": { "values": [attribute("service.name", SERVICE)] },
            "attributes": { "values": attributes },
        },
    })
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "string_value": value } })
}
