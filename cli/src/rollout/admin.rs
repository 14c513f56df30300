//! Envoy's admin interface, which may be slow, something else, or not there.
//! <https://www.envoyproxy.io/docs/envoy/v1.36.0/operations/admin>

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;
use url::Url;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// No answer is larger: a dump holds every policy of the process, and each may be tens of megabytes.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Where it is.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    url: Url,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Nobody answers, or not in time.
    Unreachable(String),
    /// Something answers that is not Envoy.
    NotEnvoy(String),
}

impl Admin {
    /// What `path` answers, which must be JSON, within this time.
    pub(crate) fn ask(&self, path: &str, within: Duration) -> Result<Value, Problem> {
        let unreachable = |error: ureq::Error| Problem::Unreachable(error.to_string());
        let strange = |what: String| Problem::NotEnvoy(what);
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(within.min(PATIENCE)))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .build()
            .into();
        let url = format!("{}{path}", self.url.as_str().trim_end_matches('/'));
        let mut answer = match agent.get(&url).call() {
            Ok(answer) => answer,
            Err(error @ (ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..))) => {
                return Err(strange(error.to_string()));
            }
            Err(error) => return Err(unreachable(error)),
        };
        if answer.status() != 200 {
            return Err(strange(format!(
                "{path} is answered with status {}",
                answer.status().as_u16()
            )));
        }
        match answer.body_mut().with_config().limit(LARGEST).read_to_vec() {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|_| strange(format!("what {path} answers is not JSON"))),
            Err(ureq::Error::BodyExceedsLimit(_)) => Err(strange(format!(
                "what {path} answers is larger than {} MiB",
                LARGEST >> 20
            ))),
            Err(error) => Err(unreachable(error)),
        }
    }
}

impl FromStr for Admin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hint = "write it as http://HOST:PORT, for example http://127.0.0.1:9901";
        let given = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url = Url::parse(&given).map_err(|error| format!("{error}; {hint}"))?;
        let plain = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || !url.has_host() || !plain {
            return Err(hint.to_owned());
        }
        Ok(Self { url })
    }
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::Admin;

    #[test]
    fn takes_the_address_of_an_admin_interface() {
        for (text, shown) in [
            ("127.0.0.1:9901", "http://127.0.0.1:9901"),
            ("http://[::1]:9901/", "http://[::1]:9901"),
            ("localhost:1", "http://localhost:1"),
        ] {
            assert_eq!(text.parse::<Admin>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "https://h:1",
            "http://h/stats",
            "http://h:1/?a",
            "ftp://h",
            "http://",
        ] {
            assert!(text.parse::<Admin>().is_err(), "{text}");
        }
    }
}
