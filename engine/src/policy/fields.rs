//! The fields of the document, as one table: what the shape check knows beyond the types of
//! [`raw`](super::raw).
//!
//! Names under `later` belong to the format but do not work yet. They are refused by name, because
//! a policy must never say something that is silently not done.

/// What a value must look like.
#[derive(Debug)]
pub(super) enum Shape {
    Bool,
    /// A whole number, not negative.
    Count,
    Text,
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
pub(super) struct Object {
    pub(super) fields: &'static [Field],
    pub(super) later: &'static [&'static str],
}

/// A field that is accepted now.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
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

const TEXTS: Shape = Shape::List(&Shape::Text);
const MODE: Shape = one_of(&["enforce", "shadow"]);

/// The document.
pub(super) static POLICY: Object = Object {
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
    ],
    later: &["rateLimitService", "approvals", "sessions"],
};

static IDENTITY: Object = Object {
    fields: &[
        field("headers", TEXTS),
        field("jwt", Shape::Object(&JWT)),
        field("anonymous", Shape::TextOrNull),
    ],
    later: &[],
};

static JWT: Object = Object {
    fields: &[
        field("metadata", Shape::Text),
        field("claim", Shape::Text),
        field("rolesClaim", Shape::Text),
    ],
    later: &[],
};

static LIMITS: Object = Object {
    fields: &[
        field("requestBytes", Shape::Count),
        field("resultBytes", Shape::Count),
        field("depth", Shape::Count),
        field("bodyTimeout", Shape::Text),
        field("batches", Shape::Bool),
        field("bigIntegers", Shape::Bool),
    ],
    later: &[],
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
        field("tools", Shape::Map(&Shape::Object(&TOOL))),
    ],
    later: &[
        "breaker",
        "rules",
        "loops",
        "quotas",
        "budget",
        "cost",
        "costPerKiB",
    ],
};

static TOOL: Object = Object {
    fields: &[field("inputSchema", Shape::Schema)],
    later: &["cost", "costPerKiB", "pin", "rules", "breaker", "loops", "quotas"],
};

static ROLE: Object = Object {
    fields: &[
        field("allow", TEXTS),
        field("deny", TEXTS),
        field("resources", TEXTS),
        field("prompts", TEXTS),
        field("mode", MODE),
    ],
    later: &["rules", "loops", "quotas", "budget"],
};

static TEAM: Object = Object {
    fields: &[],
    later: &["budget", "quotas", "parent", "loops"],
};

static KEY: Object = Object {
    fields: &[
        field("sha256", TEXTS),
        field("subjects", TEXTS),
        field("roles", TEXTS),
        field("team", Shape::Text),
        field("labels", Shape::Map(&Shape::Text)),
        field("expires", Shape::Text),
        field("disabled", Shape::Bool),
        field("mode", MODE),
    ],
    later: &["quotas", "budget", "loops", "rules"],
};
