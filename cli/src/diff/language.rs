//! Is there a text that these patterns match and those do not?
//!
//! Globs are regular, so the question has an answer: all patterns are walked through at once, as a deterministic
//! automaton that is built on the way ([subset construction](https://en.wikipedia.org/wiki/Powerset_construction)),
//! breadth first. The first state that is wanted gives the shortest example. Work is bounded: beyond that the answer is
//! that nobody knows.

use std::collections::{BTreeSet, HashSet};

/// States that are looked at.
const STATES: usize = 10_000;
/// Steps of single positions that are taken.
const STEPS: usize = 20_000_000;

/// What there is to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// No text.
    No,
    /// This one.
    Text(String),
    /// Too much work to find out.
    Unknown,
}

/// A pattern.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pattern<'a> {
    /// `*` stands for any run of characters.
    Glob(&'a str),
    /// A name on a server: every character of `server/name` stands for itself.
    Name(&'a str, &'a str),
}

/// A text beginning with `prefix`, and longer, that is wanted when told which lists match it.
pub(super) fn text_where(
    prefix: &str,
    lists: &[Vec<Pattern<'_>>],
    wanted: impl Fn(&[bool]) -> bool,
) -> Answer {
    let machine = Machine::new(lists);
    let mut start = machine.start();
    for c in prefix.chars() {
        start = machine.step(&start, c).0;
    }
    let other = machine.other();
    let mut states: Vec<(Vec<u32>, usize, char)> = vec![(start.clone(), 0, other)];
    let mut known: HashSet<Vec<u32>> = HashSet::new();
    let (mut at, mut steps) = (0, 0_usize);
    while at < states.len() {
        let state = states[at].0.clone();
        // What no pattern expects makes the plainest example.
        for c in [other].into_iter().chain(machine.expected(&state)) {
            let (next, cost) = machine.step(&state, c);
            steps = steps.saturating_add(cost);
            if !known.insert(next.clone()) {
                continue;
            }
            let found = wanted(&machine.matches(&next));
            states.push((next, at, c));
            if found {
                return Answer::Text(spell(prefix, &states));
            }
            if states.len() > STATES || steps > STEPS {
                return Answer::Unknown;
            }
        }
        at += 1;
    }
    Answer::No
}

/// The way to the last state.
fn spell(prefix: &str, states: &[(Vec<u32>, usize, char)]) -> String {
    let mut way = Vec::new();
    let mut at = states.len() - 1;
    while at > 0 {
        let (_, parent, c) = &states[at];
        way.push(*c);
        at = *parent;
    }
    prefix.chars().chain(way.into_iter().rev()).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Any,
    One(char),
    /// Behind the last of a pattern of this list.
    End(usize),
}

/// All patterns, one behind another. A state is a sorted set of positions.
struct Machine {
    tokens: Vec<Token>,
    starts: Vec<u32>,
    lists: usize,
}

impl Machine {
    fn new(lists: &[Vec<Pattern<'_>>]) -> Self {
        let mut machine = Machine {
            tokens: Vec::new(),
            starts: Vec::new(),
            lists: lists.len(),
        };
        for (list, patterns) in lists.iter().enumerate() {
            for pattern in patterns {
                machine.starts.push(position(machine.tokens.len()));
                match pattern {
                    Pattern::Glob(text) => machine.tokens.extend(text.chars().map(|c| match c {
                        '*' => Token::Any,
                        c => Token::One(c),
                    })),
                    Pattern::Name(server, name) => {
                        let text = server.chars().chain(['/']).chain(name.chars());
                        machine.tokens.extend(text.map(Token::One));
                    }
                }
                machine.tokens.push(Token::End(list));
            }
        }
        machine
    }

    fn token(&self, position: u32) -> Token {
        self.tokens[position as usize]
    }

    fn start(&self) -> Vec<u32> {
        self.closed(self.starts.clone())
    }

    /// With what can be reached without a character.
    fn closed(&self, mut state: Vec<u32>) -> Vec<u32> {
        let mut at = 0;
        while let Some(position) = state.get(at).copied() {
            if self.token(position) == Token::Any {
                state.push(position + 1);
            }
            at += 1;
        }
        state.sort_unstable();
        state.dedup();
        state
    }

    /// The state behind a character, and what it cost to find.
    fn step(&self, state: &[u32], c: char) -> (Vec<u32>, usize) {
        let next = state
            .iter()
            .filter_map(|position| match self.token(*position) {
                Token::Any => Some(*position),
                Token::One(one) if one == c => Some(position + 1),
                Token::One(_) | Token::End(_) => None,
            })
            .collect();
        (self.closed(next), state.len() + 1)
    }

    /// The characters that lead somewhere special.
    fn expected(&self, state: &[u32]) -> BTreeSet<char> {
        let one = |position: &u32| match self.token(*position) {
            Token::One(c) => Some(c),
            Token::Any | Token::End(_) => None,
        };
        state.iter().filter_map(one).collect()
    }

    /// Which lists have a pattern that matches what led here.
    fn matches(&self, state: &[u32]) -> Vec<bool> {
        let mut matches = vec![false; self.lists];
        for position in state {
            if let Token::End(list) = self.token(*position) {
                matches[list] = true;
            }
        }
        matches
    }

    /// A character that no pattern has: it stands for all of those.
    fn other(&self) -> char {
        let used: BTreeSet<char> = self
            .tokens
            .iter()
            .filter_map(|token| match token {
                Token::One(c) => Some(*c),
                Token::Any | Token::End(_) => None,
            })
            .collect();
        let letters = "xyzqvwjk"
            .chars()
            .chain('a'..='z')
            .chain('0'..='9')
            .chain('A'..='Z');
        letters
            .chain('\u{a1}'..=char::MAX)
            .find(|c| !used.contains(c))
            .unwrap_or('x')
    }
}

fn position(index: usize) -> u32 {
    // A policy's text is far smaller than 4 GiB.
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Answer, Pattern, text_where};

    fn covered(inner: &[&str], outer: &[&str]) -> Answer {
        let lists = [inner, outer].map(|list| list.iter().map(|text| Pattern::Glob(text)).collect());
        text_where("", &lists, |matches| matches[0] && !matches[1])
    }

    #[test]
    fn coverage_is_exact() {
        for (inner, outer) in [
            (&["docs/a"][..], &["docs/*"][..]),
            (&["docs/a*b*c"], &["docs/a*c"]),
            (&["docs/**"], &["docs/*"]),
            (&["d*/a*"], &["d*"]),
            // By two together only.
            (&["docs/ab*"], &["docs/ab", "docs/ab*x", "docs/ab*"]),
            (&["é*"], &["*é*"]),
            (&[], &[]),
        ] {
            assert_eq!(covered(inner, outer), Answer::No, "{inner:?} {outer:?}");
        }
        for (inner, outer, example) in [
            (&["docs/*"][..], &["docs/a*"][..], "docs/x"),
            (&["a*"], &[], "a"),
            (&["a*c"], &["ab*c", "ac"], "axc"),
            (&["*"], &["a*", "*x"], "y"),
            (&["*ab"], &["*bab", "*aab", "ab"], "xab"),
        ] {
            let Answer::Text(text) = covered(inner, outer) else {
                panic!("{inner:?} {outer:?}")
            };
            assert!(
                text == example || text.len() <= example.len() + 1,
                "{text} for {example}"
            );
            let glob = |pattern: &&str| toolgate_engine::policy::Glob::new(*pattern).matches(&text);
            assert!(inner.iter().any(glob) && !outer.iter().any(glob), "{text}");
        }
    }

    #[test]
    fn a_literal_star_is_a_star() {
        let lists = [vec![Pattern::Glob("d/a*")], vec![Pattern::Name("d", "a*")]];
        assert_eq!(
            text_where("d/", &lists, |matches| matches[1] && !matches[0]),
            Answer::No
        );
        assert_eq!(
            text_where("d/", &lists, |matches| matches[0] && !matches[1]),
            Answer::Text("d/a".to_owned())
        );
    }

    #[test]
    fn hostile_patterns_end_in_doubt_and_soon() {
        let patterns: Vec<String> = (0..200).map(|n| format!("*{n}*a*b{n}*c*a*b*{n}")).collect();
        let list = patterns.iter().map(|text| Pattern::Glob(text)).collect();
        let started = std::time::Instant::now();
        let answer = text_where("", &[list], |_| false);
        assert_eq!(answer, Answer::Unknown);
        assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    }
}
