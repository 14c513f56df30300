//! Rate limit services in memory, for tests. They read and write the protocol with a codec of their own, so that a
//! mistake in the messages does not cancel out.

use std::collections::HashMap;
use std::fmt::Write;

use super::FileLimit;
use crate::time::UnixNanos;

pub(crate) const OK: u64 = 1;
pub(crate) const OVER_LIMIT: u64 = 2;

/// A decoded `RateLimitRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) domain: String,
    pub(crate) descriptors: Vec<Descriptor>,
    pub(crate) hits_addend: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) entries: Vec<(String, String)>,
    /// Requests per unit, and the unit.
    pub(crate) limit: Option<(u64, u64)>,
    pub(crate) hits_addend: Option<u64>,
}

impl Request {
    pub(crate) fn decode(message: &[u8]) -> Request {
        let fields = fields(message);
        Request {
            domain: text(&fields, 1),
            descriptors: messages(&fields, 2).map(Descriptor::decode).collect(),
            hits_addend: number(&fields, 3),
        }
    }
}

impl Descriptor {
    fn decode(message: &[u8]) -> Descriptor {
        let outer = fields(message);
        Descriptor {
            entries: messages(&outer, 1)
                .map(|entry| {
                    let entry = fields(entry);
                    (text(&entry, 1), text(&entry, 2))
                })
                .collect(),
            limit: messages(&outer, 2).next().map(|limit| {
                let limit = fields(limit);
                (number(&limit, 1), number(&limit, 2))
            }),
            hits_addend: messages(&outer, 3)
                .next()
                .map(|addend| number(&fields(addend), 1)),
        }
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&str> {
        let found = self.entries.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }
}

/// What a `RateLimitResponse` says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Response {
    pub(crate) overall: u64,
    pub(crate) statuses: Vec<Status>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    pub(crate) code: u64,
    pub(crate) limit: Option<(u64, u64)>,
    pub(crate) remaining: u64,
    /// Seconds until the window ends.
    pub(crate) reset: Option<u64>,
}

impl Response {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_number(&mut out, 1, self.overall);
        for status in &self.statuses {
            let mut inner = Vec::new();
            put_number(&mut inner, 1, status.code);
            if let Some((requests, unit)) = status.limit {
                let mut limit = Vec::new();
                put_number(&mut limit, 1, requests);
                put_number(&mut limit, 2, unit);
                put_bytes(&mut limit, 3, b"a name");
                put_bytes(&mut inner, 2, &limit);
            }
            put_number(&mut inner, 3, status.remaining);
            if let Some(reset) = status.reset {
                let mut duration = Vec::new();
                put_number(&mut duration, 1, reset);
                put_bytes(&mut inner, 4, &duration);
            }
            put_bytes(&mut out, 2, &inner);
        }
        // response_headers_to_add, which nobody reads.
        put_bytes(&mut out, 3, &[0x0a, 1, b'x', 0x12, 1, b'y']);
        out
    }
}

/// `envoyproxy/ratelimit`: fixed windows; what is over is counted as well.
/// <https://github.com/envoyproxy/ratelimit/blob/main/src/redis/fixed_cache_impl.go>
#[derive(Debug, Default)]
pub(crate) struct Ratelimit {
    pub(crate) domain: String,
    /// `STOP_CACHE_KEY_INCREMENT_WHEN_OVERLIMIT`: limits that have room do not count a call that another one refuses.
    pub(crate) stop: bool,
    pub(crate) counts: HashMap<String, u64>,
}

impl Ratelimit {
    pub(crate) fn new(domain: &str) -> Ratelimit {
        Ratelimit {
            domain: domain.to_owned(),
            ..Ratelimit::default()
        }
    }

    pub(crate) fn should_rate_limit(&mut self, message: &[u8], now: UnixNanos) -> Vec<u8> {
        let request = Request::decode(message);
        assert!(!request.domain.is_empty() && !request.descriptors.is_empty());
        let known = request.domain == self.domain;
        let over = |this: &Ratelimit, descriptor: &Descriptor| {
            let limit = descriptor.limit.filter(|_| known);
            limit.is_some_and(|(limit, unit)| {
                let count = this.counts.get(&cache_key(&request, descriptor, unit, now));
                count.unwrap_or(&0) + addend(&request, descriptor) > limit
            })
        };
        let any_over = request.descriptors.iter().any(|d| over(self, d));
        let mut response = Response {
            overall: OK,
            statuses: Vec::new(),
        };
        for descriptor in &request.descriptors {
            let Some((limit, unit)) = descriptor.limit.filter(|_| known) else {
                response.statuses.push(Status {
                    code: OK,
                    ..Status::default()
                });
                continue;
            };
            let hits = if self.stop && any_over && !over(self, descriptor) {
                0
            } else {
                addend(&request, descriptor)
            };
            let key = cache_key(&request, descriptor, unit, now);
            let count = self.counts.entry(key).or_default();
            *count += hits;
            let code = if *count > limit { OVER_LIMIT } else { OK };
            response.overall = response.overall.max(code);
            response.statuses.push(Status {
                code,
                limit: Some((limit, unit)),
                remaining: limit.saturating_sub(*count),
                reset: Some(divider(unit) - now.seconds() % divider(unit)),
            });
        }
        response.encode()
    }

