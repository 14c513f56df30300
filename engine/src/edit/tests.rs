use super::*;
use crate::json::{self, Limits};
use proptest::prelude::*;
use serde_json::Value as Tree;

fn parsed(text: &str) -> Value<'_> {
    json::parse(text.as_bytes(), &Limits::default()).unwrap()
}

/// Removes `names` from the object at `path` of `text`.
fn blanked(text: &str, path: &[&str], names: &[&str]) -> String {
    let mut object = parsed(text);
    for key in path {
        object = object.get(key).unwrap();
    }
    let mut edits = Edits::new(text.as_bytes());
    edits.blank_members(object, |key| names.contains(&key)).unwrap();
    edits
        .finish()
        .map_or(text.to_owned(), |out| String::from_utf8(out).unwrap())
}

#[test]
fn members_become_spaces() {
    for (text, names, expected) in [
        (r#"{"a":1}"#, &["a"][..], "{     }"),
        (r#"{"a":1,"b":2}"#, &["a"], r#"{      "b":2}"#),
        (r#"{"a":1,"b":2}"#, &["b"], r#"{"a":1      }"#),
        (r#"{"a":1,"b":2,"c":3}"#, &["b"], r#"{"a":1      ,"c":3}"#),
        (r#"{"a":1,"b":2,"c":3}"#, &["a", "b"], r#"{            "c":3}"#),
        (r#"{"a":1,"b":2,"c":3}"#, &["a", "c"], r#"{      "b":2      }"#),
        (r#"{"a":1,"b":2,"c":3}"#, &["c", "b", "a"], "{                 }"),
        (
            "{ \"a\" :\n[1, 2]\t,\r\n\"\\u0062\": \"é,\\\"}\" }",
            &["b"],
            "{ \"a\" :\n[1, 2]\t \r\n                   }",
        ),
        (r#"{"a":1}"#, &["b"], r#"{"a":1}"#),
        ("{}", &["a"], "{}"),
    ] {
        assert_eq!(blanked(text, &[], names), expected, "{text} without {names:?}");
    }
    assert_eq!(
        blanked(r#"{"p":{"a":{"x":1},"b":2},"a":0}"#, &["p"], &["a"]),
        r#"{"p":{            "b":2},"a":0}"#
    );
}

#[test]
fn strings_are_padded_behind_their_quote() {
    let text = r#"{"id":"a longer one","n":1}"#;
    let id = parsed(text).get("id").unwrap();
    let mut edits = Edits::new(text.as_bytes());
    edits.replace_string(id, "short").unwrap();
    assert_eq!(edits.finish().unwrap(), br#"{"id":"short"       ,"n":1}"#);

    let mut edits = Edits::new(text.as_bytes());
    edits.replace_string(id, "a longer one").unwrap();
    assert_eq!(edits.finish(), None, "nothing changes");

    let mut edits = Edits::new(text.as_bytes());
    assert_eq!(edits.replace_string(id, "a longer one!"), Err(EditError::TooLong));
    // Twelve characters, of which one needs an escape.
    assert_eq!(edits.replace_string(id, "a longer \"ne"), Err(EditError::TooLong));
    assert_eq!(
        edits.replace_string(parsed(text).get("n").unwrap(), ""),
        Err(EditError::Elsewhere)
    );
    assert_eq!(edits.finish(), None, "a refused edit changes nothing");
}

#[test]
fn only_places_in_the_text_are_edited() {
    let text = r#"{"a":{"b":"c"}}"#;
    let other = text.to_owned();
    let mut edits = Edits::new(text.as_bytes());
    let elsewhere = parsed(&other).get("a").unwrap();
    assert_eq!(
        edits.blank_members(elsewhere, |_| true),
        Err(EditError::Elsewhere)
    );
    assert_eq!(
        edits.replace_string(elsewhere.get("b").unwrap(), ""),
        Err(EditError::Elsewhere)
    );
    let string = parsed(text).get("a").unwrap().get("b").unwrap();
    assert_eq!(edits.blank_members(string, |_| true), Err(EditError::Elsewhere));
    assert_eq!(edits.finish(), None);
}

#[test]
fn what_is_blank_stays_blank() {
    let text = r#"{"a":{"id":"long long"},"b":1,"c":2}"#;
    let root = parsed(text);
    let id = root.get("a").unwrap().get("id").unwrap();
    for blank_first in [true, false] {
        let mut edits = Edits::new(text.as_bytes());
        if !blank_first {
            edits.replace_string(id, "x").unwrap();
        }
        assert_eq!(edits.blank_members(root, |key| key == "a"), Ok(1));
        edits.replace_string(id, "x").unwrap();
        assert_eq!(edits.blank_members(root.get("a").unwrap(), |_| true), Ok(0));
        assert_eq!(edits.blank_members(root, |key| key == "a" || key == "b"), Ok(1));
        let out = edits.finish().unwrap();
        assert_eq!(out, br#"{                             "c":2}"#);
    }
}

#[test]
fn splices() {
    let text = r#"{ "list" : [ {"id":"a"} , {"id":"b"} , {"id":"c"} ], "id":"x" }"#;
    let root = parsed(text);
    let list = root.get("list").unwrap();
    for (drop, expected) in [
        (
            "",
            r#"{ "list" : [ {"id":"a"} , {"id":"b"} , {"id":"c"} ], "id":"longer" }"#,
        ),
        ("a", r#"{ "list" : [ {"id":"b"} , {"id":"c"} ], "id":"longer" }"#),
        ("b", r#"{ "list" : [ {"id":"a"} , {"id":"c"} ], "id":"longer" }"#),
        ("c", r#"{ "list" : [ {"id":"a"} , {"id":"b"} ], "id":"longer" }"#),
        ("ab", r#"{ "list" : [ {"id":"c"} ], "id":"longer" }"#),
        ("bc", r#"{ "list" : [ {"id":"a"} ], "id":"longer" }"#),
        ("ac", r#"{ "list" : [ {"id":"b"} ], "id":"longer" }"#),
        ("abc", r#"{ "list" : [  ], "id":"longer" }"#),
    ] {
        let mut splices = Splices::new(root);
        // In no order; and one within what is dropped or not.
        splices.string(root.get("id").unwrap(), "longer");
        splices.drop_elements(list, |item| {
            drop.contains(&*item.get("id").unwrap().as_str().unwrap())
        });
        assert_eq!(
            String::from_utf8(splices.finish()).unwrap(),
            expected,
            "without {drop}"
        );
    }
}

#[test]
fn a_splice_within_a_dropped_element_goes_with_it() {
    let text = r#"[{"id":"a"},{"id":"b"}]"#;
    let root = parsed(text);
    let mut splices = Splices::new(root);
    for item in root.as_array().unwrap().elements() {
        splices.string(item.get("id").unwrap(), "new");
    }
    let mut first = true;
    splices.drop_elements(root, |_| std::mem::take(&mut first));
    assert_eq!(splices.finish(), br#"[{"id":"new"}]"#);
}

/// An object with members of these names, in all spellings, nested.
fn object(depth: u32) -> BoxedStrategy<String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        "-?[1-9][0-9]{0,3}",
        r#""([a-z,:{}]|é|😀|\\["\\/bn]|\\u00e9){0,6}""#,
        Just("[ {} , [1,2] ]".to_owned()),
    ];
    let value = if depth == 0 {
        scalar.boxed()
    } else {
        prop_oneof![2 => scalar, 3 => object(depth - 1)].boxed()
    };
    let key = prop::sample::subsequence(vec!["a", "b", "c", "d", "é"], 0..=5).prop_shuffle();
    (
        key,
        prop::collection::vec(value, 5),
        "[ \t\r\n]{0,2}",
        any::<u8>(),
    )
        .prop_map(|(keys, values, white, escapes)| {
            let members: Vec<String> = keys
                .iter()
                .zip(values)
                .enumerate()
                .map(|(i, (key, value))| {
                    let escaped = key.is_ascii() && escapes >> i & 1 == 1;
                    let key = if escaped {
                        format!("\\u{:04x}", u32::from(key.chars().next().unwrap()))
                    } else {
                        (*key).to_owned()
                    };
                    format!("{white}\"{key}\"{white}:{white}{value}{white}")
                })
                .collect();
            format!("{{{white}{}{white}}}", members.join(","))
        })
        .boxed()
}

/// One edit: the path of an object, and what to do with the members in it.
type Step = (Vec<&'static str>, Vec<&'static str>, Option<String>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let names = || prop::sample::subsequence(vec!["a", "b", "c", "d", "é"], 0..=3);
    let path = prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "é"]), 0..3);
    prop::collection::vec((path, names(), prop::option::of("[a-z\"\n\u{1}é]{0,4}")), 1..6)
}

/// The same in a tree. The edits see the original, where what an earlier one took away is still to be found.
fn model(tree: &mut Tree, (path, names, new): &Step) {
    let mut object = tree;
    for key in path {
        let Some(inner) = object.get_mut(key) else { return };
        object = inner;
    }
    let Some(object) = object.as_object_mut() else {
        return;
    };
    for name in names {
        match new {
            None => drop(object.remove(*name)),
            Some(new) => {
                if let Some(Tree::String(old)) = object.get_mut(*name) {
                    new.clone_into(old);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn edits_do_what_they_do_to_a_tree(text in object(2), steps in steps()) {
        let mut tree: Tree = serde_json::from_str(&text).unwrap();
        let root = parsed(&text);
        let mut edits = Edits::new(text.as_bytes());
        for step in &steps {
            let (path, names, new) = step;
            let Some(object) = path.iter().try_fold(root, |at, key| at.get(key)) else { continue };
            if object.kind() != Kind::Object {
                continue;
            }
            match new {
                None => {
                    edits.blank_members(object, |key| names.contains(&key)).unwrap();
                    model(&mut tree, step);
                }
                Some(new) => for name in names {
                    let Some(string) = object.get(name).filter(|v| v.kind() == Kind::String) else { continue };
                    let mut literal = Vec::new();
                    write_str(&mut literal, new);
                    let fits = literal.len() <= string.raw().len();
                    prop_assert_eq!(edits.replace_string(string, new).is_ok(), fits);
                    if fits {
                        model(&mut tree, &(path.clone(), vec![name], Some(new.clone())));
                    }
                }
            }
        }
        let out = edits.finish().unwrap_or(text.clone().into_bytes());
        prop_assert_eq!(out.len(), text.len());
        let read = json::parse(&out, &Limits::default());
        prop_assert!(read.is_ok(), "{:?} from {}", String::from_utf8_lossy(&out), text);
        prop_assert_eq!(read.unwrap().to_json().unwrap(), tree);
    }
}
