use std::path::PathBuf;

use super::{Part, PolicyFile, Problem, compact};

#[test]
fn compacting_keeps_every_token() {
    let text = "{ \"a b\" : [ 1.0 , 1e400,\n\t\"\\\\\\\" x \" ] }";
    assert_eq!(compact(text), "{\"a b\":[1.0,1e400,\"\\\\\\\" x \"]}");
}

#[test]
fn names_are_joined_and_tokens_stay() {
    let file = merged(&[
        r#"{"version": 1, "$schema": "a.json", "servers": {"docs": {"path": "/docs", "cost": 0.10}},
            "roles": {"z": {"allow": ["docs/*"]}}, "limits": {"depth": 12}}"#,
        r#"{"$schema": "../a.json", "keys": {"k\u0041": {"roles": ["z", "a/b"],
             "sha256": ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
             "budget": {"limit": 1000000.000001, "per": "day"}}},
            "version": 1, "limits": { "depth" : 12 }, "roles": {"a/b": {"allow": ["docs/x"]}}}"#,
    ])
    .unwrap();
    assert_eq!(
        file.document,
        concat!(
            r#"{"version":1,"$schema":"a.json","servers":{"docs":{"path":"/docs","cost":0.10}},"#,
            r#""roles":{"z":{"allow":["docs/*"]},"a/b":{"allow":["docs/x"]}},"limits":{"depth":12},"#,
            r#""keys":{"kA":{"roles":["z","a/b"],"#,
            r#""sha256":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],"#,
            r#""budget":{"limit":1000000.000001,"per":"day"}}}}"#
        )
    );
    let origin = |pointer| file.origins.of(pointer).map(|path| path.display().to_string());
    assert_eq!(origin("/servers/docs/cost").as_deref(), Some("a.json"));
    assert_eq!(origin("/roles/a~1b/allow/0").as_deref(), Some("b.json"));
    assert_eq!(origin("/keys").as_deref(), Some("b.json"));
    // In both, in none.
    for pointer in ["", "/roles", "/version", "/sessions", "/roles/nobody"] {
        assert_eq!(origin(pointer), None, "{pointer}");
    }
}

#[test]
fn every_kind_of_collision_names_both_places() {
    let a = r#"{"version": 1, "servers": {"docs": {"path": "/docs"}}, "roles": {"r/~": {}}, "teams": {"t": {}},
        "keys": {"k": {"subjects": ["x"]}}, "mode": "shadow", "limits": {"depth": 9, "resultBytes": 10}}"#;
    let b = r#"{"version": 1, "servers": {"docs": {"path": "/docs"}}, "roles": {"r/~": {}}, "teams": {"t": {}},
        "keys": {"k": {"subjects": ["x"]}}, "mode": "enforce", "limits": {"resultBytes": 10.0, "depth": 9}}"#;
    let problems = merged(&[a, b]).unwrap_err();
    let pointers: Vec<&str> = problems.iter().map(|problem| &*problem.pointer).collect();
    assert_eq!(
        pointers,
        [
            "/servers/docs",
            "/roles/r~1~0",
            "/teams/t",
            "/keys/k",
            "/mode",
            "/limits"
        ]
    );
    for problem in &problems {
        assert_eq!(problem.file.as_deref(), Some("b.json".as_ref()));
        assert_eq!(
            problem.found,
            format!("it in a.json at {} as well", problem.pointer)
        );
    }
    // The third part collides with the first that has the name.
    let c = r#"{"version": 1, "teams": {"t": {}}}"#;
    let problems = merged(&[r#"{"version": 1}"#, c, c]).unwrap_err();
    assert_eq!(
        said(&problems),
        [
            "c.json /teams/t: the team \"t\" is defined twice; found it in b.json at /teams/t as well; \
             allowed: each name once over all parts; keep one of them, or rename one"
        ]
    );
}

#[test]
fn a_part_that_is_none_is_named_with_what_is_wrong() {
    let good = r#"{"version": 1}"#;
    for (bad, expected) in [
        ("{", "b.json : not JSON as it is accepted here"),
        ("[]", "b.json : wrong type; found a list"),
        (
            r#"{"version": 1, "version": 1}"#,
            "b.json : not JSON as it is accepted here",
        ),
        ("{}", "b.json /version: missing"),
        (r#"{"version": 2}"#, "b.json /version: "),
        (r#"{"version": "1"}"#, "b.json /version: wrong type"),
        (
            r#"{"version": 1, "keys": []}"#,
            "b.json /keys: wrong type; found a list",
        ),
        (
            r#"{"version": 1, "roles": null}"#,
            "b.json /roles: wrong type; found null",
        ),
        (r#"{"version": 1, "rolez": {}}"#, "b.json /rolez: unknown field"),
        (
            r#"{"version": 1, "keys": {"k": {"roles": ["nobody"]}}}"#,
            "b.json /keys/k",
        ),
    ] {
        let problems = merged(&[good, bad]).unwrap_err();
        let said = said(&problems).join("\n").replace("b.json the policy", "b.json ");
        assert!(said.starts_with(expected), "{bad}: {said}");
    }
    // All at once.
    let problems = merged(&["{", r#"{"version": 2, "teams": 1}"#]).unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn errors_of_the_whole_point_into_the_part() {
    let a =
        r#"{"version": 1, "servers": {"docs": {"path": "/docs"}}, "roles": {"r": {"allow": ["dcos/*"]}}}"#;
    let b = r#"{"version": 1, "keys": {"k": {"sha256": ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"], "roles": ["r", "q"]}}}"#;
    let problems = merged(&[a, b]).unwrap_err();
    let said = said(&problems);
    assert!(
        said[0].starts_with("a.json /roles/r/allow/0: unknown server"),
        "{said:?}"
    );
    assert!(
        said[1].starts_with("b.json /keys/k/roles/1: unknown role"),
        "{said:?}"
    );
}

#[test]
fn what_a_part_says_does_not_depend_on_the_order_of_parts() {
    let a = r#"{"version": 1, "servers": {"docs": {"path": "/docs"}}}"#;
    let b = r#"{"version": 1, "roles": {"r": {"allow": ["docs/*"]}}, "keys": {"k": {"sha256": ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"], "roles": ["r"]}}}"#;
    for texts in [[a, b], [b, a]] {
        let file = merged(&texts).unwrap();
        assert_eq!(file.policy.keys().count(), 1);
        assert_eq!(file.document, merged(&texts).unwrap().document, "deterministic");
    }
}

/// Parts called `a.json`, `b.json` and so on.
fn merged(texts: &[&str]) -> Result<PolicyFile, Vec<Problem>> {
    let parts: Vec<Part> = texts
        .iter()
        .zip('a'..)
        .map(|(text, letter)| Part {
            path: PathBuf::from(format!("{letter}.json")),
            text: text.as_bytes().to_vec(),
        })
        .collect();
    PolicyFile::of(&parts)
}

fn said(problems: &[Problem]) -> Vec<String> {
    problems
        .iter()
        .map(|problem| {
            let file = problem.file.as_ref().map(|file| file.display().to_string());
            format!("{} {problem}", file.unwrap_or_default())
        })
        .collect()
}
