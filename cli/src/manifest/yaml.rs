//! Documents as YAML. The writer quotes whatever a reader of YAML 1.1 or 1.2 could take for something else than a
//! string, as `yes` or `1e3`. <https://yaml.org/spec/1.2.2/>, <https://yaml.org/type/>

use serde_json::Value;

use crate::envoy::Ordered;
use crate::failure::{Failure, Outcome};

/// The documents, one after the other, each with its marker.
pub(crate) fn to_yaml(documents: &[Value]) -> Outcome<String> {
    let mut out = String::new();
    for document in documents {
        out.push_str("---\n");
        out.push_str(&plain(document)?);
    }
    Ok(out)
}

/// One document without a marker, to be a text in another one.
pub(super) fn plain(document: &Value) -> Outcome<String> {
    serde_saphyr::to_string_with_options(&Ordered(document), options())
        .map_err(|error| Failure::no(format!("the manifest cannot be written: {error}")))
}

/// Folding would hide where a long text has its spaces; a text over several lines is kept as it is.
fn options() -> serde_saphyr::SerializerOptions {
    serde_saphyr::ser_options! { prefer_block_scalars: false }
}
