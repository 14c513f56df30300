//! Series: a family with the values of its labels.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use super::family::{Family, MAX_LABELS};
use crate::policy::Server;

/// A family, and a value for each of its labels.
///
/// Two are equal if they are of the same family and their values are *the same* words and names, not merely alike: a policy
/// has each name once. So they are compared and hashed without looking at any text, and series of different policies are
/// never equal.
#[derive(Clone, Debug)]
pub struct Series {
    family: Family,
    /// In the order of the family's labels; the rest is empty.
    values: [Text; MAX_LABELS],
}

impl Series {
    pub(super) fn new(family: Family, values: [Text; MAX_LABELS]) -> Self {
        Series { family, values }
    }

    /// Its family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The labels: names, and values that are not empty.
    pub fn labels(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let names = self.family.labels().iter().copied();
        names.zip(self.values.iter().map(Text::as_str))
    }
}

impl PartialEq for Series {
    fn eq(&self, other: &Self) -> bool {
        let mut values = self.values.iter().zip(&other.values);
        self.family == other.family && values.all(|(a, b)| a.address() == b.address())
    }
}

impl Eq for Series {}

impl Hash for Series {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(self.family as u8);
        for value in &self.values {
            state.write_usize(value.address());
        }
    }
}

/// A label's value.
#[derive(Clone, Debug, Default)]
pub(crate) enum Text {
    /// There is none.
    #[default]
    Nothing,
    /// A word of this program.
    Word(&'static str),
    /// A name of the policy.
    Name(Rc<str>),
}

impl Text {
    pub(super) fn name(name: &Rc<str>) -> Text {
        Text::Name(Rc::clone(name))
    }

    /// Whether there is none.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Text::Nothing)
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Text::Nothing => "",
            Text::Word(word) => word,
            Text::Name(name) => name,
        }
    }

    /// Where the text is. Whoever holds a text keeps its place from being used for another.
    fn address(&self) -> usize {
        match self {
            Text::Nothing => 0,
            Text::Word(word) => word.as_ptr().addr(),
            Text::Name(name) => name.as_ptr().addr(),
        }
    }
}

/// Tools whose names the policy does not write out.
const OTHER: &str = "other";

/// A server, and a tool of it or none.
pub(crate) struct At<'a> {
    pub(crate) server: &'a Server,
    pub(crate) tool: Option<&'a str>,
}

impl At<'_> {
    /// The tool's label.
    pub(crate) fn tool(&self) -> Text {
        match self.tool {
            None => Text::Nothing,
            Some(tool) => match self.server.known_name(tool) {
                Some(name) => Text::name(name),
                None => Text::Word(OTHER),
            },
        }
    }

    pub(super) fn values(&self, word: Option<&'static str>) -> [Text; MAX_LABELS] {
        let word = word.map_or(Text::Nothing, Text::Word);
        [Text::name(&self.server.name), self.tool(), word, Text::Nothing]
    }

    /// Whether it stands for more than one tool.
    pub(super) fn is_many(&self) -> bool {
        self.tool
            .is_some_and(|tool| self.server.known_name(tool).is_none())
    }
}
