//! The policy document as written. The documentation here becomes the descriptions in the policy's
//! JSON Schema.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::quota::{Each, OnError, Period, Scope, ServiceEngine};
use super::types::{Hold, Integrity, Mode, Schemas, UnlistedTools, Unmatched};

/// Declares the objects of the document: camelCase names, nothing unknown.
macro_rules! objects {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })+) => {$(
        #[derive(Debug, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        $(#[$meta])*
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(in crate::policy) struct $name { $($(#[$field_meta])* pub(in crate::policy) $field: $type,)* }
    )+};
}

mod resilience;
mod telemetry;

pub(in crate::policy) use resilience::{Breaker, ClientCapabilities, Loops, Sessions, ToolBreaker};
pub(in crate::policy) use telemetry::{Mask, Telemetry};

objects! {
    /// What agents may do with MCP servers: the plugin configuration of the Toolgate filter.
    Policy {
        /// Where editors find this schema. Means nothing to Toolgate.
        #[serde(default, rename = "$schema")]
        #[allow(dead_code, reason = "read so that it is accepted")]
        schema: Optional<String>,
        /// The version of the format: 1.
        #[cfg_attr(feature = "schema", schemars(extend("const" = 1)))]
        version: u64,
        /// Whether refusals are carried out or only recorded.
        #[serde(default)]
        mode: Mode,
        /// What waits for the verdict.
        #[serde(default)]
        hold: Hold,
        /// What happens to a request that no server's path and host match.
        #[serde(default)]
        unmatched: Unmatched,
        /// Whether answers carry the header `x-toolgate-decision`.
        #[serde(default = "yes")]
        decision_header: bool,
        /// How a request names its key.
        #[serde(default)]
        identity: Identity,
        /// Origins (`scheme://host[:port]`, or `null`) that browsers may call from. Absent: `Origin`
        /// is not checked. A request without `Origin` always passes.
        #[serde(default)]
        origins: Optional<Vec<String>>,
        /// Bounds on what is read.
        #[serde(default)]
        limits: Limits,
        /// MCP servers, by name.
        #[serde(default)]
        servers: BTreeMap<String, Server>,
        /// Sets of grants, by name.
        #[serde(default)]
        roles: BTreeMap<String, Role>,
        /// Teams that keys belong to, by name.
        #[serde(default)]
        teams: BTreeMap<String, Team>,
        /// Virtual keys, by name.
        #[serde(default)]
        keys: BTreeMap<String, Key>,
        /// Where limits with `scope: "global"` are counted. They cannot do without.
        #[serde(default)]
        rate_limit_service: Optional<RateLimitService>,
        /// How sessions and tasks are bound to the keys that began them.
        #[serde(default)]
        sessions: Sessions,
        /// What metrics and records say about calls.
        #[serde(default)]
        telemetry: Telemetry,
        /// Whether servers, and other filters of Envoy on the way to them, learn what was matched:
        /// `x-toolgate-server`, `x-toolgate-key`, `x-toolgate-team` and `x-toolgate-tool`.
        #[serde(default)]
        context_headers: bool,
    }

    /// How a request names its key.
    #[serde(default)]
    Identity {
        /// Headers that can carry a key, as `Bearer <key>` in `authorization` or bare.
        headers: Vec<String>,
        /// Accept the subject of a JWT that Envoy's `jwt_authn` has verified.
        jwt: Optional<Jwt>,
        /// The key that requests without a credential act as; `null` for none.
        anonymous: Option<String>,
    }

    /// Where Envoy's `jwt_authn` leaves a verified token's payload.
    #[serde(default)]
    Jwt {
        /// The provider's `payload_in_metadata`.
        metadata: String,
        /// The claim that holds the subject.
        claim: String,
        /// A claim that names further roles: a list, or a string that is one name. Roles that the
        /// policy does not define are left out.
        roles_claim: Optional<String>,
    }

    /// Bounds on what is read.
    #[serde(default)]
    Limits {
        /// The largest request body, in bytes.
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 16_777_216)))]
        request_bytes: u64,
        /// The largest answer that is held to be judged, in bytes.
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 67_108_864)))]
        result_bytes: u64,
        /// The deepest nesting of objects and arrays.
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 64)))]
        depth: u64,
        /// How long the whole request body may take to arrive: a number with ms, s, m, h or d, up to
        /// `1h`.
        body_timeout: String,
        /// JSON-RPC batches. Not supported yet: `false` only.
        #[cfg_attr(feature = "schema", schemars(extend("const" = false)))]
        batches: bool,
        /// Whether integers beyond ±(2^53−1), up to 64 bits, pass in arguments.
        big_integers: bool,
    }

    /// An MCP server.
    Server {
        /// The exact path, as it is after Envoy's path normalisation.
        path: String,
        /// The host, without port. Absent: any.
        #[serde(default)]
        host: Optional<String>,
        /// Globs over method names. Absent: the methods of the protocol.
        #[serde(default)]
        methods: Optional<Vec<String>>,
        /// What applies to tools without an entry under `tools`.
        #[serde(default)]
        unlisted_tools: UnlistedTools,
        /// Which JSON Schemas a call's arguments must satisfy.
        #[serde(default)]
        schemas: Schemas,
        /// How a tool's definition is kept from changing unnoticed.
        #[serde(default)]
        integrity: Integrity,
        /// What a call of a tool costs that has no `cost` of its own, in currency units with up to
        /// six decimals. Absent: nothing.
        #[serde(default)]
        #[cfg_attr(feature = "schema", schemars(with = "f64", range(min = 0.0, max = 1e12)))]
        cost: Optional<Number>,
        /// What each KiB of result costs of a tool that has no `costPerKiB` of its own, in currency
        /// units with up to six decimals. Absent: nothing.
        #[serde(default, rename = "costPerKiB")]
        #[cfg_attr(feature = "schema", schemars(with = "f64", range(min = 0.0, max = 1e12)))]
        cost_per_kib: Optional<Number>,
        /// When requests are no longer sent to the server because it fails. A tool's own breaker takes its
        /// place for calls of that tool. Absent: always sent.
        #[serde(default)]
        breaker: Optional<Breaker>,
        /// Which of the capabilities that clients declare the server sees. It may only use those.
        #[serde(default)]
        client_capabilities: ClientCapabilities,
        /// What the policy says about single tools, by name.
        #[serde(default)]
        tools: BTreeMap<String, Tool>,
    }

    /// What the policy says about a tool.
    #[serde(default)]
    #[derive(Default)]
    Tool {
        /// The JSON Schema that a call's arguments must satisfy.
        input_schema: Optional<serde_json::Map<String, serde_json::Value>>,
        /// What a call costs, in currency units with up to six decimals. Charged to the budgets of
        /// the key and its teams before the call runs. Absent: the server's `cost`.
        #[cfg_attr(feature = "schema", schemars(with = "f64", range(min = 0.0, max = 1e12)))]
        cost: Optional<Number>,
        /// What each KiB of the result costs on top, in currency units with up to six decimals.
        /// Charged after the call, whatever is left of the budgets: a budget can be overshot by what
        /// the results of the calls cost that run at the same time. Absent: the server's
        /// `costPerKiB`.
        #[serde(rename = "costPerKiB")]
        #[cfg_attr(feature = "schema", schemars(with = "f64", range(min = 0.0, max = 1e12)))]
        cost_per_kib: Optional<Number>,
        /// When calls of this tool are no longer sent because they fail. Absent: the server's `breaker`.
        breaker: Optional<ToolBreaker>,
    }

    /// A set of grants. Patterns are globs over `server/name`: `*` stands for any run of
    /// characters, everything else for itself.
    #[serde(default)]
    #[derive(Default)]
    Role {
        /// Tools it grants.
        allow: Vec<String>,
        /// Tools it refuses, whatever any role grants.
        deny: Vec<String>,
        /// Resources it grants, as `server/uri`.
        resources: Vec<String>,
        /// Prompts it grants.
        prompts: Vec<String>,
        /// The mode of what this role refuses.
        mode: Optional<Mode>,
    }

    /// A team: keys that share limits.
    #[serde(default)]
    #[derive(Default)]
    Team {
        /// How many tool calls all its keys together may make. Every quota must have room.
        #[cfg_attr(feature = "schema", schemars(length(max = 64)))]
        quotas: Vec<Quota>,
        /// How much all its keys together may spend.
        budget: Optional<Budget>,
        /// The name of a team whose limits apply as well.
        parent: Optional<String>,
    }

    /// A virtual key. It is presented as a credential whose SHA-256 is listed, or as the subject
    /// of a verified JWT.
    #[serde(default)]
    #[derive(Default)]
    Key {
        /// SHA-256 of the credential as presented, in lower-case hex. Two during a rotation.
        #[cfg_attr(feature = "schema", schemars(inner(regex(pattern = r"^[0-9a-f]{64}$"))))]
        sha256: Vec<String>,
        /// Globs over the subjects of JWTs.
        subjects: Vec<String>,
        /// Names of roles.
        roles: Vec<String>,
        /// The name of a team.
        team: Optional<String>,
        /// How many tool calls the key may make. Every quota must have room, and so must those of
        /// the key's team and of that one's parents.
        #[cfg_attr(feature = "schema", schemars(length(max = 64)))]
        quotas: Vec<Quota>,
        /// How much the key may spend. The budgets of its team and of that one's parents apply too.
        budget: Optional<Budget>,
        /// When the key goes round in circles.
        loops: Optional<Loops>,
        /// Free labels.
        labels: BTreeMap<String, String>,
        /// When the key ends (RFC 3339).
        #[cfg_attr(feature = "schema", schemars(with = "String", extend("format" = "date-time")))]
        expires: Optional<String>,
        /// Whether the key is switched off.
        disabled: bool,
        /// The key's mode: beats the policy's.
        mode: Optional<Mode>,
    }

    /// How many tool calls may be made in a time. Only `tools/call` counts, and a call that is
    /// refused is not charged.
    Quota {
        /// Calls per window. At most one per microsecond.
        #[cfg_attr(feature = "schema", schemars(with = "u32", range(min = 1, max = 4_294_967_295_u32)))]
        limit: Number,
        /// The window: `second`, `minute`, `hour`, `day`, or a number with ms, s, m, h or d, up to
        /// `3650d`. A local quota refills steadily, one call every `per` / `limit`. The windows of a
        /// global one are fixed and start anew: whole seconds, and with the engine `envoyproxy`
        /// those that divide a day, or whole seconds from one day to `365d`.
        #[cfg_attr(feature = "schema", schemars(regex(pattern = WINDOW)))]
        per: String,
        /// Calls that may be made at once after a pause. Absent: `limit`. Not for global quotas.
        #[serde(default)]
        #[cfg_attr(feature = "schema", schemars(with = "u32", range(min = 1, max = 4_294_967_295_u32)))]
        burst: Optional<Number>,
        /// A glob over `server/tool`: the tools that count. Absent: all.
        #[serde(default)]
        on: Optional<String>,
        /// What is counted apart. Absent: nothing, all calls share one count.
        #[serde(default)]
        each: Optional<Each>,
        /// Who shares the count.
        #[serde(default)]
        scope: Scope,
    }

    /// How much may be spent on tool calls in a period. A call that would spend more than is left is
    /// refused before it runs, and a call that is refused costs nothing.
    Budget {
        /// The most that may be spent, in currency units with up to six decimals.
        #[cfg_attr(feature = "schema", schemars(with = "f64", range(max = 1e12), extend("exclusiveMinimum" = 0)))]
        limit: Number,
        /// When it starts again.
        per: Period,
        /// Who shares the budget.
        #[serde(default)]
        scope: Scope,
    }

    /// A service that speaks Envoy's rate limit protocol (`envoy.service.ratelimit.v3`).
    RateLimitService {
        /// The Envoy cluster of the service.
        #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
        cluster: String,
        /// The domain of the descriptors. The service's own configuration must have it.
        #[serde(default = "domain")]
        domain: String,
        /// How long a call waits for the answer: a number with ms, s, m, h or d, up to `30s`.
        #[serde(default = "service_timeout")]
        timeout: String,
        /// What happens to a call while the service gives no usable answer.
        #[serde(default)]
        on_error: OnError,
        /// The engine behind the service.
        #[serde(default)]
        engine: ServiceEngine,
    }
}

