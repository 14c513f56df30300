//! Whether a request that has ended may have reached a server, from Envoy's [attributes].
//!
//! What Envoy 1.36 and 1.40 say when a stream is logged:
//!
//! | end | `upstream.local_address` | attempts | flags |
//! |---|---|---|---|
//! | the server answered, whole or in part, or reset the stream | known | 1 | none, `UC`, `UPE`, … |
//! | no answer in time | known | 1 | `UT` |
//! | client gone while the server worked | known | 1 | `DC` |
//! | connection refused; no connection (or no TLS) in time | none | 1 | `UF` |
//! | no healthy host | none | 1 | `UH` |
//! | circuit breaker open | none | 1 | `UO` |
//! | client gone before there was a connection | none | 1 | `DC` |
//! | any of these after a retry | that of the latest attempt | 2 or more | also `URX` |
//! | no such route or cluster | none | 0 | `NR`, `NC` |
//! | redirect or answer of the route | none | 0 | none, details `direct_response` |
//! | refused by a later filter | none | 0 | its own (`RL`, `UAEX`, `FI`) or none |
//! | client gone in a later filter | none | 0 | `DC` |
//!
//! The local address is that of the connection to which the router gave the request, and there is none before that. One
//! attempt without it is therefore certain; several are not, since only the latest is known. No attempt at all says that
//! the *router* did nothing: another terminal filter may have asked servers by itself, so something else must say
//! that the request was turned down.
//!
//! A connection to a Unix domain socket has no local address. `upstream.address`, known from the connection on, tells
//! such a server from others, and what was sent to it stayed here only where a flag says that there was no connection.
//!
//! [attributes]: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes

use std::net::SocketAddr;

use crate::host::{Host, HostResult};

/// Bits of [`response.flags`][flags]: no route (`NR`), a fault injected (`FI`), a rate limit (`RL`), external
/// authorization (`UAEX`), no cluster (`NC`).
///
/// [flags]: https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage
const TURNED_DOWN: u64 = 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 24;

/// No healthy host (`UH`), no connection (`UF`), circuit breaker open (`UO`).
const NOT_CONNECTED: u64 = 1 << 1 | 1 << 5 | 1 << 7;

/// How [`response.code_details`][details] begin where no flag says so: the route itself answered, or a role-based rule.
///
/// [details]: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/response_code_details
const TURNED_DOWN_DETAILS: [&[u8]; 2] = [b"direct_response", b"rbac_access_denied"];

/// `false` only where it is certain that not one byte of the request was written to a server. A host that does not
/// know leaves it at `true`.
pub fn may_have(host: &impl Host) -> bool {
    !stayed(host).unwrap_or(false)
}

/// Whether the head of a response, in the callback about it, is known to come from a server and not from Envoy itself.
pub fn answered(host: &impl Host) -> bool {
    code_details(host).is_ok_and(|details| details == b"via_upstream")
}

fn stayed(host: &impl Host) -> HostResult<bool> {
    if host.property(&["upstream", "local_address"])?.is_some() {
        return Ok(false);
    }
    match number(host, &["upstream", "request_attempt_count"])? {
        Some(1) => Ok(!may_lack_local_address(host)? || flags(host)? & NOT_CONNECTED != 0),
        Some(0) => turned_down(host),
        Some(_) | None => Ok(false),
    }
}

/// Whether the server is at something else than an IP address and a port.
fn may_lack_local_address(host: &impl Host) -> HostResult<bool> {
    let address = host.property(&["upstream", "address"])?;
    let is_ip = |address: &[u8]| {
        std::str::from_utf8(address).is_ok_and(|address| address.parse::<SocketAddr>().is_ok())
    };
    Ok(address.is_some_and(|address| !is_ip(&address)))
}

fn turned_down(host: &impl Host) -> HostResult<bool> {
    if flags(host)? & TURNED_DOWN != 0 {
        return Ok(true);
    }
    let details = code_details(host)?;
    Ok(TURNED_DOWN_DETAILS.iter().any(|start| details.starts_with(start)))
}

/// The bits of `response.flags`; none where it is not known.
pub(crate) fn flags(host: &impl Host) -> HostResult<u64> {
    Ok(number(host, &["response", "flags"])?.unwrap_or(0))
}

/// `response.code_details`; empty where it is not known.
pub(crate) fn code_details(host: &impl Host) -> HostResult<Vec<u8>> {
    Ok(host.property(&["response", "code_details"])?.unwrap_or_default())
}

