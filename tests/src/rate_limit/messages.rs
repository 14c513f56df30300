//! The protocol's messages, as far as they matter here. Field numbers are those of
//! [`envoy/service/ratelimit/v3/rls.proto`][rls] and
//! [`envoy/extensions/common/ratelimit/v3/ratelimit.proto`][descriptor].
//!
//! [rls]: https://github.com/envoyproxy/envoy/blob/main/api/envoy/service/ratelimit/v3/rls.proto
//! [descriptor]: https://github.com/envoyproxy/envoy/blob/main/api/envoy/extensions/common/ratelimit/v3/ratelimit.proto

use std::time::Duration;

use prost::{Enumeration, Message};

/// `RateLimitRequest`.
#[derive(Clone, Eq, PartialEq, Message)]
pub struct Request {
    /// The namespace of the descriptors.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// What to count.
    #[prost(message, repeated, tag = "2")]
    pub descriptors: Vec<Descriptor>,
    /// What to add for descriptors that do not say it themselves; 0 means 1.
    #[prost(uint32, tag = "3")]
    pub hits_addend: u32,
}

impl Request {
    /// A request of `domain` about `descriptors`.
    pub fn new(domain: &str, descriptors: impl IntoIterator<Item = Descriptor>) -> Self {
        Self {
            domain: domain.to_owned(),
            descriptors: descriptors.into_iter().collect(),
            hits_addend: 0,
        }
    }

    /// Adds `hits` for each descriptor that does not say it itself.
    #[must_use]
    pub fn hits(mut self, hits: u32) -> Self {
        self.hits_addend = hits;
        self
    }
}

/// `RateLimitDescriptor`.
#[derive(Clone, Eq, PartialEq, Message)]
pub struct Descriptor {
    /// Together they name the counter.
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<Entry>,
    /// The limit, where the request and not the service's configuration says it.
    #[prost(message, optional, tag = "2")]
    pub limit: Option<Limit>,
    /// What to add; 0 is a look that counts nothing.
    #[prost(message, optional, tag = "3")]
    pub hits_addend: Option<u64>,
}

impl Descriptor {
    /// A descriptor with these keys and values, without a limit.
    pub fn new<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let entry = |(key, value): (&str, &str)| Entry {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        Self {
            entries: entries.into_iter().map(entry).collect(),
            ..Self::default()
        }
    }

    /// Carries a limit.
    #[must_use]
    pub fn limit(mut self, requests: u32, unit: Unit) -> Self {
        self.limit = Some(Limit {
            requests_per_unit: requests,
            unit: unit.into(),
        });
        self
    }

    /// Adds `hits`.
    #[must_use]
    pub fn hits(mut self, hits: u64) -> Self {
        self.hits_addend = Some(hits);
        self
    }

    /// The value of the entry `key`.
    pub fn value(&self, key: &str) -> Option<&str> {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        entry.map(|entry| entry.value.as_str())
    }
}

/// `RateLimitDescriptor.Entry`.
#[derive(Clone, Eq, PartialEq, Message)]
pub struct Entry {
    /// Its key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `RateLimitDescriptor.RateLimitOverride`.
#[derive(Clone, Copy, Eq, PartialEq, Message)]
pub struct Limit {
    /// How many in one window.
    #[prost(uint32, tag = "1")]
    pub requests_per_unit: u32,
    /// The window.
    #[prost(enumeration = "Unit", tag = "2")]
    pub unit: i32,
}

/// `RateLimitUnit` of requests and `RateLimitResponse.RateLimit.Unit` of answers: the same numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Enumeration)]
#[repr(i32)]
pub enum Unit {
    /// None given.
    Unknown = 0,
    /// 1 s.
    Second = 1,
    /// 60 s.
    Minute = 2,
    /// 3,600 s.
    Hour = 3,
    /// 86,400 s.
    Day = 4,
    /// 30 days.
    Month = 5,
    /// 365 days.
    Year = 6,
    /// 7 days.
    Week = 7,
}

/// `RateLimitResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    /// The answer.
    #[prost(enumeration = "Code", tag = "1")]
    pub overall_code: i32,
    /// What holds for each descriptor, in the request's order.
    #[prost(message, repeated, tag = "2")]
    pub statuses: Vec<Status>,
}

impl Response {
    /// The answer that consists of these statuses: over the limit if one of them is.
    pub fn of(statuses: impl IntoIterator<Item = Status>) -> Self {
        let statuses: Vec<_> = statuses.into_iter().collect();
        let over = statuses.iter().any(|status| status.code() == Code::OverLimit);
        let code = if over { Code::OverLimit } else { Code::Ok };
        Self {
            overall_code: code.into(),
            statuses,
        }
    }

    /// The codes of the statuses.
    pub fn codes(&self) -> Vec<Code> {
        self.statuses.iter().map(Status::code).collect()
    }
}

/// `RateLimitResponse.Code`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Enumeration)]
#[repr(i32)]
pub enum Code {
    /// None given.
    Unknown = 0,
    /// Within the limits.
    Ok = 1,
    /// Beyond one of them.
    OverLimit = 2,
}

/// `RateLimitResponse.DescriptorStatus`.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// Within the limit or beyond it.
    #[prost(enumeration = "Code", tag = "1")]
    pub code: i32,
    /// The limit that was applied; absent where none was.
    #[prost(message, optional, tag = "2")]
    pub current_limit: Option<CurrentLimit>,
    /// What is left of it in this window.
    #[prost(uint32, tag = "3")]
    pub limit_remaining: u32,
    /// How long the window lasts from now on.
    #[prost(message, optional, tag = "4")]
    pub duration_until_reset: Option<WireDuration>,
}

impl Status {
    /// A status of `code` for a limit of `requests` per `unit` with `remaining` left.
    pub fn new(code: Code, requests: u32, unit: Unit, remaining: u32) -> Self {
        let limit = CurrentLimit {
            requests_per_unit: requests,
            unit: unit.into(),
            name: String::new(),
        };
        Self {
            code: code.into(),
            current_limit: Some(limit),
            limit_remaining: remaining,
            duration_until_reset: None,
        }
    }

    /// What a service says that has applied no limit.
    pub fn unlimited() -> Self {
        Self {
            code: Code::Ok.into(),
            ..Self::default()
        }
    }

    /// Says when the window ends.
    #[must_use]
    pub fn resets_in(mut self, duration: Duration) -> Self {
        self.duration_until_reset = Some(WireDuration {
            seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
        });
        self
    }

    /// When the window ends, where it says so.
    pub fn until_reset(&self) -> Option<Duration> {
        let duration = self.duration_until_reset?;
        let seconds = u64::try_from(duration.seconds).ok()?;
        Some(Duration::new(seconds, u32::try_from(duration.nanos).ok()?))
    }
}

/// `RateLimitResponse.RateLimit`.
#[derive(Clone, Eq, PartialEq, Message)]
pub struct CurrentLimit {
    /// How many in one window.
    #[prost(uint32, tag = "1")]
    pub requests_per_unit: u32,
    /// The window.
    #[prost(enumeration = "Unit", tag = "2")]
    pub unit: i32,
    /// Its name in the service's configuration.
    #[prost(string, tag = "3")]
    pub name: String,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, Eq, PartialEq, Message)]
pub struct WireDuration {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Billionths of a second beyond them.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}
