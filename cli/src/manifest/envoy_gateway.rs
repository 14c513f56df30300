//! Envoy Gateway. <https://gateway.envoyproxy.io/docs/api/extension_types/>

use serde_json::{Value, json};
use toolgate_engine::policy::{Hold, Policy};
use url::Url;

use super::metadata::{Name, gateway_reference, object};
use super::numbers::carried;
use super::{Delivery, Module, Rendered, stats};
use crate::envoy::{buffers, wasm};
use crate::failure::{Failure, Outcome};

const API: &str = "gateway.envoyproxy.io/v1alpha1";
const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
/// Before the router, in every chain of filters; what stands there moves on.
const BEFORE_ROUTER: &str = "$..http_filters[?(@.name == 'envoy.filters.http.router')]";

/// The Gateway that is governed, and the objects for it.
pub(crate) struct EnvoyGateway {
    /// The objects' name.
    pub(crate) name: Name,
    /// The namespace of the Gateway, and of the objects.
    pub(crate) namespace: Name,
    /// The Gateway.
    pub(crate) gateway: Name,
    /// Names of its listeners.
    pub(crate) listeners: Vec<Name>,
}

/// The filter by the way that the policy's `hold` needs, and what lifts the Gateway's limits above the policy's.
pub(crate) fn envoy_gateway(delivery: &Delivery<'_>, to: &EnvoyGateway) -> Outcome<Rendered> {
    let mut rendered = match delivery.policy.hold() {
        Hold::Headers => patch_policy(delivery, to)?,
        Hold::Body => extension_policy(delivery, to)?,
    };
    rendered.documents.push(client_traffic(delivery.policy, to));
    rendered.documents.push(backend_traffic(to));
    if delivery.bootstrap {
        rendered
            .documents
            .push(stats::envoy_gateway(&to.name, &to.namespace)?);
        rendered.notes.push(stats::envoy_gateway_note(&to.name));
    } else {
        rendered.notes.push(stats::NOTE.into());
    }
    Ok(rendered)
}

/// An EnvoyPatchPolicy, which can set every field of Envoy's.
fn patch_policy(delivery: &Delivery<'_>, to: &EnvoyGateway) -> Outcome<Rendered> {
    let cluster = to.name.with("module");
    let mut patches = Vec::new();
    match delivery.module {
        Module::File(_) => {}
        Module::Url { url, .. } => patches.push(json!({
            "type": CLUSTER,
            "name": cluster,
            // An empty path adds the resource itself.
            "operation": { "op": "add", "path": "", "value": module_cluster(&cluster, url)? },
        })),
        Module::Image { .. } => return Err(Failure::usage(
            "with \"hold\": \"headers\" Envoy itself loads the filter, and Envoy cannot pull images",
        )
        .fix("mount the image as a volume of the proxy's pods (EnvoyProxy) and give the file in it, --image file:///PATH; \
              or give --image https://… with --sha256; or say \"hold\": \"body\" in the policy")),
    }
    let code = delivery.module.source(&cluster);
    let filter = json!({
        "name": wasm::NAME,
        "typed_config": wasm::config(delivery.policy, delivery.document, &code),
    });
    for listener in &to.listeners {
        patches.push(json!({
            "type": LISTENER,
            "name": format!("{}/{}/{listener}", to.namespace, to.gateway),
            "operation": { "op": "add", "jsonPath": BEFORE_ROUTER, "value": filter },
        }));
    }
    let spec = json!({
        "targetRef": gateway_reference(&to.gateway),
        "type": "JSONPatch",
        "jsonPatches": patches,
    });
    let listeners: Vec<&str> = to.listeners.iter().map(Name::as_str).collect();
    Ok(Rendered {
        documents: vec![object(
            API,
            "EnvoyPatchPolicy",
            to.name.as_str(),
            &to.namespace,
            &spec,
        )],
        notes: vec![
            format!(
                "this governs the listener {} of the Gateway {} in the namespace {}",
                listeners.join(", "),
                to.gateway,
                to.namespace
            ),
            "Envoy Gateway serves a listener without its patch when the patch does not fit: check that the \
             EnvoyPatchPolicy's status says Programmed before traffic comes"
                .into(),
        ],
    })
}

