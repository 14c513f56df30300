//! What is told about calls, and to whom.

use super::Lint;
use crate::policy::error::At;
use crate::policy::{Arguments, Hold};

impl Lint<'_> {
    pub(super) fn telemetry(&mut self) {
        let telemetry = self.policy.telemetry();
        if !telemetry.masks.is_empty() && telemetry.arguments != Arguments::Values {
            let message = "nothing to mask: without \"arguments\": \"values\", no value is recorded";
            self.warn(&At::Root.member("telemetry").member("mask"), message);
        }
        if self.policy.context_headers() && self.policy.hold() == Hold::Body {
            let message = "x-toolgate-tool is never sent: with \"hold\": \"body\", the head has gone before the tool is known";
            self.warn(&At::Root.member("contextHeaders"), message);
        }
    }
}
