//! Who is calling: the one virtual key that a request presents.

use sha2::{Digest, Sha256};

use crate::http::HeaderLines;
use crate::mcp::headers;
use crate::policy::{KeyId, Mode, Policy, RoleId, SubjectMatch};
use crate::reason::Reason;
use crate::time::UnixNanos;

/// What Envoy's `jwt_authn` verified, read from its dynamic metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifiedJwt {
    /// The claim named by `identity.jwt.claim`.
    pub subject: Option<Vec<u8>>,
    /// The elements of the claim named by `identity.jwt.rolesClaim`.
    pub roles: Vec<Vec<u8>>,
}

/// The key a request acts as, and what it may use.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key.
    pub key: KeyId,
    /// The key's roles, then those a verified claim adds.
    pub roles: Vec<RoleId>,
    /// The key's mode, or else the document's.
    pub mode: Mode,
    /// Whether the key itself sets its mode.
    pub mode_is_own: bool,
    /// The verified JWT subject.
    pub subject: Option<String>,
}

/// Why a request has no caller: always a 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCaller {
    /// One of `no_key`, `bad_key`, `expired_key`, `ambiguous`.
    pub reason: Reason,
    /// For the operator; names no credential.
    pub why: &'static str,
}

/// Finds the caller of a request.
pub fn identify(
    policy: &Policy,
    lines: &HeaderLines<'_>,
    jwt: Option<&VerifiedJwt>,
    now: UnixNanos,
) -> Result<Caller, NoCaller> {
    let subject = subject_of(jwt)?;
    let by_jwt = match &subject {
        Some(subject) => key_of_subject(policy, subject)?,
        None => None,
    };
    let presented = presented_key(policy, lines, subject.is_some())?;
    let key = match (presented, by_jwt) {
        (Some(a), Some(b)) if a != b => {
            return Err(ambiguous(
                "the virtual key and the verified JWT name different keys",
            ));
        }
        (Some(key), _) | (None, Some(key)) => key,
        // A verified JWT is a credential: it never falls back to the anonymous key.
        (None, None) if jwt.is_some() => return Err(bad("no key has the verified JWT's subject")),
        (None, None) => policy.identity().anonymous.ok_or(NoCaller {
            reason: Reason::NoKey,
            why: "no key was presented",
        })?,
    };
    // Roles of a claim belong to the key that its JWT names, and to no other one presented beside it.
    admit(policy, key, subject, jwt.filter(|_| by_jwt == Some(key)), now)
}

/// The caller that a key is without any claim: for explanations.
pub fn as_key(policy: &Policy, key: KeyId, now: UnixNanos) -> Result<Caller, NoCaller> {
    admit(policy, key, None, None, now)
}

fn admit(
    policy: &Policy,
    id: KeyId,
    subject: Option<String>,
    jwt: Option<&VerifiedJwt>,
    now: UnixNanos,
) -> Result<Caller, NoCaller> {
    let key = policy.key(id);
    if key.disabled {
        return Err(bad("the key is disabled"));
    }
    if key.expires.is_some_and(|expires| now.seconds() >= expires) {
        return Err(NoCaller {
            reason: Reason::ExpiredKey,
            why: "the key has expired",
        });
    }
    let mut roles = key.roles.clone();
    for claimed in jwt.iter().flat_map(|jwt| &jwt.roles) {
        // Only roles that the policy defines: a claim cannot invent one.
        let role = std::str::from_utf8(claimed)
            .ok()
            .and_then(|name| policy.role_by_name(name));
        roles.extend(role.filter(|role| !key.roles.contains(role)));
    }
    Ok(Caller {
        key: id,
        roles,
        mode: key.mode.unwrap_or(policy.mode()),
        mode_is_own: key.mode.is_some(),
        subject,
    })
}

/// The one key among the presented credentials.
fn presented_key(
    policy: &Policy,
    lines: &HeaderLines<'_>,
    jwt_verified: bool,
) -> Result<Option<KeyId>, NoCaller> {
    let mut found: Option<KeyId> = None;
    let mut unknown = false;
    for name in &policy.identity().headers {
        for value in headers::all(lines, name) {
            let credential = if name == "authorization" {
                bearer(value)
            } else {
                value
            };
            match policy.key_by_digest(&digest(credential)) {
                Some(key) if found.is_some_and(|other| other != key) => {
                    return Err(ambiguous("two different keys were presented"));
                }
                Some(key) => found = Some(key),
                // The verified token itself may still be in its header; it is not a presented key.
                None if jwt_verified && looks_like_jwt(credential) => {}
                None => unknown = true,
            }
        }
    }
    match (found, unknown) {
        (Some(_), true) => Err(ambiguous("two different keys were presented")),
        (None, true) => Err(bad("no key of the policy has the presented credential")),
        (found, false) => Ok(found),
    }
}

/// `Bearer <key>` or the bare value (RFC 6750 §2.1; the scheme is case-insensitive).
fn bearer(value: &[u8]) -> &[u8] {
    match value.split_at_checked(7) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => headers::trim(key),
        _ => value,
    }
}

fn digest(credential: &[u8]) -> [u8; 32] {
    Sha256::digest(credential).into()
}

fn looks_like_jwt(credential: &[u8]) -> bool {
    credential.starts_with(b"eyJ") && credential.iter().filter(|b| **b == b'.').count() == 2
}

