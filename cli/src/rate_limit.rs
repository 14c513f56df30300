//! What a rate limit service has to be told before it can count global limits.
//!
//! Both files are YAML. Every text in them is written as JSON, which double-quoted YAML is:
//! <https://yaml.org/spec/1.2.2/#json-compatibility>.

use std::fmt::Write as _;

use serde_json::json;
use toolgate_engine::policy::RateLimitService;
use toolgate_engine::quota::{Book, FileLimit};

/// Environment variables of envoyproxy/ratelimit without which it counts less exactly, and why. See
/// <https://github.com/envoyproxy/ratelimit#readme>.
const SETTINGS: [(&str, &str, &str); 8] = [
    (
        "STOP_CACHE_KEY_INCREMENT_WHEN_OVERLIMIT",
        "true",
        "look before counting: a call that one limit refuses is not counted by the others",
    ),
    (
        "LOCAL_CACHE_SIZE_IN_BYTES",
        "0",
        "with a local cache, what was refused once stays refused, even when the limit is raised",
    ),
    ("SHADOW_MODE", "false", "it would answer yes beyond the limit"),
    ("QUOTA_MODE", "false", "so would this"),
    (
        "FORCE_START_WITHOUT_INITIAL_CONFIG",
        "false",
        "without this file no limit is applied, so do not start without it",
    ),
    (
        "HEALTHY_WITH_AT_LEAST_ONE_CONFIG_LOADED",
        "true",
        "not healthy before this file is read",
    ),
    (
        "REDIS_HEALTH_CHECK_ACTIVE_CONNECTION",
        "true",
        "not healthy while Redis is away",
    ),
    (
        "DISABLE_STATS",
        "true",
        "or USE_PROMETHEUS=true: statistics on standard output are a line for each call",
    ),
];

/// The domain file of envoyproxy/ratelimit.
///
/// It names the domain and no limit: limits travel in the questions, but only those of a domain that the service knows
/// are applied.
pub(crate) fn domain_file(service: &RateLimitService) -> String {
    let mut text = String::from(
        "\
# The domain of Toolgate's global limits, for https://github.com/envoyproxy/ratelimit. The limits themselves are not
# here: they travel in the questions, so this file stays as it is when the policy changes.
#
# Environment of the service:
",
    );
    for (name, value, why) in SETTINGS {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "#   {name}={value}\n#       {why}");
    }
    text.push_str(
        "\
# Redis: \"appendonly yes\", or counts are lost when it restarts; \"maxmemory-policy noeviction\", or counts are dropped
# when its memory is full.
# Memory of the service: about 2.4 kB for each count that it ever saw. A restart frees it and loses nothing.
",
    );
    let _ = writeln!(text, "domain: {}", plain(&service.domain));
    text.push_str("descriptors: []\n");
    text
}

/// The limits file of Limitador.
///
/// Limitador knows no other limits than those of its file.
pub(crate) fn limits_file(book: &Book) -> String {
    let mut text = String::from(
        "\
# Toolgate's global limits, for https://github.com/Kuadrant/limitador (its limits file). Limitador reads limits from here
# and not from the questions: render this file again whenever the global limits of the policy change, and give it to
# Limitador before Envoy gets the policy. A limit that is missing here is not applied, and no answer shows it.
#
# Storage: redis, which keeps counts and shares them. redis_cached counts late; memory forgets counts when Limitador ends,
# and the least used ones beyond 10,000. Budgets are in millionths of a currency unit.
",
    );
    let mut limits = book.limits_file().peekable();
    if limits.peek().is_none() {
        text.push_str("[]\n");
    }
    for limit in limits {
        text.push_str(&entry(&limit));
    }
    text
}

fn entry(limit: &FileLimit) -> String {
    let FileLimit {
        namespace,
        name,
        max_value,
        seconds,
        ..
    } = limit;
    format!(
        "\
- namespace: {}
  name: {}
  max_value: {max_value}
  seconds: {seconds}
  conditions: []
  variables: [{}]
",
        json!(**namespace),
        json!(name),
        json!(limit.variable())
    )
}

/// A text as people would write it, where YAML cannot take it for anything else.
fn plain(text: &str) -> String {
    let word = text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let meant = !text.starts_with('-')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text);
    if word && meant {
        text.to_owned()
    } else {
        json!(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_yaml_could_read_otherwise_is_quoted() {
        assert_eq!(plain("toolgate"), "toolgate");
        assert_eq!(plain("tool-gate"), "tool-gate");
        for text in ["no", "1", "a: b", "# a", "-", "Toolgate", "~", "é", "a\"b"] {
            assert_eq!(plain(text), format!("{text:?}"), "{text}");
        }
    }
}
