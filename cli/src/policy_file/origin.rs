//! Which file of a policy in parts says what.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toolgate_engine::policy::PolicyError;

/// The files behind a merged document. A pointer into it is the pointer into the file as well, because parts are
/// merged by name.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    files: Vec<PathBuf>,
    /// By pointer to a section or to a name in it: the files that have it.
    places: HashMap<String, Vec<usize>>,
}

impl Origins {
    /// Everything is in one file.
    pub(super) fn one(path: &Path) -> Self {
        Self::new(vec![path.to_owned()])
    }

    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        Self {
            files,
            places: HashMap::new(),
        }
    }

    /// A file has something at a pointer; returns the first that has, if there is another.
    pub(super) fn add(&mut self, pointer: String, file: usize) -> Option<&Path> {
        let there = self.places.entry(pointer).or_default();
        there.push(file);
        match there.as_slice() {
            [first, _, ..] => self.files.get(*first).map(PathBuf::as_path),
            _ => None,
        }
    }

    /// The one file that has this place; `None` if several do, or none.
    pub(crate) fn of(&self, pointer: &str) -> Option<&Path> {
        if let [only] = self.files.as_slice() {
            return Some(only);
        }
        let mut ends = pointer.match_indices('/').map(|(at, _)| at).skip(1);
        let section = ends.next().unwrap_or(pointer.len());
        let name = ends.next().unwrap_or(pointer.len());
        let place = |end: usize| pointer.get(..end).and_then(|pointer| self.places.get(pointer));
        match place(name).or_else(|| place(section))?.as_slice() {
            [file] => self.files.get(*file).map(PathBuf::as_path),
            _ => None,
        }
    }
}

/// Something that is wrong with a policy, and with which file of it.
#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "the names of the engine's errors")]
pub(crate) struct Problem {
    /// The file; `None` if it is not one file's fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<PathBuf>,
    /// Where, as a JSON Pointer; empty for the whole document.
    pub(crate) pointer: String,
    /// What is wrong.
    pub(crate) problem: String,
    /// What was found there; empty if there is nothing to show.
    pub(crate) found: String,
    /// What is allowed there; empty if `problem` says it all.
    pub(crate) allowed: String,
    /// What was probably meant.
    pub(crate) hint: Option<String>,
}

impl Problem {
    /// Where the engine's error is.
    pub(super) fn of(error: PolicyError, origins: &Origins) -> Self {
        Self {
            file: origins.of(&error.pointer).map(Path::to_owned),
            pointer: error.pointer,
            problem: error.problem,
            found: error.found,
            allowed: error.allowed,
            hint: error.hint,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.pointer.as_str() {
            "" => "the policy",
            pointer => pointer,
        };
        write!(f, "{place}: {}", self.problem)?;
        if !self.found.is_empty() {
            write!(f, "; found {}", self.found)?;
        }
        if !self.allowed.is_empty() {
            write!(f, "; allowed: {}", self.allowed)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}
