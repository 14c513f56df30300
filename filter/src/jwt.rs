//! What Envoy's [`jwt_authn`][doc] verified, read from its dynamic metadata.
//!
//! The host hands values over without their type: text as its bytes, a number as a little-endian
//! double, a map or list as serialised pairs. Only what can be read as text is taken for text, so
//! that no other type can pass for a subject or a role.
//!
//! [doc]: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/jwt_authn_filter

use toolgate_engine::exchange::VerifiedJwt;

use crate::host::{Host, HostResult, HostStatus};

/// The filter's metadata, as the path of a property.
const METADATA: [&str; 3] = ["metadata", "filter_metadata", "envoy.filters.http.jwt_authn"];

/// More are not read.
const MAX_ROLES: usize = 64;

/// Where the claims are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtClaims {
    /// `payload_in_metadata` of the provider.
    pub metadata: String,
    /// The claim that names the subject.
    pub claim: String,
    /// The claim that lists roles.
    pub roles_claim: Option<String>,
}

/// The claims, or `None` when `jwt_authn` left no payload there. A payload with more than 64 roles
/// has no subject: to use only some of them could leave out the one that refuses.
pub fn read(host: &impl Host, claims: &JwtClaims) -> HostResult<Option<VerifiedJwt>> {
    let [a, b, c] = METADATA;
    let payload = [a, b, c, claims.metadata.as_str()];
    let claim = |name: &[&str]| match host.property(&[payload.as_slice(), name].concat()) {
        // It is there, but not as anything that has bytes (null, for one).
        Err(HostStatus::SERIALIZATION_FAILURE) => Ok(Some(Vec::new())),
        other => other,
    };

    let subject = claim(&[&claims.claim])?;
    if subject.is_none() && claim(&[])?.is_none() {
        return Ok(None);
    }
    let subject = subject.filter(|value| is_text(value));
    let roles = match &claims.roles_claim {
        None => Some(Vec::new()),
        Some(name) => read_roles(|element| match element {
            Some(index) => claim(&[name, index]),
            None => claim(&[name]),
        })?,
    };
    Ok(Some(match roles {
        Some(roles) => VerifiedJwt { subject, roles },
        None => VerifiedJwt::default(),
    }))
}

/// The elements of a list, or a plain string as the only one. `None` when there are too many.
fn read_roles(
    claim: impl Fn(Option<&str>) -> HostResult<Option<Vec<u8>>>,
) -> HostResult<Option<Vec<Vec<u8>>>> {
    let mut roles = Vec::new();
    for index in 0..=MAX_ROLES {
        let Some(role) = claim(Some(&index.to_string()))? else {
            if index == 0 {
                roles.extend(claim(None)?.filter(|value| is_text(value)));
            }
            return Ok(Some(roles));
        };
        if is_text(&role) {
            roles.push(role);
        }
    }
    Ok(None)
}

/// Serialised maps and lists start with a count and contain NULs, and so does nearly every double and every boolean.
fn is_text(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(|text| !text.is_empty() && !text.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::HostStatus;
    use crate::testing::FakeHost;

    const PREFIX: &str = "metadata/filter_metadata/envoy.filters.http.jwt_authn/jwt_payload";

    fn host(claims: &[(&str, &[u8])]) -> FakeHost {
        let host = FakeHost::default();
        for (path, value) in claims {
            host.put_property(&format!("{PREFIX}{path}"), value);
        }
        host
    }

    fn read_from(host: &FakeHost) -> Option<VerifiedJwt> {
        let claims = JwtClaims {
            metadata: "jwt_payload".into(),
            claim: "sub".into(),
            roles_claim: Some("groups".into()),
        };
        read(host, &claims).unwrap()
    }

    #[test]
    fn subject_and_roles() {
        let host = host(&[("/sub", b"alice"), ("/groups/0", b"dev"), ("/groups/1", b"ops")]);
        let jwt = read_from(&host).unwrap();
        assert_eq!(jwt.subject.as_deref(), Some(b"alice".as_slice()));
        assert_eq!(jwt.roles, [b"dev".to_vec(), b"ops".to_vec()]);
    }

    #[test]
    fn a_plain_string_is_one_role() {
        let jwt = read_from(&host(&[("/sub", b"alice"), ("/groups", b"dev")])).unwrap();
        assert_eq!(jwt.roles, [b"dev".to_vec()]);
    }

    #[test]
    fn no_payload_is_no_jwt_but_a_payload_without_subject_is_one() {
        assert_eq!(read_from(&host(&[])), None);
        assert_eq!(
            read_from(&host(&[("", b"\x01\0\0\0")])),
            Some(VerifiedJwt::default())
        );
    }

    #[test]
    fn values_of_other_types_are_not_text() {
        for value in [
            &42.0_f64.to_le_bytes()[..],
            b"\x01",
            b"\x01\0\0\0\x01\0\0\0\0\0\0\0a\0\0",
            b"\xff",
            b"",
        ] {
            let jwt = read_from(&host(&[("/sub", value), ("/groups", value)])).unwrap();
            assert_eq!(jwt, VerifiedJwt::default(), "{value:?}");
        }
    }

    #[test]
    fn too_many_roles_leave_no_subject() {
        let host = host(&[("/sub", b"alice")]);
        for index in 0..64 {
            host.put_property(&format!("{PREFIX}/groups/{index}"), b"r");
        }
        assert_eq!(read_from(&host).unwrap().roles.len(), 64);
        host.put_property(&format!("{PREFIX}/groups/64"), b"r");
        assert_eq!(read_from(&host), Some(VerifiedJwt::default()));
    }

    #[test]
    fn host_failures_are_not_absence() {
        let host = host(&[("/sub", b"alice")]);
        host.fail("property", 10);
        let claims = JwtClaims {
            metadata: "jwt_payload".into(),
            claim: "sub".into(),
            roles_claim: None,
        };
        assert_eq!(read(&host, &claims), Err(HostStatus(10)));
        host.fail("property", 3);
        assert_eq!(read(&host, &claims), Ok(Some(VerifiedJwt::default())));
    }
}
