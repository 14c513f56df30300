//! How a stream has ended, from what came through it and from Envoy's [attributes].
//!
//! What Envoy 1.36 and 1.40 say when a stream is logged, of ends after the request went on:
//!
//! | end | flags | details |
//! |---|---|---|
//! | the server answered in full, whatever the client did then | none | `via_upstream` |
//! | route timeout | `UT` | `response_timeout` |
//! | timeout of one attempt | `UT`, also `URX` | `upstream_per_try_timeout`, `upstream_per_try_idle_timeout` |
//! | idle timeout of the stream | `SI` | `stream_idle_timeout` |
//! | maximum duration of the cluster | `UMSDR` | `upstream_max_stream_duration_reached` |
//! | maximum duration of the route | **none** | `max_duration_timeout` |
//! | client closed its connection | `DC` | `downstream_remote_disconnect` |
//! | client reset the HTTP/2 stream | `DR` | `http2.remote_reset` |
//! | the same with `NO_ERROR`, Envoy 1.40 | **none** | none, or `via_upstream` after a head |
//! | client broke the protocol | `DPE` | `http2.…` |
//! | server closed its connection | `UC` | `upstream_reset_…{connection_termination}` |
//! | server reset the HTTP/2 stream | `UR` | `upstream_reset_…{remote_reset}` |
//! | what came was no HTTP, or shorter than its length | `UPE` | `upstream_reset_…{protocol_error}` |
//! | no connection | `UF` | `upstream_reset_…{remote_connection_failure…}` |
//! | no healthy host; circuit breaker open | `UH`; `UO` | `no_healthy_upstream`; `…{overflow}` |
//!
//! Each but the last two and the first can come before or after the answer's head. So a server that fails leaves a flag,
//! always, and an answer that breaks off without one was given up on the client's side: it says nothing of the server.
//!
//! [attributes]: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes

use toolgate_engine::exchange::{Cause, Ending};

use crate::host::Host;
use crate::reached::{self, code_details, flags};

/// Bits of [`response.flags`][flags] that say that it took too long: `UT`, `SI`, `UMSDR`, `DT`.
///
/// [flags]: https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage
const TIMEOUT: u64 = 1 << 2 | 1 << 16 | 1 << 19 | 1 << 22;

/// That the client left, or broke the protocol: `DC`, `DPE`, `DR`.
const CLIENT_GONE: u64 = 1 << 14 | 1 << 18 | 1 << 28;

/// That there was no connection to the server, or that it broke: `UH`, `LR`, `UR`, `UF`, `UC`, `UO`, `UPE`, `DF`.
const RESET: u64 = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 23 | 1 << 26;

/// The timeout that no flag tells of.
const TIMEOUT_DETAILS: &[u8] = b"max_duration_timeout";

/// How far the answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not to its end.
    Unfinished,
    /// To its end, but Envoy may have written it.
    Foreign,
    /// To its end, and it is a server's or our own.
    Complete,
}

/// How a stream has ended; asks the host when it is asked.
#[derive(Debug)]
pub struct Ended<'a, H> {
    /// The host, in the callback that tells of the end.
    pub host: &'a H,
    /// Bytes of response body that came from the upstream.
    pub result_bytes: u64,
    /// How far the answer came.
    pub answer: Answer,
}

