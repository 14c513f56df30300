//! The record, in filter state.

use super::{Settings, Stream};
use crate::host::{Host, Level};
use crate::judge::Judge;

impl<H: Host + 'static, J: Judge + 'static> Stream<H, J> {
    /// Brings filter state up to the record, which changes only with its decision and at the end.
    pub(super) fn export(&mut self) {
        let decision = self.judge.reason();
        if self.exported_decision.replace(decision) != Some(decision) {
            self.export_news();
        }
    }

    /// Sets what filter state does not know yet. A value that cannot be exported costs a log line and not the request.
    pub(super) fn export_news(&mut self) {
        let (host, settings) = (&self.host, &*self.settings);
        let exported = &mut self.exported;
        exported.begin();
        self.judge.fields(&mut |name, value| {
            if exported.is_news(name, value) {
                set_field(host, settings, name, value);
            }
        });
        // Filter state cannot be taken back.
        while let Some(name) = exported.next_gone() {
            set_field(host, settings, name, b"");
        }
    }
}

fn set_field(host: &impl Host, settings: &Settings, name: &str, value: &[u8]) {
    let Err(status) = host.set_property(name, value) else {
        return;
    };
    if !settings.export_failure_logged.replace(true) {
        let text = format!("toolgate: setting filter state {name} failed ({status:?})");
        host.log(Level::Warn, &text);
    }
}
