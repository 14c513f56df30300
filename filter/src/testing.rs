//! A scripted host and scripted verdicts.

use std::borrow::Cow;
use std::cell::{Ref, RefCell, RefMut};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use toolgate_engine::exchange::{
    BodyStep, ChunkStep, HeadStep, LocalReply, RequestHead, ResponseHead, ResponseStep, ResultStep, UnixNanos,
};
use toolgate_engine::policy::Hold;
use toolgate_engine::store::Store;

use crate::host::{Direction, Host, HostResult, HostStatus, Level, pairs};
use crate::judge::Judge;

/// Behaves like Envoy where the shell could go wrong: heads that went on cannot be read or edited, a body buffer exists
/// only in the callbacks about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeHost(Rc<RefCell<State>>);

/// A header line: name and value.
type Line = (Vec<u8>, Vec<u8>);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) heads: BTreeMap<bool, Option<Vec<Line>>>,
    pub(crate) buffers: BTreeMap<bool, Vec<u8>>,
    pub(crate) replies: Vec<(LocalReply, String)>,
    pub(crate) closed: Vec<Direction>,
    pub(crate) exported: BTreeMap<String, Vec<u8>>,
    pub(crate) log: Vec<(Level, String)>,
    pub(crate) effective: Vec<u32>,
    pub(crate) monotonic: u64,
    pub(crate) configuration: Vec<u8>,
    pub(crate) tick_period: Option<Duration>,
    pub(crate) calls: Vec<&'static str>,
    properties: HashMap<String, Vec<u8>>,
    shared: HashMap<String, (Vec<u8>, u32)>,
    failing: HashMap<&'static str, u32>,
}

impl FakeHost {
    pub(crate) fn state(&self) -> Ref<'_, State> {
        self.0.borrow()
    }
    pub(crate) fn state_mut(&self) -> RefMut<'_, State> {
        self.0.borrow_mut()
    }
    /// From now on this call returns this status.
    pub(crate) fn fail(&self, call: &'static str, status: u32) {
        self.0.borrow_mut().failing.insert(call, status);
    }
    pub(crate) fn put_property(&self, path: &str, value: &[u8]) {
        self.0
            .borrow_mut()
            .properties
            .insert(path.to_owned(), value.to_vec());
    }
    pub(crate) fn logged(&self) -> String {
        let lines: Vec<String> = self.state().log.iter().map(|(_, line)| line.clone()).collect();
        lines.join("\n")
    }

    fn call(&self, name: &'static str) -> HostResult<RefMut<'_, State>> {
        let mut state = self.0.borrow_mut();
        state.calls.push(name);
        match state.failing.get(name) {
            Some(status) => Err(HostStatus(*status)),
            None => Ok(state),
        }
    }
}

fn key(direction: Direction) -> bool {
    direction == Direction::Response
}

impl Host for FakeHost {
    fn log(&self, level: Level, message: &str) {
        self.0.borrow_mut().log.push((level, message.to_owned()));
    }
    fn header_map(&self, direction: Direction) -> HostResult<Vec<u8>> {
        let state = self.call("header_map")?;
        let lines = state.heads.get(&key(direction)).and_then(Option::as_ref);
        Ok(pairs::write(lines.ok_or(HostStatus(2))?).unwrap())
    }
    fn set_header(&self, direction: Direction, name: &str, value: &[u8]) -> HostResult<()> {
        let mut state = self.call("set_header")?;
        let lines = state
            .heads
            .get_mut(&key(direction))
            .and_then(Option::as_mut)
            .ok_or(HostStatus(2))?;
        lines.retain(|(known, _)| known != name.as_bytes());
        lines.push((name.as_bytes().to_vec(), value.to_vec()));
        Ok(())
    }
    fn remove_header(&self, direction: Direction, name: &str) -> HostResult<()> {
        let mut state = self.call("remove_header")?;
        let lines = state
            .heads
            .get_mut(&key(direction))
            .and_then(Option::as_mut)
            .ok_or(HostStatus(2))?;
        lines.retain(|(known, _)| known != name.as_bytes());
        Ok(())
    }
    fn body(&self, direction: Direction) -> HostResult<Vec<u8>> {
        Ok(self
            .call("body")?
            .buffers
            .get(&key(direction))
            .cloned()
            .unwrap_or_default())
    }
    fn replace_body(&self, direction: Direction, length: usize, bytes: &[u8]) -> HostResult<()> {
        let mut state = self.call("replace_body")?;
        let buffer = state.buffers.get_mut(&key(direction)).ok_or(HostStatus(2))?;
        buffer.splice(..length, bytes.iter().copied());
        Ok(())
    }
    fn send_local_reply(&self, reply: &LocalReply, details: &str) -> HostResult<()> {
        self.call("send_local_reply")?
            .replies
            .push((reply.clone(), details.to_owned()));
        Ok(())
    }
    fn close_stream(&self, direction: Direction) -> HostResult<()> {
        self.call("close_stream")?.closed.push(direction);
        Ok(())
    }
    fn property(&self, path: &[&str]) -> HostResult<Option<Vec<u8>>> {
        Ok(self.call("property")?.properties.get(&path.join("/")).cloned())
    }
    fn set_property(&self, name: &str, value: &[u8]) -> HostResult<()> {
        self.call("set_property")?
            .exported
            .insert(name.to_owned(), value.to_vec());
        Ok(())
    }
    fn shared_data(&self, key: &str) -> HostResult<Option<(Vec<u8>, u32)>> {
        Ok(self.call("shared_data")?.shared.get(key).cloned())
    }
    fn set_shared_data(&self, key: &str, value: &[u8], cas: u32) -> HostResult<()> {
        let mut state = self.call("set_shared_data")?;
        let current = state.shared.get(key).map_or(0, |(_, version)| *version);
        if cas != 0 && current != 0 && cas != current {
            return Err(HostStatus::CAS_MISMATCH);
        }
        state.shared.insert(key.to_owned(), (value.to_vec(), current + 1));
        Ok(())
    }
    fn configuration(&self) -> HostResult<Vec<u8>> {
        Ok(self.call("configuration")?.configuration.clone())
    }
    fn set_tick_period(&self, period: Duration) -> HostResult<()> {
        self.call("set_tick_period")?.tick_period = Some(period);
        Ok(())
    }
    fn set_effective_context(&self, context_id: u32) -> HostResult<()> {
        self.call("set_effective_context")?.effective.push(context_id);
        Ok(())
    }
    fn wall_clock(&self) -> HostResult<u64> {
        self.call("wall_clock").map(|_| 1)
    }
    fn monotonic_clock(&self) -> HostResult<u64> {
        self.call("monotonic_clock").map(|state| state.monotonic)
    }
}

