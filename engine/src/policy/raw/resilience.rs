//! Breakers, loop guards, sessions and client capabilities as written.

use serde::Deserialize;

use super::{Number, Optional};
use crate::policy::resilience::{BreakerEach, Capability};

objects! {
    /// What happens to the capabilities that clients declare. One that is taken away cannot be used by
    /// the server: it does not know that the client has it.
    #[serde(default)]
    #[derive(Default)]
    ClientCapabilities {
        /// `sampling`: the server may ask the client's model (`sampling/createMessage`).
        sampling: Capability,
        /// `elicitation`: the server may ask the person (`elicitation/create`).
        elicitation: Capability,
        /// `roots`: the server may ask which folders it is meant to work in (`roots/list`).
        roots: Capability,
    }

    /// How much a key may repeat itself. Only `tools/call` counts, and a call that is refused does not.
    #[serde(default)]
    #[derive(Default)]
    #[cfg_attr(feature = "schema", schemars(extend(
        "minProperties" = 1,
        "dependentRequired" = { "identicalCalls": ["per"], "per": ["identicalCalls"] }
    )))]
    Loops {
        /// How often the key may call the same tool with the same arguments, in whatever order they
        /// are written, within `per`. One more is refused.
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
        identical_calls: Optional<u64>,
        /// The window of `identicalCalls`, which begins with the first of them: a number with ms, s,
        /// m, h or d, from `1s` to `7d`.
        #[cfg_attr(feature = "schema", schemars(regex(pattern = DURATION)))]
        per: Optional<String>,
        /// How many calls of any kind one run of an agent may make: a session, or else a trace.
        any_call: Optional<AnyCall>,
    }

    /// How many calls of any kind one run of an agent may make.
    AnyCall {
        /// Calls per window. One more is refused.
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
        limit: u64,
        /// The window, which begins with the first call: a number with ms, s, m, h or d, from `1s` to
        /// `7d`.
        #[cfg_attr(feature = "schema", schemars(regex(pattern = DURATION)))]
        per: String,
    }

    /// How sessions (`Mcp-Session-Id`) and tasks are bound to the keys that began them. Another key
    /// gets what an unknown session or task gets.
    #[serde(default)]
    #[derive(Default)]
    Sessions {
        /// The name of the environment variable with the secret, at least 32 bytes. During a rotation
        /// `new,old`: the first binds, both are accepted. Every Envoy with the same secret accepts the
        /// sessions of the others. Absent: a random secret, and sessions end with the Envoy process.
        #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")))]
        secret_env: Optional<String>,
    }
}

/// Declares a breaker: fields of its own, and those that all breakers have.
macro_rules! breaker {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        objects! {
            $(#[$meta])*
            #[cfg_attr(feature = "schema", schemars(extend(
                "dependentRequired" = { "minCalls": ["ratio"], "window": ["ratio"] }
            )))]
            $name {
                $($own)*
                /// It opens after so many failures in a row. Absent: 5 without `ratio`, else only `ratio`
                /// opens it.
                #[serde(default)]
                #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000)))]
                failures: Optional<u64>,
                /// It opens when this share of the calls within `window` fails: more than 0, up to 1, with up
                /// to six decimals.
                #[serde(default)]
                #[cfg_attr(feature = "schema", schemars(with = "f64", range(max = 1.0), extend("exclusiveMinimum" = 0)))]
                ratio: Optional<Number>,
                /// With fewer calls within `window`, `ratio` decides nothing. Absent: 20.
                #[serde(default)]
                #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
                min_calls: Optional<u64>,
                /// The time over which `ratio` is taken: a number with ms, s, m, h or d, from `1s` to `1h`.
                /// Absent: `30s`.
                #[serde(default)]
                #[cfg_attr(feature = "schema", schemars(regex(pattern = DURATION)))]
                window: Optional<String>,
                /// How long nothing is sent once it is open: a number with ms, s, m, h or d, from `100ms` to
                /// `1h`.
                #[serde(default = "half_a_minute")]
                #[cfg_attr(feature = "schema", schemars(regex(pattern = DURATION)))]
                open: String,
                /// How many calls are then let through to find out whether the server works again. All must
                /// succeed; one failure opens it again.
                #[serde(default = "one")]
                #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100)))]
                probes: u64,
                /// A call that takes longer is a failure: a number with ms, s, m, h or d, from `1ms` to `1h`.
                /// Absent: however long a call takes.
                #[serde(default)]
                #[cfg_attr(feature = "schema", schemars(regex(pattern = DURATION)))]
                slow: Optional<String>,
                /// Whether a result with `isError: true` is a failure.
                #[serde(default)]
                count_tool_errors: bool,
            }
        }
    };
}

breaker! {
    /// When requests are no longer sent to a server that fails. Failures are: no connection, a reset, a
    /// timeout, a 5xx, an answer that cannot be read, and the JSON-RPC error -32603. Counted by each Envoy
    /// process, exactly over its workers.
    Breaker {
        /// What is watched as one.
        #[serde(default)]
        each: BreakerEach,
    }
}

breaker! {
    /// When calls of a tool are no longer sent because they fail. Takes the place of the server's breaker.
    ToolBreaker {}
}

impl From<ToolBreaker> for Breaker {
    fn from(raw: ToolBreaker) -> Self {
        Breaker {
            each: BreakerEach::Tool,
            failures: raw.failures,
            ratio: raw.ratio,
            min_calls: raw.min_calls,
            window: raw.window,
            open: raw.open,
            probes: raw.probes,
            slow: raw.slow,
            count_tool_errors: raw.count_tool_errors,
        }
    }
}

/// What a duration may look like.
#[cfg(feature = "schema")]
const DURATION: &str = r"^[0-9]+(\.[0-9]{1,3})?(ms|s|m|h|d)$";

fn half_a_minute() -> String {
    "30s".to_owned()
}

fn one() -> u64 {
    1
}
