//! The fields of the document, as one table: what the shape check knows beyond the types of
//! [`raw`](super::raw).
//!
//! Names under `later` belong to the format but do not work yet. They are refused by name, because
//! a policy must never say something that is silently not done.

mod resilience;
mod telemetry;

use resilience::{BREAKER, CLIENT_CAPABILITIES, LOOPS, SESSIONS, TOOL_BREAKER};
use telemetry::TELEMETRY;

/// What a value must look like.
#[derive(Debug)]
pub(in crate::policy) enum Shape {
    Bool,
    /// A whole number, not negative.
    Count,
    /// A number. It is passed on as the string of its digits.
    Number,
    Text,
    /// A string that says how long; what people are told of it.
    Duration(&'static str),
    /// One of the names; `later` ones are not supported yet.
    OneOf {
        names: &'static [&'static str],
        later: &'static [&'static str],
    },
    TextOrNull,
    List(&'static Shape),
    /// An object whose members have names of the author's choice.
    Map(&'static Shape),
    Object(&'static Object),
    /// A JSON Schema: looked at when it is compiled.
    Schema,
}

/// An object with fields of ours.
#[derive(Debug)]
pub(in crate::policy) struct Object {
    pub(in crate::policy) fields: &'static [Field],
    pub(in crate::policy) later: &'static [&'static str],
    /// Names that are right in another object or have another name here, and what to do about it.
    pub(in crate::policy) elsewhere: &'static [(&'static str, &'static str)],
}

/// A field that is accepted now.
#[derive(Debug)]
pub(in crate::policy) struct Field {
    pub(in crate::policy) name: &'static str,
    pub(in crate::policy) shape: Shape,
    pub(in crate::policy) required: bool,
}

const fn field(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: false,
    }
}

const fn required(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: true,
    }
}

const fn one_of(names: &'static [&'static str]) -> Shape {
    Shape::OneOf { names, later: &[] }
}

const COST: &str = "cost belongs to a server or to one of its tools";
const CLUSTER: &str = "\"cluster\" names a cluster of Envoy; where that is, --rate-limit-service HOST:PORT of \"render envoy\" says";
const MEMBERS: &str = "a key names its team, with \"team\"";
const PER: &str = "the time is called \"per\"";
const BUDGET_OWNER: &str = "a budget belongs to a key or a team";
const QUOTAS_OWNER: &str = "quotas belong to a key or a team";
const BREAKER_OWNER: &str = "a breaker belongs to a server or to one of its tools";
const BREAKER_NAME: &str = "it is called \"breaker\"";
const LOOPS_OWNER: &str = "loops belong to a key";
const OF_LOOPS: &str = "this is a field of the key's \"loops\"";
const CAPABILITIES_OWNER: &str = "client capabilities belong to a server";
const OF_CAPABILITIES: &str = "this is a field of \"clientCapabilities\"";
const SESSIONS_OWNER: &str = "sessions belong to the whole policy, beside \"version\"";

const OF_TELEMETRY: &str = "this is a field of \"telemetry\"";

const TIMEOUT: Shape = Shape::Duration("a string with a unit, like \"15s\"");
const TEXTS: Shape = Shape::List(&Shape::Text);
const MODE: Shape = one_of(&["enforce", "shadow"]);