/// What `per` of a quota may look like.
#[cfg(feature = "schema")]
const WINDOW: &str = r"^(second|minute|hour|day|[0-9]+(\.[0-9]{1,3})?(ms|s|m|h|d))$";

impl Default for Identity {
    fn default() -> Self {
        let headers = ["authorization", "x-virtual-key"].map(str::to_owned).into();
        Identity {
            headers,
            jwt: Optional::default(),
            anonymous: None,
        }
    }
}

impl Default for Jwt {
    fn default() -> Self {
        Jwt {
            metadata: "jwt_payload".to_owned(),
            claim: "sub".to_owned(),
            roles_claim: Optional::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            request_bytes: 1_048_576,
            result_bytes: 8_388_608,
            depth: 64,
            body_timeout: "15s".to_owned(),
            batches: false,
            big_integers: false,
        }
    }
}

fn yes() -> bool {
    true
}

fn domain() -> String {
    "toolgate".to_owned()
}

fn service_timeout() -> String {
    "100ms".to_owned()
}

/// A number as written. The shape check makes a string of it: a float could not hold every amount.
#[derive(Debug, Deserialize)]
pub(in crate::policy) struct Number(pub(in crate::policy) String);

/// A member that may be absent but not `null`: a `null` would be one more way to say nothing, and
/// for `origins` nobody could tell which nothing.
#[derive(Debug)]
pub(in crate::policy) struct Optional<T>(pub(in crate::policy) Option<T>);

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Optional(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Optional<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Optional(Some(value)))
    }
}

#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for Optional<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}
