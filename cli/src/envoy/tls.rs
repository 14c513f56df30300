//! TLS on both sides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use url::Host;

use crate::upstream::Endpoint;

const SOCKET: &str = "envoy.transport_sockets.tls";

/// Certificate chain and private key, PEM, absolute paths.
pub(crate) struct DownstreamTls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// The listener's transport socket.
pub(super) fn downstream(files: &DownstreamTls) -> Value {
    json!({
        "name": SOCKET,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": { "tls_minimum_protocol_version": "TLSv1_2" },
                "tls_certificates": [{
                    "certificate_chain": { "filename": files.certificate },
                    "private_key": { "filename": files.key },
                }],
            },
        },
    })
}

/// Adds the transport sockets of an https cluster: the certificate must come from a trusted root and
/// carry the host of the URL. Endpoints of different hosts get a socket each, chosen by metadata.
pub(super) fn upstream(cluster: &mut Value, endpoints: &[Endpoint], ca: Option<&Path>) {
    let mut sockets: BTreeMap<String, Value> = BTreeMap::new();
    for endpoint in endpoints {
        sockets
            .entry(endpoint.address())
            .or_insert_with(|| socket(endpoint, ca));
    }
    // Negotiating the protocol needs a TLS socket outside of the matches too.
    if let Some(first) = sockets.values().next() {
        cluster["transport_socket"] = first.clone();
    }
    if sockets.len() > 1 {
        cluster["transport_socket_matches"] = sockets
            .into_iter()
            .map(|(host, socket)| json!({ "name": host, "match": { "host": host }, "transport_socket": socket }))
            .collect();
    }
}

/// What the matches of [`upstream`] look at.
pub(super) fn endpoint_metadata(endpoint: &Endpoint) -> Value {
    json!({ "filter_metadata": { "envoy.transport_socket_match": { "host": endpoint.address() } } })
}

fn socket(endpoint: &Endpoint, ca: Option<&Path>) -> Value {
    let mut validation = Map::new();
    if let Some(ca) = ca {
        validation.insert("trusted_ca".to_owned(), json!({ "filename": ca }));
    }
    // Envoy's exact match of a DNS name honours wildcard certificates.
    let kind = if endpoint.is_dns() { "DNS" } else { "IP_ADDRESS" };
    validation.insert(
        "match_typed_subject_alt_names".to_owned(),
        json!([{ "san_type": kind, "matcher": { "exact": endpoint.address() } }]),
    );
    let mut context = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {
            "tls_params": { "tls_minimum_protocol_version": "TLSv1_2" },
            "validation_context": validation,
        },
    });
    // RFC 6066, section 3: an address is no server name.
    if let Host::Domain(name) = &endpoint.host {
        context["sni"] = json!(name);
    }
    json!({ "name": SOCKET, "typed_config": context })
}
