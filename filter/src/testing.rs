//! A scripted host, and [scripted verdicts](script).

use std::cell::{Ref, RefCell, RefMut};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use toolgate_engine::exchange::LocalReply;
use toolgate_engine::telemetry::Kind;

use crate::host::{Direction, GrpcCall, Host, HostResult, HostStatus, Level, pairs};

mod script;

pub(crate) use script::{Script, reply};

/// Behaves like Envoy where the shell could go wrong: heads that went on cannot be read or edited, a body buffer exists
/// only in the callbacks about it, answers of the root context do nothing and say that they did.
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
    /// The context in effect, where a callback has changed it.
    pub(crate) context: Option<u32>,
    pub(crate) grpc_calls: Vec<Called>,
    pub(crate) grpc_answer: Vec<u8>,
    pub(crate) resumed: usize,
    pub(crate) monotonic: u64,
    pub(crate) wall: u64,
    pub(crate) configuration: Vec<u8>,
    pub(crate) tick_period: Option<Duration>,
    pub(crate) calls: Vec<&'static str>,
    /// Counters and gauges by name, and how many values a histogram has.
    pub(crate) metrics: BTreeMap<String, u64>,
    /// The values that histograms were given, in order.
    pub(crate) recorded: Vec<(String, u64)>,
    /// The metrics that were defined. A metric's number is one more than its place.
    pub(crate) defined: Vec<(Kind, String)>,
    properties: HashMap<String, Vec<u8>>,
    shared: HashMap<String, (Vec<u8>, u32)>,
    latest_version: u32,
    environment: HashMap<String, String>,
    drawn: u8,
    /// What another worker writes just before our next write.
    pub(crate) before_write: Option<(String, Vec<u8>)>,
    failing: HashMap<&'static str, u32>,
}

impl State {
    fn share(&mut self, key: &str, value: &[u8]) {
        self.latest_version = self.latest_version.wrapping_add(1).max(1);
        let version = self.latest_version;
        self.shared.insert(key.to_owned(), (value.to_vec(), version));
    }
    fn metric(&mut self, kind: Kind, id: u32) -> HostResult<&mut u64> {
        let place = usize::try_from(id).unwrap().checked_sub(1);
        match place.and_then(|place| self.defined.get(place)) {
            Some((defined, name)) if *defined == kind => Ok(self.metrics.get_mut(name).unwrap()),
            _ => Err(HostStatus::BAD_ARGUMENT),
        }
    }
}

/// A gRPC call that was made. Its token is one more than its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Called {
    pub(crate) context: Option<u32>,
    pub(crate) target: String,
    pub(crate) message: Vec<u8>,
    pub(crate) timeout: Duration,
}

/// The root context of all tests.
pub(crate) const ROOT: u32 = 1;

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
    pub(crate) fn put_environment(&self, name: &str, value: &str) {
        self.0
            .borrow_mut()
            .environment
            .insert(name.to_owned(), value.to_owned());
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
        let mut state = self.call("send_local_reply")?;
        if state.context != Some(ROOT) {
            state.replies.push((reply.clone(), details.to_owned()));
        }
        Ok(())
    }
    fn resume(&self, direction: Direction) -> HostResult<()> {
        let mut state = self.call("resume")?;
        if state.context != Some(ROOT) && direction == Direction::Request {
            state.resumed += 1;
        }
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
        if let Some((key, value)) = state.before_write.take() {
            state.share(&key, &value);
        }
        // A missing key is created whatever the version; versions count all writes of the process.
        if let Some((_, current)) = state.shared.get(key)
            && cas != 0
            && cas != *current
        {
            return Err(HostStatus::CAS_MISMATCH);
        }
        state.share(key, value);
        Ok(())
    }
    fn grpc_call(&self, call: &GrpcCall<'_>) -> HostResult<u32> {
        let mut state = self.call("grpc_call")?;
        let called = Called {
            context: state.context,
            target: format!("{}/{}/{}", call.cluster, call.service, call.method),
            message: call.message.to_vec(),
            timeout: call.timeout,
        };
        state.grpc_calls.push(called);
        Ok(u32::try_from(state.grpc_calls.len()).unwrap())
    }
    fn grpc_answer(&self) -> HostResult<Vec<u8>> {
        self.call("grpc_answer").map(|state| state.grpc_answer.clone())
    }
    fn define_metric(&self, kind: Kind, name: &str) -> HostResult<u32> {
        let mut state = self.call("define_metric")?;
        // Envoy gives out a new number each time.
        state.defined.push((kind, name.to_owned()));
        state.metrics.entry(name.to_owned()).or_default();
        Ok(u32::try_from(state.defined.len()).unwrap())
    }
    fn increment_metric(&self, id: u32, by: u64) -> HostResult<()> {
        let mut state = self.call("increment_metric")?;
        let counter = state.metric(Kind::Counter, id)?;
        if by == 0 {
            return Err(HostStatus::BAD_ARGUMENT);
        }
        *counter += by;
        Ok(())
    }
    fn record_metric(&self, id: u32, value: u64) -> HostResult<()> {
        let mut state = self.call("record_metric")?;
        let place = usize::try_from(id).unwrap().checked_sub(1);
        match place.and_then(|place| state.defined.get(place)).cloned() {
            Some((Kind::Histogram, name)) => {
                *state.metric(Kind::Histogram, id)? += 1;
                state.recorded.push((name, value));
            }
            _ => *state.metric(Kind::Gauge, id)? = value,
        }
        Ok(())
    }
    fn configuration(&self) -> HostResult<Vec<u8>> {
        Ok(self.call("configuration")?.configuration.clone())
    }
    fn environment(&self, name: &str) -> Option<String> {
        self.state().environment.get(name).cloned()
    }
    fn random(&self, bytes: &mut [u8]) -> HostResult<()> {
        let mut state = self.call("random")?;
        // Not random, but never the same twice.
        state.drawn = state.drawn.wrapping_add(1);
        let place = u64::try_from(Rc::as_ptr(&self.0).addr()).unwrap().to_le_bytes();
        let mut source = place.into_iter().cycle();
        bytes.fill_with(|| state.drawn ^ source.next().unwrap());
        Ok(())
    }
    fn set_tick_period(&self, period: Duration) -> HostResult<()> {
        self.call("set_tick_period")?.tick_period = Some(period);
        Ok(())
    }
    fn set_effective_context(&self, context_id: u32) -> HostResult<()> {
        let mut state = self.call("set_effective_context")?;
        state.effective.push(context_id);
        state.context = Some(context_id);
        Ok(())
    }
    fn wall_clock(&self) -> HostResult<u64> {
        self.call("wall_clock").map(|state| state.wall)
    }
    fn monotonic_clock(&self) -> HostResult<u64> {
        self.call("monotonic_clock").map(|state| state.monotonic)
    }
}