/// Verdicts as written down beforehand.
pub(crate) struct Script {
    pub(crate) head: HeadStep,
    pub(crate) max_request: usize,
    pub(crate) body: BodyStep,
    pub(crate) response: ResponseStep,
    pub(crate) max_result: usize,
    pub(crate) too_large: ResultStep,
    pub(crate) result: ResultStep,
    pub(crate) chunk: fn(&[u8]) -> ChunkStep,
    /// The reason once the response was asked about.
    pub(crate) response_reason: &'static str,
    /// What was asked, in order.
    pub(crate) asked: Rc<RefCell<Vec<String>>>,
}

impl Default for Script {
    fn default() -> Self {
        Script {
            head: HeadStep::Await {
                edits: Vec::new(),
                hold: Hold::Headers,
            },
            max_request: 1000,
            body: BodyStep::Forward(Vec::new()),
            response: ResponseStep::Pass(Vec::new()),
            max_result: 1000,
            too_large: ResultStep::Keep,
            result: ResultStep::Keep,
            chunk: |_| ChunkStep::Keep,
            response_reason: "reason",
            asked: Rc::default(),
        }
    }
}

impl Script {
    fn ask(&self, what: String) {
        self.asked.borrow_mut().push(what);
    }
}

pub(crate) fn reply(status: u16) -> LocalReply {
    LocalReply {
        status,
        headers: vec![("x-own".into(), "1".into())],
        body: b"no".to_vec(),
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

impl Judge for Script {
    fn request_head(&mut self, head: &RequestHead<'_>, _now: UnixNanos) -> HeadStep {
        self.ask(format!(
            "head end={} jwt={}",
            head.end_of_stream,
            head.jwt.is_some()
        ));
        self.head.clone()
    }
    fn request_size(&mut self, held: usize) -> Option<LocalReply> {
        (held > self.max_request).then(|| reply(413))
    }
    fn request_body(&mut self, body: &[u8], _store: &dyn Store, _now: UnixNanos) -> BodyStep {
        self.ask(format!("body {}", text(body)));
        self.body.clone()
    }
    fn request_timeout(&mut self) -> LocalReply {
        self.ask("timeout".into());
        reply(408)
    }
    fn response_head(&mut self, head: &ResponseHead<'_>) -> ResponseStep {
        self.ask(format!("response end={}", head.end_of_stream));
        self.response.clone()
    }
    fn response_size(&mut self, held: usize) -> Option<ResultStep> {
        (held > self.max_result).then(|| self.too_large.clone())
    }
    fn response_body(&mut self, body: &[u8], _store: &dyn Store) -> ResultStep {
        self.ask(format!("result {}", text(body)));
        self.result.clone()
    }
    fn response_chunk(&mut self, window: &[u8], _store: &dyn Store) -> ChunkStep {
        self.ask(format!("chunk {}", text(window)));
        (self.chunk)(window)
    }
    fn fault(&mut self) -> LocalReply {
        self.ask("fault".into());
        reply(500)
    }
    fn reason(&self) -> &'static str {
        let about_response = self
            .asked
            .borrow()
            .last()
            .is_some_and(|asked| asked.starts_with("response"));
        if about_response {
            self.response_reason
        } else {
            "reason"
        }
    }
    fn fields(&self) -> Vec<(&'static str, Cow<'_, [u8]>)> {
        let asked = self.asked.borrow();
        let last = asked.last().cloned().unwrap_or_default();
        vec![
            ("toolgate.constant", Cow::Borrowed(b"c")),
            ("toolgate.last", Cow::Owned(last.into_bytes())),
        ]
    }
}
