//! One line: what is known about one request. `docs/access-log.md` says what the fields mean.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::clip::clipped;

/// A record, borrowed from its line.
///
/// Fields that a version of Toolgate does not write are absent, and so are empty ones; those it does not know are passed
/// over. What Toolgate
/// itself says is kept as the text it was, because digests are taken over it; the methods read the numbers.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(crate) struct Record<'a> {
    /// When the request began, in Unix milliseconds.
    #[serde(rename = "time", deserialize_with = "unix_ms")]
    pub(crate) time_ms: i64,
    #[serde(default, deserialize_with = "number")]
    pub(crate) status: Option<u64>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) method: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) path: Option<Text<'a>>,
    /// Of the whole HTTP exchange.
    #[serde(default, deserialize_with = "number")]
    pub(crate) duration_ms: Option<u64>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) details: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) client: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) request_id: Option<Text<'a>>,

    // In every record, if only as null: what lacks it is another program's line.
    #[serde(deserialize_with = "text")]
    pub(crate) decision: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) would_deny: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) detail: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) key: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) team: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) server: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) object: Option<Text<'a>>,
    #[serde(rename = "mcp.method.name", default, deserialize_with = "text")]
    pub(crate) rpc_method: Option<Text<'a>>,
    #[serde(rename = "gen_ai.tool.name", default, deserialize_with = "text")]
    pub(crate) tool: Option<Text<'a>>,
    #[serde(rename = "jsonrpc.request.id", default, deserialize_with = "text")]
    pub(crate) rpc_id: Option<Text<'a>>,
    #[serde(rename = "mcp.protocol.version", default, deserialize_with = "text")]
    pub(crate) protocol: Option<Text<'a>>,
    #[serde(rename = "mcp.session.id", default, deserialize_with = "text")]
    pub(crate) session: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) limit: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    cost_micros: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) rate_limit: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    store_conflicts: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) outcome: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) outcome_code: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    result_bytes: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    result_tokens: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    first_byte_ms: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    call_duration_ms: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) policy: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) arguments_digest: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) arguments: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) trace_id: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) chain_id: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    chain_seq: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) chain_prev: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) chain_digest: Option<Text<'a>>,
    #[serde(default, deserialize_with = "text")]
    chain_at: Option<Text<'a>>,
}

/// A value as text, borrowed where nothing in it is escaped. Numbers and truth values are text as JSON writes them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Text<'a>(Cow<'a, str>);

impl<'a> Record<'a> {
    /// The record that a line holds, or what is wrong with the line.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, String> {
        // Serde would take an array for the fields in their order.
        if !line.trim_ascii_start().starts_with(b"{") {
            return Err("not a JSON object".to_owned());
        }
        let record: Self = serde_json::from_slice(line).map_err(|error| why(&error))?;
        for (name, value) in record.numbers() {
            if let Some(value) = value
                && value.parse::<u64>().is_err()
            {
                return Err(format!("{name:?} is {:?} and not a number", &**value));
            }
        }
        Ok(record)
    }

    /// With no name longer than some three hundred characters: [`clipped`]. It has no digest any more, then.
    pub(crate) fn with_short_names(mut self) -> Self {
        for name in [
            &mut self.path,
            &mut self.decision,
            &mut self.would_deny,
            &mut self.key,
            &mut self.team,
            &mut self.server,
            &mut self.object,
            &mut self.rpc_method,
            &mut self.tool,
            &mut self.session,
            &mut self.outcome,
            &mut self.policy,
            &mut self.trace_id,
        ] {
            if let Some(Text(text)) = name
                && let Some(short) = clipped(text)
            {
                *text = Cow::Owned(short);
            }
        }
        self
    }

    /// What the call was charged, in millionths of a currency unit.
    pub(crate) fn cost_micros(&self) -> Option<u64> {
        parsed(self.cost_micros.as_ref())
    }

    /// About how many tokens the answer is.
    pub(crate) fn result_tokens(&self) -> Option<u64> {
        parsed(self.result_tokens.as_ref())
    }

    /// From the verdict to the answer.
    pub(crate) fn call_duration_ms(&self) -> Option<u64> {
        parsed(self.call_duration_ms.as_ref())
    }

    /// The record's number in its chain, from 1.
    pub(crate) fn chain_seq(&self) -> Option<u64> {
        parsed(self.chain_seq.as_ref())
    }

    /// What the filter said, under the names and in the order in which digests take it, and last its digest. Nothing that
    /// Envoy added is in it.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("decision", &self.decision),
            ("would_deny", &self.would_deny),
            ("detail", &self.detail),
            ("key", &self.key),
            ("team", &self.team),
            ("server", &self.server),
            ("method", &self.rpc_method),
            ("tool", &self.tool),
            ("object", &self.object),
            ("id", &self.rpc_id),
            ("protocol", &self.protocol),
            ("session", &self.session),
            ("limit", &self.limit),
            ("cost_micros", &self.cost_micros),
            ("rate_limit", &self.rate_limit),
            ("store_conflicts", &self.store_conflicts),
            ("outcome", &self.outcome),
            ("outcome_code", &self.outcome_code),
            ("result_bytes", &self.result_bytes),
            ("result_tokens", &self.result_tokens),
            ("first_byte_ms", &self.first_byte_ms),
            ("duration_ms", &self.call_duration_ms),
            ("policy", &self.policy),
            ("arguments_digest", &self.arguments_digest),
            ("arguments", &self.arguments),
            ("trace_id", &self.trace_id),
            ("chain_id", &self.chain_id),
            ("chain_seq", &self.chain_seq),
            ("chain_prev", &self.chain_prev),
            ("chain_at", &self.chain_at),
            ("chain_digest", &self.chain_digest),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.as_deref().map(|value| (name, value)))
    }

    fn numbers(&self) -> [(&'static str, &Option<Text<'a>>); 8] {
        [
            ("cost_micros", &self.cost_micros),
            ("store_conflicts", &self.store_conflicts),
            ("result_bytes", &self.result_bytes),
            ("result_tokens", &self.result_tokens),
            ("first_byte_ms", &self.first_byte_ms),
            ("call_duration_ms", &self.call_duration_ms),
            ("chain_seq", &self.chain_seq),
            ("chain_at", &self.chain_at),
        ]
    }
}

fn parsed(value: Option<&Text<'_>>) -> Option<u64> {
    value?.parse().ok()
}

/// In words that fit one line of a log.
fn why(error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "cut off in the middle".to_owned();
    }
    // "at line 1" says nothing here.
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(text, _)| text);
    if error.is_data() {
        format!("not a record of Toolgate: {text}")
    } else {
        format!("not JSON at byte {}: {text}", error.column())
    }
}

fn unix_ms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = Text::deserialize(deserializer)?;
    let time = OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| {
        D::Error::invalid_value(Unexpected::Str(&text), &"a time like 2026-11-20T21:24:09.914Z")
    })?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).map_err(D::Error::custom)
}

/// What is empty has no value.
fn text<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Text<'a>>, D::Error> {
    let text: Option<Text<'a>> = Option::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// Envoy writes its own numbers as such; log pipelines may make text of them, and write `-` for what is not known.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    struct Number;
    impl Visitor<'_> for Number {
        type Value = Option<u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number")
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
            Ok(Some(value))
        }
        fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
            match value {
                "-" | "" => Ok(None),
                _ => value
                    .parse()
                    .map(Some)
                    .map_err(|_| E::invalid_value(Unexpected::Str(value), &self)),
            }
        }
    }
    deserializer.deserialize_any(Number)
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_owned())))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}
