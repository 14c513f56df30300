//! Policy: raw, compiled, and the errors between.
//!
//! ```text
//! text ──strict JSON──▶ tree ──shape──▶ raw ──compile──▶ Policy
//!                          └───────┴──────────┴────────▶ PolicyErrors, all at once
//! ```

mod amount;
mod choices;
mod compile;
mod duration;
mod error;
mod fields;
mod glob;
mod hash;
mod lint;
mod places;
mod quota;
mod raw;
mod read;
mod resilience;
mod shape;
mod suggest;
mod telemetry;
#[cfg(test)]
mod tests;
mod time;
mod types;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use error::Errors;
use glob::PatternIndex;
use places::Places;

pub use error::{PolicyError, PolicyErrors};
pub use glob::{Glob, GlobSet};
pub use hash::PolicyHash;
pub use lint::{Warning, lint};
pub use quota::{
    Allowance, Budget, Cost, Each, Micros, OnError, Period, Quota, RateLimitService, Scope, ServiceEngine,
    Window,
};
pub use resilience::{Breaker, BreakerEach, Capability, ClientCapabilities, Loops, Ratio, Repeats, Sessions};
pub use telemetry::{Arguments, Mask, Segment, Telemetry};
pub use types::{
    Hold, Identity, Integrity, Jwt, Key, KeyId, Limits, Mode, Role, RoleId, Schemas, Server, ServerId,
    SubjectMatch, Team, TeamId, Tool, UnlistedTools, Unmatched,
};

/// A compiled policy: immutable, with every look-up by hash.
#[derive(Debug)]
pub struct Policy {
    mode: Mode,
    hash: PolicyHash,
    hold: Hold,
    unmatched: Unmatched,
    decision_header: bool,
    limits: Limits,
    identity: Identity,
    origins: Option<HashSet<Box<[u8]>>>,
    servers: Vec<Server>,
    server_names: Directory,
    places: Places,
    roles: Vec<Role>,
    role_names: Directory,
    teams: Vec<Team>,
    team_names: Directory,
    rate_limit_service: Option<RateLimitService>,
    sessions: Sessions,
    telemetry: Telemetry,
    context_headers: bool,
    keys: Vec<Key>,
    key_names: Directory,
    digests: HashMap<[u8; 32], KeyId>,
    subjects: PatternIndex,
    nothing: Nothing,
}

impl Policy {
    /// Compiles a policy document, or reports everything that is wrong with it.
    pub fn compile(text: &[u8]) -> Result<Policy, PolicyErrors> {
        let (raw, hash, mut errors) = read::read(text)?;
        let mut further = Errors::default();
        let policy = compile::compile(raw, hash, &mut further);
        errors.add_unrelated(further);
        errors.into_result(policy)
    }

    /// Which policy this is, wherever it has travelled.
    pub fn hash(&self) -> &PolicyHash {
        &self.hash
    }

    /// The mode, unless a key or a role has its own.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What waits for the verdict.
    pub fn hold(&self) -> Hold {
        self.hold
    }

    /// What happens to a request that no server's path and host match.
    pub fn unmatched(&self) -> Unmatched {
        self.unmatched
    }

    /// Whether answers carry the header `x-toolgate-decision`.
    pub fn decision_header(&self) -> bool {
        self.decision_header
    }

    /// Bounds on what is read.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How a request names its key.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether a request with this `Origin` may pass. Without a list, every origin may.
    pub fn origin_allowed(&self, origin: &[u8]) -> bool {
        self.origins
            .as_ref()
            .is_none_or(|origins| origins.contains(origin))
    }

    /// The server at a path (without query, after Envoy's normalisation) and host (with or without
    /// port, in any case). A server that names the host beats one that does not.
    pub fn find_server(&self, host: Option<&[u8]>, path: &[u8]) -> Option<ServerId> {
        self.places.find(host, path)
    }

