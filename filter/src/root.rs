//! The root context's work: from the plugin configuration to a policy in force.

use std::rc::Rc;

use toolgate_engine::exchange::{Engine, Exchange};
use toolgate_engine::policy::{Policy, PolicyErrors};

use crate::deadlines;
use crate::host::{Host, Level};
use crate::in_force;
use crate::jwt::JwtClaims;
use crate::secrets;
use crate::stream::{Settings, Stream};

/// A log with more errors than this is not read.
const MAX_LOGGED_ERRORS: usize = 20;

/// A policy in force. Streams keep the one that they began with.
pub struct Plugin {
    engine: Rc<Engine>,
    settings: Rc<Settings>,
}

impl Plugin {
    /// Reads and compiles the plugin configuration of the root context `root_id` and starts the ticks. On failure log and
    /// metrics say so, and nothing of the bad policy is kept: Envoy goes on with the previous one, or refuses to start.
    pub fn configure(host: &impl Host, root_id: u32) -> Option<Plugin> {
        let plugin = Plugin::read(host, root_id);
        match &plugin {
            Some(plugin) => in_force::accepted(host, plugin.engine.policy().hash()),
            None => in_force::refused(host),
        }
        plugin
    }

    fn read(host: &impl Host, root_id: u32) -> Option<Plugin> {
        let text = match host.configuration() {
            Ok(text) => text,
            Err(status) => {
                let text = format!("toolgate: reading the plugin configuration failed ({status:?})");
                host.log(Level::Error, &text);
                return None;
            }
        };
        let policy = match Policy::compile(&text) {
            Ok(policy) => policy,
            Err(errors) => {
                report(host, &errors);
                return None;
            }
        };
        let secret_env = policy.sessions().secret_env.as_deref();
        let secrets = match secrets::find(host, secret_env) {
            Ok(secrets) => secrets,
            Err(why) => {
                host.log(Level::Error, &format!("toolgate: policy refused: {why}"));
                return None;
            }
        };
        let body_timeout = policy.limits().body_timeout;
        if let Err(status) = deadlines::start(host, body_timeout) {
            host.log(
                Level::Error,
                &format!("toolgate: starting the ticks failed ({status:?})"),
            );
            return None;
        }
        let jwt = policy.identity().jwt.as_ref().map(|jwt| JwtClaims {
            metadata: jwt.metadata.clone(),
            claim: jwt.claim.clone(),
            roles_claim: jwt.roles_claim.clone(),
        });
        let settings = Rc::new(Settings {
            jwt,
            body_timeout,
            needs_time: policy.needs_time(),
            root_id,
            ..Settings::default()
        });
        Some(Plugin {
            engine: Engine::new(policy, secrets),
            settings,
        })
    }

    /// Which policy it is.
    #[cfg(test)]
    pub(crate) fn hash(&self) -> &str {
        self.engine.policy().hash().as_str()
    }

    /// A stream under this policy.
    pub fn stream<H: Host + 'static>(&self, host: H, context_id: u32) -> StreamCell<H> {
        let exchange = Exchange::new(Rc::clone(&self.engine));
        Stream::new(host, exchange, Rc::clone(&self.settings), context_id)
    }
}

/// A stream as the dispatcher and the deadlines share it.
pub type StreamCell<H> = Rc<std::cell::RefCell<Stream<H, Exchange>>>;

fn report(host: &impl Host, errors: &PolicyErrors) {
    for error in errors.iter().take(MAX_LOGGED_ERRORS) {
        host.log(Level::Error, &format!("toolgate: policy refused: {error}"));
    }
    let more = errors.iter().count().saturating_sub(MAX_LOGGED_ERRORS);
    if more > 0 {
        host.log(
            Level::Error,
            &format!("toolgate: policy refused: and {more} more errors"),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::FakeHost;

    fn host(policy: &str) -> FakeHost {
        crate::metrics::forget();
        let host = FakeHost::default();
        host.state_mut().configuration = policy.as_bytes().to_vec();
        host
    }

    #[test]
    fn a_good_policy_is_in_force_and_ticks() {
        let host = host(r#"{"version": 1, "limits": {"bodyTimeout": "4s"}, "servers": {}}"#);
        let plugin = Plugin::configure(&host, 1);
        assert!(
            plugin.is_some_and(|plugin| plugin.settings.jwt.is_none()),
            "{}",
            host.logged()
        );
        assert_eq!(host.state().tick_period, Some(Duration::from_millis(250)));
        assert!(host.state().log.is_empty());
    }

    #[test]
    fn a_bad_policy_is_refused_with_place_and_reason_in_bounded_lines() {
        let fields: Vec<String> = (0..30).map(|n| format!("\"nonsense{n}\": 1")).collect();
        for policy in [
            "",
            "[]",
            "{\"version\": 1, ",
            &format!("{{\"version\": 1, {}}}", fields.join(", ")),
        ] {
            let host = host(policy);
            assert!(Plugin::configure(&host, 1).is_none(), "{policy}");
            let state = host.state();
            assert!((1..=21).contains(&state.log.len()), "{}", host.logged());
            assert!(state.log.iter().all(|(level, _)| *level == Level::Error));
            assert_eq!(state.tick_period, None);
        }
        let host = host(r#"{"version": 1, "toolz": {}}"#);
        assert!(Plugin::configure(&host, 1).is_none());
        assert!(host.logged().contains("/toolz"), "{}", host.logged());
    }

    #[test]
    fn without_a_tick_there_is_no_deadline_and_no_policy() {
        for call in ["set_tick_period", "monotonic_clock"] {
            let host = host(r#"{"version": 1, "servers": {}}"#);
            host.fail(call, 2);
            assert!(Plugin::configure(&host, 1).is_none(), "{call}");
        }
    }

    #[test]
    fn without_its_secret_a_policy_is_refused() {
        let policy = r#"{"version": 1, "servers": {}, "sessions": {"secretEnv": "SESSION_SECRET"}}"#;
        let unset = host(policy);
        assert!(Plugin::configure(&unset, 1).is_none());
        assert!(
            unset.logged().contains("host_env_keys: [SESSION_SECRET]"),
            "{}",
            unset.logged()
        );
        assert_eq!(unset.state().log[0].0, Level::Error);
        let set = host(policy);
        set.put_environment("SESSION_SECRET", &"s".repeat(32));
        assert!(Plugin::configure(&set, 1).is_some(), "{}", set.logged());
        let no_entropy = host(r#"{"version": 1, "servers": {}}"#);
        no_entropy.fail("random", 29);
        assert!(Plugin::configure(&no_entropy, 1).is_none());
    }
}
