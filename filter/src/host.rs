//! What the shell asks of its host: bytes in, bytes out, every failure a value.
//!
//! [`Host`] is implemented by `Envoy` on the [proxy-wasm ABI 0.2.1][abi] (in `host/envoy.rs`, the
//! only file that names the ABI and the only one with `unsafe`) and by a scripted host in tests.
//!
//! [abi]: https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1

use std::fmt;
use std::time::Duration;

use toolgate_engine::exchange::LocalReply;
use toolgate_engine::telemetry::Kind;

#[cfg(target_arch = "wasm32")]
mod envoy;
#[cfg(target_arch = "wasm32")]
pub use envoy::Envoy;
#[cfg(any(test, target_arch = "wasm32"))]
mod grpc;

/// A status other than `Ok`, as the host returned it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HostStatus(pub u32);

impl HostStatus {
    /// There is no such thing (a property, a key, a buffer in this phase).
    pub const NOT_FOUND: HostStatus = HostStatus(1);
    /// An argument is not one that the host can take.
    pub const BAD_ARGUMENT: HostStatus = HostStatus(2);
    /// The value has a type that cannot be handed over.
    pub const SERIALIZATION_FAILURE: HostStatus = HostStatus(3);
    /// Bytes that should be a list of pairs are not one.
    pub const PARSE_FAILURE: HostStatus = HostStatus(4);
    /// The compare-and-swap named another version than the stored one.
    pub const CAS_MISMATCH: HostStatus = HostStatus(8);
    /// The host broke its own contract.
    pub const INTERNAL_FAILURE: HostStatus = HostStatus(10);
}

impl fmt::Debug for HostStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host status {}", self.0)
    }
}

/// The outcome of a host call.
pub type HostResult<T> = Result<T, HostStatus>;

/// Header lines as received, pseudo-headers included, within the bytes that the host handed over.
pub type Lines<'a> = Vec<(&'a [u8], &'a [u8])>;

/// Severity of a log line, with the ABI's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    /// Normal operation.
    Info = 2,
    /// A single request went wrong.
    Warn = 3,
    /// The configuration is unusable.
    Error = 4,
}

/// Which way a stream flows, and with it which header map and which body is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Request,
    /// From the server to the client.
    Response,
}

/// A unary gRPC call.
#[derive(Clone, Copy, Debug)]
pub struct GrpcCall<'a> {
    /// The host's name for where it goes.
    pub cluster: &'a str,
    /// The full name of the service.
    pub service: &'a str,
    /// The method's name.
    pub method: &'a str,
    /// The serialised request.
    pub message: &'a [u8],
    /// How long the host waits for the answer, in whole milliseconds and at least one.
    pub timeout: Duration,
}

/// The host calls of the shell. None of them may panic.
pub trait Host {
    /// Writes a line to the host's log.
    fn log(&self, level: Level, message: &str);

    /// All header lines of one direction as a serialised map, in one call and one copy: see [`pairs::parse`].
    fn header_map(&self, direction: Direction) -> HostResult<Vec<u8>>;
    /// Replaces every line of that name by one.
    fn set_header(&self, direction: Direction, name: &str, value: &[u8]) -> HostResult<()>;
    /// Removes every line of that name.
    fn remove_header(&self, direction: Direction, name: &str) -> HostResult<()>;

    /// The bytes that the body buffer holds in this callback, in one copy. Empty when there are none.
    fn body(&self, direction: Direction) -> HostResult<Vec<u8>>;
    /// Puts `bytes` in place of the first `length` bytes of the body buffer.
    fn replace_body(&self, direction: Direction, length: usize, bytes: &[u8]) -> HostResult<()>;
    /// Answers the client, in either direction. `details` becomes Envoy's response code details.
    fn send_local_reply(&self, reply: &LocalReply, details: &str) -> HostResult<()>;
    /// Lets what is paused go on after the callback.
    fn resume(&self, direction: Direction) -> HostResult<()>;
    /// Resets the stream.
    fn close_stream(&self, direction: Direction) -> HostResult<()>;

    /// A property; `None` when there is no such property.
    fn property(&self, path: &[&str]) -> HostResult<Option<Vec<u8>>>;
    /// Sets a filter state value that the rest of Envoy sees as `wasm.<name>`.
    fn set_property(&self, name: &str, value: &[u8]) -> HostResult<()>;

    /// A shared value and its version.
    fn shared_data(&self, key: &str) -> HostResult<Option<(Vec<u8>, u32)>>;
    /// Writes a shared value if its version is `cas`; 0 writes in any case.
    fn set_shared_data(&self, key: &str, value: &[u8], cas: u32) -> HostResult<()>;

