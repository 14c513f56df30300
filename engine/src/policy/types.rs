//! What a compiled policy is made of.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use super::choices::choices;
use super::glob::GlobSet;
use super::quota::{Allowance, Cost};
use super::resilience::{Breaker, ClientCapabilities, Loops};
use crate::schema::Validator;

choices! {
    /// Whether refusals are carried out or only recorded.
    Mode {
        /// Refusals are carried out.
        #[default]
        Enforce,
        /// Refusals by grants, schemas and other policy checks are recorded as what would have
        /// happened, and the call goes through. Credentials, malformed requests and sizes are
        /// enforced all the same.
        Shadow,
    }

    /// What waits for the verdict.
    Hold {
        /// Head and body.
        #[default]
        Headers,
        /// The body only: for hosts that cannot hold the head.
        Body,
    }

    /// What happens to a request that no server's path and host match.
    Unmatched {
        /// It is answered with 404.
        #[default]
        Deny,
        /// It is left alone.
        Pass,
    }

    /// What applies to tools without an entry under the server's `tools`.
    UnlistedTools {
        /// The grants decide.
        #[default]
        Allow,
        /// They do not exist for anyone.
        Deny,
    }

    /// Which JSON Schemas a call's arguments must satisfy.
    Schemas {
        /// None.
        Off,
        /// Those written in the policy.
        #[default]
        Policy,
        /// Those written in the policy, and those that the server advertised in a `tools/list`
        /// that passed through. Until one has passed, only the written ones apply.
        Advertised,
    }

    /// How a tool's definition is kept from changing unnoticed.
    Integrity {
        /// It is not.
        Off,
        /// Definitions must match their pins. Pins are not supported yet, so this is the same as
        /// `off` today.
        #[default]
        Pinned,
    }
}

/// Declares an index into one of the policy's lists.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            pub(super) fn new(index: usize) -> Self {
                // A policy's text is far smaller than 4 GiB; beyond that, the id names nothing.
                $name(u32::try_from(index).unwrap_or(u32::MAX))
            }

            pub(crate) fn index(self) -> usize {
                self.0 as usize
            }
        }
    )+};
}

ids! {
    /// A server of the policy that handed it out.
    ServerId,
    /// A key of the policy that handed it out.
    KeyId,
    /// A role of the policy that handed it out.
    RoleId,
    /// A team of the policy that handed it out.
    TeamId,
}

/// Bounds on what is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request body, in bytes.
    pub request_bytes: usize,
    /// The largest answer that is held to be judged, in bytes.
    pub result_bytes: usize,
    /// The deepest nesting of objects and arrays.
    pub depth: usize,
    /// How long the whole request body may take to arrive.
    pub body_timeout: Duration,
    /// Whether integers beyond ±(2^53−1), up to 64 bits, pass in arguments.
    pub big_integers: bool,
}

/// How a request names its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Names of the headers that can carry a key, in lower case.
    pub headers: Vec<String>,
    /// Where to find a verified JWT, if JWTs are accepted.
    pub jwt: Option<Jwt>,
    /// The key that requests without a credential act as.
    pub anonymous: Option<KeyId>,
}

/// Where Envoy's `jwt_authn` leaves a verified token's payload, and what to read from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    /// The key under `filter_metadata["envoy.filters.http.jwt_authn"]`: `payload_in_metadata` of
    /// the provider.
    pub metadata: String,
    /// The claim that holds the subject.
    pub claim: String,
    /// The claim that names further roles.
    pub roles_claim: Option<String>,
}

