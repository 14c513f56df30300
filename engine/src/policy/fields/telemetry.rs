//! The fields of what is told about calls.

use super::{Object, Shape, field, one_of, required};

const PATH: &str = "the place is called \"path\", like \"/password\"";

pub(super) static TELEMETRY: Object = Object {
    fields: &[
        field("perKey", Shape::Bool),
        field("arguments", one_of(&["digest", "values", "off"])),
        field("mask", Shape::List(&Shape::Object(&MASK))),
        field("chains", Shape::Bool),
    ],
    later: &[],
    elsewhere: &[
        ("masks", "it is called \"mask\""),
        ("redact", "it is called \"mask\""),
        ("chain", "it is called \"chains\""),
        ("args", "it is called \"arguments\""),
        ("keys", "it is called \"perKey\""),
        (
            "contextHeaders",
            "it belongs to the whole policy, beside \"version\"",
        ),
    ],
};

static MASK: Object = Object {
    fields: &[field("on", Shape::Text), required("path", Shape::Text)],
    later: &[],
    elsewhere: &[
        ("pointer", PATH),
        ("paths", PATH),
        ("argument", PATH),
        ("field", PATH),
        ("tool", "the tools are called \"on\", like \"docs/*\""),
        ("tools", "the tools are called \"on\", like \"docs/*\""),
        ("server", "the tools are called \"on\", like \"docs/*\""),
    ],
};