    /// Whether the server at a path depends on the host, and this host (with or without port) is
    /// spelled so that Envoy's routes and this policy could take it for different ones.
    pub fn host_is_ambiguous(&self, host: &[u8], path: &[u8]) -> bool {
        self.places.is_ambiguous(host, path)
    }

    /// A server. An id of another policy gets a server that offers nothing.
    pub fn server(&self, id: ServerId) -> &Server {
        self.servers.get(id.index()).unwrap_or(&self.nothing.server)
    }

    /// Every server, by name.
    pub fn servers(&self) -> impl Iterator<Item = (ServerId, &Server)> {
        self.servers
            .iter()
            .enumerate()
            .map(|(index, server)| (ServerId::new(index), server))
    }

    /// The server of that name.
    pub fn server_by_name(&self, name: &str) -> Option<ServerId> {
        self.server_names.get(name).map(ServerId::new)
    }

    /// A key. An id of another policy gets a disabled key without grants.
    pub fn key(&self, id: KeyId) -> &Key {
        self.keys.get(id.index()).unwrap_or(&self.nothing.key)
    }

    /// Every key, by name.
    pub fn keys(&self) -> impl Iterator<Item = (KeyId, &Key)> {
        self.keys
            .iter()
            .enumerate()
            .map(|(index, key)| (KeyId::new(index), key))
    }

    /// The key of that name.
    pub fn key_by_name(&self, name: &str) -> Option<KeyId> {
        self.key_names.get(name).map(KeyId::new)
    }

    /// The key that a credential with this SHA-256 presents.
    pub fn key_by_digest(&self, digest: &[u8; 32]) -> Option<KeyId> {
        self.digests.get(digest).copied()
    }

    /// The keys that a verified JWT's subject presents.
    pub fn keys_by_subject(&self, subject: &str) -> SubjectMatch {
        let mut found = SubjectMatch::None;
        // The visitor never breaks off.
        let _ = self.subjects.visit(subject, |index| {
            let id = KeyId::new(index as usize);
            found = match std::mem::replace(&mut found, SubjectMatch::None) {
                SubjectMatch::None => SubjectMatch::One(id),
                SubjectMatch::One(first) if first == id => SubjectMatch::One(first),
                SubjectMatch::One(first) => SubjectMatch::Several(vec![first, id]),
                SubjectMatch::Several(mut ids) => {
                    if !ids.contains(&id) {
                        ids.push(id);
                    }
                    SubjectMatch::Several(ids)
                }
            };
            ControlFlow::Continue(())
        });
        found
    }

    /// A role. An id of another policy gets a role that grants nothing.
    pub fn role(&self, id: RoleId) -> &Role {
        self.roles.get(id.index()).unwrap_or(&self.nothing.role)
    }

    /// Every role, by name.
    pub fn roles(&self) -> impl Iterator<Item = (RoleId, &Role)> {
        self.roles
            .iter()
            .enumerate()
            .map(|(index, role)| (RoleId::new(index), role))
    }

    /// The role of that name.
    pub fn role_by_name(&self, name: &str) -> Option<RoleId> {
        self.role_names.get(name).map(RoleId::new)
    }

    /// A team. An id of another policy gets a team without limits.
    pub fn team(&self, id: TeamId) -> &Team {
        self.teams.get(id.index()).unwrap_or(&self.nothing.team)
    }

    /// Every team, by name.
    pub fn teams(&self) -> impl Iterator<Item = (TeamId, &Team)> {
        self.teams
            .iter()
            .enumerate()
            .map(|(index, team)| (TeamId::new(index), team))
    }

    /// The team of that name.
    pub fn team_by_name(&self, name: &str) -> Option<TeamId> {
        self.team_names.get(name).map(TeamId::new)
    }

