//! What the record says about the arguments of a call: their digest, and where the policy asks for it the values, masked.

use crate::chain::push_hex;
use crate::decide::Context;
use crate::json::{Kind, Value, write_str};
use crate::mcp::call::{Call, Object};
use crate::policy::{Arguments, Mask, Segment};

/// Longer ones are not recorded: access logs have to keep them.
const MOST: usize = 16 * 1024;

/// What a masked value becomes.
const MASKED: &[u8] = b"\"***\"";

/// What is said.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// `sha256:` and 64 hexadecimal digits.
    pub(super) digest: Option<String>,
    /// JSON text.
    pub(super) values: Option<String>,
}

impl Told {
    /// Of a call of a tool; nothing of other messages.
    pub(super) fn of(context: &Context<'_>, call: &Call<'_>) -> Told {
        let telemetry = context.policy.telemetry();
        let Object::Tool { name, arguments } = &call.object else {
            return Told::default();
        };
        if telemetry.arguments == Arguments::Off {
            return Told::default();
        }
        let mut digest = String::with_capacity(7 + 64);
        digest.push_str("sha256:");
        push_hex(&context.digest_of(*arguments), &mut digest);
        let values = (telemetry.arguments == Arguments::Values).then(|| {
            let masks = telemetry.masks_for(&context.server.name, name);
            let paths: Vec<&[Segment]> = masks.map(Mask::path).collect();
            masked(*arguments, &paths)
        });
        Told {
            digest: Some(digest),
            values: values.flatten(),
        }
    }
}

/// The arguments without what the paths lead to; `None` if that is too long.
fn masked(arguments: Option<Value<'_>>, paths: &[&[Segment]]) -> Option<String> {
    let mut out = Vec::new();
    match arguments {
        Some(arguments) => write(arguments, paths, &mut out)?,
        None => out.extend_from_slice(b"{}"),
    }
    String::from_utf8(out).ok()
}

/// Writes a value as it came, except where a path leads deeper into it. No deeper than the longest path.
fn write(value: Value<'_>, paths: &[&[Segment]], out: &mut Vec<u8>) -> Option<()> {
    match value.kind() {
        _ if paths.iter().any(|path| path.is_empty()) => append(MASKED, out),
        Kind::Object if !paths.is_empty() => {
            out.push(b'{');
            for (at, (key, member)) in value.as_object()?.members().enumerate() {
                separate(at, out);
                write_str(out, &key);
                out.push(b':');
                write(member, &after(paths, |step| step.is_member(&key)), out)?;
            }
            append(b"}", out)
        }
        Kind::Array if !paths.is_empty() => {
            out.push(b'[');
            for (at, element) in value.as_array()?.elements().enumerate() {
                separate(at, out);
                write(element, &after(paths, |step| step.is_item(at)), out)?;
            }
            append(b"]", out)
        }
        _ => append(value.raw().as_bytes(), out),
    }
}

fn append(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(bytes);
    (out.len() <= MOST).then_some(())
}

fn separate(at: usize, out: &mut Vec<u8>) {
    if at > 0 {
        out.push(b',');
    }
}

/// What is left of the paths that take this step.
fn after<'p>(paths: &[&'p [Segment]], takes: impl Fn(&Segment) -> bool) -> Vec<&'p [Segment]> {
    let split = paths.iter().filter_map(|path| path.split_first());
    split
        .filter(|(step, _)| takes(step))
        .map(|(_, rest)| rest)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::policy::Policy;

    /// What is recorded of arguments under masks.
    fn told(arguments: &str, masks: &[&str]) -> Option<String> {
        let masks: Vec<String> = masks
            .iter()
            .map(|path| format!("{{\"path\": {path:?}}}"))
            .collect();
        let document = format!(
            "{{\"version\": 1, \"telemetry\": {{\"arguments\": \"values\", \"mask\": [{}]}}}}",
            masks.join(",")
        );
        let policy = Policy::compile(document.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        let masks = policy.telemetry().masks_for("docs", "search");
        let paths: Vec<&[Segment]> = masks.map(Mask::path).collect();
        let arguments = json::parse(arguments.as_bytes(), &json::Limits::default()).unwrap();
        masked(Some(arguments), &paths)
    }

    #[test]
    fn without_masks_the_text_is_as_it_came() {
        let text = "{ \"b\" : [1.50, \"\\u00e9\"],\n\"a\":{} }";
        assert_eq!(told(text, &[]).unwrap(), text);
        assert_eq!(masked(None, &[]).unwrap(), "{}");
    }

    #[test]
    fn whatever_a_path_leads_to_is_masked() {
        let text = r#"{"user": {"password": {"old": 1}, "name": "eve"}, "list": [{"pin": 1, "ok": 2}, {"pin": [3]}, "pin", 4]}"#;
        for (paths, expected) in [
            (
                &["/user/password"][..],
                r#"{"user":{"password":"***","name":"eve"},"list":[{"pin": 1, "ok": 2}, {"pin": [3]}, "pin", 4]}"#,
            ),
            (
                &["/list/*/pin", "/user"],
                r#"{"user":"***","list":[{"pin":"***","ok":2},{"pin":"***"},"pin",4]}"#,
            ),
            (
                &["/list/1", "/list/3", "/*/name"],
                r#"{"user":{"password":{"old": 1},"name":"***"},"list":[{"pin":1,"ok":2},"***","pin","***"]}"#,
            ),
            (&["/*", "/user/name"], r#"{"user":"***","list":"***"}"#),
            (
                &["/user/*", "/list"],
                r#"{"user":{"password":"***","name":"***"},"list":"***"}"#,
            ),
        ] {
            let told = told(text, paths).unwrap();
            let same = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(same(&told), same(expected), "{paths:?}");
        }
    }

    #[test]
    fn no_spelling_gets_round_a_mask() {
        for text in [
            r#"{"pass\u0077ord": "secret"}"#,
            r#"{"a": 1, "password" : {"deep": ["secret"]}}"#,
            "{\"password\"\n:\t\"secret\"}",
        ] {
            let told = told(text, &["/password"]).unwrap();
            assert!(
                told.contains("\"password\":\"***\"") && !told.contains("secret"),
                "{told}"
            );
        }
        let odd = told(
            r#"{"a/b": 1, "m~n": 2, "": 3, "*": 4, "0": 5}"#,
            &["/a~1b", "/m~0n", "/", "/0"],
        );
        let expected = r#"{"a/b":"***","m~n":"***","":"***","*":4,"0":"***"}"#;
        assert_eq!(odd.unwrap(), expected);
    }

    #[test]
    fn what_is_too_long_is_left_out() {
        let text = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
        assert_eq!(told(&text(MOST), &[]), Some(text(MOST)));
        assert_eq!(told(&text(MOST + 1), &[]), None);
        assert_eq!(told(&text(MOST + 1), &["/b"]), None);
        // It is what is recorded that counts.
        assert_eq!(told(&text(100 * MOST), &["/a"]).unwrap(), r#"{"a":"***"}"#);
        let many = vec!["1"; MOST].join(",");
        assert_eq!(told(&format!("{{\"a\":[{many}]}}"), &["/a/*"]), None);
    }
}
