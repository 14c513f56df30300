//! What is told about calls, as written.

use serde::Deserialize;

use super::Optional;
use crate::policy::telemetry::Arguments;

objects! {
    /// What metrics and records say about calls.
    #[serde(default)]
    Telemetry {
        /// Whether there are metrics with the label `key`: `toolgate_key_calls_total` and
        /// `toolgate_cost_micros_total`.
        per_key: bool,
        /// What the record says about a call's arguments.
        arguments: Arguments,
        /// What is hidden of arguments that are recorded as they are. Only with `arguments: "values"`.
        #[cfg_attr(feature = "schema", schemars(length(max = 256)))]
        mask: Vec<Mask>,
        /// Whether the calls of a session, or else of a trace, are numbered and each record carries the
        /// digest of the one before, so that a log can be checked for holes.
        chains: bool,
    }

    /// A place in arguments whose value is recorded as `"***"`.
    Mask {
        /// A glob over `server/tool`: the tools that it is about. Absent: all.
        #[serde(default)]
        on: Optional<String>,
        /// The place: a JSON Pointer (RFC 6901) into the arguments, in which `*` stands for any one member
        /// or item.
        #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^(/([^~/]|~[01])*)+$")))]
        path: String,
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry {
            per_key: true,
            arguments: Arguments::default(),
            mask: Vec::new(),
            chains: true,
        }
    }
}
