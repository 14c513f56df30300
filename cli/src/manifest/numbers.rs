//! A policy as a member of a Kubernetes object, where every number is a double on its way
//! (`google.protobuf.Struct`, which WasmPlugin's `pluginConfig` is).
//! <https://protobuf.dev/reference/protobuf/google.protobuf/#value>

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::failure::{Failure, Outcome};

/// A policy that arrives as it was sent.
pub(super) struct Carried {
    /// The document.
    pub(super) value: Value,
    /// What may be lost on the way without changing a decision.
    pub(super) notes: Vec<String>,
}

/// The document as a value; refused if a number of it would arrive as another one.
pub(super) fn carried(document: &str) -> Outcome<Carried> {
    let mut found = Found::default();
    let raw: &RawValue = serde_json::from_str(document).map_err(|error| unreadable(&error))?;
    walk(raw, &mut String::new(), &mut found)?;
    if let [(first, token), rest @ ..] = found.numbers.as_slice() {
        let more = if rest.is_empty() {
            String::new()
        } else {
            format!(" (and {} more)", rest.len())
        };
        return Err(Failure::no(format!(
            "{first}: a mesh carries every number as a double, which cannot hold {token}{more}"
        ))
        .fix("write it with at most 15 digits, or deliver the policy as text: render envoyfilter, or render envoy-gateway with \"hold\": \"headers\""));
    }
    let notes = found.nulls.first().map(|first| {
        format!("{first} is null: Kubernetes may drop it when the object is updated, and then the policy has another hash; leave it out")
    });
    let value = serde_json::from_str(document).map_err(|error| unreadable(&error))?;
    Ok(Carried {
        value,
        notes: notes.into_iter().collect(),
    })
}

#[derive(Default)]
struct Found {
    /// Numbers that a double does not hold, each with its place.
    numbers: Vec<(String, String)>,
    /// Places of members that are null.
    nulls: Vec<String>,
}

/// Looks at every token as it is written: a parsed number has lost its digits already.
fn walk(raw: &RawValue, at: &mut String, found: &mut Found) -> Outcome<()> {
    let text = raw.get();
    let length = at.len();
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> =
                serde_json::from_str(text).map_err(|error| unreadable(&error))?;
            for (name, member) in members {
                at.push('/');
                at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                if member.get() == "null" {
                    found.nulls.push(at.clone());
                }
                walk(member, at, found)?;
                at.truncate(length);
            }
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
            for (index, item) in items.into_iter().enumerate() {
                at.push('/');
                at.push_str(&index.to_string());
                walk(item, at, found)?;
                at.truncate(length);
            }
        }
        Some(b'-' | b'0'..=b'9') if !survives(text) => found.numbers.push((at.clone(), text.to_owned())),
        _ => {}
    }
    Ok(())
}

/// Whether the double closest to a number is written as the same number.
fn survives(token: &str) -> bool {
    let Ok(double) = token.parse::<f64>() else {
        return false;
    };
    double.is_finite() && decimal(token) == decimal(&format!("{double:e}"))
}

/// Sign, digits without zeros at the ends, and the power of ten of the last digit: equal for equal numbers.
fn decimal(token: &str) -> (bool, String, i64) {
    let (negative, unsigned) = token
        .strip_prefix('-')
        .map_or((false, token), |rest| (true, rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let kept = digits.trim_end_matches('0');
    let significant = kept.trim_start_matches('0').to_owned();
    if significant.is_empty() {
        return (negative, significant, 0);
    }
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    let exponent: i64 = exponent.parse().unwrap_or(i64::MAX);
    let last = exponent
        .saturating_add(length(&digits) - length(kept))
        .saturating_sub(length(fraction));
    (negative, significant, last)
}

fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::no(format!("the policy cannot be put into a manifest: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_numbers_that_a_double_holds() {
        for good in [
            "0",
            "-0",
            "0.10",
            "100",
            "1e2",
            "1E+2",
            "0.1",
            "9007199254740992",
            "1e21",
            "5e-324",
            "0e99999999999999999999",
            "1.50e-3",
            "123456789012345",
        ] {
            assert!(survives(good), "{good}");
        }
        for bad in [
            "9007199254740993",
            "0.1234567890123456789",
            "1e400",
            "1e-400",
            "18446744073709551615",
            "-9007199254740993",
        ] {
            assert!(!survives(bad), "{bad}");
        }
    }

    #[test]
    fn names_the_place() {
        let said = |text| carried(text).err().unwrap().to_string();
        assert!(said(r#"{"a":[{"b/c":9007199254740993}],"d":1e999}"#).starts_with("error: /a/0/b~1c: "));
        let notes = carried(r#"{"identity":{"anonymous":null}}"#).unwrap().notes;
        assert!(notes[0].starts_with("/identity/anonymous is null"));
        assert!(
            carried(r#"{"e":"9007199254740993","enum":[null]}"#)
                .unwrap()
                .notes
                .is_empty()
        );
    }
}