/// Where Envoy fetches the module from.
fn module_cluster(name: &str, url: &Url) -> Outcome<Value> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(Failure::usage(format!("--image {url}: no host to fetch from")));
    };
    let host = host.trim_matches(['[', ']']);
    let mut cluster = json!({
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "10s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": {
                "address": { "socket_address": { "address": host, "port_value": port } },
            } }] }],
        },
    });
    if url.scheme() == "https" {
        let kind = if url.domain().is_some() {
            "DNS"
        } else {
            "IP_ADDRESS"
        };
        let mut context = json!({
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": { "validation_context": {
                // Where Envoy's own images have them.
                "trusted_ca": { "filename": "/etc/ssl/certs/ca-certificates.crt" },
                "match_typed_subject_alt_names": [{ "san_type": kind, "matcher": { "exact": host } }],
            } },
        });
        if url.domain().is_some() {
            context["sni"] = json!(host);
        }
        cluster["transport_socket"] =
            json!({ "name": "envoy.transport_sockets.tls", "typed_config": context });
    }
    Ok(cluster)
}

/// An EnvoyExtensionPolicy, whose module Envoy Gateway fetches.
fn extension_policy(delivery: &Delivery<'_>, to: &EnvoyGateway) -> Outcome<Rendered> {
    let config = carried(delivery.document)?;
    let mut code = match delivery.module {
        Module::File(_) => {
            return Err(Failure::usage(
                "with \"hold\": \"body\" Envoy Gateway fetches the filter, and it takes no file of the proxy",
            )
            .fix("give --image oci://… or --image https://… with --sha256; or say \"hold\": \"headers\" in the policy"));
        }
        Module::Image { reference, .. } => json!({ "type": "Image", "image": { "url": reference } }),
        Module::Url { url, .. } => json!({ "type": "HTTP", "http": { "url": url.as_str() } }),
    };
    if let Some(sha256) = delivery.module.sha256() {
        let place = if matches!(delivery.module, Module::Image { .. }) {
            "image"
        } else {
            "http"
        };
        code[place]["sha256"] = json!(sha256);
    }
    let mut extension = json!({
        "name": wasm::NAME,
        "rootID": wasm::NAME,
        "failOpen": false,
        "code": code,
        "config": config.value,
    });
    if let Some(name) = &delivery.policy.sessions().secret_env {
        extension["env"] = json!({ "hostKeys": [name] });
    }
    let spec = json!({ "targetRefs": [gateway_reference(&to.gateway)], "wasm": [extension] });
    let mut notes = vec![
        format!("this governs the Gateway {} in the namespace {}", to.gateway, to.namespace),
        "an EnvoyExtensionPolicy has no way to replace a crashed VM: the worker answers 503 until its configuration \
         changes; \"hold\": \"headers\" renders one that has"
            .into(),
    ];
    notes.extend(config.notes);
    Ok(Rendered {
        documents: vec![object(
            API,
            "EnvoyExtensionPolicy",
            to.name.as_str(),
            &to.namespace,
            &spec,
        )],
        notes,
    })
}

/// What agents may send: the default of 32 KiB is below any policy's limits.
fn client_traffic(policy: &Policy, to: &EnvoyGateway) -> Value {
    let spec = json!({
        "targetRefs": [gateway_reference(&to.gateway)],
        "connection": { "bufferLimit": buffers::limit(policy) },
        "http2": {
            "initialStreamWindowSize": buffers::stream_window(policy),
            "initialConnectionWindowSize": buffers::connection_window(policy),
        },
        "headers": { "withUnderscoresAction": "RejectRequest" },
        "path": { "escapedSlashesAction": "RejectRequest" },
        // Streams of server messages stay silent for long.
        "timeout": { "http": { "streamIdleTimeout": "1h" } },
    });
    object(API, "ClientTrafficPolicy", to.name.as_str(), &to.namespace, &spec)
}

/// Without it Envoy's default of 15 s cuts streams.
fn backend_traffic(to: &EnvoyGateway) -> Value {
    let spec = json!({
        "targetRefs": [gateway_reference(&to.gateway)],
        "timeout": { "http": { "requestTimeout": "0s" } },
    });
    object(
        API,
        "BackendTrafficPolicy",
        to.name.as_str(),
        &to.namespace,
        &spec,
    )
}
