//! A list of patterns over `server/name`.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::rc::Rc;

use super::{Glob, PatternIndex, Text};

/// A list of patterns. A look-up costs the same for ten patterns and for thousands, as long as few
/// of them have a `*` before their first `/`.
#[derive(Debug, Default)]
pub struct GlobSet {
    /// As written, in the order of the policy.
    patterns: Vec<Rc<str>>,
    /// Patterns whose part before the first `/` is literal, by that part.
    by_server: HashMap<Box<str>, PatternIndex>,
    /// Patterns without `/` and without `*`: they match whole texts only.
    words: HashMap<Box<str>, u32>,
    /// Patterns with a `*` before the first `/`.
    floating: Vec<(u32, Glob)>,
}

impl GlobSet {
    /// A set of patterns.
    pub fn new(patterns: impl IntoIterator<Item = Rc<str>>) -> Self {
        let patterns: Vec<Rc<str>> = patterns.into_iter().collect();
        let mut by_server: HashMap<Box<str>, Vec<(u32, Glob)>> = HashMap::new();
        let mut words = HashMap::new();
        let mut floating = Vec::new();
        for (id, pattern) in (0..).zip(&patterns) {
            match pattern.split_once('/') {
                Some((server, name)) if !server.contains('*') => {
                    by_server
                        .entry(server.into())
                        .or_default()
                        .push((id, Glob::new(name)));
                }
                None if !pattern.contains('*') => {
                    words.entry(Box::from(&**pattern)).or_insert(id);
                }
                _ => floating.push((id, Glob::new(Rc::clone(pattern)))),
            }
        }
        let by_server = by_server
            .into_iter()
            .map(|(server, names)| (server, PatternIndex::new(names)))
            .collect();
        GlobSet {
            patterns,
            by_server,
            words,
            floating,
        }
    }

    /// Whether some pattern matches `server/name`.
    pub fn matches(&self, server: &str, name: &str) -> bool {
        self.visit(server, name, |_| ControlFlow::Break(())).is_break()
    }

    /// The first pattern, as written and in the order of the policy, that matches `server/name`.
    pub fn first_match(&self, server: &str, name: &str) -> Option<&str> {
        let mut first: Option<u32> = None;
        // The visitor never breaks off.
        let _ = self.visit(server, name, |id| {
            first = Some(first.map_or(id, |first| first.min(id)));
            ControlFlow::Continue(())
        });
        first
            .and_then(|id| self.patterns.get(id as usize))
            .map(|pattern| &**pattern)
    }

    /// Whether some pattern matches a text that is not a server and a name, like a method.
    pub fn matches_text(&self, text: &str) -> bool {
        match text.split_once('/') {
            Some((head, tail)) => self.matches(head, tail),
            None => self.words.contains_key(text) || self.floating.iter().any(|(_, glob)| glob.matches(text)),
        }
    }

    /// Whether some text that begins with `server/` could match.
    pub fn reaches(&self, server: &str) -> bool {
        // Behind a `*` every beginning can be continued to a match.
        self.by_server.contains_key(server)
            || self
                .floating
                .iter()
                .any(|(_, glob)| server.starts_with(glob.prefix()))
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The patterns as written, in the order of the policy.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().map(|pattern| &**pattern)
    }

    fn visit(
        &self,
        server: &str,
        name: &str,
        mut found: impl FnMut(u32) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if let Some(names) = self.by_server.get(server) {
            names.visit(name, &mut found)?;
        }
        for (id, glob) in &self.floating {
            if glob.matches_in(Text::pair(server, name)) {
                found(*id)?;
            }
        }
        ControlFlow::Continue(())
    }
}
