//! What is told about calls: what arrives, what is refused, what is warned about.

use super::bad::{Case, check};
use super::{compiled, refused};
use crate::policy::{Arguments, Segment, lint};

fn named(name: &str) -> Segment {
    Segment::Named(name.into())
}

#[test]
fn absent_and_empty_mean_the_defaults() {
    for text in [r#"{"version":1}"#, r#"{"version":1,"telemetry":{}}"#] {
        let policy = compiled(text);
        let telemetry = policy.telemetry();
        assert!(telemetry.per_key && telemetry.chains, "{text}");
        assert_eq!(telemetry.arguments, Arguments::Digest, "{text}");
        assert!(telemetry.masks.is_empty(), "{text}");
        assert!(!policy.context_headers(), "{text}");
    }
}

#[test]
fn what_is_written_arrives() {
    let policy = compiled(
        r#"{"version":1,"contextHeaders":true,"servers":{"crm":{"path":"/c"},"db":{"path":"/d"}},"telemetry":{"perKey":false,"arguments":"values",
            "mask":[{"path":"/password"},{"on":"crm/*","path":"/customers/*/e~1m~0ail/"}],"chains":false}}"#,
    );
    assert!(policy.context_headers());
    let telemetry = policy.telemetry();
    assert!(!telemetry.per_key && !telemetry.chains);
    assert_eq!(telemetry.arguments, Arguments::Values);
    let paths = |server, tool| -> Vec<&[Segment]> {
        telemetry
            .masks_for(server, tool)
            .map(crate::policy::Mask::path)
            .collect()
    };
    let everywhere = [named("password")];
    let crm = [named("customers"), Segment::Any, named("e/m~ail"), named("")];
    assert_eq!(paths("crm", "find"), [&everywhere[..], &crm[..]]);
    assert_eq!(paths("db", "find"), [&everywhere[..]]);
    let off = compiled(r#"{"version":1,"telemetry":{"arguments":"off"}}"#);
    assert_eq!(off.telemetry().arguments, Arguments::Off);
}

#[test]
fn steps_lead_to_members_and_items() {
    assert!(Segment::Any.is_member("x") && Segment::Any.is_item(7));
    assert!(named("7").is_member("7") && named("7").is_item(7) && named("0").is_item(0));
    // RFC 6901 §4: no leading zeros, no signs.
    for odd in ["07", "+7", "-7", "7.0", "", "-", "*"] {
        assert!(!named(odd).is_item(7), "{odd}");
        assert!(named(odd).is_member(odd), "{odd}");
    }
    assert!(!named("00").is_item(0) && !named("7").is_item(8) && !named("7").is_member("07"));
}

