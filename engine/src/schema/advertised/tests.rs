use std::cell::Cell;

use serde_json::json;

use super::{Advertised, Lookup, MAX_COMPILED, MAX_SCHEMA_BYTES, STORED_OVERHEAD};
use crate::store::{Expect, MemoryStore, Store, StoreError, Versioned};

const STRICT: &str = r#"{"type":"object","properties":{"q":{"type":"string"}},"additionalProperties":false}"#;

fn learn(store: &dyn Store, tools: &[(&str, Option<&str>)]) {
    Advertised::new().learn(store, "docs", tools.iter().copied());
}

fn reason(lookup: Lookup) -> String {
    match lookup {
        Lookup::Broken(reason) => reason,
        Lookup::Unknown | Lookup::Valid(_) => panic!("{lookup:?}"),
    }
}

fn refuses(lookup: Lookup) -> bool {
    match lookup {
        Lookup::Valid(validator) => validator.validate(&json!({"x": 1})).is_err(),
        Lookup::Unknown | Lookup::Broken(_) => panic!("{lookup:?}"),
    }
}

/// A store that counts, and fails when told to.
#[derive(Default)]
struct Watched {
    inner: MemoryStore,
    gets: Cell<u32>,
    sets: Cell<u32>,
    fails: Cell<bool>,
}

impl Store for Watched {
    fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.gets.set(self.gets.get() + 1);
        if self.fails.get() {
            Err(StoreError::Host(10))
        } else {
            self.inner.get(key)
        }
    }

    fn set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), StoreError> {
        self.sets.set(self.sets.get() + 1);
        if self.fails.get() {
            Err(StoreError::Host(10))
        } else {
            self.inner.set(key, value, expect)
        }
    }
}

#[test]
fn what_one_worker_learns_another_uses() {
    let store = Watched::default();
    let (one, other) = (Advertised::new(), Advertised::new());
    assert!(matches!(other.lookup(&store, "docs", "search"), Lookup::Unknown));
    one.learn(&store, "docs", [("search", Some(STRICT))].into_iter());
    assert!(refuses(other.lookup(&store, "docs", "search")));
    // Once compiled, a call costs one read.
    store.gets.set(0);
    assert!(refuses(other.lookup(&store, "docs", "search")));
    assert_eq!(store.gets.get(), 1);
    // Of other servers and tools nothing is known.
    assert!(matches!(other.lookup(&store, "files", "search"), Lookup::Unknown));
    assert!(matches!(other.lookup(&store, "docs", "Search"), Lookup::Unknown));
}

#[test]
fn the_latest_definition_counts_and_an_unchanged_one_is_not_written() {
    let store = Watched::default();
    let worker = Advertised::new();
    learn(&store, &[("search", Some(STRICT))]);
    assert!(refuses(worker.lookup(&store, "docs", "search")));
    store.sets.set(0);
    learn(&store, &[("search", Some(STRICT))]);
    assert_eq!(store.sets.get(), 0);
    learn(&store, &[("search", Some("{}"))]);
    assert!(!refuses(worker.lookup(&store, "docs", "search")));
    learn(&store, &[("search", None)]);
    assert!(matches!(worker.lookup(&store, "docs", "search"), Lookup::Unknown));
    learn(&store, &[("search", Some(STRICT))]);
    assert!(refuses(worker.lookup(&store, "docs", "search")));
}

#[test]
fn two_definitions_of_one_name_are_a_conflict() {
    let store = MemoryStore::new();
    let worker = Advertised::new();
    learn(
        &store,
        &[
            ("a", Some(STRICT)),
            ("b", Some("{}")),
            ("a", Some("{}")),
            ("a", Some(STRICT)),
        ],
    );
    assert!(reason(worker.lookup(&store, "docs", "a")).contains("two different definitions"));
    assert!(!refuses(worker.lookup(&store, "docs", "b")));
    learn(&store, &[("a", Some(STRICT)), ("a", None)]);
    assert!(reason(worker.lookup(&store, "docs", "a")).contains("two different definitions"));
    // The same twice is none.
    learn(&store, &[("a", Some(STRICT)), ("a", Some(STRICT))]);
    assert!(refuses(worker.lookup(&store, "docs", "a")));
}

