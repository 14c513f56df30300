//! `jwt_authn` in front of the filter: Envoy verifies the token, the filter reads its claims.
//! <https://www.envoyproxy.io/docs/envoy/v1.36.0/configuration/http/http_filters/jwt_authn_filter>

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use toolgate_engine::policy::Policy;
use url::Url;

use super::cluster;
use crate::upstream::Endpoint;

const PROVIDER: &str = "toolgate";

/// What to verify.
pub(crate) struct Jwt {
    /// Where the keys are.
    pub(crate) jwks: Jwks,
    /// `iss` of an acceptable token.
    pub(crate) issuer: String,
    /// If not empty, `aud` must be one of them.
    pub(crate) audiences: Vec<String>,
}

/// The issuer's public keys.
pub(crate) enum Jwks {
    /// A JWK set in a file, absolute.
    File(PathBuf),
    /// Fetched and kept fresh by Envoy.
    Url(Url, Endpoint),
}

/// The filter. A request without a token goes on: it may carry a virtual key. Where a virtual key may stand in
/// `Authorization`, what is there and is not a valid token goes on as well, unverified and in place, so that the
/// filter takes it for a key, and answers 401 if it is none. The verified token never goes on.
pub(super) fn filter(jwt: &Jwt, policy: &Policy) -> Value {
    let shares_header = policy
        .identity()
        .headers
        .iter()
        .any(|name| name == "authorization");
    let otherwise = if shares_header {
        "allow_missing_or_failed"
    } else {
        "allow_missing"
    };
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": { (PROVIDER): provider(jwt, policy) },
            "rules": [{
                "match": { "prefix": "/" },
                "requires": { "requires_any": { "requirements": [
                    { "provider_name": PROVIDER },
                    { (otherwise): {} },
                ] } },
            }],
        },
    })
}

/// The cluster that serves the keys, if they are fetched.
pub(super) fn cluster(jwt: &Jwt, ca: Option<&Path>) -> Option<Value> {
    let Jwks::Url(url, endpoint) = &jwt.jwks else {
        return None;
    };
    Some(cluster::named(
        &cluster_name(endpoint),
        std::slice::from_ref(endpoint),
        url.scheme() == "https",
        ca,
    ))
}

fn provider(jwt: &Jwt, policy: &Policy) -> Value {
    let mut provider = json!({
        "issuer": jwt.issuer,
        "from_headers": [{ "name": "Authorization", "value_prefix": "Bearer " }],
        "forward": false,
        "require_expiration": true,
        "payload_in_metadata": policy.identity().jwt.as_ref().map(|jwt| jwt.metadata.as_str()),
    });
    if !jwt.audiences.is_empty() {
        provider["audiences"] = json!(jwt.audiences);
    }
    match &jwt.jwks {
        Jwks::File(path) => provider["local_jwks"] = json!({ "filename": path }),
        Jwks::Url(url, endpoint) => {
            provider["remote_jwks"] = json!({
                "http_uri": { "uri": url.as_str(), "cluster": cluster_name(endpoint), "timeout": "5s" },
                "cache_duration": "300s",
                // Fetched before the first request, and again before the cache ends.
                "async_fetch": {},
            });
        }
    }
    provider
}

/// Cannot be a server's name.
fn cluster_name(endpoint: &Endpoint) -> String {
    format!("jwks/{endpoint}")
}
