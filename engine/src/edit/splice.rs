//! Splicing: replacements of any length, everything else byte for byte.

use std::ops::Range;

use super::range_in;
use crate::json::{Value, write_str};

/// Replacements in one value's text.
#[derive(Clone, Debug)]
pub struct Splices<'a> {
    whole: Value<'a>,
    /// What takes the place of which bytes; they do not overlap, and are in no order.
    parts: Vec<(Range<usize>, Vec<u8>)>,
}

impl<'a> Splices<'a> {
    /// No replacements yet.
    pub fn new(whole: Value<'a>) -> Self {
        Splices {
            whole,
            parts: Vec::new(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Puts a string in the place of a value.
    pub fn string(&mut self, value: Value<'a>, new: &str) {
        let mut literal = Vec::with_capacity(new.len().saturating_add(2));
        write_str(&mut literal, new);
        self.replace(value, literal);
    }

    /// Puts other bytes in the place of a value. They must be JSON.
    pub fn replace(&mut self, value: Value<'a>, new: Vec<u8>) {
        if let Some(range) = self.range(value) {
            self.parts.push((range, new));
        }
    }

    /// Takes elements out of an array: those for which `drops` says so, each with one comma.
    pub fn drop_elements(&mut self, array: Value<'a>, mut drops: impl FnMut(Value<'a>) -> bool) {
        let mut last_end = None;
        let mut kept_before = false;
        for element in array.as_array().into_iter().flat_map(|array| array.elements()) {
            let Some(range) = self.range(element) else { return };
            let keep = !drops(element);
            match (keep, kept_before, last_end) {
                // Between an element and its predecessor there is white space and the comma.
                (true, false, Some(end)) => self.parts.push((end..range.start, Vec::new())),
                (false, _, Some(end)) => self.parts.push((end..range.end, Vec::new())),
                (false, _, None) => self.parts.push((range.clone(), Vec::new())),
                (true, _, _) => {}
            }
            kept_before |= keep;
            last_end = Some(range.end);
        }
    }

    /// The text with its replacements. Later ones that overlap earlier ones are left out.
    pub fn finish(mut self) -> Vec<u8> {
        let text = self.whole.raw().as_bytes();
        self.parts.sort_by_key(|(range, _)| range.start);
        let grown: usize = self.parts.iter().map(|(_, new)| new.len()).sum();
        let mut out = Vec::with_capacity(text.len().saturating_add(grown));
        let mut at = 0;
        for (range, new) in self.parts {
            let Some(before) = text.get(at..range.start) else {
                continue;
            };
            out.extend_from_slice(before);
            out.extend_from_slice(&new);
            at = range.end;
        }
        out.extend_from_slice(text.get(at..).unwrap_or_default());
        out
    }

    fn range(&self, value: Value<'a>) -> Option<Range<usize>> {
        range_in(self.whole.raw().as_bytes(), value)
    }
}
