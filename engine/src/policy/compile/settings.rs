//! Limits and origins.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::policy::error::{At, Errors, PolicyError, quoted};
use crate::policy::{Limits, duration, raw};

const MAX_REQUEST_BYTES: u64 = 16 << 20;
const MAX_RESULT_BYTES: u64 = 64 << 20;
const MAX_DEPTH: u64 = 64;
const MAX_BODY_TIMEOUT: Duration = Duration::from_hours(1);

pub(super) fn limits(raw: &raw::Limits, errors: &mut Errors) -> Limits {
    let root = At::Root;
    let at = root.member("limits");
    let mut bounded = |name: &str, value: u64, most: u64| {
        if value == 0 || value > most {
            let error = PolicyError::new(&at.member(name), "out of bounds").found(value.to_string());
            errors.add(error.allowed(format!("1 to {most}")));
        }
        usize::try_from(value.min(most)).unwrap_or(usize::MAX)
    };
    let request_bytes = bounded("requestBytes", raw.request_bytes, MAX_REQUEST_BYTES);
    let result_bytes = bounded("resultBytes", raw.result_bytes, MAX_RESULT_BYTES);
    let depth = bounded("depth", raw.depth, MAX_DEPTH);
    if raw.batches {
        let error = PolicyError::new(&at.member("batches"), "not supported yet");
        errors.add(error.found("true").allowed("false"));
    }
    let body_timeout = duration(
        &raw.body_timeout,
        (MAX_BODY_TIMEOUT, "1h"),
        &at.member("bodyTimeout"),
        errors,
    );
    Limits {
        request_bytes,
        result_bytes,
        depth,
        body_timeout,
        big_integers: raw.big_integers,
    }
}

/// A duration above zero and up to a bound, which comes with its text.
pub(super) fn duration(
    text: &str,
    (most, most_text): (Duration, &str),
    at: &At<'_>,
    errors: &mut Errors,
) -> Duration {
    match duration::parse(text) {
        Ok(timeout) => {
            if timeout.is_zero() || timeout > most {
                errors.add(
                    PolicyError::new(at, "out of bounds")
                        .found(quoted(text))
                        .allowed(format!("more than \"0s\", up to \"{most_text}\"")),
                );
            }
            timeout
        }
        Err(hint) => {
            let error = PolicyError::new(at, "not a duration")
                .found(quoted(text))
                .allowed(duration::ALLOWED);
            errors.add(error.hint_if(hint));
            Duration::ZERO
        }
    }
}

/// The shortest and the longest duration, and the text that says so.
pub(super) type Bounds = (RangeInclusive<Duration>, &'static str);

/// A duration between bounds.
pub(super) fn span(
    text: &str,
    (bounds, bounds_text): Bounds,
    at: &At<'_>,
    errors: &mut Errors,
) -> Option<Duration> {
    let error = match duration::parse(text) {
        Ok(span) if bounds.contains(&span) => return Some(span),
        Ok(_) => PolicyError::new(at, "out of bounds").allowed(bounds_text),
        Err(hint) => PolicyError::new(at, "not a duration")
            .allowed(format!("{}, {bounds_text}", duration::ALLOWED))
            .hint_if(hint.or_else(|| named(text))),
    };
    errors.add(error.found(quoted(text)));
    None
}

/// What somebody meant who wrote the window of a quota.
fn named(text: &str) -> Option<String> {
    let length = match text {
        "second" => "1s",
        "minute" => "1m",
        "hour" => "1h",
        "day" => "1d",
        _ => return None,
    };
    Some(format!("did you mean \"{length}\"?"))
}

/// Origins as browsers send them ([RFC 6454 §6.2](https://www.rfc-editor.org/rfc/rfc6454#section-6.2)):
/// compared byte for byte, so what no browser would send is an error.
pub(super) fn origins(origins: Vec<String>, errors: &mut Errors) -> HashSet<Box<[u8]>> {
    let root = At::Root;
    let at = root.member("origins");
    let mut known: HashSet<Box<[u8]>> = HashSet::with_capacity(origins.len());
    for (index, origin) in origins.into_iter().enumerate() {
        let at = at.element(index);
        match misfit(&origin) {
            Some((problem, hint)) => {
                let error = PolicyError::new(&at, problem).found(quoted(&origin));
                errors.add(error.allowed("scheme://host[:port] or \"null\"").hint_if(hint));
            }
            None => {
                if !known.insert(origin.as_bytes().into()) {
                    errors.add(PolicyError::new(&at, "the origin is listed twice").found(quoted(&origin)));
                }
            }
        }
    }
    known
}

/// What is wrong with an origin, and what was probably meant.
fn misfit(origin: &str) -> Option<(&'static str, Option<String>)> {
    if origin == "null" {
        return None;
    }
    if origin.contains('*') {
        let hint = "leave \"origins\" out to accept every origin".to_owned();
        return Some(("origins are exact: there are no patterns", Some(hint)));
    }
    let Some((scheme, authority)) = origin.split_once("://") else {
        let hint =
            (!origin.is_empty()).then(|| format!("did you mean {}?", quoted(&format!("https://{origin}"))));
        return Some(("not an origin: the scheme is missing", hint));
    };
    if let Some((authority, _)) = authority.split_once(['/', '?', '#']) {
        let hint = format!("did you mean {}?", quoted(&format!("{scheme}://{authority}")));
        return Some(("an origin has no path", Some(hint)));
    }
    if origin.bytes().any(|b| b.is_ascii_uppercase()) {
        let hint = format!("did you mean {}?", quoted(&origin.to_ascii_lowercase()));
        return Some(("origins are in lower case", Some(hint)));
    }
    let (host, port) = split_port(authority);
    let scheme_ok = scheme
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        && scheme.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    if !scheme_ok || !is_host(host) || port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Some(("not an origin", None));
    }
    if matches!((scheme, port), ("https", Some("443")) | ("http", Some("80"))) {
        let hint = format!("did you mean {}?", quoted(&format!("{scheme}://{host}")));
        return Some(("browsers leave the scheme's own port out", Some(hint)));
    }
    None
}

/// Splits `host[:port]`; the colons of an IPv6 address in brackets belong to the host.
pub(super) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Whether this is a host name, an IPv4 address, or an IPv6 address in brackets.
pub(super) fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253 && host.split('.').all(label)
}
