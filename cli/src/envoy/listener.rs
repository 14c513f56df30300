//! The listener and its HTTP connection manager.

use serde_json::{Value, json};

use super::{Setup, access_log, buffers, jwt, otlp, route, socket_address, tls, tracing, wasm};

/// Header bytes must come within this, so that slow senders do not pile up. (Bodies:
/// `limits.bodyTimeout`, in the filter.)
const HEADERS_TIMEOUT: &str = "15s";

/// The one listener.
pub(super) fn listener(setup: &Setup<'_>) -> Value {
    let mut chain = json!({
        "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": connection_manager(setup),
        }],
    });
    if let Some(files) = &setup.tls {
        chain["transport_socket"] = tls::downstream(files);
    }
    json!({
        "name": "mcp",
        "address": socket_address(setup.listen),
        // With port reuse a second Envoy on the same port takes half of the connections, silently.
        "enable_reuse_port": false,
        "per_connection_buffer_limit_bytes": buffers::limit(setup.policy),
        "filter_chains": [chain],
    })
}

fn connection_manager(setup: &Setup<'_>) -> Value {
    let mut manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "mcp",
        "codec_type": "AUTO",
        // The peer's address is the client's, and nobody is internal: Envoy drops x-envoy-* request
        // headers such as x-envoy-retry-on, which would run a tool call twice.
        "use_remote_address": true,
        "internal_address_config": {
            "cidr_ranges": [{ "address_prefix": "255.255.255.255", "prefix_len": 32 }],
        },
        "normalize_path": true,
        "merge_slashes": true,
        // `name.` is `name`, to the routes and to the filter alike.
        "strip_trailing_host_dot": true,
        // %2F in a path reads differently in different servers.
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {
            // Many servers read x_a as x-a.
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": buffers::stream_window(setup.policy),
            "initial_connection_window_size": buffers::connection_window(setup.policy),
        },
        "request_headers_timeout": HEADERS_TIMEOUT,
        "stream_idle_timeout": route::STREAM_IDLE,
        // The same on every answer, so that ours cannot be told from the server's.
        "server_header_transformation": "OVERWRITE",
        "route_config": route::configuration(setup),
        "http_filters": filters(setup),
    });
    let mut logs: Vec<Value> = setup.access_logs.iter().map(access_log::logger).collect();
    if setup.otlp.is_some() {
        logs.push(otlp::logger());
        manager["tracing"] = tracing::tracing();
    }
    if !logs.is_empty() {
        manager["access_log"] = Value::Array(logs);
    }
    manager
}

/// Who the caller is, what it may do, where it goes.
fn filters(setup: &Setup<'_>) -> Vec<Value> {
    let mut filters = Vec::new();
    filters.extend(setup.jwt.as_ref().map(|jwt| jwt::filter(jwt, setup.policy)));
    if setup.otlp.is_some() {
        filters.extend(tracing::carry());
        filters.push(tracing::tell_trace());
    }
    filters.push(wasm::filter(setup));
    filters.extend(route::session_filter(&setup.upstreams));
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    }));
    filters
}
