//! Where a log comes from.

use std::fs::File;
use std::io::{self, Chain, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::{Failure, Outcome};

/// A file, or standard input.
pub(super) struct Source {
    path: PathBuf,
    /// In bytes as stored; unknown for pipes.
    size: Option<u64>,
}

impl Source {
    /// A path that can be opened for reading.
    pub(super) fn find(path: &Path) -> Outcome<Self> {
        let mut source = Self {
            path: path.to_owned(),
            size: None,
        };
        if !source.is_stdin() {
            let unreadable =
                |why: String| Failure::usage(format!("cannot read the log {}: {why}", path.display()));
            let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
            let about = file.metadata().map_err(|error| unreadable(error.to_string()))?;
            if about.is_dir() {
                return Err(unreadable("it is a directory".to_owned())
                    .fix("name the files in it; a log and its rotated parts are read together"));
            }
            source.size = about.is_file().then_some(about.len());
        }
        Ok(source)
    }

    pub(super) fn is_stdin(&self) -> bool {
        self.path.as_os_str() == "-"
    }

    /// For messages.
    pub(super) fn name(&self) -> String {
        if self.is_stdin() {
            "(standard input)".to_owned()
        } else {
            self.path.display().to_string()
        }
    }

    /// Its text. What is compressed says so in its first bytes, whatever its name.
    pub(super) fn open(&self, bar: &ProgressBar) -> Outcome<Box<dyn Read>> {
        let stored: Box<dyn Read> = if self.is_stdin() {
            Box::new(bar.wrap_read(io::stdin().lock()))
        } else {
            Box::new(bar.wrap_read(self.file()?))
        };
        let unreadable = |error| Failure::usage(format!("cannot read the log {}: {error}", self.name()));
        let (magic, stored) = peeked(stored).map_err(unreadable)?;
        Ok(if magic == GZIP {
            // What rotation appended to is several compressed parts one after the other.
            Box::new(MultiGzDecoder::new(stored))
        } else {
            Box::new(stored)
        })
    }

    fn file(&self) -> Outcome<File> {
        File::open(&self.path)
            .map_err(|error| Failure::usage(format!("cannot read the log {}: {error}", self.name())))
    }
}

/// [RFC 1952 §2.3.1](https://www.rfc-editor.org/rfc/rfc1952#section-2.3.1)
const GZIP: [u8; 2] = [0x1f, 0x8b];

type Peeked = Chain<Cursor<Vec<u8>>, Box<dyn Read>>;

/// The first two bytes (zeros where there are fewer), and all of it.
fn peeked(mut stored: Box<dyn Read>) -> io::Result<([u8; 2], Peeked)> {
    let mut first = Vec::new();
    stored.by_ref().take(2).read_to_end(&mut first)?;
    let magic = first.as_slice().try_into().unwrap_or_default();
    Ok((magic, Cursor::new(first).chain(stored)))
}

/// Drawn on standard error, and only if that is a terminal.
pub(super) fn progress_bar(sources: &[Source]) -> ProgressBar {
    let total: Option<u64> = sources.iter().map(|source| source.size).sum();
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "reading {wide_bar} {bytes}/{total_bytes} {eta}",
        ),
        None => (ProgressBar::no_length(), "reading {spinner} {bytes}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