/// Integers come as eight bytes, little endian.
fn number(host: &impl Host, path: &[&str]) -> HostResult<Option<u64>> {
    let value = host.property(path)?;
    Ok(value
        .and_then(|bytes| bytes.try_into().ok())
        .map(u64::from_le_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    fn host(local: bool, attempts: Option<u64>, flags: u64, details: &str) -> FakeHost {
        let host = FakeHost::default();
        if local {
            host.put_property("upstream/local_address", b"127.0.0.1:40000");
        }
        if let Some(attempts) = attempts {
            host.put_property("upstream/request_attempt_count", &attempts.to_le_bytes());
        }
        host.put_property("response/flags", &flags.to_le_bytes());
        host.put_property("response/code_details", details.as_bytes());
        host
    }

    #[test]
    fn a_connection_is_a_server_reached() {
        for (attempts, flags, details) in [
            (1, 0, "via_upstream"),
            (
                1,
                0x40,
                "upstream_reset_before_response_started{connection_termination}",
            ),
            (1, 0x4, "response_timeout"),
            (1, 0x4000, "downstream_remote_disconnect"),
            (2, 0x8040, "upstream_reset_before_response_started{remote_reset}"),
            // Whatever else is said.
            (0, 0x100, "direct_response"),
        ] {
            assert!(may_have(&host(true, Some(attempts), flags, details)), "{details}");
        }
    }

    #[test]
    fn one_attempt_without_a_connection_is_none() {
        for (flags, details) in [
            (
                0x20,
                "upstream_reset_before_response_started{remote_connection_failure}",
            ),
            (0x20, "upstream_reset_before_response_started{connection_timeout}"),
            (0x80, "upstream_reset_before_response_started{overflow}"),
            (0x2, "no_healthy_upstream"),
            (0x4000, "downstream_remote_disconnect"),
        ] {
            assert!(!may_have(&host(false, Some(1), flags, details)), "{details}");
            // The connection of an earlier attempt is not known any more.
            assert!(
                may_have(&host(false, Some(3), flags | 0x8000, details)),
                "{details}"
            );
        }
    }

    #[test]
    fn without_a_local_address_to_be_known_only_a_flag_is_certain() {
        let at = |address: &str, flags: u64, details: &str| {
            let host = host(false, Some(1), flags, details);
            host.put_property("upstream/address", address.as_bytes());
            may_have(&host)
        };
        for address in ["/run/mcp.sock", "@/mcp", "envoy://inner/", ""] {
            assert!(at(address, 0, "via_upstream"), "{address}");
            assert!(at(address, 0x4, "response_timeout"), "{address}");
            assert!(
                at(address, 0x40, "upstream_reset_before_response_started"),
                "{address}"
            );
            assert!(at(address, 0x4000, "downstream_remote_disconnect"), "{address}");
            for flag in [0x2, 0x20, 0x80, 0x4020] {
                assert!(!at(address, flag, ""), "{address} {flag:x}");
            }
        }
        for address in ["127.0.0.1:80", "[::1]:80"] {
            assert!(!at(address, 0x4000, "downstream_remote_disconnect"), "{address}");
        }
    }

    #[test]
    fn what_never_came_to_the_router_was_turned_down_only_where_something_says_so() {
        for (flags, details) in [
            (0x100, "route_not_found"),
            (0x100_0000, "cluster_not_found"),
            (0, "direct_response"),
            (0, "rbac_access_denied_matched_policy[all]"),
            (0x800, "local_rate_limited"),
            (0x400, "fault_filter_abort"),
            (0x1000, "ext_authz_denied"),
        ] {
            assert!(!may_have(&host(false, Some(0), flags, details)), "{details}");
        }
        for (flags, details) in [(0, ""), (0x4000, "downstream_remote_disconnect"), (0, "mcp")] {
            assert!(may_have(&host(false, Some(0), flags, details)), "{details}");
        }
    }

    #[test]
    fn not_to_know_is_not_to_be_certain() {
        assert!(may_have(&FakeHost::default()));
        assert!(may_have(&host(false, None, 0x100, "route_not_found")));
        let failing = host(false, Some(1), 0x20, "");
        assert!(!may_have(&failing));
        failing.fail("property", 10);
        assert!(may_have(&failing));
        let strange = FakeHost::default();
        strange.put_property("upstream/request_attempt_count", b"1");
        assert!(may_have(&strange));
    }

    #[test]
    fn only_a_server_answers_through_the_upstream() {
        assert!(answered(&host(true, Some(1), 0, "via_upstream")));
        assert!(!answered(&host(true, Some(1), 4, "response_timeout")));
        assert!(!answered(&FakeHost::default()));
    }
}