    /// What the limit with this title has counted in all its windows.
    pub(crate) fn counted(&self, title: &str) -> u64 {
        let of_title =
            |(key, count): (&String, &u64)| key.contains(&format!("_limit_{title}_")).then_some(*count);
        self.counts.iter().filter_map(of_title).sum()
    }
}

fn addend(request: &Request, descriptor: &Descriptor) -> u64 {
    descriptor.hits_addend.unwrap_or(request.hits_addend.max(1))
}

fn divider(unit: u64) -> u64 {
    match unit {
        1 => 1,
        2 => 60,
        3 => 3_600,
        4 => 86_400,
        5 => 30 * 86_400,
        6 => 365 * 86_400,
        7 => 7 * 86_400,
        other => panic!("should not get here: unit {other}"),
    }
}

fn cache_key(request: &Request, descriptor: &Descriptor, unit: u64, now: UnixNanos) -> String {
    let mut key = format!("{}_", request.domain);
    for (name, value) in &descriptor.entries {
        assert!(
            !name.is_empty() && !value.is_empty(),
            "the protocol wants at least one byte"
        );
        write!(key, "{name}_{value}_").unwrap();
    }
    key.push_str(&(now.seconds() / divider(unit) * divider(unit)).to_string());
    key
}

/// Limitador: the limits of its file, windows from the first call on; what is over is not counted.
/// <https://github.com/Kuadrant/limitador/blob/main/limitador/src/storage/in_memory.rs>
#[derive(Debug, Default)]
pub(crate) struct Limitador {
    pub(crate) limits: Vec<FileLimit>,
    /// By the limit's name and the entry's value: the count, and when it expires in seconds.
    pub(crate) counts: HashMap<(String, String), (u64, u64)>,
}

impl Limitador {
    pub(crate) fn should_rate_limit(&mut self, message: &[u8], now: UnixNanos) -> Vec<u8> {
        let request = Request::decode(message);
        let hits = request.hits_addend.max(1);
        assert!(u32::try_from(hits).is_ok());
        let first = request.descriptors.first().expect("a descriptor");
        let mut counts = Vec::new();
        for limit in self
            .limits
            .iter()
            .filter(|limit| *limit.namespace == *request.domain)
        {
            let Some(value) = first.entry(&limit.key) else {
                continue;
            };
            let counter = (limit.name.clone(), value.to_owned());
            let kept = self
                .counts
                .get(&counter)
                .filter(|(_, expires)| *expires > now.seconds());
            let (count, expires) = kept.copied().unwrap_or((0, now.seconds() + limit.seconds));
            counts.push((counter, count + hits, expires, limit.max_value));
        }
        let over = counts.iter().any(|(_, count, _, max)| count > max);
        if !over {
            for (counter, count, expires, _) in counts {
                self.counts.insert(counter, (count, expires));
            }
        }
        Response {
            overall: if over { OVER_LIMIT } else { OK },
            statuses: Vec::new(),
        }
        .encode()
    }
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// <https://protobuf.dev/programming-guides/encoding/>
fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut bytes)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                let (inner, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(inner)
            }
            other => panic!("wire type {other}"),
        };
        fields.push((tag >> 3, value));
    }
    fields
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().expect("a whole varint");
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return value;
        }
    }
    panic!("a varint of more than ten bytes");
}

fn number(fields: &[(u64, Value<'_>)], field: u64) -> u64 {
    fields
        .iter()
        .find_map(|(number, value)| match value {
            Value::Number(value) if *number == field => Some(*value),
            _ => None,
        })
        .unwrap_or(0)
}

fn messages<'a>(fields: &'a [(u64, Value<'a>)], field: u64) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter_map(move |(number, value)| match value {
        Value::Bytes(bytes) if *number == field => Some(*bytes),
        _ => None,
    })
}

fn text(fields: &[(u64, Value<'_>)], field: u64) -> String {
    let bytes = messages(fields, field).next().unwrap_or_default();
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

fn put_number(out: &mut Vec<u8>, field: u64, value: u64) {
    put_varint(out, field << 3);
    put_varint(out, value);
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
