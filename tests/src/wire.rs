//! HTTP/1.1 as bytes: just enough reading to know where a message ends, so that the tests see what was really sent.
//!
//! No HTTP library is used on purpose: it would tidy up what the tests want to look at.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Header fields in order of arrival, names in lower case.
pub type Headers = Vec<(String, Vec<u8>)>;

/// Bound of a message head, bytes.
pub const MAX_HEAD: usize = 1 << 20;

/// The first value of the field `name` (lower case).
pub fn header<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a [u8]> {
    headers
        .iter()
        .find(|(field, _)| field == name)
        .map(|(_, value)| value.as_slice())
}

/// A message head.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The bytes as received, the empty line included.
    pub raw: Vec<u8>,
    /// The request line or status line.
    pub start: String,
    /// The fields.
    pub headers: Headers,
}

impl Head {
    /// Takes one head from the front of `buffer`, or `None` while it is incomplete.
    pub fn take(buffer: &mut BytesMut) -> io::Result<Option<Self>> {
        let Some(end) = find(buffer, b"\r\n\r\n") else {
            return if buffer.len() > MAX_HEAD {
                Err(malformed("the head is too long"))
            } else {
                Ok(None)
            };
        };
        let raw = buffer.split_to(end + 4).to_vec();
        let mut lines = raw[..end]
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let start = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let headers = lines
            .map(|line| {
                let colon = line
                    .iter()
                    .position(|byte| *byte == b':')
                    .ok_or_else(|| malformed("a field has no colon"))?;
                let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
                Ok((name, line[colon + 1..].trim_ascii().to_vec()))
            })
            .collect::<io::Result<Headers>>()?;
        Ok(Some(Self { raw, start, headers }))
    }

    /// The first value of the field `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        header(&self.headers, name)
    }

    /// How the body that follows is delimited; `otherwise` where no field says it.
    pub fn framing(&self, otherwise: Framing) -> io::Result<Framing> {
        if self
            .header("transfer-encoding")
            .is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"))
        {
            return Ok(Framing::Chunked(ChunkState::Size));
        }
        let Some(length) = self.header("content-length") else {
            return Ok(otherwise);
        };
        let length = std::str::from_utf8(length)
            .ok()
            .and_then(|text| text.parse().ok());
        Ok(Framing::Length(
            length.ok_or_else(|| malformed("content-length is not a number"))?,
        ))
    }
}

/// How a body is delimited, and how much of it is still to come.
#[derive(Clone, Copy, Debug)]
pub enum Framing {
    /// So many bytes; zero for a message without a body.
    Length(u64),
    /// Chunked transfer coding.
    Chunked(ChunkState),
    /// Everything until the connection is closed.
    UntilClose,
}

/// Where a chunked body stands.
#[derive(Clone, Copy, Debug)]
pub enum ChunkState {
    /// A size line comes next.
    Size,
    /// So many bytes of data come next.
    Data(u64),
    /// The line end after the data comes next.
    DataEnd,
    /// Trailer fields or the final empty line come next.
    Trailers,
    /// Nothing comes any more.
    Done,
}

/// A body in the course of arriving.
#[derive(Clone, Debug)]
pub struct Body {
    framing: Framing,
    /// The bytes as received, chunk framing included.
    pub raw: Vec<u8>,
    /// The content.
    pub content: Vec<u8>,
    /// Trailer fields.
    pub trailers: Headers,
    /// Whether the end has been seen.
    pub complete: bool,
}

impl Body {
    /// A body of which nothing has arrived.
    pub fn new(framing: Framing) -> Self {
        let complete = matches!(framing, Framing::Length(0));
        Self {
            framing,
            raw: Vec::new(),
            content: Vec::new(),
            trailers: Vec::new(),
            complete,
        }
    }

    /// Takes from the front of `buffer` what belongs to this body.
    pub fn feed(&mut self, buffer: &mut BytesMut) -> io::Result<()> {
        while !self.complete && self.step(buffer)? {}
        Ok(())
    }

    /// The connection has been closed: the end of a body that only this delimits.
    pub fn close(&mut self) {
        self.complete |= matches!(self.framing, Framing::UntilClose);
    }

