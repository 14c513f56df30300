//! Where global limits are counted.

use std::rc::Rc;
use std::time::Duration;

use super::{names, settings};
use crate::policy::error::{At, Errors, PolicyError};
use crate::policy::{RateLimitService, raw};

const MAX_CLUSTER: usize = 1_024;
const MAX_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn compile(raw: raw::RateLimitService, errors: &mut Errors) -> RateLimitService {
    let root = At::Root;
    let at = root.member("rateLimitService");
    check_cluster(&raw.cluster, &at.member("cluster"), errors);
    names::check(&raw.domain, "domain", &at.member("domain"), errors);
    let timeout = settings::duration(&raw.timeout, (MAX_TIMEOUT, "30s"), &at.member("timeout"), errors);
    RateLimitService {
        cluster: Rc::from(raw.cluster),
        domain: Rc::from(raw.domain),
        timeout,
        on_error: raw.on_error,
        engine: raw.engine,
    }
}

/// Control planes give clusters long names, so more is allowed here than for names of the policy's own.
fn check_cluster(cluster: &str, at: &At<'_>, errors: &mut Errors) {
    let problem = if cluster.trim().is_empty() {
        "the cluster's name is empty"
    } else if cluster.len() > MAX_CLUSTER {
        "the cluster's name is too long"
    } else if cluster.chars().any(char::is_control) {
        "the cluster's name has a control character"
    } else {
        return;
    };
    let error = PolicyError::new(at, problem).found(crate::policy::error::quoted(cluster));
    errors.add(error.allowed("the name of the Envoy cluster of the rate limit service, like \"ratelimit\""));
}