/// The document.
pub(in crate::policy) static POLICY: Object = Object {
    fields: &[
        field("$schema", Shape::Text),
        required("version", Shape::Count),
        field("mode", MODE),
        field("hold", one_of(&["headers", "body"])),
        field("unmatched", one_of(&["deny", "pass"])),
        field("decisionHeader", Shape::Bool),
        field("identity", Shape::Object(&IDENTITY)),
        field("origins", TEXTS),
        field("limits", Shape::Object(&LIMITS)),
        field("servers", Shape::Map(&Shape::Object(&SERVER))),
        field("roles", Shape::Map(&Shape::Object(&ROLE))),
        field("teams", Shape::Map(&Shape::Object(&TEAM))),
        field("keys", Shape::Map(&Shape::Object(&KEY))),
        field("rateLimitService", Shape::Object(&RATE_LIMIT_SERVICE)),
        field("sessions", Shape::Object(&SESSIONS)),
        field("telemetry", Shape::Object(&TELEMETRY)),
        field("contextHeaders", Shape::Bool),
    ],
    later: &["approvals"],
    elsewhere: &[
        ("breaker", BREAKER_OWNER),
        ("loops", LOOPS_OWNER),
        ("clientCapabilities", CAPABILITIES_OWNER),
        ("secretEnv", "this is a field of \"sessions\""),
        ("perKey", OF_TELEMETRY),
        ("mask", OF_TELEMETRY),
        ("chains", OF_TELEMETRY),
        ("quotas", QUOTAS_OWNER),
        ("budget", BUDGET_OWNER),
        ("cost", COST),
        ("costPerKiB", COST),
        ("onError", ON_ERROR),
    ],
};

static IDENTITY: Object = Object {
    fields: &[
        field("headers", TEXTS),
        field("jwt", Shape::Object(&JWT)),
        field("anonymous", Shape::TextOrNull),
    ],
    later: &[],
    elsewhere: &[],
};

static JWT: Object = Object {
    fields: &[
        field("metadata", Shape::Text),
        field("claim", Shape::Text),
        field("rolesClaim", Shape::Text),
    ],
    later: &[],
    elsewhere: &[],
};

static LIMITS: Object = Object {
    fields: &[
        field("requestBytes", Shape::Count),
        field("resultBytes", Shape::Count),
        field("depth", Shape::Count),
        field("bodyTimeout", TIMEOUT),
        field("batches", Shape::Bool),
        field("bigIntegers", Shape::Bool),
    ],
    later: &[],
    elsewhere: &[],
};

static SERVER: Object = Object {
    fields: &[
        required("path", Shape::Text),
        field("host", Shape::Text),
        field("methods", TEXTS),
        field("unlistedTools", one_of(&["allow", "deny"])),
        field("schemas", one_of(&["off", "policy", "advertised"])),
        field(
            "integrity",
            Shape::OneOf {
                names: &["off", "pinned"],
                later: &["firstSeen"],
            },
        ),
        field("cost", Shape::Number),
        field("costPerKiB", Shape::Number),
        field("breaker", Shape::Object(&BREAKER)),
        field("clientCapabilities", Shape::Object(&CLIENT_CAPABILITIES)),
        field("tools", Shape::Map(&Shape::Object(&TOOL))),
    ],
    later: &["rules"],
    elsewhere: &[
        ("circuitBreaker", BREAKER_NAME),
        ("loops", LOOPS_OWNER),
        ("capabilities", "it is called \"clientCapabilities\""),
        ("sampling", OF_CAPABILITIES),
        ("elicitation", OF_CAPABILITIES),
        ("roots", OF_CAPABILITIES),
        ("sessions", SESSIONS_OWNER),
        (
            "quotas",
            "quotas belong to a key or a team; \"on\": \"<server>/*\" makes one count this server's tools only",
        ),
        ("budget", BUDGET_OWNER),
    ],
};

static TOOL: Object = Object {
    fields: &[
        field("inputSchema", Shape::Schema),
        field("cost", Shape::Number),
        field("costPerKiB", Shape::Number),
        field("breaker", Shape::Object(&TOOL_BREAKER)),
    ],
    later: &["pin", "rules"],
    elsewhere: &[
        ("circuitBreaker", BREAKER_NAME),
        ("loops", LOOPS_OWNER),
        ("clientCapabilities", CAPABILITIES_OWNER),
        (
            "quotas",
            "quotas belong to a key or a team; \"on\": \"<server>/<tool>\" makes one count this tool only",
        ),
        ("budget", BUDGET_OWNER),
    ],
};

