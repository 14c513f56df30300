//! The closed set of reasons, used alike in headers, logs and metrics.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// Why a request was answered the way it was.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $variant,)+ }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)+];

            /// The name used in headers, logs and metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Reason::$variant => $text,)+ }
            }
        }
    };
}

reasons! {
    /// Nothing refused it.
    Allowed = "allowed",
    /// No credential was presented.
    NoKey = "no_key",
    /// A credential that no key of the policy has.
    BadKey = "bad_key",
    /// The key has expired.
    ExpiredKey = "expired_key",
    /// The key has nothing on this server.
    NoGrant = "no_grant",
    /// The tool, prompt or resource is not visible to the key.
    Hidden = "hidden",
    /// The method is not granted, or the HTTP verb is not spoken here.
    Method = "method",
    /// Not JSON, not JSON-RPC, not MCP.
    Malformed = "malformed",
    /// Two readers could read it differently.
    Ambiguous = "ambiguous",
    /// Header and body disagree, or the revision is unsupported.
    Mismatch = "mismatch",
    /// Larger than the policy's limits.
    TooLarge = "too_large",
    /// Wrong media type or encoding.
    MediaType = "media_type",
    /// The arguments fail the tool's schema.
    Schema = "schema",
    /// A rule refused.
    Rule = "rule",
    /// A person has to approve.
    Approval = "approval",
    /// The same call too often.
    Loop = "loop",
    /// The circuit breaker is open.
    Breaker = "breaker",
    /// A quota is used up.
    Quota = "quota",
    /// A budget is used up.
    Budget = "budget",
    /// The tool's definition is not the pinned one.
    Integrity = "integrity",
    /// The `Origin` is not listed.
    Origin = "origin",
    /// The session is not this key's.
    Session = "session",
    /// The request body did not arrive in time.
    Timeout = "timeout",
    /// The server's answer could not be used.
    Upstream = "upstream",
    /// A fault of Toolgate's own.
    Internal = "internal",
}

impl Reason {
    /// Whether shadow mode lets a call refused for this reason through. Everything else
    /// (credentials, malformed or ambiguous requests, sizes) is always enforced.
    pub const fn can_be_shadowed(self) -> bool {
        matches!(
            self,
            Reason::NoGrant
                | Reason::Hidden
                | Reason::Method
                | Reason::Schema
                | Reason::Rule
                | Reason::Approval
                | Reason::Loop
                | Reason::Breaker
                | Reason::Quota
                | Reason::Budget
                | Reason::Integrity
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
