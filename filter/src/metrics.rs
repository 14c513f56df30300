//! Envoy's counters, gauges and histograms for what the engine has measured.
//!
//! A metric is defined when it is first used. Its name has the labels in it, as Graphite writes tags:
//! `toolgate_budget_spent_micros;owner=key;name=alice;per=day;scope=local`, and Envoy's `stats_tags` take them out again.
//! What Envoy knows of a metric, it knows for the whole process; only the numbers that stand for names are a VM's own.
//!
//! Names are long, and a call is counted in several metrics. So the number of a series is looked up by what the series is
//! made of, which costs no more than a few words; its name is written, and looked up, when a policy uses it first.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;

use foldhash::fast::FixedState;
use toolgate_engine::telemetry::{Kind, Measure, Series};

use crate::host::{Host, HostResult, HostStatus, Level};

/// The numbers of the series that a policy has used. They end with it: a series holds names of its policy.
#[derive(Debug, Default)]
pub struct Ids(RefCell<HashMap<Series, u32, FixedState>>);

/// The metrics that a VM has used.
#[derive(Debug, Default)]
struct Metrics {
    /// By full name. Bounded by the policies that were in force: a label is a name of the policy, or one of a few words.
    ids: HashMap<String, u32>,
    /// Of the metric at hand; here so that its memory is used again.
    name: String,
    failure_logged: bool,
}

thread_local! {
    /// Several root contexts share a VM after a configuration update, and with it these.
    static METRICS: RefCell<Metrics> = RefCell::default();
}

/// Adds to Envoy's counters, sets its gauges and fills its histograms. A failure costs a log line, once, and nothing else.
pub fn report(host: &impl Host, ids: &Ids, measures: &[Measure]) {
    if measures.is_empty() {
        return;
    }
    // Neither is ever borrowed twice: the host does not call back from here.
    let Ok(mut ids) = ids.0.try_borrow_mut() else {
        return;
    };
    for measure in measures {
        let outcome = match ids.get(measure.series()) {
            Some(id) => give(host, *id, measure),
            None => define(host, measure).and_then(|id| {
                ids.insert(measure.series().clone(), id);
                give(host, id, measure)
            }),
        };
        if let Err(status) = outcome {
            complain(host, measure, status);
        }
    }
}

/// The same for what is said only now and then.
pub fn report_once(host: &impl Host, measures: &[Measure]) {
    for measure in measures {
        if let Err(status) = define(host, measure).and_then(|id| give(host, id, measure)) {
            complain(host, measure, status);
        }
    }
}

fn give(host: &impl Host, id: u32, measure: &Measure) -> HostResult<()> {
    match measure.family().kind() {
        // Defined, it is shown as 0; Envoy refuses to add nothing.
        Kind::Counter if measure.value() == 0 => Ok(()),
        Kind::Counter => host.increment_metric(id, measure.value()),
        Kind::Gauge | Kind::Histogram => host.record_metric(id, measure.value()),
    }
}

/// The number of a series that the policy has not used.
fn define(host: &impl Host, measure: &Measure) -> HostResult<u32> {
    METRICS.with(|metrics| match metrics.try_borrow_mut() {
        Ok(mut metrics) => metrics.id(host, measure),
        Err(_) => Err(HostStatus::INTERNAL_FAILURE),
    })
}

fn complain(host: &impl Host, measure: &Measure, status: HostStatus) {
    let first = METRICS.with(|metrics| match metrics.try_borrow_mut() {
        Ok(mut metrics) => !std::mem::replace(&mut metrics.failure_logged, true),
        Err(_) => false,
    });
    if first {
        let mut name = String::new();
        write_name(measure, &mut name);
        let text = format!("toolgate: metric {name} failed ({status:?})");
        host.log(Level::Warn, &text);
    }
}

/// Forgets which metrics are defined, as a new VM has not defined any.
#[cfg(test)]
pub(crate) fn forget() {
    METRICS.with(|metrics| *metrics.borrow_mut() = Metrics::default());
}

impl Metrics {
    fn id(&mut self, host: &impl Host, measure: &Measure) -> HostResult<u32> {
        write_name(measure, &mut self.name);
        if let Some(id) = self.ids.get(&self.name) {
            return Ok(*id);
        }
        let id = host.define_metric(measure.family().kind(), &self.name)?;
        self.ids.insert(self.name.clone(), id);
        Ok(id)
    }
}

/// An empty value is none at all to Prometheus, and Envoy cannot take one out of a name.
fn write_name(measure: &Measure, out: &mut String) {
    out.clear();
    out.push_str(measure.family().name());
    for (label, value) in measure.labels().filter(|(_, value)| !value.is_empty()) {
        out.push(';');
        out.push_str(label);
        out.push('=');
        escape(value, out);
    }
}

/// Percent-encodes what could be read as the end of a value, or as encoded.
fn escape(value: &str, out: &mut String) {
    for char in value.chars() {
        match char {
            ';' | '=' | '%' | '\0'..='\x1f' | '\x7f' => {
                // Writing to a string does not fail.
                let _ = write!(out, "%{:02X}", u32::from(char));
            }
            _ => out.push(char),
        }
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
