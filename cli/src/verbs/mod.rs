//! One module per verb, each with its arguments and `run`.

pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod keygen;
pub(crate) mod learn;
pub(crate) mod proxy;
pub(crate) mod render;
pub(crate) mod report;
pub(crate) mod rollout;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod who_can;

use std::time::{SystemTime, UNIX_EPOCH};

use toolgate_engine::exchange::UnixNanos;

/// For whom the output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// People.
    #[default]
    Text,
    /// Programs: one JSON document on standard output.
    Json,
}

/// The time, which the engine takes as an argument.
pub(crate) fn now() -> UnixNanos {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixNanos(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
}
