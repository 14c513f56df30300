//! How requests name their key.

use std::collections::BTreeMap;

use crate::policy::error::{At, Errors, PolicyError, quoted};
use crate::policy::{Identity, Jwt, KeyId, raw};

/// Headers with a meaning of their own: taking a key from one, and the header from the upstream,
/// would break the request or let one value be read in two ways.
const TAKEN: [&str; 32] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-http-method-override",
    "x-request-id",
    "x-toolgate-approval",
];

/// Families of such headers.
const TAKEN_PREFIXES: [&str; 4] = ["mcp-param-", "x-envoy-", "x-forwarded-", "x-toolgate-"];

pub(super) fn compile(
    raw: raw::Identity,
    keys: &BTreeMap<String, raw::Key>,
    errors: &mut Errors,
) -> Identity {
    let root = At::Root;
    let at = root.member("identity");
    let jwt = raw.jwt.0.map(|raw| jwt(raw, &at.member("jwt"), errors));
    if raw.headers.is_empty() && jwt.is_none() && raw.anonymous.is_none() {
        let error =
            PolicyError::new(&at.member("headers"), "nobody could present a key").found("an empty list");
        errors.add(error.allowed("at least one header, or \"jwt\", or \"anonymous\""));
    }
    let headers = headers(&raw.headers, &at.member("headers"), errors);
    let anonymous = raw.anonymous.and_then(|name| {
        let index = keys.keys().position(|key| *key == name);
        if index.is_none() {
            let error = PolicyError::new(&at.member("anonymous"), "unknown key").found(quoted(&name));
            errors.add(
                error
                    .allowed("the name of a key, or null")
                    .nearest(&name, keys.keys()),
            );
        }
        index.map(KeyId::new)
    });
    Identity {
        headers,
        jwt,
        anonymous,
    }
}

fn headers(raw: &[String], at: &At<'_>, errors: &mut Errors) -> Vec<String> {
    let mut headers = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let at = at.element(index);
        let name = raw.to_ascii_lowercase();
        let problem = if raw.starts_with(':') {
            "a pseudo-header cannot carry a key"
        } else if !is_token(&name) {
            "not a header name"
        } else if TAKEN.contains(&name.as_str())
            || TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        {
            "this header has a meaning of its own and cannot carry a key"
        } else if headers.contains(&name) {
            "the header is listed twice"
        } else {
            headers.push(name);
            continue;
        };
        let error = PolicyError::new(&at, problem).found(quoted(raw));
        errors.add(
            error.allowed(
                "names of headers that only carry a key, like \"authorization\" or \"x-virtual-key\"",
            ),
        );
    }
    headers
}

/// A `token` of [RFC 9110 §5.6.2](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2).
fn is_token(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.len() <= 128 && name.bytes().all(token)
}

fn jwt(raw: raw::Jwt, at: &At<'_>, errors: &mut Errors) -> Jwt {
    let mut check = |name: &str, value: &str| {
        if value.is_empty() || value.chars().any(char::is_control) {
            let error = PolicyError::new(&at.member(name), "not a name").found(quoted(value));
            errors.add(error.allowed("a name, not empty, without control characters"));
        }
    };
    check("metadata", &raw.metadata);
    check("claim", &raw.claim);
    if let Some(claim) = &raw.roles_claim.0 {
        check("rolesClaim", claim);
    }
    Jwt {
        metadata: raw.metadata,
        claim: raw.claim,
        roles_claim: raw.roles_claim.0,
    }
}
