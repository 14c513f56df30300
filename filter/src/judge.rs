//! What a stream needs from the engine, so that the shell's own rules can be tested with scripted verdicts.

use toolgate_engine::exchange::{
    BodyStep, ChunkStep, Ending, Exchange, HeadStep, LocalReply, RateLimitReply, RequestHead, ResponseHead,
    ResponseStep, ResultStep, UnixNanos,
};
use toolgate_engine::reason::Reason;
use toolgate_engine::store::Store;
use toolgate_engine::telemetry::Measure;

/// The verdicts on one exchange; [`Exchange`] documents each of them.
pub trait Judge {
    /// The request's head.
    fn request_head(&mut self, head: &RequestHead<'_>, store: &dyn Store, now: UnixNanos) -> HeadStep;
    /// The held request body has this many bytes now.
    fn request_size(&mut self, held: usize) -> Option<LocalReply>;
    /// The whole request body.
    fn request_body(&mut self, body: &[u8], store: &dyn Store, now: UnixNanos) -> BodyStep;
    /// What came of the call that was asked for.
    fn rate_limit_reply(&mut self, reply: &RateLimitReply<'_>, store: &dyn Store, now: UnixNanos)
    -> BodyStep;
    /// The request body did not arrive in time.
    fn request_timeout(&mut self) -> LocalReply;
    /// The response's head.
    fn response_head(&mut self, head: &ResponseHead<'_>, now: UnixNanos) -> ResponseStep;
    /// The held response body has this many bytes now.
    fn response_size(&mut self, held: usize) -> Option<ResultStep>;
    /// The whole response body.
    fn response_body(&mut self, body: &[u8], store: &dyn Store, now: UnixNanos) -> ResultStep;
    /// One window of a streamed response body.
    fn response_chunk(&mut self, window: &[u8], store: &dyn Store, now: UnixNanos) -> ChunkStep;
    /// A host call failed before the verdict.
    fn fault(&mut self) -> LocalReply;
    /// Whether `finish` has something to do.
    fn settles(&self) -> bool;
    /// The exchange has ended.
    fn finish(&mut self, ending: &dyn Ending, store: &dyn Store, now: UnixNanos);
    /// What is to be measured since this was last asked.
    fn take_measures(&mut self) -> Vec<Measure>;
    /// The reason of the decision so far.
    fn reason(&self) -> &'static str;
    /// Tells what to export as filter state, field by field.
    fn fields(&self, field: &mut dyn FnMut(&'static str, &[u8]));
}

impl Judge for Exchange {
    fn request_head(&mut self, head: &RequestHead<'_>, store: &dyn Store, now: UnixNanos) -> HeadStep {
        self.request_head(head, store, now)
    }
    fn request_size(&mut self, held: usize) -> Option<LocalReply> {
        self.request_size(held)
    }
    fn request_body(&mut self, body: &[u8], store: &dyn Store, now: UnixNanos) -> BodyStep {
        self.request_body(body, store, now)
    }
    fn rate_limit_reply(
        &mut self,
        reply: &RateLimitReply<'_>,
        store: &dyn Store,
        now: UnixNanos,
    ) -> BodyStep {
        self.rate_limit_reply(reply, store, now)
    }
    fn request_timeout(&mut self) -> LocalReply {
        self.request_timeout()
    }
    fn response_head(&mut self, head: &ResponseHead<'_>, now: UnixNanos) -> ResponseStep {
        self.response_head(head, now)
    }
    fn response_size(&mut self, held: usize) -> Option<ResultStep> {
        self.response_size(held)
    }
    fn response_body(&mut self, body: &[u8], store: &dyn Store, now: UnixNanos) -> ResultStep {
        self.response_body(body, store, now)
    }
    fn response_chunk(&mut self, window: &[u8], store: &dyn Store, now: UnixNanos) -> ChunkStep {
        self.response_chunk(window, store, now)
    }
    fn fault(&mut self) -> LocalReply {
        self.fault()
    }
    fn settles(&self) -> bool {
        self.settles()
    }
    fn finish(&mut self, ending: &dyn Ending, store: &dyn Store, now: UnixNanos) {
        self.finish(ending, store, now);
    }
    fn take_measures(&mut self) -> Vec<Measure> {
        self.take_measures()
    }
    fn reason(&self) -> &'static str {
        self.record().decision.map_or("undecided", Reason::as_str)
    }
    fn fields(&self, field: &mut dyn FnMut(&'static str, &[u8])) {
        for (known, value) in self.record().fields() {
            field(known.state, value.as_bytes());
        }
    }
}