fn subject_of(jwt: Option<&VerifiedJwt>) -> Result<Option<String>, NoCaller> {
    let Some(subject) = jwt.and_then(|jwt| jwt.subject.as_deref()) else {
        return Ok(None);
    };
    match std::str::from_utf8(subject) {
        // A claim that is not a string reaches us as raw bytes of its number.
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => Ok(Some(text.to_owned())),
        _ => Err(bad("the verified JWT's subject is not a string")),
    }
}

fn key_of_subject(policy: &Policy, subject: &str) -> Result<Option<KeyId>, NoCaller> {
    match policy.keys_by_subject(subject) {
        SubjectMatch::None => Ok(None),
        SubjectMatch::One(key) => Ok(Some(key)),
        SubjectMatch::Several(_) => Err(ambiguous("the verified JWT's subject matches several keys")),
    }
}

fn bad(why: &'static str) -> NoCaller {
    NoCaller {
        reason: Reason::BadKey,
        why,
    }
}

fn ambiguous(why: &'static str) -> NoCaller {
    NoCaller {
        reason: Reason::Ambiguous,
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNanos = UnixNanos(1_767_225_600_000_000_000);

    fn policy(anonymous: &str) -> Policy {
        let text = r#"{
            "version": 1,
            "identity": { "jwt": { "rolesClaim": "groups" }, "anonymous": ANONYMOUS },
            "servers": { "docs": { "path": "/mcp" } },
            "roles": { "reader": { "allow": ["docs/*"] }, "writer": { "allow": ["docs/*"] } },
            "keys": {
                "key": { "sha256": ["2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"], "roles": ["reader"] },
                "ci": { "subjects": ["repo:acme/*"], "roles": ["reader"] },
                "tools": { "subjects": ["repo:acme/tools"], "roles": ["reader"] },
                "guest": { "roles": [] }
            }
        }"#;
        // A key without credential is only legal as the anonymous one.
        let text = if anonymous == "null" {
            text.replace(
                r#""guest": { "roles": [] }"#,
                r#""guest": { "subjects": ["guest"] }"#,
            )
        } else {
            text.to_owned()
        };
        Policy::compile(text.replace("ANONYMOUS", anonymous).as_bytes()).unwrap()
    }

    fn who(
        policy: &Policy,
        key: Option<&str>,
        jwt: Option<(&str, &[&str])>,
    ) -> Result<(String, usize), Reason> {
        let value = key.map(|key| format!("Bearer {key}"));
        let lines: Vec<(&[u8], &[u8])> = value
            .iter()
            .map(|value| (b"authorization".as_slice(), value.as_bytes()))
            .collect();
        let jwt = jwt.map(|(subject, roles)| VerifiedJwt {
            subject: Some(subject.as_bytes().to_vec()).filter(|s| !s.is_empty()),
            roles: roles.iter().map(|role| role.as_bytes().to_vec()).collect(),
        });
        identify(policy, &lines, jwt.as_ref(), NOW)
            .map(|caller| (policy.key(caller.key).name.to_string(), caller.roles.len()))
            .map_err(|no_caller| no_caller.reason)
    }

    #[test]
    fn a_verified_subject_is_a_key_and_its_claim_adds_known_roles() {
        let policy = policy("null");
        assert_eq!(
            who(&policy, None, Some(("repo:acme/x", &[]))),
            Ok(("ci".into(), 1))
        );
        assert_eq!(
            who(
                &policy,
                None,
                Some(("repo:acme/x", &["writer", "reader", "nonsense"]))
            ),
            Ok(("ci".into(), 2))
        );
        assert_eq!(
            who(&policy, None, Some(("repo:other/x", &["writer"]))),
            Err(Reason::BadKey)
        );
        assert_eq!(
            who(&policy, None, Some(("repo:acme/tools", &[]))),
            Err(Reason::Ambiguous)
        );
        assert_eq!(who(&policy, None, None), Err(Reason::NoKey));
    }

    #[test]
    fn a_key_beside_a_jwt_must_be_the_same_and_gets_no_roles_from_another() {
        let policy = policy("null");
        assert_eq!(
            who(&policy, Some("key"), Some(("repo:acme/x", &[]))),
            Err(Reason::Ambiguous)
        );
        assert_eq!(
            who(&policy, Some("key"), Some(("stranger", &["writer"]))),
            Ok(("key".into(), 1))
        );
        assert_eq!(
            who(&policy, Some("nonsense"), Some(("repo:acme/x", &[]))),
            Err(Reason::BadKey)
        );
        // The verified token may still be in its header.
        assert_eq!(
            who(&policy, Some("eyJh.eyJz.c2ln"), Some(("repo:acme/x", &[]))),
            Ok(("ci".into(), 1))
        );
        assert_eq!(who(&policy, Some("eyJh.eyJz.c2ln"), None), Err(Reason::BadKey));
    }

    #[test]
    fn only_a_request_without_any_credential_is_anonymous() {
        let policy = policy("\"guest\"");
        assert_eq!(who(&policy, None, None), Ok(("guest".into(), 0)));
        assert_eq!(who(&policy, Some("nonsense"), None), Err(Reason::BadKey));
        assert_eq!(who(&policy, Some(""), None), Err(Reason::BadKey));
        assert_eq!(who(&policy, None, Some(("stranger", &[]))), Err(Reason::BadKey));
        assert_eq!(who(&policy, None, Some(("", &[]))), Err(Reason::BadKey));
    }
}