    /// Returns whether there was progress.
    fn step(&mut self, buffer: &mut BytesMut) -> io::Result<bool> {
        match self.framing {
            Framing::UntilClose => Ok(self.take_content(buffer, u64::MAX) > 0),
            Framing::Length(left) => {
                let taken = self.take_content(buffer, left);
                self.framing = Framing::Length(left - taken);
                self.complete = left == taken;
                Ok(taken > 0)
            }
            Framing::Chunked(state) => {
                let next = self.chunk_step(buffer, state)?;
                self.complete = matches!(next, Some(ChunkState::Done));
                if let Some(next) = next {
                    self.framing = Framing::Chunked(next);
                }
                Ok(next.is_some())
            }
        }
    }

    fn chunk_step(&mut self, buffer: &mut BytesMut, state: ChunkState) -> io::Result<Option<ChunkState>> {
        if let ChunkState::Data(left) = state {
            let taken = self.take_content(buffer, left);
            return Ok(match left - taken {
                0 => Some(ChunkState::DataEnd),
                _ if taken == 0 => None,
                rest => Some(ChunkState::Data(rest)),
            });
        }
        let Some(line) = self.take_line(buffer) else {
            return Ok(None);
        };
        match state {
            ChunkState::Size => {
                let size = line
                    .split(|byte| *byte == b';')
                    .next()
                    .unwrap_or_default()
                    .trim_ascii();
                let size = std::str::from_utf8(size)
                    .ok()
                    .and_then(|text| u64::from_str_radix(text, 16).ok());
                let size = size.ok_or_else(|| malformed("a chunk size is not hexadecimal"))?;
                Ok(Some(if size == 0 {
                    ChunkState::Trailers
                } else {
                    ChunkState::Data(size)
                }))
            }
            ChunkState::DataEnd if line.is_empty() => Ok(Some(ChunkState::Size)),
            ChunkState::DataEnd => Err(malformed("a chunk is longer than its size")),
            _ if line.is_empty() => Ok(Some(ChunkState::Done)),
            _ => {
                let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
                let (name, value) = line.split_at(colon);
                let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                self.trailers
                    .push((name, value.get(1..).unwrap_or_default().trim_ascii().to_vec()));
                Ok(Some(ChunkState::Trailers))
            }
        }
    }

    fn take_content(&mut self, buffer: &mut BytesMut, most: u64) -> u64 {
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
        self.raw.extend_from_slice(&buffer[..count]);
        self.content.extend_from_slice(&buffer[..count]);
        buffer.advance(count);
        count as u64
    }

    /// A line without its end; the raw bytes keep it.
    fn take_line(&mut self, buffer: &mut BytesMut) -> Option<Vec<u8>> {
        let end = find(buffer, b"\r\n")?;
        let line = buffer.split_to(end + 2);
        self.raw.extend_from_slice(&line);
        Some(line[..end].to_vec())
    }
}

/// Reads more bytes into `buffer`; `false` at the end of the stream.
pub async fn read_more(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> io::Result<bool> {
    buffer.reserve(64 * 1024);
    Ok(stream.read_buf(buffer).await? > 0)
}

/// Position of `needle` in `haystack`.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_is_read_however_it_is_cut() {
        let text = b"POST /mcp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\nGET";
        for cut in 0..text.len() {
            let mut buffer = BytesMut::from(&text[..cut]);
            let mut head = Head::take(&mut buffer).expect("valid");
            let mut body = head
                .as_ref()
                .map(|head| Body::new(head.framing(Framing::Length(0)).expect("valid")));
            if let Some(body) = &mut body {
                body.feed(&mut buffer).expect("valid");
            }
            buffer.extend_from_slice(&text[cut..]);
            let head = match head.take() {
                Some(head) => head,
                None => Head::take(&mut buffer).expect("valid").expect("complete"),
            };
            let mut body =
                body.unwrap_or_else(|| Body::new(head.framing(Framing::Length(0)).expect("valid")));
            body.feed(&mut buffer).expect("valid");
            assert!(body.complete, "cut at {cut}");
            assert_eq!(body.content, b"abcde", "cut at {cut}");
            assert_eq!(body.trailers, [("x-t".to_owned(), b"1".to_vec())], "cut at {cut}");
            assert_eq!(
                [head.raw, body.raw, buffer.to_vec()].concat(),
                text,
                "cut at {cut}"
            );
        }
    }
}
