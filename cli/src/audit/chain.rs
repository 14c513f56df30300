//! One chain: runs of consecutive records, joined as the records between them are met.

use std::ops::Range;

use toolgate_engine::chain;

use super::finding::{Finding, Kind};
use crate::log::{Place, Record};

/// The first 128 bits of a SHA-256. Bytes, and no number, for they need no alignment: there may be millions of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest([u8; 16]);

/// In how many pieces a chain may lie at a time while it is read: Envoy's workers write lines a little out of order, and
/// rotated files may be named in any order.
const MOST_RUNS: usize = 1024;

/// What one record says about its place in a chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) previous: Option<Digest>,
    pub(super) digest: Digest,
    /// The digest that it says is not the one that it has.
    pub(super) changed: bool,
    pub(super) place: Place,
}

/// The runs, in order; two that touch are one.
#[derive(Debug)]
pub(super) enum Chain {
    /// As it is in the end, and nearly always before.
    Whole(Run),
    /// Several, as they are read.
    Pieces(Vec<Run>),
}

/// Consecutive records, by the first and the last of them: `[first, last]`, and of either what will be asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    numbers: [u64; 2],
    lines: [u64; 2],
    files: [u32; 2],
    /// What the first one says about the one before it.
    previous: Option<Digest>,
    /// The last one's.
    digest: Digest,
}

impl Chain {
    pub(super) fn new(link: Link) -> Self {
        Self::Whole(Run::of(&link))
    }

    fn runs(&self) -> &[Run] {
        match self {
            Self::Whole(run) => std::slice::from_ref(run),
            Self::Pieces(runs) => runs,
        }
    }

    /// Puts a record where it belongs.
    pub(super) fn add(&mut self, link: Link) -> Result<(), Finding> {
        let number = link.number;
        let runs = self.runs();
        // The run that begins last at or before it, and the next one.
        let after = runs.partition_point(|run| run.first() <= number);
        let before = after.checked_sub(1).and_then(|index| runs.get(index)).copied();
        let next = runs.get(after).copied();
        if let Some(run) = before
            && number <= run.last()
        {
            let other = (number == run.last()).then(|| run.last_place());
            let other = other.or((number == run.first()).then(|| run.first_place()));
            return Err(Finding::at(link.place, Kind::Repeated { number, other }));
        }
        let joins_before = before.filter(|run| run.last().checked_add(1) == Some(number));
        let joins_next = next.filter(|run| number.checked_add(1) == Some(run.first()));
        let mut run = Run::of(&link);
        if let Some(before) = &joins_before {
            run = before.joined(&run);
        }
        if let Some(next) = &joins_next {
            run = run.joined(next);
        }
        let from = after - usize::from(joins_before.is_some());
        let to = after + usize::from(joins_next.is_some());
        if from == to && runs.len() >= MOST_RUNS {
            return Err(Finding::at(link.place, Kind::Scattered { number }));
        }
        self.replace(from..to, run);
        let follows = joins_before.map_or(Ok(()), |before| before.is_followed_by(&Run::of(&link)));
        let is_followed = joins_next.map_or(Ok(()), |next| Run::of(&link).is_followed_by(&next));
        follows.and(is_followed)
    }

    /// Puts one run in the place of others.
    fn replace(&mut self, others: Range<usize>, run: Run) {
        let mut runs = match std::mem::replace(self, Self::Pieces(Vec::new())) {
            Self::Whole(_) if others.len() == 1 => {
                *self = Self::Whole(run);
                return;
            }
            Self::Whole(one) => vec![one],
            Self::Pieces(runs) => runs,
        };
        runs.splice(others, [run]);
        *self = match runs.as_slice() {
            [one] => Self::Whole(*one),
            _ => Self::Pieces(runs),
        };
    }

    /// What is missing in front of the first record and between the runs.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Finding> {
        let first = self.runs().first();
        let beginning = first.and_then(|run| match (run.first(), run.previous) {
            (1, None) => None,
            (1, Some(_)) => Some(Finding::at(
                run.first_place(),
                Kind::Unlinked {
                    number: 1,
                    other: None,
                },
            )),
            (number, _) => Some(Finding::at(run.first_place(), Kind::NoBeginning { number })),
        });
        let holes = self.runs().windows(2).filter_map(|pair| match pair {
            [before, after] => Some(Finding::at(
                after.first_place(),
                Kind::Missing {
                    from: before.last() + 1,
                    to: after.first() - 1,
                    after: before.last_place(),
                },
            )),
            _ => None,
        });
        beginning.into_iter().chain(holes)
    }
}

impl Run {
    fn of(link: &Link) -> Self {
        let (file, line) = link.place.parts();
        Self {
            numbers: [link.number; 2],
            lines: [line; 2],
            files: [file; 2],
            previous: link.previous,
            digest: link.digest,
        }
    }

    /// With the run that begins where this one ends.
    fn joined(&self, next: &Self) -> Self {
        let ([first, _], [_, last]) = (self.numbers, next.numbers);
        let ([first_line, _], [_, last_line]) = (self.lines, next.lines);
        let ([first_file, _], [_, last_file]) = (self.files, next.files);
        Self {
            numbers: [first, last],
            lines: [first_line, last_line],
            files: [first_file, last_file],
            previous: self.previous,
            digest: next.digest,
        }
    }

    fn first(&self) -> u64 {
        let [first, _] = self.numbers;
        first
    }

    fn last(&self) -> u64 {
        let [_, last] = self.numbers;
        last
    }

    fn first_place(&self) -> Place {
        let ([file, _], [line, _]) = (self.files, self.lines);
        Place::at(file, line)
    }

    fn last_place(&self) -> Place {
        let ([_, file], [_, line]) = (self.files, self.lines);
        Place::at(file, line)
    }

    fn is_followed_by(&self, next: &Self) -> Result<(), Finding> {
        if next.previous == Some(self.digest) {
            return Ok(());
        }
        let kind = Kind::Unlinked {
            number: next.first(),
            other: Some(self.last_place()),
        };
        Err(Finding::at(next.first_place(), kind))
    }
}

/// The digest that a record has.
pub(super) fn digest(record: &Record<'_>) -> String {
    chain::digest(record.states().filter(|(name, _)| *name != chain::DIGEST))
}

/// The digest that a record says it has: 32 lower-case hex digits.
pub(super) fn parse_digest(text: &str) -> Option<Digest> {
    let is_digest = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let number = is_digest.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
    Some(Digest(number.to_be_bytes()))
}
