//! How much Envoy may hold. Its limits must lie above the policy's: Envoy answers a body over its
//! own limit with a plain 413 (or 500 for a response), before the filter can say anything.
//! <https://www.envoyproxy.io/docs/envoy/v1.36.0/faq/configuration/flow_control>

use toolgate_engine::policy::Policy;

/// The smallest HTTP/2 window that is not below the protocol's initial one.
const MIN_WINDOW: u64 = 65_535;
/// The largest window HTTP/2 knows (RFC 9113, section 6.9.1).
const MAX_WINDOW: u64 = (1 << 31) - 1;
/// The filter refuses on the first byte too many; one read may bring more than that byte.
const MARGIN: u64 = 256 * 1024;

/// Bytes that Envoy takes at once from a server that sends faster than its client reads, and the
/// most that the filter sees of a stream in one piece: its copies are as large. What is held is
/// bounded by the client's side, where this is not a limit but the size of a step.
pub(super) const STEP: u64 = 256 * 1024;

/// Bytes that may be held per stream and direction.
pub(crate) fn limit(policy: &Policy) -> u64 {
    let limits = policy.limits();
    let largest = u64::try_from(limits.request_bytes.max(limits.result_bytes)).unwrap_or(MAX_WINDOW);
    largest.saturating_add(MARGIN).min(MAX_WINDOW)
}

/// The window of one HTTP/2 stream. It is also what Envoy holds of it, in either direction: the default
/// of 16 MiB would let one client make us hold 16 MiB for each of its streams.
pub(crate) fn stream_window(policy: &Policy) -> u64 {
    limit(policy).clamp(MIN_WINDOW, MAX_WINDOW)
}

/// The window of one HTTP/2 connection: a few large bodies at a time.
pub(crate) fn connection_window(policy: &Policy) -> u64 {
    (stream_window(policy) * 4).min(MAX_WINDOW)
}
