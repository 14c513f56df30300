//! Several documents into one: names are joined, everything else is said once.
//!
//! The merge works on the text, so that every token of every part goes on as written.

use std::collections::{HashMap, HashSet};

use toolgate_engine::json::{self, Kind, Value};
use toolgate_engine::policy::Policy;

use super::Part;
use super::origin::{Origins, Problem};

/// The members of the document whose own members have names of the author's choice.
const NAMED: [(&str, &str); 4] = [
    ("servers", "server"),
    ("roles", "role"),
    ("teams", "team"),
    ("keys", "key"),
];

/// As the engine reads policies: what passes here is within its bounds part by part, and the engine judges the whole.
const LIMITS: json::Limits = json::Limits {
    depth: 64,
    members: 100_000,
};

/// One document that says what all parts say, or everything that keeps them from being one.
pub(super) fn merge(parts: &[Part]) -> Result<(String, Origins), Vec<Problem>> {
    let mut problems = Vec::new();
    let mut roots = Vec::with_capacity(parts.len());
    for part in parts {
        match sound(part) {
            Ok(root) => roots.push(root),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut merger = Merger::new(parts);
    for (file, root) in roots.into_iter().enumerate() {
        merger.add(file, root);
    }
    if !merger.problems.is_empty() {
        return Err(merger.problems);
    }
    Ok((merger.text(), merger.origins))
}

/// The part's root, if it is a document whose sections can be joined.
fn sound(part: &Part) -> Result<Value<'_>, Vec<Problem>> {
    let origins = Origins::one(&part.path);
    let because = |text: &[u8], place: &str| -> Vec<Problem> {
        // What is wrong with a piece, the engine says in its own words.
        let errors = Policy::compile(text)
            .err()
            .map(|errors| errors.0)
            .unwrap_or_default();
        let here = errors.into_iter().filter(|error| error.pointer == place);
        here.map(|error| Problem::of(error, &origins)).collect()
    };
    let root = match json::parse(&part.text, &LIMITS) {
        Ok(root) if root.kind() == Kind::Object => root,
        _ => {
            let problems = because(&part.text, "");
            debug_assert!(!problems.is_empty(), "what cannot be parsed does not compile");
            return Err(problems);
        }
    };
    let mut problems = match root.get("version") {
        Some(version) => because(
            format!("{{\"version\":{}}}", version.raw()).as_bytes(),
            "/version",
        ),
        None => because(b"{}", "/version"),
    };
    for (name, _) in NAMED {
        if let Some(value) = root.get(name).filter(|value| value.kind() != Kind::Object) {
            let piece = format!("{{\"version\":1,\"{name}\":{}}}", value.raw());
            problems.extend(because(piece.as_bytes(), &format!("/{name}")));
        }
    }
    if problems.is_empty() {
        Ok(root)
    } else {
        Err(problems)
    }
}

struct Merger<'a> {
    parts: &'a [Part],
    /// In the order in which they come first.
    sections: Vec<(String, Section<'a>)>,
    index: HashMap<String, usize>,
    origins: Origins,
    problems: Vec<Problem>,
}

enum Section<'a> {
    /// Said once.
    Whole(Value<'a>),
    /// Joined by name.
    Named(Vec<(String, Value<'a>)>),
}

impl<'a> Merger<'a> {
    fn new(parts: &'a [Part]) -> Self {
        Self {
            parts,
            sections: Vec::new(),
            index: HashMap::new(),
            origins: Origins::new(parts.iter().map(|part| part.path.clone()).collect()),
            problems: Vec::new(),
        }
    }

    fn add(&mut self, file: usize, root: Value<'a>) {
        for (name, value) in root.as_object().into_iter().flat_map(|object| object.members()) {
            let named = NAMED.iter().find(|(section, _)| *section == name);
            match named {
                Some((_, noun)) => self.join(file, &name, noun, value),
                None => self.once(file, &name, value),
            }
        }
    }

    /// Adds the entries of a section.
    fn join(&mut self, file: usize, section: &str, noun: &str, value: Value<'a>) {
        let at = pointer("", section);
        let _ = self.origins.add(at.clone(), file);
        let mut entries = Vec::new();
        for (name, value) in value.as_object().into_iter().flat_map(|object| object.members()) {
            let at = pointer(&at, &name);
            let Some(first) = self.origins.add(at.clone(), file) else {
                entries.push((name.into_owned(), value));
                continue;
            };
            let problem = Problem {
                problem: format!("the {noun} {name:?} is defined twice"),
                found: format!("it in {} at {at} as well", first.display()),
                allowed: "each name once over all parts".to_owned(),
                hint: Some("keep one of them, or rename one".to_owned()),
                file: self.parts.get(file).map(|part| part.path.clone()),
                pointer: at,
            };
            self.problems.push(problem);
        }
        match self.section(section, || Section::Named(Vec::new())) {
            Section::Named(all) => all.extend(entries),
            Section::Whole(_) => {}
        }
    }

    /// Takes a member that only one part may have, unless they say the same.
    fn once(&mut self, file: usize, name: &str, value: Value<'a>) {
        let at = pointer("", name);
        let mut known = true;
        let section = self.section(name, || {
            known = false;
            Section::Whole(value)
        });
        let same = match section {
            // Where editors find the schema depends on where the file is.
            Section::Whole(first) => name == "$schema" || same(*first, value),
            Section::Named(_) => false,
        };
        let first = self.origins.add(at.clone(), file);
        if known && !same {
            let first = first.map(|path| path.display().to_string()).unwrap_or_default();
            let problem = Problem {
                problem: format!("{name:?} is given twice, and not alike"),
                found: format!("it in {first} at {at} as well"),
                allowed: "one part says it, or all that do say the same".to_owned(),
                hint: Some("leave it to one part".to_owned()),
                file: self.parts.get(file).map(|part| part.path.clone()),
                pointer: at,
            };
            self.problems.push(problem);
        }
    }

    fn section(&mut self, name: &str, new: impl FnOnce() -> Section<'a>) -> &mut Section<'a> {
        let index = *self.index.entry(name.to_owned()).or_insert(self.sections.len());
        if index == self.sections.len() {
            self.sections.push((name.to_owned(), new()));
        }
        &mut self.sections[index].1
    }

    fn text(&self) -> String {
        let mut text = String::new();
        object(&mut text, &self.sections, |text, section| match section {
            Section::Whole(value) => text.push_str(value.raw()),
            Section::Named(entries) => object(text, entries, |text, value| text.push_str(value.raw())),
        });
        text
    }
}

/// Writes an object.
fn object<T>(text: &mut String, members: &[(String, T)], mut write: impl FnMut(&mut String, &T)) {
    text.push('{');
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(name.as_str()).to_string());
        text.push(':');
        write(text, value);
    }
    text.push('}');
}

/// Whether two values are the same: numbers by their digits, strings by what they say, objects in any order.
fn same(a: Value<'_>, b: Value<'_>) -> bool {
    if let (Some(a), Some(b)) = (a.as_object(), b.as_object()) {
        let b: HashMap<_, _> = b.members().collect();
        let names: HashSet<_> = a.members().map(|(name, _)| name).collect();
        return names.len() == b.len()
            && a.members()
                .all(|(name, value)| b.get(&name).is_some_and(|other| same(value, *other)));
    }
    if let (Some(a), Some(b)) = (a.as_array(), b.as_array()) {
        let (mut a, mut b) = (a.elements(), b.elements());
        loop {
            match (a.next(), b.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if same(a, b) => {}
                _ => return false,
            }
        }
    }
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a == b,
        _ => a.raw() == b.raw(),
    }
}

/// A pointer with one more step ([RFC 6901 §3](https://www.rfc-editor.org/rfc/rfc6901#section-3)).
fn pointer(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}
