//! Envoy's counters, gauges and histograms for what the engine has measured.
//!
//! A metric is defined when it is first used. Its name has the labels in it, as Graphite writes tags:
//! `toolgate_budget_spent_micros;owner=key;name=alice;per=day;scope=local`, and Envoy's `stats_tags` take them out again.
//! What Envoy knows of a metric, it knows for the whole process; only the numbers that stand for names are a VM's own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;

use toolgate_engine::telemetry::{Kind, Measure};

use crate::host::{Host, HostResult, Level};

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
pub fn report(host: &impl Host, measures: &[Measure]) {
    if measures.is_empty() {
        return;
    }
    // Never re-entered: the host does not call back from here.
    METRICS.with(|metrics| {
        if let Ok(mut metrics) = metrics.try_borrow_mut() {
            for measure in measures {
                metrics.report(host, measure);
            }
        }
    });
}

/// Forgets which metrics are defined, as a new VM has not defined any.
#[cfg(test)]
pub(crate) fn forget() {
    METRICS.with(|metrics| *metrics.borrow_mut() = Metrics::default());
}

impl Metrics {
    fn report(&mut self, host: &impl Host, measure: &Measure) {
        let Err(status) = self.try_report(host, measure) else {
            return;
        };
        if !std::mem::replace(&mut self.failure_logged, true) {
            let text = format!("toolgate: metric {} failed ({status:?})", self.name);
            host.log(Level::Warn, &text);
        }
    }

    fn try_report(&mut self, host: &impl Host, measure: &Measure) -> HostResult<()> {
        let kind = measure.family().kind();
        write_name(measure, &mut self.name);
        let id = match self.ids.get(&self.name) {
            Some(id) => *id,
            None => {
                let id = host.define_metric(kind, &self.name)?;
                self.ids.insert(self.name.clone(), id);
                id
            }
        };
        match kind {
            Kind::Counter => host.increment_metric(id, measure.value()),
            Kind::Gauge | Kind::Histogram => host.record_metric(id, measure.value()),
        }
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