    /// Makes a call that belongs to the context in effect, and returns its token. Its end is announced to the context
    /// whose callback this is, if that is still there, and never before the callback is over.
    fn grpc_call(&self, call: &GrpcCall<'_>) -> HostResult<u32>;
    /// The answer's message, while it is announced.
    fn grpc_answer(&self) -> HostResult<Vec<u8>>;

    /// The number of a metric, which is made if there is none of that name in the process. Only this VM knows the number.
    fn define_metric(&self, kind: Kind, name: &str) -> HostResult<u32>;
    /// Adds to a counter.
    fn increment_metric(&self, id: u32, by: u64) -> HostResult<()>;
    /// Sets a gauge, or gives a histogram one more value.
    fn record_metric(&self, id: u32, value: u64) -> HostResult<()>;

    /// The plugin configuration, while it is being configured.
    fn configuration(&self) -> HostResult<Vec<u8>>;
    /// A variable of the environment that the host lets this VM see; `None` if there is none, or if it is no UTF-8.
    fn environment(&self, name: &str) -> Option<String>;
    /// Fills `bytes`, at most 64 KiB, with random ones that nobody can guess.
    fn random(&self, bytes: &mut [u8]) -> HostResult<()>;
    /// Asks for a tick every `period` (whole milliseconds, at least one).
    fn set_tick_period(&self, period: Duration) -> HostResult<()>;
    /// Makes the following calls act on another context of this VM.
    fn set_effective_context(&self, context_id: u32) -> HostResult<()>;
    /// Nanoseconds since the Unix epoch.
    fn wall_clock(&self) -> HostResult<u64>;
    /// Nanoseconds on a clock that never jumps.
    fn monotonic_clock(&self) -> HostResult<u64>;
}

/// The ABI's [serialised map][abi]: a count, then the lengths of all names and values (all of them
/// little-endian `u32`), then each name and value with a NUL after it.
///
/// [abi]: https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1#serialized-map
pub mod pairs {
    use super::{HostResult, HostStatus, Lines};

    /// Reads a serialised map; anything that is not exactly one is [`HostStatus::PARSE_FAILURE`].
    pub fn parse(bytes: &[u8]) -> HostResult<Lines<'_>> {
        if bytes.is_empty() {
            return Ok(Lines::new());
        }
        read(bytes).ok_or(HostStatus::PARSE_FAILURE)
    }

    /// Writes a serialised map. `None` when a length does not fit the format.
    pub fn write<T: AsRef<[u8]>>(pairs: &[(T, T)]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        out.extend_from_slice(&u32::try_from(pairs.len()).ok()?.to_le_bytes());
        for (name, value) in pairs {
            for text in [name, value] {
                out.extend_from_slice(&u32::try_from(text.as_ref().len()).ok()?.to_le_bytes());
            }
        }
        for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
            out.extend_from_slice(text.as_ref());
            out.push(0);
        }
        Some(out)
    }

    fn read(bytes: &[u8]) -> Option<Lines<'_>> {
        let (count, rest) = length(bytes)?;
        let (mut lengths, mut data) = rest.split_at_checked(count.checked_mul(8)?)?;
        // `count` is now known to be at most an eighth of what the host handed over.
        let mut lines = Lines::with_capacity(count);
        for _ in 0..count {
            let (name_length, after) = length(lengths)?;
            let (value_length, after) = length(after)?;
            lengths = after;
            let (name, after) = text(data, name_length)?;
            let (value, after) = text(after, value_length)?;
            data = after;
            lines.push((name, value));
        }
        data.is_empty().then_some(lines)
    }

    fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        Some((usize::try_from(u32::from_le_bytes(*length)).ok()?, rest))
    }

    fn text(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
        let (text, rest) = bytes.split_at_checked(length)?;
        let (nul, rest) = rest.split_first()?;
        (*nul == 0).then_some((text, rest))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
            pairs
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect()
        }

        #[test]
        fn what_is_written_is_read_back() {
            let map = owned(&[(":path", "/mcp"), ("empty", ""), ("x", "a\0b")]);
            let bytes = write(&map).unwrap();
            let lines = parse(&bytes).unwrap();
            assert_eq!(lines.len(), 3);
            for ((name, value), (n, v)) in lines.iter().zip(&map) {
                assert_eq!((*name, *value), (n.as_bytes(), v.as_bytes()));
            }
            assert_eq!(parse(&[]), Ok(Lines::new()));
            assert_eq!(parse(&[0, 0, 0, 0]), Ok(Lines::new()));
        }

        #[test]
        fn values_need_not_be_utf8() {
            let bytes = [1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, b'n', 0, 0xff, 0xfe, 0];
            assert_eq!(
                parse(&bytes),
                Ok(vec![(b"n".as_slice(), [0xff, 0xfe].as_slice())])
            );
        }

        #[test]
        fn every_truncation_and_every_surplus_is_an_error() {
            let whole = write(&owned(&[("a", "bc"), ("def", "")])).unwrap();
            for end in 1..whole.len() {
                assert_eq!(
                    parse(&whole[..end]),
                    Err(HostStatus::PARSE_FAILURE),
                    "{end} bytes"
                );
            }
            let mut longer = whole.clone();
            longer.push(0);
            assert_eq!(parse(&longer), Err(HostStatus::PARSE_FAILURE));
        }

        #[test]
        fn hostile_lengths_are_errors() {
            assert_eq!(parse(&u32::MAX.to_le_bytes()), Err(HostStatus::PARSE_FAILURE));
            let mut bytes = vec![1, 0, 0, 0];
            bytes.extend_from_slice(&u32::MAX.to_le_bytes());
            bytes.extend_from_slice(&u32::MAX.to_le_bytes());
            bytes.extend_from_slice(b"a\0b\0");
            assert_eq!(parse(&bytes), Err(HostStatus::PARSE_FAILURE));
        }
    }
}