    /// The teams whose limits apply to a key: its own, then that one's parents.
    pub fn teams_of(&self, key: KeyId) -> impl Iterator<Item = (TeamId, &Team)> {
        let first = self.key(key).team_id;
        std::iter::successors(first, |id| self.team(*id).parent)
            // Compiled parents form no circle; this bounds the walk all the same.
            .take(self.teams.len())
            .map(|id| (id, self.team(id)))
    }

    /// Whether any key or team has a quota or a budget.
    pub fn counts(&self) -> bool {
        self.scopes().next().is_some()
    }

    /// Whether any of them is counted by the rate limit service.
    pub fn counts_globally(&self) -> bool {
        self.scopes().any(|scope| scope == Scope::Global)
    }

    fn scopes(&self) -> impl Iterator<Item = Scope> {
        let keys = self.keys.iter().map(|key| &key.allowance);
        let all = keys.chain(self.teams.iter().map(|team| &team.allowance));
        all.flat_map(|allowance| {
            let quotas = allowance.quotas.iter().map(|quota| quota.scope);
            quotas.chain(allowance.budget.iter().map(|budget| budget.scope))
        })
    }

    /// Whether any server or tool has a breaker.
    pub fn watches(&self) -> bool {
        self.servers
            .iter()
            .any(|server| server.breaker.is_some() || server.tools().any(|tool| tool.breaker.is_some()))
    }

    /// Whether any key's repetitions are limited.
    pub fn guards_loops(&self) -> bool {
        self.keys.iter().any(|key| !key.loops.is_empty())
    }

    /// Whether calls need the time at which they are judged.
    pub fn needs_time(&self) -> bool {
        self.counts() || self.guards_loops() || self.watches()
    }

    /// How sessions and tasks are bound to keys.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// What metrics and records say about calls.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Whether forwarded requests carry the matched server, key, team and tool in `x-toolgate-*` headers.
    pub fn context_headers(&self) -> bool {
        self.context_headers
    }

    /// Where global limits are counted.
    pub fn rate_limit_service(&self) -> Option<&RateLimitService> {
        self.rate_limit_service.as_ref()
    }
}

/// The JSON Schema (2020-12) of policy documents.
#[cfg(feature = "schema")]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(raw::Policy).to_value()
}

/// Indices by name.
#[derive(Debug)]
struct Directory(HashMap<Rc<str>, usize>);

impl Directory {
    fn new<'a>(names: impl Iterator<Item = &'a Rc<str>>) -> Self {
        Directory(
            names
                .enumerate()
                .map(|(index, name)| (Rc::clone(name), index))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }
}

/// What an id that this policy did not hand out gets: nothing at all.
#[derive(Debug)]
struct Nothing {
    server: Server,
    key: Key,
    role: Role,
    team: Team,
}

impl Default for Nothing {
    fn default() -> Self {
        let name: Rc<str> = Rc::from("");
        Nothing {
            server: Server {
                name: Rc::clone(&name),
                path: String::new(),
                host: None,
                methods: Some(GlobSet::default()),
                unlisted_tools: UnlistedTools::Deny,
                schemas: Schemas::Policy,
                integrity: Integrity::Pinned,
                cost: Cost::default(),
                breaker: None,
                client_capabilities: ClientCapabilities::default(),
                vocabulary: HashSet::new(),
                tools: HashMap::new(),
            },
            key: Key {
                name: Rc::clone(&name),
                team: None,
                team_id: None,
                allowance: Allowance::default(),
                loops: Loops::default(),
                labels: std::collections::BTreeMap::new(),
                roles: Vec::new(),
                expires: Some(0),
                disabled: true,
                mode: None,
                digests: Vec::new(),
                subjects: Vec::new(),
            },
            team: Team {
                name: Rc::clone(&name),
                parent: None,
                allowance: Allowance::default(),
            },
            role: Role {
                name,
                allow: GlobSet::default(),
                deny: GlobSet::default(),
                resources: GlobSet::default(),
                prompts: GlobSet::default(),
                mode: None,
            },
        }
    }
}
