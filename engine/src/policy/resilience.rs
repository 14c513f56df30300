//! Breakers, loop guards, sessions and client capabilities, as compiled.

use std::num::NonZeroU32;
use std::time::Duration;

use super::choices::choices;

choices! {
    /// What a breaker watches as one.
    BreakerEach {
        /// Every tool by itself. Only calls are watched.
        #[default]
        Tool,
        /// The whole server: every request to it.
        Server,
    }

    /// What happens to a capability that a client declares.
    Capability {
        /// The server sees it.
        #[default]
        Allow,
        /// It is taken away, so the server must not use it.
        Strip,
    }
}

/// When calls are no longer sent to a server that fails.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    /// What it watches as one.
    pub each: BreakerEach,
    /// It opens after so many failures in a row.
    pub failures: Option<NonZeroU32>,
    /// It opens when this share of the calls of a window fails.
    pub ratio: Option<Ratio>,
    /// How long nothing is sent once it is open.
    pub open: Duration,
    /// How many calls then find out whether the server works again.
    pub probes: NonZeroU32,
    /// A call that takes longer is a failure.
    pub slow: Option<Duration>,
    /// Whether `isError: true` is a failure.
    pub count_tool_errors: bool,
}

/// A share of the calls in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// In millionths: 1 to 1,000,000.
    pub millionths: u32,
    /// With fewer calls in the window, nothing follows from them.
    pub min_calls: NonZeroU32,
    /// The window.
    pub window: Duration,
}

/// When a key goes round in circles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loops {
    /// The same tool with the same arguments.
    pub identical: Option<Repeats>,
    /// Calls of any kind in one session or trace.
    pub any_call: Option<Repeats>,
}

impl Loops {
    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.identical.is_none() && self.any_call.is_none()
    }
}

/// So many calls in so long a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeats {
    /// Calls that may be made.
    pub limit: NonZeroU32,
    /// The window, which begins with the first.
    pub per: Duration,
}

/// How sessions and tasks are bound to keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// The environment variable with the secret, or with two: the first signs, both are accepted. Without one, the
    /// secret is random and ends with the process.
    pub secret_env: Option<String>,
}

/// Which of a client's capabilities a server sees.
/// <https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#capability-negotiation>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCapabilities {
    /// `sampling`: `sampling/createMessage`.
    pub sampling: Capability,
    /// `elicitation`: `elicitation/create`.
    pub elicitation: Capability,
    /// `roots`: `roots/list`.
    pub roots: Capability,
}

impl ClientCapabilities {
    /// The names of those that are taken away.
    pub fn stripped(&self) -> impl Iterator<Item = &'static str> {
        self.pairs().map(|(name, _)| name)
    }

    /// The methods of a server's requests that go with them.
    pub fn stripped_methods(&self) -> impl Iterator<Item = &'static str> {
        self.pairs().map(|(_, method)| method)
    }

    fn pairs(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        [
            (self.sampling, ("sampling", "sampling/createMessage")),
            (self.elicitation, ("elicitation", "elicitation/create")),
            (self.roots, ("roots", "roots/list")),
        ]
        .into_iter()
        .filter_map(|(capability, names)| (capability == Capability::Strip).then_some(names))
    }
}
