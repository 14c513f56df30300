//! The parts of an HTTP message that decisions are about.

/// Header lines as received: name and value bytes, one entry per field line, pseudo-headers
/// (`:method`, `:path`, `:authority`) included. Values need not be UTF-8.
pub type HeaderLines<'a> = [(&'a [u8], &'a [u8])];

/// One change to a header map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Remove every line of this name.
    Remove(String),
    /// Replace every line of this name by one.
    Set(String, Vec<u8>),
}

/// A complete answer of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// HTTP status.
    pub status: u16,
    /// Header lines, without `:status` and `content-length`.
    pub headers: Vec<(String, String)>,
    /// The body; may be empty.
    pub body: Vec<u8>,
}

impl LocalReply {
    /// With one more header line.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> LocalReply {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}
