//! What a scan knows of where it is, and of the id.

use crate::outcome::found::Expected;

/// Objects and arrays that may be open at once. Common clients stop at about a thousand.
const DEPTH: usize = 1024;

/// The open objects and arrays, one bit each.
#[derive(Clone, Debug)]
pub(super) struct Open {
    objects: [u64; DEPTH / 64],
    pub(super) depth: usize,
    /// The innermost one is an object.
    pub(super) object: bool,
}

/// The id of an answer, compared as it comes.
#[derive(Clone, Debug)]
pub(super) struct Id {
    pub(super) expected: Expected,
    /// Bytes of a string that were as expected.
    matched: usize,
    differs: bool,
    pub(super) is_expected: bool,
}

impl Open {
    pub(super) const fn new() -> Open {
        Open {
            objects: [0; DEPTH / 64],
            depth: 0,
            object: false,
        }
    }

    /// `false` if there are too many.
    pub(super) const fn push(&mut self, object: bool) -> bool {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        let Some((_, words)) = self.objects.split_at_mut_checked(word) else {
            return false;
        };
        let Some(word) = words.first_mut() else {
            return false;
        };
        *word = (*word & !(1 << bit)) | ((object as u64) << bit);
        self.depth += 1;
        self.object = object;
        true
    }

    /// How many are left.
    pub(super) fn pop(&mut self) -> usize {
        self.depth = self.depth.saturating_sub(1);
        let last = self.depth.saturating_sub(1);
        let word = self.objects.get(last / 64).copied().unwrap_or(0);
        self.object = self.depth > 0 && word >> (last % 64) & 1 == 1;
        self.depth
    }
}

impl Id {
    pub(super) fn new(expected: Expected) -> Id {
        Id {
            is_expected: matches!(expected, Expected::Any),
            expected,
            matched: 0,
            differs: false,
        }
    }

    /// More of a string.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let Expected::Text(expected) = &self.expected else {
            return;
        };
        let rest = expected.get(self.matched..).unwrap_or(&[]);
        self.differs |= !rest.starts_with(bytes);
        self.matched = self.matched.saturating_add(bytes.len());
    }

    /// The string ends.
    pub(super) fn end(&mut self) {
        if let Expected::Text(expected) = &self.expected {
            self.is_expected = !self.differs && self.matched == expected.len();
        }
    }
}