#[test]
fn a_schema_that_cannot_be_used_refuses_and_says_why() {
    let store = MemoryStore::new();
    let worker = Advertised::new();
    let long = format!(r#"{{"description":"{}"}}"#, "x".repeat(MAX_SCHEMA_BYTES));
    let cases = [
        (
            r#"{"type":"object","properties":{"a":{"$ref":"https://example.com/x"}}}"#,
            "https://example.com/x",
        ),
        (r##"{"$ref":"#"}"##, "without descending"),
        ("null", "not a JSON object"),
        ("{", "not JSON"),
        (long.as_str(), "larger than"),
    ];
    for (schema, words) in cases {
        learn(&store, &[("a", Some(schema))]);
        for _ in 0..2 {
            let reason = reason(worker.lookup(&store, "docs", "a"));
            assert!(
                reason.starts_with("The input schema that the server advertises"),
                "{reason}"
            );
            assert!(reason.contains(words), "{reason}");
        }
    }
}

#[test]
fn a_store_that_fails_refuses_the_call_and_forgets_nothing() {
    let store = Watched::default();
    let worker = Advertised::new();
    learn(&store, &[("a", Some(STRICT))]);
    store.fails.set(true);
    assert!(reason(worker.lookup(&store, "docs", "a")).contains("cannot be read just now"));
    learn(&store, &[("a", Some("{}"))]);
    store.fails.set(false);
    assert!(refuses(worker.lookup(&store, "docs", "a")));
}

#[test]
fn a_text_that_is_missing_or_another_refuses() {
    let store = MemoryStore::new();
    store
        .set("toolgate/schema/docs/a", &[7; 32], Expect::Anything)
        .unwrap();
    assert!(reason(Advertised::new().lookup(&store, "docs", "a")).contains("not remembered"));
    store
        .set(&super::text_key("docs", &[7; 32]), b"{}", Expect::Anything)
        .unwrap();
    assert!(reason(Advertised::new().lookup(&store, "docs", "a")).contains("cannot be read"));
    store
        .set("toolgate/schema/docs/a", b"?", Expect::Anything)
        .unwrap();
    assert!(reason(Advertised::new().lookup(&store, "docs", "a")).contains("cannot be read"));
}

#[test]
fn names_and_the_cache_are_bounded() {
    let store = MemoryStore::new();
    let worker = Advertised::new();
    let long = "x".repeat(2_000);
    learn(&store, &[(&long, Some(STRICT))]);
    assert!(matches!(worker.lookup(&store, "docs", &long), Lookup::Unknown));
    for i in 0..MAX_COMPILED + 10 {
        let schema = format!(r#"{{"title":"{i}"}}"#);
        learn(&store, &[("a", Some(&schema))]);
        assert!(!refuses(worker.lookup(&store, "docs", "a")));
    }
    assert_eq!(worker.compiled.borrow().entries.len(), MAX_COMPILED);
    assert_eq!(worker.compiled.borrow().order.len(), MAX_COMPILED);
}

#[test]
fn a_server_cannot_fill_the_store() {
    let store = Watched::default();
    learn(&store, &[("a", Some(STRICT))]);
    let full = super::MAX_STORED_BYTES - STORED_OVERHEAD;
    store
        .set(
            "toolgate/schema-bytes/docs",
            &full.to_le_bytes(),
            Expect::Anything,
        )
        .unwrap();
    let worker = Advertised::new();
    learn(&store, &[("a", Some("{}")), ("new", Some("{}"))]);
    assert!(reason(worker.lookup(&store, "docs", "a")).contains("changed too often"));
    assert!(matches!(worker.lookup(&store, "docs", "new"), Lookup::Unknown));
    // What was stored before still works.
    learn(&store, &[("a", Some(STRICT))]);
    assert!(refuses(worker.lookup(&store, "docs", "a")));
    // Other servers have room of their own.
    worker.learn(&store, "files", [("a", Some(STRICT))].into_iter());
    assert!(refuses(worker.lookup(&store, "files", "a")));
}
