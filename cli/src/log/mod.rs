//! Access logs: the lines that `--access-log` has Envoy write, from files (also gzipped) and standard input.
//!
//! Logs are what is left after crashes, rotations and upgrades: a line that cannot be read is counted and named, and
//! reading goes on. Nothing is held but the line being read.

mod clip;
mod lines;
mod record;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::BufReader;
use std::path::PathBuf;

pub(crate) use clip::{LONGEST_NAME, clipped};
pub(crate) use record::{Record, Text};

use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::style::clean;
use lines::Piece;
use source::Source;

/// How many damaged lines are named; all are counted.
const NAMED: usize = 5;
/// Large enough for few system calls, small enough for the cache.
const BUFFER: usize = 256 * 1024;

/// One or more log files, read in the order given.
pub(crate) struct Logs {
    sources: Vec<Source>,
}

/// A line of a log; [`Logs::name`] shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    file: u32,
    line: u64,
}

/// What reading to the end found.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Lines that are records.
    pub(crate) records: u64,
    /// Lines that are not.
    pub(crate) damaged: Damaged,
}

/// Lines that could not be read.
#[derive(Debug, Default)]
pub(crate) struct Damaged {
    /// All of them.
    pub(crate) lines: u64,
    /// The first few: `file:line`, and why. Safe for a terminal.
    pub(crate) first: Vec<(String, String)>,
}

impl Place {
    /// From its [`parts`](Self::parts).
    pub(crate) fn at(file: u32, line: u64) -> Self {
        Self { file, line }
    }

    /// The number of its file, and the line in it.
    pub(crate) fn parts(self) -> (u32, u64) {
        (self.file, self.line)
    }
}

impl Logs {
    /// Files by path, `-` for standard input. What cannot be opened is said before anything is read.
    pub(crate) fn open(paths: &[PathBuf]) -> Outcome<Self> {
        let sources = paths
            .iter()
            .map(|path| Source::find(path))
            .collect::<Outcome<Vec<_>>>()?;
        let from_stdin = sources.iter().filter(|source| source.is_stdin()).count();
        if from_stdin > 1 {
            return Err(Failure::usage("standard input can be read only once")
                .fix("name - once, and other logs by their files"));
        }
        Ok(Self { sources })
    }

    /// Hands over every record, in the order in which they are written. A bar on the terminal shows how far it is.
    pub(crate) fn read(&self, mut each: impl FnMut(&Record<'_>, Place)) -> Outcome<Summary> {
        self.records(|record, place| each(&record, place))
    }

    /// The same for who keeps names: no name is long ([`Record::with_short_names`]).
    pub(crate) fn read_names(&self, mut each: impl FnMut(&Record<'_>)) -> Outcome<Summary> {
        self.records(|record, _| each(&record.with_short_names()))
    }

    fn records(&self, mut each: impl FnMut(Record<'_>, Place)) -> Outcome<Summary> {
        let mut summary = Summary::default();
        let bar = source::progress_bar(&self.sources);
        for (file, source) in (0..).zip(&self.sources) {
            let mut place = Place { file, line: 0 };
            let mut reader = BufReader::with_capacity(BUFFER, source.open(&bar)?);
            let ended = lines::each(&mut reader, |piece| {
                place.line += 1;
                match parsed(piece) {
                    Ok(None) => {}
                    Ok(Some(record)) => {
                        summary.records += 1;
                        each(record, place);
                    }
                    Err(why) => summary.damaged.add(|| (self.name(place), why)),
                }
            });
            if let Err(error) = ended {
                // A compressed log that was cut off, mostly. What came before is read.
                place.line += 1;
                summary
                    .damaged
                    .add(|| (self.name(place), format!("cannot be read from here on: {error}")));
            }
        }
        bar.finish_and_clear();
        Ok(summary)
    }

    /// `file:line`, safe for a terminal.
    pub(crate) fn name(&self, place: Place) -> String {
        let source = usize::try_from(place.file)
            .ok()
            .and_then(|index| self.sources.get(index));
        let file = source.map_or_else(|| "?".into(), Source::name);
        format!("{}:{}", clean(&file), place.line)
    }

    /// The files' names, safe for a terminal.
    pub(crate) fn names(&self) -> Vec<String> {
        self.sources.iter().map(|source| clean(&source.name())).collect()
    }
}

impl Damaged {
    fn add(&mut self, line: impl FnOnce() -> (String, String)) {
        self.lines += 1;
        if self.first.len() < NAMED {
            self.first.push(line());
        }
    }
}

impl Damaged {
    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        let named = self.first.iter();
        let named: Vec<Value> = named
            .map(|(place, why)| json!({ "place": place, "why": why }))
            .collect();
        json!({ "lines": self.lines, "first": named })
    }
}

impl fmt::Display for Damaged {
    /// One line for each that is named, and one for the rest of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, why) in &self.first {
            writeln!(f, "{place}: {why}")?;
        }
        match self.lines.saturating_sub(NAMED as u64) {
            0 => Ok(()),
            1 => writeln!(f, "and 1 more"),
            more => writeln!(f, "and {more} more"),
        }
    }
}

/// The record of a line; `None` for an empty one.
fn parsed(piece: Piece<'_>) -> Result<Option<Record<'_>>, String> {
    match piece {
        Piece::TooLong => Err(format!(
            "longer than {} MiB, which no record is",
            lines::LONGEST >> 20
        )),
        Piece::Line { text, .. } if text.trim_ascii().is_empty() => Ok(None),
        Piece::Line { text, ends } => match Record::parse(text) {
            Ok(record) => Ok(Some(record)),
            Err(_) if !ends => Err("not finished; perhaps it is being written".to_owned()),
            Err(why) => Err(clean(&why)),
        },
    }
}
