//! The fields of breakers, loop guards, sessions and client capabilities.

use super::{Object, PER, Shape, field, one_of, required};

/// Declares the fields of a breaker: some of its own, and those that all breakers have.
macro_rules! breaker {
    ($($own:expr)?) => {
        Object {
            fields: &[
                $($own,)?
                field("failures", Shape::Count),
                field("ratio", Shape::Number),
                field("minCalls", Shape::Count),
                field("window", SPAN),
                field("open", SPAN),
                field("probes", Shape::Count),
                field("slow", SPAN),
                field("countToolErrors", Shape::Bool),
            ],
            later: &[],
            elsewhere: WORDS_FOR_BREAKERS,
        }
    };
}

pub(super) static BREAKER: Object = breaker!(field("each", one_of(&["tool", "server"])));
pub(super) static TOOL_BREAKER: Object = breaker!();

const SPAN: Shape = Shape::Duration("a string with a unit, like \"30s\"");

const FAILURES: &str = "\"failures\" says how many in a row open it, \"ratio\" which share of the calls does";
const RATIO: &str = "the share of calls is called \"ratio\", and half of them is 0.5";
const MIN_CALLS: &str = "the calls that \"ratio\" needs are called \"minCalls\"";
const BREAKER_WINDOW: &str = "the time over which \"ratio\" is taken is called \"window\"";
const OPEN: &str = "how long nothing is sent is called \"open\"";
const PROBES: &str = "how many calls find out whether the server works again is called \"probes\"";
const SLOW: &str = "a call that takes longer than \"slow\" is a failure";

/// What other breakers call it.
const WORDS_FOR_BREAKERS: &[(&str, &str)] = &[
    (
        "each",
        "a tool's breaker watches this tool alone; the breaker of a server has \"each\"",
    ),
    ("threshold", FAILURES),
    ("failureThreshold", FAILURES),
    ("errorThreshold", FAILURES),
    ("maxFailures", FAILURES),
    ("consecutiveFailures", FAILURES),
    ("consecutiveErrors", FAILURES),
    ("errors", FAILURES),
    ("failureRatio", RATIO),
    ("failureRate", RATIO),
    ("errorRate", RATIO),
    ("percent", RATIO),
    ("percentage", RATIO),
    ("minRequests", MIN_CALLS),
    ("minimumCalls", MIN_CALLS),
    ("minimumRequests", MIN_CALLS),
    ("requestVolume", MIN_CALLS),
    ("per", BREAKER_WINDOW),
    ("period", BREAKER_WINDOW),
    ("interval", BREAKER_WINDOW),
    ("cooldown", OPEN),
    ("openFor", OPEN),
    ("openTimeout", OPEN),
    ("resetTimeout", OPEN),
    ("recoveryTimeout", OPEN),
    ("baseEjectionTime", OPEN),
    (
        "timeout",
        "how long nothing is sent is called \"open\"; a call that takes longer than \"slow\" is a failure",
    ),
    ("halfOpen", PROBES),
    ("halfOpenCalls", PROBES),
    ("halfOpenRequests", PROBES),
    ("successThreshold", PROBES),
    ("slowCalls", SLOW),
    ("slowAfter", SLOW),
    ("latency", SLOW),
    ("toolErrors", "it is called \"countToolErrors\""),
    (
        "scope",
        "every Envoy process counts by itself: there is no \"scope\"",
    ),
];

pub(super) static CLIENT_CAPABILITIES: Object = Object {
    fields: &[
        field("sampling", CAPABILITY),
        field("elicitation", CAPABILITY),
        field("roots", CAPABILITY),
    ],
    later: &[],
    elsewhere: &[],
};

const CAPABILITY: Shape = one_of(&["allow", "strip"]);

pub(super) static LOOPS: Object = Object {
    fields: &[
        field("identicalCalls", Shape::Count),
        field("per", SPAN),
        field("anyCall", Shape::Object(&ANY_CALL)),
    ],
    later: &[],
    elsewhere: &[
        ("window", PER),
        ("period", PER),
        ("interval", PER),
        ("limit", IDENTICAL_CALLS),
        ("calls", IDENTICAL_CALLS),
        ("identical", IDENTICAL_CALLS),
        ("repeats", IDENTICAL_CALLS),
        ("maxCalls", ANY_CALL_NAME),
        ("anyCalls", ANY_CALL_NAME),
        ("on", "loops are looked for in all calls of the key"),
        ("each", "every tool and all arguments count apart anyway"),
        (
            "scope",
            "every Envoy process counts by itself: there is no \"scope\"",
        ),
    ],
};

const IDENTICAL_CALLS: &str =
    "the same call again is \"identicalCalls\"; all calls of one run are \"anyCall\": { \"limit\", \"per\" }";
const ANY_CALL_NAME: &str = "it is called \"anyCall\", with \"limit\" and \"per\"";

static ANY_CALL: Object = Object {
    fields: &[required("limit", Shape::Count), required("per", SPAN)],
    later: &[],
    elsewhere: &[
        ("window", PER),
        ("period", PER),
        ("interval", PER),
        ("calls", "the calls are called \"limit\""),
        ("max", "the calls are called \"limit\""),
    ],
};

const SECRET: &str =
    "a policy never holds the secret: \"secretEnv\" names the environment variable that does";

pub(super) static SESSIONS: Object = Object {
    fields: &[field("secretEnv", Shape::Text)],
    later: &[],
    elsewhere: &[
        ("secret", SECRET),
        ("secrets", SECRET),
        ("secretFile", SECRET),
        ("key", SECRET),
        ("env", "it is called \"secretEnv\""),
    ],
};
