use std::rc::Rc;

use proptest::prelude::*;

use super::{Glob, GlobSet, PatternIndex};

/// Obviously right, exponentially slow.
fn naive(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|n| naive(rest, &text[n..])),
        Some((c, rest)) => text.first() == Some(c) && naive(rest, &text[1..]),
    }
}

fn set(patterns: &[&str]) -> GlobSet {
    GlobSet::new(patterns.iter().map(|p| Rc::from(*p)))
}

#[test]
fn stars_match_any_run_and_nothing_else_is_special() {
    for (pattern, text, expected) in [
        ("docs/search_*", "docs/search_docs", true),
        ("docs/search_*", "docs/search_", true),
        ("docs/search_*", "docs/Search_x", false),
        ("docs/*", "docs/a/b/c", true),
        ("docs/*", "docsx/a", false),
        ("*/delete_*", "files/delete_all", true),
        ("*/delete_*", "files/undelete_all", false),
        ("*", "", true),
        ("**", "x", true),
        ("a*a", "a", false),
        ("a*a", "aa", true),
        ("a*b*c", "abbc", true),
        ("a*bb*b", "abb", false),
        ("a?c", "abc", false),
        ("a.c", "abc", false),
        ("[ab]", "a", false),
        ("é*", "éa", true),
    ] {
        assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
    }
}

#[test]
fn a_set_matches_pairs_without_confusing_their_border() {
    let set = set(&["docs/get", "docs/a/b", "files/*", "*/list", "x*/y"]);
    for (server, name, first) in [
        ("docs", "get", Some("docs/get")),
        ("docs", "a/b", Some("docs/a/b")),
        ("docs/a", "b", None),
        ("files", "list", Some("files/*")),
        ("docs", "list", Some("*/list")),
        ("docs", "deep/list", Some("*/list")),
        ("xylo", "y", Some("x*/y")),
        ("docs", "got", None),
        ("", "get", None),
    ] {
        assert_eq!(set.first_match(server, name), first, "{server} {name}");
        assert_eq!(set.matches(server, name), first.is_some(), "{server} {name}");
    }
}

#[test]
fn the_first_match_is_the_first_written() {
    assert_eq!(set(&["*/a", "s/*", "s/a"]).first_match("s", "a"), Some("*/a"));
    assert_eq!(set(&["s/a", "s/*", "*/a"]).first_match("s", "a"), Some("s/a"));
    assert_eq!(set(&["s/*", "s/a*", "s/a"]).first_match("s", "a"), Some("s/*"));
}

#[test]
fn methods_are_texts_with_or_without_slash() {
    let set = set(&["ping", "tools/*", "x-*"]);
    for (text, expected) in [
        ("ping", true),
        ("tools/call", true),
        ("tools", false),
        ("x-y/z", true),
        ("x-y", true),
        ("pin", false),
    ] {
        assert_eq!(set.matches_text(text), expected, "{text}");
    }
}

#[test]
fn a_set_reaches_a_server_if_it_could_match_something_there() {
    let set = set(&["docs/get", "fi*/x"]);
    for (server, expected) in [
        ("docs", true),
        ("doc", false),
        ("files", true),
        ("fi", true),
        ("f", false),
    ] {
        assert_eq!(set.reaches(server), expected, "{server}");
    }
    assert!(!GlobSet::default().reaches("docs"));
}

#[test]
fn matching_is_linear_on_hostile_names() {
    // A backtracking matcher needs longer than the universe for this.
    let glob = Glob::new("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab*b");
    assert!(!glob.matches(&"a".repeat(1 << 20)));
}

proptest! {
    #[test]
    fn a_glob_agrees_with_the_naive_matcher(pattern in "[ab/*]{0,8}", text in "[ab/]{0,10}") {
        prop_assert_eq!(Glob::new(pattern.as_str()).matches(&text), naive(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn a_set_agrees_with_the_naive_matcher(
        patterns in prop::collection::vec("[ab*]{0,3}/[ab/*]{0,5}|[ab*]{1,4}", 0..12),
        server in "[ab]{0,3}",
        name in "[ab/]{0,6}",
    ) {
        let text = format!("{server}/{name}");
        let expected = patterns.iter().find(|p| naive(p.as_bytes(), text.as_bytes())).map(String::as_str);
        let set = GlobSet::new(patterns.iter().map(|p| Rc::from(p.as_str())));
        prop_assert_eq!(set.first_match(&server, &name), expected);
        prop_assert_eq!(set.matches(&server, &name), expected.is_some());
        prop_assert_eq!(set.matches_text(&text), expected.is_some());
        prop_assert_eq!(set.matches_text(&name), patterns.iter().any(|p| naive(p.as_bytes(), name.as_bytes())));
        if expected.is_some() {
            prop_assert!(set.reaches(&server));
        }
    }

    #[test]
    fn an_index_agrees_with_the_naive_matcher(
        patterns in prop::collection::vec("[ab*]{0,5}", 0..20),
        text in "[ab]{0,6}",
    ) {
        let index = PatternIndex::new((0..).zip(&patterns).map(|(id, p)| (id, Glob::new(p.as_str()))));
        let mut found = Vec::new();
        let _ = index.visit(&text, |id| {
            found.push(id);
            std::ops::ControlFlow::Continue(())
        });
        found.sort_unstable();
        let expected: Vec<u32> = (0..).zip(&patterns).filter(|(_, p)| naive(p.as_bytes(), text.as_bytes())).map(|(id, _)| id).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn globs_that_share_a_text_intersect(a in "[ab*]{0,5}", b in "[ab*]{0,5}") {
        let texts = (0..=8_u32).flat_map(|len| (0..1_u32 << len).map(move |bits| {
            (0..len).map(|i| if bits >> i & 1 == 1 { 'a' } else { 'b' }).collect::<String>()
        }));
        let shared = texts.into_iter().any(|t| naive(a.as_bytes(), t.as_bytes()) && naive(b.as_bytes(), t.as_bytes()));
        prop_assert_eq!(Glob::new(a.as_str()).intersects(&Glob::new(b.as_str())), shared);
    }
}
