//! What is learned of an answer as it comes.

use crate::outcome::{JsonReader, Outcome};
use crate::time::UnixNanos;

/// What is learned of an answer as it comes.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// The status of its head.
    pub(super) status: Option<u16>,
    /// When the head came.
    pub(super) first_byte: Option<UnixNanos>,
    /// Reads along where JSON streams through.
    pub(super) reader: Option<Box<JsonReader>>,
    /// What came of it, as soon as that is known.
    pub(super) outcome: Option<Outcome>,
    /// When the latest window came of an answer that is read along.
    pub(super) latest: Option<UnixNanos>,
    /// When it was known.
    pub(super) known: Option<UnixNanos>,
    /// Bytes of the message that answers.
    pub(super) answer_bytes: Option<u64>,
}

impl Learned {
    /// The head has come.
    pub(super) fn head(&mut self, status: Option<u16>, now: UnixNanos) {
        self.status = status;
        self.first_byte = Some(now);
    }

    /// The status, if it is no success: then no body answers the request.
    pub(super) fn refused(&self) -> Option<u16> {
        self.status.filter(|status| !(200..300).contains(status))
    }

    /// The answer streams through and is read along.
    pub(super) fn read(&mut self, id: Option<&str>) {
        self.reader = Some(Box::new(JsonReader::new(id)));
    }

    /// The answer is here: a message of so many bytes.
    pub(super) fn answer(&mut self, outcome: Outcome, bytes: u64, now: UnixNanos) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            self.answer_bytes = Some(bytes);
            self.known = Some(now);
        }
    }

    /// No answer can come of this any more.
    pub(super) fn useless(&mut self, outcome: Outcome) {
        self.outcome.get_or_insert(outcome);
    }

    /// What is known of it so far.
    pub(super) fn known(&self) -> Option<Outcome> {
        self.outcome
    }
}