impl<H: Host> Ending for Ended<'_, H> {
    fn result_bytes(&self) -> u64 {
        self.result_bytes
    }

    fn reached(&self) -> bool {
        reached::may_have(self.host)
    }

    fn cause(&self) -> Cause {
        if self.answer == Answer::Complete {
            return Cause::Complete;
        }
        // A host that does not know has not said that the server failed.
        let flags = flags(self.host).unwrap_or(0);
        if flags & TIMEOUT != 0 {
            Cause::Timeout
        } else if flags & CLIENT_GONE != 0 {
            Cause::ClientGone
        } else if flags & RESET != 0 {
            Cause::Reset
        } else if code_details(self.host).is_ok_and(|details| details == TIMEOUT_DETAILS) {
            Cause::Timeout
        } else if self.answer == Answer::Unfinished {
            Cause::ClientGone
        } else {
            Cause::Complete
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    fn host(flags: u64, details: &str) -> FakeHost {
        let host = FakeHost::default();
        host.put_property("response/flags", &flags.to_le_bytes());
        host.put_property("response/code_details", details.as_bytes());
        host
    }

    fn cause(host: &FakeHost, answer: Answer) -> Cause {
        let ended = Ended {
            host,
            result_bytes: 0,
            answer,
        };
        ended.cause()
    }

    /// What Envoy 1.36 and 1.40 said: flags, details, cause.
    const SEEN: [(u64, &str, Cause); 19] = [
        (0x4, "response_timeout", Cause::Timeout),
        (0x4, "upstream_per_try_idle_timeout", Cause::Timeout),
        (0x8004, "upstream_per_try_timeout", Cause::Timeout),
        (0x1_0000, "stream_idle_timeout", Cause::Timeout),
        (0x8_0000, "upstream_max_stream_duration_reached", Cause::Timeout),
        (0x40_0000, "duration_timeout", Cause::Timeout),
        (0, "max_duration_timeout", Cause::Timeout),
        (0x4000, "downstream_remote_disconnect", Cause::ClientGone),
        (0x1000_0000, "http2.remote_reset", Cause::ClientGone),
        (0x4_0000, "http2.unknown.nghttp2.error", Cause::ClientGone),
        (0x2, "no_healthy_upstream", Cause::Reset),
        (
            0x8,
            "upstream_reset_after_response_started{local_reset}",
            Cause::Reset,
        ),
        (
            0x10,
            "upstream_reset_after_response_started{remote_reset}",
            Cause::Reset,
        ),
        (
            0x20,
            "upstream_reset_before_response_started{remote_connection_failure}",
            Cause::Reset,
        ),
        (
            0x40,
            "upstream_reset_before_response_started{connection_termination}",
            Cause::Reset,
        ),
        (
            0x80,
            "upstream_reset_before_response_started{overflow}",
            Cause::Reset,
        ),
        (
            0x80_0000,
            "upstream_reset_after_response_started{protocol_error}",
            Cause::Reset,
        ),
        (0x400_0000, "dns_resolution_failure", Cause::Reset),
        (
            0x8040,
            "upstream_reset_before_response_started{connection_termination}",
            Cause::Reset,
        ),
    ];

    #[test]
    fn what_envoy_says_of_an_answer_that_broke_off_or_is_its_own() {
        for (flags, details, expected) in SEEN {
            for answer in [Answer::Unfinished, Answer::Foreign] {
                assert_eq!(
                    cause(&host(flags, details), answer),
                    expected,
                    "{details} {answer:?}"
                );
            }
        }
    }

    #[test]
    fn after_a_whole_answer_nothing_is_asked() {
        for (flags, details, _) in SEEN {
            let host = host(flags, details);
            assert_eq!(cause(&host, Answer::Complete), Cause::Complete, "{details}");
            assert!(host.state().calls.is_empty());
        }
    }

    #[test]
    fn without_a_word_of_the_server_it_is_not_to_blame() {
        for details in ["", "via_upstream", "wasm_close_stream"] {
            let host = host(0, details);
            assert_eq!(cause(&host, Answer::Unfinished), Cause::ClientGone, "{details}");
        }
        for (flags, details) in [
            (0, "direct_response"),
            (0x100, "route_not_found"),
            (0x1000, "ext_authz_denied"),
        ] {
            let host = host(flags, details);
            assert_eq!(cause(&host, Answer::Foreign), Cause::Complete, "{details}");
        }
    }

    #[test]
    fn a_host_that_does_not_know_blames_nobody() {
        let failing = host(0x40, "");
        failing.fail("property", 10);
        for (host, answer, expected) in [
            (&failing, Answer::Unfinished, Cause::ClientGone),
            (&failing, Answer::Foreign, Cause::Complete),
            (&FakeHost::default(), Answer::Unfinished, Cause::ClientGone),
            (&FakeHost::default(), Answer::Foreign, Cause::Complete),
        ] {
            assert_eq!(cause(host, answer), expected, "{answer:?}");
        }
    }
}
