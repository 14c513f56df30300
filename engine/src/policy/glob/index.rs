//! Many patterns, found by text: exact ones by hash, globs by their literal prefix.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

use super::Glob;

/// Patterns with an id each, over one kind of text.
#[derive(Debug, Default)]
pub(in crate::policy) struct PatternIndex {
    exact: HashMap<Box<str>, Vec<u32>>,
    /// Sorted by prefix.
    globs: Vec<SamePrefix>,
}

/// The globs that begin with the same literal bytes.
#[derive(Debug)]
struct SamePrefix {
    prefix: Box<str>,
    /// The entry with the longest proper prefix of this one's prefix.
    parent: Option<usize>,
    globs: Vec<(u32, Glob)>,
}

impl PatternIndex {
    pub(in crate::policy) fn new(patterns: impl IntoIterator<Item = (u32, Glob)>) -> Self {
        let mut exact: HashMap<Box<str>, Vec<u32>> = HashMap::new();
        let mut by_prefix: BTreeMap<Box<str>, Vec<(u32, Glob)>> = BTreeMap::new();
        for (id, glob) in patterns {
            if glob.is_exact() {
                exact.entry(glob.as_str().into()).or_default().push(id);
            } else {
                by_prefix
                    .entry(glob.prefix().into())
                    .or_default()
                    .push((id, glob));
            }
        }
        let mut globs: Vec<SamePrefix> = Vec::with_capacity(by_prefix.len());
        // In sorted order, the prefixes of an entry's prefix are those still open on this stack.
        let mut open: Vec<(usize, Box<str>)> = Vec::new();
        for (index, (prefix, same)) in by_prefix.into_iter().enumerate() {
            while open
                .last()
                .is_some_and(|(_, outer)| !prefix.starts_with(&**outer))
            {
                open.pop();
            }
            let parent = open.last().map(|(index, _)| *index);
            open.push((index, prefix.clone()));
            globs.push(SamePrefix {
                prefix,
                parent,
                globs: same,
            });
        }
        PatternIndex { exact, globs }
    }

    /// Calls `found` with the id of each pattern that matches `text`, in no particular order.
    pub(in crate::policy) fn visit(
        &self,
        text: &str,
        mut found: impl FnMut(u32) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for id in self.exact.get(text).into_iter().flatten() {
            found(*id)?;
        }
        for (id, glob) in self.candidates(text) {
            if glob.matches(text) {
                found(*id)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Globs whose prefix `text` begins with.
    ///
    /// Of the prefixes sorted up to `text`, the longest that `text` begins with is the last one or
    /// one of its ancestors: whatever sorts between a prefix of `text` and `text` begins with that
    /// prefix too.
    fn candidates(&self, text: &str) -> impl Iterator<Item = &(u32, Glob)> {
        let after = self.globs.partition_point(|entry| &*entry.prefix <= text);
        let last = after.checked_sub(1).and_then(|index| self.globs.get(index));
        std::iter::successors(last, |entry| self.globs.get(entry.parent?))
            .filter(move |entry| text.starts_with(&*entry.prefix))
            .flat_map(|entry| &entry.globs)
    }

    /// Pairs of different ids with patterns that some text matches both of.
    ///
    /// Bounded: gives up after [`MAX_PAIRS`] pairs or [`MAX_COMPARISONS`] comparisons.
    pub(in crate::policy) fn overlaps(&self) -> Overlaps {
        let mut pairs = BTreeSet::new();
        let mut left = MAX_COMPARISONS;
        let complete = self.compare(&mut |a, b, meet| {
            if a != b && meet() {
                pairs.insert((a.min(b), a.max(b)));
            }
            left = left.saturating_sub(1);
            if left > 0 && pairs.len() < MAX_PAIRS {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        Overlaps {
            pairs,
            complete: complete.is_continue(),
        }
    }

    /// Calls `pair` with every two patterns that could meet, and with what finds out whether they do.
    fn compare(&self, pair: &mut PairVisitor<'_>) -> ControlFlow<()> {
        for (text, ids) in &self.exact {
            for (index, id) in ids.iter().enumerate() {
                for other in ids.iter().skip(index + 1) {
                    pair(*id, *other, &|| true)?;
                }
                for (other, glob) in self.candidates(text) {
                    pair(*id, *other, &|| glob.matches(text))?;
                }
            }
        }
        // Two globs can only meet if one's prefix begins with the other's.
        for entry in &self.globs {
            let outer = || {
                std::iter::successors(entry.parent, |index| self.globs.get(*index)?.parent)
                    .filter_map(|index| self.globs.get(index))
                    .flat_map(|outer| &outer.globs)
            };
            for (index, (id, glob)) in entry.globs.iter().enumerate() {
                for (other, other_glob) in entry.globs.iter().skip(index + 1).chain(outer()) {
                    pair(*id, *other, &|| glob.intersects(other_glob))?;
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// Most overlaps worth telling.
const MAX_PAIRS: usize = 100;
/// Most comparisons of two patterns.
const MAX_COMPARISONS: usize = 50_000;

type PairVisitor<'a> = dyn FnMut(u32, u32, &dyn Fn() -> bool) -> ControlFlow<()> + 'a;

/// Patterns that some text matches two of.
#[derive(Debug)]
pub(in crate::policy) struct Overlaps {
    /// Ids, the lower first.
    pub(in crate::policy) pairs: BTreeSet<(u32, u32)>,
    /// Whether every two patterns were compared.
    pub(in crate::policy) complete: bool,
}
