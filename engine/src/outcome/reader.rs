//! The outcome in a JSON answer that streams through.

use super::Outcome;
use super::found::{Expected, Place};
use super::scan::Scan;

/// Reads one JSON-RPC answer of any size, window by window, in constant memory (some 400 bytes and the expected id).
///
/// Objects and arrays may nest 1024 deep. It is not checked that the text is UTF-8, what strings hold that decide
/// nothing (control characters pass, and escapes that are none), nor that members which decide nothing come once;
/// everything else is as in RFC 8259.
#[derive(Clone, Debug)]
pub struct JsonReader {
    scan: Scan,
    bytes: u64,
}

impl JsonReader {
    /// For the answer to the request with this id token; `None` accepts any id.
    pub fn new(expected_id: Option<&str>) -> JsonReader {
        JsonReader {
            scan: Scan::new(Place::Answer, Expected::new(expected_id)),
            bytes: 0,
        }
    }

    /// Reads the next window of the body, of any size.
    pub fn push(&mut self, window: &[u8]) {
        self.scan.push(window);
        self.bytes = self.bytes.saturating_add(window.len() as u64);
    }

    /// What came of the request, if the body ends here: [`Outcome::Truncated`] if its object is not complete,
    /// [`Outcome::Malformed`] if it is no JSON object, has anything behind it, is no response, or answers another id.
    pub fn finish(&self) -> Outcome {
        match self.scan.found() {
            None => Outcome::Malformed,
            Some(_) if !self.scan.is_complete() => Outcome::Truncated,
            Some(found) if self.scan.is_expected() => found.outcome(),
            Some(_) => Outcome::Malformed,
        }
    }

    /// Bytes of the body so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of the result, its braces included, as far as it has come. None for an error.
    pub fn result_bytes(&self) -> u64 {
        self.scan.result_bytes()
    }
}
