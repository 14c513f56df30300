//! Spellings that some servers take for a reserved member name, and others do not.
//!
//! JSON-RPC member names are case-sensitive, but readers exist that match them without regard to
//! case (Go's `encoding/json` by default, see [GHSA-wvj2-96wp-fq3f]). What such a reader takes for
//! `method` must not reach it unjudged.
//!
//! [GHSA-wvj2-96wp-fq3f]: https://github.com/advisories/GHSA-wvj2-96wp-fq3f

/// Names with a meaning in the envelope, in `params`, or in its `_meta`, `ref` or `notifications`.
const RESERVED: &[&str] = &[
    "jsonrpc",
    "id",
    "method",
    "params",
    "result",
    "error",
    "name",
    "uri",
    "arguments",
    "cursor",
    "ref",
    "taskId",
    "task",
    "inputResponses",
    "requestState",
    "notifications",
    "resourceSubscriptions",
    "taskIds",
    "type",
    "protocolVersion",
    "capabilities",
    "_meta",
    "io.modelcontextprotocol/protocolVersion",
];

/// The reserved name that `key` is not, but equals under [simple case folding].
///
/// [simple case folding]: https://www.unicode.org/Public/UCD/latest/ucd/CaseFolding.txt
pub fn variant_of(key: &str) -> Option<&'static str> {
    let name = *RESERVED
        .iter()
        .find(|name| key.chars().map(fold).eq(name.chars().map(fold)))?;
    (name != key).then_some(name)
}

/// Simple case folding, as far as its result is ASCII: besides A to Z, only U+017F and U+212A fold
/// into ASCII. Everything else is left alone, for it equals no reserved name either way.
pub(crate) const fn fold(c: char) -> char {
    match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    }
}
