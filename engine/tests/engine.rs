//! The engine without a host: the case table, natively and as WebAssembly under Node.

mod cases;

use toolgate_engine::store::MemoryStore;
use wasm_bindgen_test::wasm_bindgen_test;

/// How many cases there are. A run that found fewer has lost some.
const CASES: usize = 6;

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
