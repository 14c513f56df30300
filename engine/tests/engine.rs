//! The engine without a host: the case table, natively and as WebAssembly under Node.

mod cases;

use cases::{Case, Expect, Received};
use toolgate_engine::store::MemoryStore;
use wasm_bindgen_test::wasm_bindgen_test;

/// How many cases there are. A run that found fewer has lost some.
const CASES: usize = 1002;

#[wasm_bindgen_test(unsupported = test)]
fn every_case_holds() {
    let engine = cases::native::engine();
    let all = cases::all();
    assert_eq!(all.len(), CASES, "update CASES in engine/tests/engine.rs");
    let mut failures = Vec::new();
    for case in &all {
        for window in [usize::MAX, 7, 1] {
            let outcome = cases::native::run(&engine, &MemoryStore::new(), case, window);
            for difference in cases::differences(case, &outcome) {
                failures.push(format!("{} (windows of {window}): {difference}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

type Spoil<'a> = &'a dyn Fn(&mut Expect);

/// Every field of an expectation counts: changed, it is reported as a difference.
#[wasm_bindgen_test(unsupported = test)]
fn a_wrong_expectation_is_reported() {
    let engine = cases::native::engine();
    let all = cases::all();
    let named = |name: &str| {
        let found = all.iter().find(|case| case.name == name);
        found.unwrap_or_else(|| panic!("no case {name:?}"))
    };
    let outcome_of = |case: &Case| cases::native::run(&engine, &MemoryStore::new(), case, usize::MAX);
    let refused = named("a tool without a grant does not exist");
    let forwarded = named("a granted tool runs");
    let noted = named("hidden: a tool without a grant");
    let text = || "never".to_owned();
    let wrong: &[(&Case, Spoil)] = &[
        (refused, &|e| e.forwarded = true),
        (refused, &|e| e.decision = "schema".to_owned()),
        (refused, &|e| e.header = Some("schema".to_owned())),
        (refused, &|e| e.would_deny = Some("hidden".to_owned())),
        (refused, &|e| e.status = Some(404)),
        (refused, &|e| e.code = Some(-32601)),
        (refused, &|e| e.is_error = Some(true)),
        (refused, &|e| e.id = Some(1.into())),
        (refused, &|e| e.body = Some(serde_json::json!({}))),
        (refused, &|e| e.text = Some(text())),
        (refused, &|e| e.contains = vec![text()]),
        (refused, &|e| e.lacks = vec!["run_sql".to_owned()]),
        (refused, &|e| {
            e.response_has = vec![("content-type".to_owned(), text())];
        }),
        (refused, &|e| e.response_lacks = vec!["content-type".to_owned()]),
        (forwarded, &|e| e.forwarded = false),
        (forwarded, &|e| e.upstream_body = Some(serde_json::json!({}))),
        (forwarded, &|e| {
            e.upstream_has = vec![("x-never".to_owned(), text())];
        }),
        (forwarded, &|e| e.upstream_lacks = vec!["content-type".to_owned()]),
        (noted, &|e| e.would_deny = None),
        (noted, &|e| e.would_deny = Some("schema".to_owned())),
    ];
    for (number, (case, spoil)) in wrong.iter().enumerate() {
        let outcome = outcome_of(case);
        assert_eq!(cases::differences(case, &outcome), [""; 0], "{}", case.name);
        let mut spoiled = (*case).clone();
        spoil(&mut spoiled.expect);
        assert_ne!(
            cases::differences(&spoiled, &outcome),
            [""; 0],
            "spoiled expectation {number}"
        );
    }
    let tampered: &[&dyn Fn(&mut Received)] = &[
        &|received| received.body.push(b' '),
        &|received| received.headers.push(("authorization".to_owned(), b"x".to_vec())),
        &|received| received.headers.retain(|(name, _)| name != "accept-encoding"),
    ];
    for (number, tamper) in tampered.iter().enumerate() {
        let mut outcome = outcome_of(forwarded);
        tamper(outcome.upstream.as_mut().expect("it was forwarded"));
        let differences = cases::differences(forwarded, &outcome);
        assert_ne!(differences, [""; 0], "tampered request {number}");
    }
}
