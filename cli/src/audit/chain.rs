//! One chain: runs of consecutive records, joined as the records between them are met.

use toolgate_engine::chain;

use super::finding::{Finding, Kind};
use crate::log::{Place, Record};

/// The first 128 bits of a SHA-256.
pub(super) type Digest = u128;

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
pub(super) struct Chain {
    runs: Vec<Run>,
}

/// Consecutive records, by the first and the last of them.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: Link,
    last: Link,
}

impl Chain {
    pub(super) fn new(link: Link) -> Self {
        Self {
            runs: vec![Run::of(link)],
        }
    }

    /// Puts a record where it belongs.
    pub(super) fn add(&mut self, link: Link) -> Result<(), Finding> {
        let number = link.number;
        // The run that begins last at or before it, and the next one.
        let after = self.runs.partition_point(|run| run.first.number <= number);
        let before = after
            .checked_sub(1)
            .and_then(|index| self.runs.get(index))
            .copied();
        let next = self.runs.get(after).copied();
        if let Some(run) = before
            && number <= run.last.number
        {
            let other = (number == run.last.number).then_some(run.last.place);
            let other = other.or((number == run.first.number).then_some(run.first.place));
            return Err(Finding::at(link.place, Kind::Repeated { number, other }));
        }
        let joins_before = before.filter(|run| run.last.number.checked_add(1) == Some(number));
        let joins_next = next.filter(|run| number.checked_add(1) == Some(run.first.number));
        let run = Run {
            first: joins_before.map_or(link, |run| run.first),
            last: joins_next.map_or(link, |run| run.last),
        };
        let from = after - usize::from(joins_before.is_some());
        let to = after + usize::from(joins_next.is_some());
        if from == to && self.runs.len() >= MOST_RUNS {
            return Err(Finding::at(link.place, Kind::Scattered { number }));
        }
        self.runs.splice(from..to, [run]);
        let follows = joins_before.map_or(Ok(()), |run| linked(&run.last, &link));
        let is_followed = joins_next.map_or(Ok(()), |run| linked(&link, &run.first));
        follows.and(is_followed)
    }

    /// What is missing in front of the first record and between the runs.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Finding> {
        let first = self.runs.first().map(|run| run.first);
        let beginning = first.and_then(|first| match (first.number, first.previous) {
            (1, None) => None,
            (1, Some(_)) => Some(Finding::at(
                first.place,
                Kind::Unlinked {
                    number: 1,
                    other: None,
                },
            )),
            (number, _) => Some(Finding::at(first.place, Kind::NoBeginning { number })),
        });
        let holes = self.runs.windows(2).filter_map(|pair| match pair {
            [before, after] => Some(Finding::at(
                after.first.place,
                Kind::Missing {
                    from: before.last.number + 1,
                    to: after.first.number - 1,
                    after: before.last.place,
                },
            )),
            _ => None,
        });
        beginning.into_iter().chain(holes)
    }
}

impl Run {
    fn of(link: Link) -> Self {
        Self {
            first: link,
            last: link,
        }
    }
}

fn linked(before: &Link, after: &Link) -> Result<(), Finding> {
    if after.previous == Some(before.digest) {
        return Ok(());
    }
    let kind = Kind::Unlinked {
        number: after.number,
        other: Some(before.place),
    };
    Err(Finding::at(after.place, kind))
}

/// The digest that a record has.
pub(super) fn digest(record: &Record<'_>) -> String {
    chain::digest(record.states().filter(|(name, _)| *name != chain::DIGEST))
}

/// The digest that a record says it has: 32 lower-case hex digits.
pub(super) fn parse_digest(text: &str) -> Option<Digest> {
    let is_digest = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_digest.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}