static ROLE: Object = Object {
    fields: &[
        field("allow", TEXTS),
        field("deny", TEXTS),
        field("resources", TEXTS),
        field("prompts", TEXTS),
        field("mode", MODE),
    ],
    later: &["rules"],
    elsewhere: &[
        ("loops", LOOPS_OWNER),
        ("breaker", BREAKER_OWNER),
        ("clientCapabilities", CAPABILITIES_OWNER),
        ("quotas", QUOTAS_OWNER),
        ("budget", BUDGET_OWNER),
        ("cost", COST),
        ("costPerKiB", COST),
    ],
};

static TEAM: Object = Object {
    fields: &[
        field("quotas", QUOTAS),
        field("budget", Shape::Object(&BUDGET)),
        field("parent", Shape::Text),
    ],
    later: &[],
    elsewhere: &[
        ("loops", LOOPS_OWNER),
        ("breaker", BREAKER_OWNER),
        ("roles", "roles belong to keys"),
        ("team", "a team has a \"parent\""),
        ("keys", MEMBERS),
        ("members", MEMBERS),
        ("cost", COST),
        ("costPerKiB", COST),
    ],
};

static KEY: Object = Object {
    fields: &[
        field("sha256", TEXTS),
        field("subjects", TEXTS),
        field("roles", TEXTS),
        field("team", Shape::Text),
        field("quotas", QUOTAS),
        field("budget", Shape::Object(&BUDGET)),
        field("loops", Shape::Object(&LOOPS)),
        field("labels", Shape::Map(&Shape::Text)),
        field("expires", Shape::Text),
        field("disabled", Shape::Bool),
        field("mode", MODE),
    ],
    later: &["rules"],
    elsewhere: &[
        ("identicalCalls", OF_LOOPS),
        ("anyCall", OF_LOOPS),
        ("breaker", BREAKER_OWNER),
        ("clientCapabilities", CAPABILITIES_OWNER),
        ("sessions", SESSIONS_OWNER),
        ("parent", "a team has a parent, a key has a \"team\""),
        ("cost", COST),
        ("costPerKiB", COST),
    ],
};

const QUOTAS: Shape = Shape::List(&Shape::Object(&QUOTA));
const SCOPE: Shape = one_of(&["local", "global"]);

static QUOTA: Object = Object {
    fields: &[
        required("limit", Shape::Number),
        required("per", Shape::Duration("a string like \"minute\" or \"5m\"")),
        field("burst", Shape::Number),
        field("on", Shape::Text),
        field("each", one_of(&["tool", "subject"])),
        field("scope", SCOPE),
    ],
    later: &[],
    elsewhere: &[
        ("onError", ON_ERROR),
        ("window", PER),
        ("period", PER),
        ("interval", PER),
    ],
};

static BUDGET: Object = Object {
    fields: &[
        required("limit", Shape::Number),
        required("per", one_of(&["day", "month", "total"])),
        field("scope", SCOPE),
    ],
    later: &[],
    elsewhere: &[
        ("on", "a budget counts what every call costs; a quota has \"on\""),
        ("each", "a budget is one for all; a quota has \"each\""),
        ("burst", "a quota has \"burst\""),
        ("window", PER),
        ("period", PER),
        ("amount", "the amount is called \"limit\""),
        (
            "currency",
            "amounts have none: costs and budgets are in the same, whichever it is",
        ),
        ("onError", ON_ERROR),
    ],
};

const ON_ERROR: &str = "\"onError\" belongs to \"rateLimitService\" and holds for every global limit";

static RATE_LIMIT_SERVICE: Object = Object {
    fields: &[
        required("cluster", Shape::Text),
        field("domain", Shape::Text),
        field("timeout", TIMEOUT),
        field("onError", one_of(&["deny", "allow", "local"])),
        field("engine", one_of(&["envoyproxy", "limitador"])),
    ],
    later: &[],
    elsewhere: &[
        ("host", CLUSTER),
        ("address", CLUSTER),
        ("url", CLUSTER),
        ("failureModeDeny", "what happens then is called \"onError\""),
    ],
};