const BAD: &[Case] = &[
    (
        r#"{"version":1,"contextHeaders":1,"perKey":true,"mask":[],"chains":false,"telemetri":{},
            "telemetry":{"perKey":"yes","arguments":"value","mask":{"path":"/a"},"chains":null,"redact":[],"contextHeaders":true,"chain":true}}"#,
        &[
            ("/contextHeaders", &["found 1", "true or false"]),
            ("/perKey", &["a field of \"telemetry\""]),
            ("/mask", &["a field of \"telemetry\""]),
            ("/chains", &["a field of \"telemetry\""]),
            ("/telemetri", &["did you mean \"telemetry\"?"]),
            ("/telemetry/perKey", &["found a string", "true or false"]),
            (
                "/telemetry/arguments",
                &[
                    "unknown value",
                    "\"digest\" or \"values\" or \"off\"",
                    "did you mean \"values\"?",
                ],
            ),
            ("/telemetry/mask", &["found an object", "put it between [ and ]"]),
            ("/telemetry/chains", &["found null", "true or false"]),
            ("/telemetry/redact", &["it is called \"mask\""]),
            ("/telemetry/contextHeaders", &["beside \"version\""]),
            ("/telemetry/chain", &["it is called \"chains\""]),
        ],
    ),
    (
        r#"{"version":1,"telemetry":{"mask":[{"path":""},{"path":"$.a.b[0]"},{"path":"password"},{"path":"/a~b"},{"path":"/a~"},{"path":"$"}]}}"#,
        &[
            (
                "/telemetry/mask/0/path",
                &[
                    "no place within the arguments",
                    "JSON Pointer",
                    "\"arguments\": \"digest\"",
                ],
            ),
            (
                "/telemetry/mask/1/path",
                &["does not begin with /", "did you mean \"/a/b/0\"?"],
            ),
            ("/telemetry/mask/2/path", &["did you mean \"/password\"?"]),
            (
                "/telemetry/mask/3/path",
                &["not a JSON Pointer", "~ is written ~0"],
            ),
            (
                "/telemetry/mask/4/path",
                &["not a JSON Pointer", "~ is written ~0"],
            ),
            ("/telemetry/mask/5/path", &["does not begin with /"]),
        ],
    ),
    (
        r#"{"version":1,"telemetry":{"mask":[{"pointer":"/a","tool":"x"}]}}"#,
        &[
            ("/telemetry/mask/0/pointer", &["the place is called \"path\""]),
            ("/telemetry/mask/0/tool", &["the tools are called \"on\""]),
            ("/telemetry/mask/0/path", &["missing"]),
        ],
    ),
    (
        r#"{"version":1,"servers":{"docs":{"path":"/d"}},"telemetry":{"mask":[{"on":"doc/*","path":"/a"},{"on":"*","path":"/a"}]}}"#,
        &[
            (
                "/telemetry/mask/0/on",
                &["unknown server", "did you mean \"docs\"?"],
            ),
            ("/telemetry/mask/1/on", &["has no /", "did you mean \"*/*\"?"]),
        ],
    ),
];

#[test]
fn every_error_has_its_place_its_reason_and_its_hint() {
    check(BAD);
}

#[test]
fn masks_are_bounded() {
    let masks = |count: usize| vec![r#"{"path":"/a"}"#; count].join(",");
    let policy = |masks: &str| format!(r#"{{"version":1,"telemetry":{{"mask":[{masks}]}}}}"#);
    assert_eq!(compiled(&policy(&masks(256))).telemetry().masks.len(), 256);
    let errors = refused(&policy(&masks(257)));
    assert!(errors.to_string().contains("up to 256"), "{errors}");
    let path = |steps: &str| policy(&format!(r#"{{"path":"{steps}"}}"#));
    compiled(&path(&"/a".repeat(64)));
    for (steps, problem) in [
        ("/a".repeat(65), "too many steps"),
        ("/a".repeat(600), "too long"),
    ] {
        let errors = refused(&path(&steps));
        assert!(errors.to_string().contains(problem), "{errors}");
    }
}

#[test]
fn what_has_no_effect_is_told() {
    let found = |text: &str| -> Vec<(String, String)> {
        let warnings = lint(&compiled(text), 0);
        warnings.into_iter().map(|w| (w.pointer, w.message)).collect()
    };
    for useful in [
        r#"{"version":1,"telemetry":{"mask":[]}}"#,
        r#"{"version":1,"telemetry":{"arguments":"values","mask":[{"path":"/a"}]}}"#,
        r#"{"version":1,"contextHeaders":true}"#,
        r#"{"version":1,"hold":"body"}"#,
    ] {
        assert_eq!(found(useful), [], "{useful}");
    }
    for arguments in ["", r#""arguments":"off","#, r#""arguments":"digest","#] {
        let warnings = found(&format!(
            r#"{{"version":1,"telemetry":{{{arguments}"mask":[{{"path":"/a"}}]}}}}"#
        ));
        let [(pointer, message)] = &warnings[..] else {
            panic!("{warnings:?}");
        };
        assert_eq!(pointer, "/telemetry/mask");
        assert!(message.contains("nothing to mask"), "{message}");
    }
    let warnings = found(r#"{"version":1,"hold":"body","contextHeaders":true}"#);
    let [(pointer, message)] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert_eq!(pointer, "/contextHeaders");
    assert!(message.contains("x-toolgate-tool is never sent"), "{message}");
}
