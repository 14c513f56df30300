//! Ids in the case table: what a client got to see of a server's session or task.

use serde_json::Value;
use toolgate_engine::binding::{Owner, Secrets};

use super::SECRET;

pub fn secrets() -> Secrets {
    Secrets::parse(SECRET).unwrap_or_else(|error| panic!("{error}"))
}

/// [`expand`] for every text in a JSON value.
pub fn expand_all(value: &mut Value) {
    match value {
        Value::String(text) => expand(text),
        Value::Array(elements) => elements.iter_mut().for_each(expand_all),
        Value::Object(members) => members.values_mut().for_each(expand_all),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Replaces what stands for an id, as `engine/cases/README.md` has it.
pub fn expand(text: &mut String) {
    while let Some(begin) = text.find("{session ").or_else(|| text.find("{task ")) {
        let end = text[begin..].find('}').map(|length| begin + length);
        let end = end.unwrap_or_else(|| panic!("{text:?}: no }}"));
        let words: Vec<&str> = text[begin + 1..end].split(' ').collect();
        let (id, change) = match words[..] {
            ["session", owner, id, ref change @ ..] => (session(owner, id), change),
            ["task", owner, tool, id, ref change @ ..] => (task(owner, tool, id), change),
            _ => panic!("{text:?}: too few words"),
        };
        let id = match *change {
            [] => id,
            ["cut", last] => cut(&id, number(last)),
            ["flip", at] => flipped(&id, number(at)),
            _ => panic!("{text:?}: an unknown change"),
        };
        text.replace_range(begin..=end, &id);
    }
}

fn session(owner: &str, id: &str) -> String {
    let tagged = secrets().tag_session(&named(owner), id.as_bytes());
    String::from_utf8(tagged).expect("ASCII")
}

fn task(owner: &str, tool: &str, id: &str) -> String {
    secrets().tag_task(&named(owner), tool, id)
}

fn named(owner: &str) -> Owner<'_> {
    let (server, key) = owner
        .split_once('/')
        .unwrap_or_else(|| panic!("{owner:?} is not SERVER/KEY"));
    Owner {
        server,
        key,
        subject: None,
    }
}

fn number(word: &str) -> usize {
    word.parse().unwrap_or_else(|error| panic!("{word:?}: {error}"))
}

fn cut(text: &str, last: usize) -> String {
    text[..text.len() - last].to_owned()
}

/// Another letter in this place. Base64 has them all.
fn flipped(text: &str, at: usize) -> String {
    let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}
