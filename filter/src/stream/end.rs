//! The end of a stream: what the exchange is told of it.

use super::{RequestPhase, ResponsePhase, Stream};
use crate::deadlines;
use crate::ending::{Answer, Ended};
use crate::host::Host;
use crate::judge::Judge;
use crate::store::SharedData;

impl<H: Host + 'static, J: Judge + 'static> Stream<H, J> {
    /// The stream is over, however it ended, and nothing waits any more: tells the exchange how it ended, once, and
    /// filter state what that changed in the record.
    ///
    /// Envoy calls this before it writes its access logs, which still see what is set here. (Of the logs that it writes
    /// in between, at the start or periodically, it tells a filter nothing.)
    pub fn done(&mut self) {
        deadlines::forget(self.context_id);
        if matches!(self.request, RequestPhase::Held(_) | RequestPhase::Asking(_)) {
            self.request = RequestPhase::Stopped;
            // The caller left: there is no decision, but who it was, and a call that the rate limit service may have counted.
            self.export();
        }
        if self.settled || !self.judge.settles() {
            return;
        }
        self.settled = true;
        let now = self.time();
        let ended = Ended {
            host: &self.host,
            result_bytes: self.result_bytes(),
            answer: self.answer(),
        };
        self.judge.finish(&ended, &SharedData(&self.host), now);
        self.measure();
        self.export_news();
    }

    /// Bytes of response body that a server sent.
    fn result_bytes(&self) -> u64 {
        if self.response_foreign {
            return 0;
        }
        self.response_passed.saturating_add(self.response_held as u64)
    }

    fn answer(&self) -> Answer {
        match self.response {
            // In place of a server's head, Envoy sends our reply without these callbacks.
            ResponsePhase::Own => Answer::Complete,
            _ if !self.response_ended => Answer::Unfinished,
            _ if self.response_foreign => Answer::Foreign,
            _ => Answer::Complete,
        }
    }
}
