//! The bootstrap as text: JSON, because Envoy reads it under any file name. (What does not end in
//! `.yaml` it takes for JSON, and JSON is YAML. In YAML proper a server named `yes` would become a boolean.)

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// What a reader looks for first in an object; the rest follows by name.
const FIRST: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "@type",
    "name",
    "namespace",
    "root_id",
    "address",
    "domains",
    "match",
];

/// The document, indented, with a final line end.
pub(crate) fn to_text(value: &Value) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&Ordered(value)).map(|text| text + "\n")
}

/// A document in the order in which people read it.
pub(crate) struct Ordered<'a>(pub(crate) &'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => serializer.collect_seq(items.iter().map(Ordered)),
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(name, _)| {
                    FIRST
                        .iter()
                        .position(|first| first == name)
                        .unwrap_or(FIRST.len())
                });
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, &Ordered(value))?;
                }
                map.end()
            }
            // In YAML, a block; in JSON, a string like others.
            Value::String(text) if text.contains('\n') => serde_saphyr::LitStr(text).serialize(serializer),
            scalar => scalar.serialize(serializer),
        }
    }
}