/// One MCP server, chosen by path and host.
#[derive(Debug)]
pub struct Server {
    /// Its name in the policy.
    pub name: Rc<str>,
    /// The exact path, as it is after Envoy's path normalisation.
    pub path: String,
    /// The host in lower case, without port; `None` for any.
    pub host: Option<String>,
    /// The methods it accepts; `None` for those of the protocol.
    pub methods: Option<GlobSet>,
    /// What applies to tools without an entry in the policy.
    pub unlisted_tools: UnlistedTools,
    /// Which schemas apply to arguments.
    pub schemas: Schemas,
    /// How definitions are kept from changing.
    pub integrity: Integrity,
    /// What a call of a tool costs that says nothing of its own.
    pub cost: Cost,
    /// When requests are no longer sent to it, or calls to a tool without a breaker of its own.
    pub breaker: Option<Breaker>,
    /// Which of a client's capabilities it sees.
    pub client_capabilities: ClientCapabilities,
    /// The names of tools that the policy writes out: in `tools`, in grants and in quotas.
    pub(super) vocabulary: HashSet<Rc<str>>,
    pub(super) tools: HashMap<Rc<str>, Tool>,
}

impl Server {
    /// The policy's entry for a tool, if it has one.
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    /// The breaker that watches calls of this tool.
    pub fn breaker_of(&self, tool: &str) -> Option<&Breaker> {
        let own = self.tool(tool).and_then(|tool| tool.breaker.as_ref());
        own.or(self.breaker.as_ref())
    }

    /// The tool's name, if the policy writes it out: a value that a metric's label may have.
    pub fn known_name(&self, tool: &str) -> Option<&Rc<str>> {
        self.vocabulary.get(tool)
    }

    /// What a call of this tool costs.
    pub fn cost_of(&self, tool: &str) -> Cost {
        self.tool(tool).map_or(self.cost, |tool| tool.cost)
    }

    /// The tools that have an entry in the policy, in no particular order.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.tools.values()
    }
}

/// A tool that the policy says something about.
#[derive(Debug)]
pub struct Tool {
    /// Its name, as the server knows it.
    pub name: Rc<str>,
    /// The schema that the policy holds its arguments to.
    pub input_schema: Option<Rc<Validator>>,
    /// What a call costs.
    pub cost: Cost,
    /// When its calls are no longer sent. Absent: the server's.
    pub breaker: Option<Breaker>,
}

/// A set of grants.
#[derive(Debug)]
pub struct Role {
    /// Its name in the policy.
    pub name: Rc<str>,
    /// The tools it grants, as `server/tool`.
    pub allow: GlobSet,
    /// The tools it refuses, whatever any role grants, as `server/tool`.
    pub deny: GlobSet,
    /// The resources it grants, as `server/uri`.
    pub resources: GlobSet,
    /// The prompts it grants, as `server/prompt`.
    pub prompts: GlobSet,
    /// The role's own mode: covers only what this role refuses.
    pub mode: Option<Mode>,
}

/// A team: what its keys share.
#[derive(Debug)]
pub struct Team {
    /// Its name in the policy.
    pub name: Rc<str>,
    /// The team whose limits apply as well. Parents never form a circle.
    pub parent: Option<TeamId>,
    /// The quotas and the budget that all its keys share.
    pub allowance: Allowance,
}

/// A virtual key.
#[derive(Debug)]
pub struct Key {
    /// Its name in the policy.
    pub name: Rc<str>,
    /// The name of the team it belongs to.
    pub team: Option<Rc<str>>,
    /// The team it belongs to.
    pub team_id: Option<TeamId>,
    /// Its own quotas and budget.
    pub allowance: Allowance,
    /// When it goes round in circles.
    pub loops: Loops,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// Its roles, without repetition.
    pub roles: Vec<RoleId>,
    /// When it ends, in Unix seconds: it is expired from that second on.
    pub expires: Option<u64>,
    /// Whether it is switched off.
    pub disabled: bool,
    /// The key's own mode: beats the policy's.
    pub mode: Option<Mode>,
    /// SHA-256 digests of the credentials that present it.
    pub digests: Vec<[u8; 32]>,
    /// Globs over the subjects of JWTs that present it.
    pub subjects: Vec<Rc<str>>,
}

impl Key {
    /// Whether the key has ended at `now` (Unix seconds).
    pub fn expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|end| now >= end)
    }
}

/// The keys that a JWT's subject names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectMatch {
    /// No key.
    None,
    /// Exactly one key.
    One(KeyId),
    /// More than one: the request is refused, because nobody can say which was meant.
    Several(Vec<KeyId>),
}
