//! Streams that wait for their request body or for the rate limit service, and when they have waited long enough.
//!
//! Envoy's ticks belong to root contexts, so the waiting streams of a VM are listed here, beside the dispatcher: several
//! root contexts share a VM after a configuration update, and whichever ticks first serves all of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Weak;
use std::time::Duration;

use crate::host::{Host, HostResult, Level};

/// A stream that waits.
pub trait Waiting {
    /// The time is up: answer. The host acts on the stream's context meanwhile.
    fn expire(&mut self);
}

struct Entry {
    /// On the monotonic clock, in nanoseconds.
    deadline: u64,
    stream: Weak<RefCell<dyn Waiting>>,
}

thread_local! {
    /// By context id. Bounded by the streams that Envoy keeps open; each leaves when it is decided or done.
    static WAITING: RefCell<BTreeMap<u32, Entry>> = const { RefCell::new(BTreeMap::new()) };
    /// The monotonic clock at the latest tick: streams count from there instead of reading the clock.
    static LATEST: Cell<u64> = const { Cell::new(0) };
    /// At most this old is `LATEST`, while ticks come in time.
    static PERIOD: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Starts the clock and the ticks. Before this, nothing may be watched.
pub fn start(host: &impl Host, body_timeout: Duration) -> HostResult<()> {
    LATEST.set(host.monotonic_clock()?);
    let period = tick_period(body_timeout);
    PERIOD.set(period);
    host.set_tick_period(period)
}

/// Calls `stream.expire()` when `timeout` has passed: not earlier, and at most two ticks later.
pub fn watch(context_id: u32, timeout: Duration, stream: Weak<RefCell<dyn Waiting>>) {
    let wait = timeout.saturating_add(PERIOD.get());
    let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
    let deadline = LATEST.get().saturating_add(wait);
    with_waiting(|waiting| waiting.insert(context_id, Entry { deadline, stream }));
}

/// The stream waits no longer.
pub fn forget(context_id: u32) {
    with_waiting(|waiting| waiting.remove(&context_id));
}

/// How often to tick: every sixteenth of the timeout, within 20 ms and half a second.
fn tick_period(body_timeout: Duration) -> Duration {
    (body_timeout / 16).clamp(Duration::from_millis(20), Duration::from_millis(500))
}

/// Expires what is due. `root_id` is the context that ticks.
pub fn tick(host: &impl Host, root_id: u32) {
    let due = match host.monotonic_clock() {
        Ok(now) => {
            LATEST.set(now);
            take_due(now)
        }
        Err(status) => {
            host.log(
                Level::Warn,
                &format!("toolgate: reading the clock failed ({status:?})"),
            );
            return;
        }
    };
    if due.is_empty() {
        return;
    }
    for (context_id, stream) in due {
        let Some(stream) = stream.upgrade() else { continue };
        if let Err(status) = host.set_effective_context(context_id) {
            let text = format!("toolgate: context {context_id}: switching to it failed ({status:?})");
            host.log(Level::Warn, &text);
            continue;
        }
        // Nobody can hold it: Envoy runs one callback at a time.
        if let Ok(mut stream) = stream.try_borrow_mut() {
            stream.expire();
        }
    }
    // Envoy does so itself after the callback; its log lines until then should name the right context.
    let _ = host.set_effective_context(root_id);
}

fn take_due(now: u64) -> Vec<(u32, Weak<RefCell<dyn Waiting>>)> {
    let mut due = Vec::new();
    with_waiting(|waiting| {
        waiting.retain(|context_id, entry| {
            let wait = now < entry.deadline;
            if !wait {
                due.push((*context_id, entry.stream.clone()));
            }
            wait
        });
    });
    due
}

/// Never re-entered: nothing in here calls out.
fn with_waiting<T>(act: impl FnOnce(&mut BTreeMap<u32, Entry>) -> T) {
    WAITING.with(|waiting| {
        if let Ok(mut waiting) = waiting.try_borrow_mut() {
            act(&mut waiting);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tick_follows_the_timeout_within_bounds() {
        assert_eq!(tick_period(Duration::from_secs(15)), Duration::from_millis(500));
        assert_eq!(tick_period(Duration::from_secs(1)), Duration::from_micros(62_500));
        assert_eq!(tick_period(Duration::ZERO), Duration::from_millis(20));
    }
}
