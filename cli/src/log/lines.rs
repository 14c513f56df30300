//! Lines of bounded length, without copying those that lie in the reader's buffer as a whole.

use std::io::{self, BufRead, ErrorKind};

use memchr::memchr;

/// In bytes. Arguments, the longest part of a record, are left out of it beyond 16 KiB; the other names are bounded by
/// what Envoy takes as a request's head and by the policy's limits.
pub(super) const LONGEST: usize = 1 << 20;

/// One line.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    /// Its bytes, without the line's end.
    Line {
        text: &'a [u8],
        /// Whether there was one.
        ends: bool,
    },
    /// More bytes than [`LONGEST`].
    TooLong,
}

/// Hands over every line of a reader.
pub(super) fn each(reader: &mut impl BufRead, mut line: impl FnMut(Piece<'_>)) -> io::Result<()> {
    // The beginning of a line that goes on in the next buffer.
    let mut begun: Vec<u8> = Vec::new();
    let mut too_long = false;
    loop {
        let buffer = match reader.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        };
        let mut rest = buffer;
        while let Some(end) = memchr(b'\n', rest) {
            let (text, after) = rest.split_at(end);
            if too_long || begun.len() + text.len() > LONGEST {
                line(Piece::TooLong);
            } else if begun.is_empty() {
                line(Piece::Line { text, ends: true });
            } else {
                begun.extend_from_slice(text);
                line(Piece::Line {
                    text: &begun,
                    ends: true,
                });
            }
            (begun, too_long) = (emptied(begun), false);
            rest = after.get(1..).unwrap_or_default();
        }
        too_long = too_long || begun.len() + rest.len() > LONGEST;
        if too_long {
            begun = emptied(begun);
        } else {
            begun.extend_from_slice(rest);
        }
        let used = buffer.len();
        if used == 0 {
            break;
        }
        reader.consume(used);
    }
    if too_long {
        line(Piece::TooLong);
    } else if !begun.is_empty() {
        line(Piece::Line {
            text: &begun,
            ends: false,
        });
    }
    Ok(())
}

/// With its capacity.
fn emptied(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    buffer
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(text: &[u8], buffer: usize) -> Vec<(Option<String>, bool)> {
        let mut found = Vec::new();
        each(&mut BufReader::with_capacity(buffer, text), |piece| {
            found.push(match piece {
                Piece::Line { text, ends } => (Some(String::from_utf8_lossy(text).into_owned()), ends),
                Piece::TooLong => (None, true),
            });
        })
        .unwrap();
        found
    }

    #[test]
    fn lines_are_whole_wherever_the_buffer_ends() {
        let text = b"one\n\nthree and some more\nunfinished";
        let whole = [
            (Some("one".to_owned()), true),
            (Some(String::new()), true),
            (Some("three and some more".to_owned()), true),
            (Some("unfinished".to_owned()), false),
        ];
        for buffer in 1..40 {
            assert_eq!(lines(text, buffer), whole, "{buffer}");
        }
        assert_eq!(lines(b"", 8), []);
        assert_eq!(lines(b"\n", 8), [(Some(String::new()), true)]);
    }

    #[test]
    fn a_line_too_long_is_told_once_and_the_next_is_read() {
        let long = "x".repeat(LONGEST + 1);
        for buffer in [100, LONGEST * 4] {
            let found = lines(format!("{long}\nnext\n").as_bytes(), buffer);
            assert_eq!(found, [(None, true), (Some("next".to_owned()), true)]);
            assert_eq!(lines(long.as_bytes(), buffer), [(None, true)]);
            assert!(lines(&long.as_bytes()[1..], buffer)[0].0.is_some());
        }
    }
}
