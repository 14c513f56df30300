//! The verdict on the head of a request: path, origin, key, verb, media type, size.

use std::borrow::Cow;

use super::context;
use super::tasks;
use super::{Engine, HeaderEdit, HeaderLines, LocalReply, Record, RequestHead, UnixNanos, Verb, Waiting};
use crate::answer::Answers;
use crate::decide::{Judgement, check_server};
use crate::identity::{self, Caller};
use crate::mcp::classify::Declared;
use crate::mcp::envelope::{Rejected, invalid};
use crate::mcp::headers::{self, Single, is_json_media_type, single};
use crate::mcp::revision::Era;
use crate::mcp::trace::{plain_id, trace_id};
use crate::policy::{Policy, Unmatched};
use crate::reason::Reason;

/// What the head leads to.
pub(super) enum Judged {
    /// Not a path of ours; what no client may say all the same.
    Ignore(Vec<HeaderEdit>),
    /// Refused.
    Reply(Reason, LocalReply),
    /// The body decides.
    Accepted {
        edits: Vec<HeaderEdit>,
        waiting: Box<Waiting>,
    },
}

/// Judges the head.
pub(super) fn judge(engine: &Engine, head: &RequestHead<'_>, now: UnixNanos, record: &mut Record) -> Judged {
    let policy = &engine.policy;
    let answers = Answers {
        decision_header: policy.decision_header(),
        era: Era::Legacy,
        id: None,
    };
    let lines = head.headers;
    let path = pseudo(lines, b":path")
        .split(|b| *b == b'?' || *b == b'#')
        .next()
        .unwrap_or_default();
    let host = Some(pseudo(lines, b":authority")).filter(|host| !host.is_empty());
    // The policy of one server must never judge what is routed to another, or to none of ours.
    if host.is_some_and(|host| policy.host_is_ambiguous(host, path)) {
        let reply = answers.plain(
            400,
            Reason::Ambiguous,
            "The Host must be a plain name or address.",
        );
        return Judged::Reply(Reason::Ambiguous, reply);
    }
    let Some(server) = policy.find_server(host, path) else {
        return match policy.unmatched() {
            Unmatched::Pass => Judged::Ignore(context::unsaid(lines)),
            Unmatched::Deny => Judged::Reply(
                Reason::Hidden,
                answers.plain(404, Reason::Hidden, "There is no MCP server at this path."),
            ),
        };
    };
    record.server = Some(policy.server(server).name.clone());
    let trace = match single(lines, "traceparent") {
        Single::One(value) => trace_id(value),
        Single::Absent | Single::Repeated => None,
    };
    record.trace_id = span(lines).or(trace);
    if let Some(refused) = check_origin(policy, lines, &answers) {
        return refused;
    }
    let caller = match identity::identify(policy, lines, head.jwt, now) {
        Ok(caller) => caller,
        Err(no_caller) => {
            record.detail = Some(no_caller.why.to_owned());
            return Judged::Reply(no_caller.reason, answers.unauthorized(no_caller.reason));
        }
    };
    let key = policy.key(caller.key);
    record.key = Some(key.name.clone());
    record.team.clone_from(&key.team);
    let mut judgement = Judgement::default();
    judgement.take(check_server(policy, &caller, policy.server(server)));
    if let Some(refusal) = judgement.refused {
        record.detail = Some(refusal.detail);
        return Judged::Reply(refusal.reason, answers.refused(refusal.reason, &refusal.telling));
    }
    match check_request(policy, head, &answers) {
        Err((reason, reply)) => Judged::Reply(reason, reply),
        Ok((verb, declared)) => {
            let mut edits = edits(policy, lines, &declared, &caller);
            edits.extend(context::of_caller(policy, policy.server(server), &caller));
            let session = match single(lines, SESSION_ID) {
                Single::One(presented) if declared.era() == Era::Legacy => {
                    let Some(session) = engine.open_session(server, &caller, presented) else {
                        record.session = Some(presented.to_vec());
                        return Judged::Reply(Reason::Session, answers.no_such_session());
                    };
                    edits.push(HeaderEdit::Set(SESSION_ID.to_owned(), session.to_vec()));
                    Some(session.to_vec())
                }
                Single::One(_) | Single::Absent | Single::Repeated => None,
            };
            record.session.clone_from(&session);
            if declared.era() == Era::Modern {
                edits.extend(tasks::open_mirror(engine, server, &caller, lines));
            }
            let mirrors = lines
                .iter()
                .filter(|(name, _)| is_mirror(name))
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect();
            let would_deny = judgement.would_deny;
            Judged::Accepted {
                edits,
                waiting: Box::new(Waiting {
                    server,
                    caller,
                    verb,
                    declared,
                    mirrors,
                    would_deny,
                    session,
                    trace,
                }),
            }
        }
    }
}

/// The trace of the host's own span, where the host says it. A client could say so too; it can name any trace.
fn span(lines: &HeaderLines<'_>) -> Option<[u8; 32]> {
    match single(lines, SPAN_TRACE) {
        Single::One(value) => plain_id(value),
        Single::Absent | Single::Repeated => None,
    }
}

/// 413.
pub(super) fn too_large(policy: &Policy) -> LocalReply {
    let limit = policy.limits().request_bytes;
    Answers {
        decision_header: policy.decision_header(),
        era: Era::Legacy,
        id: None,
    }
    .plain(
        413,
        Reason::TooLarge,
        &format!("The request body may have at most {limit} bytes."),
    )
}

/// <https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning>
fn check_origin(policy: &Policy, lines: &HeaderLines<'_>, answers: &Answers<'_>) -> Option<Judged> {
    let listed = match single(lines, "origin") {
        Single::Absent => true,
        Single::One(origin) => policy.origin_allowed(origin),
        Single::Repeated => headers::all(lines, "origin").all(|origin| policy.origin_allowed(origin)),
    };
    (!listed).then(|| {
        Judged::Reply(
            Reason::Origin,
            answers.plain(403, Reason::Origin, "This Origin is not allowed."),
        )
    })
}

type Refused = (Reason, LocalReply);

fn check_request(
    policy: &Policy,
    head: &RequestHead<'_>,
    answers: &Answers<'_>,
) -> Result<(Verb, Declared), Refused> {
    let lines = head.headers;
    let verb = match pseudo(lines, b":method") {
        b"POST" => Verb::Post,
        b"GET" => Verb::Get,
        b"DELETE" => Verb::Delete,
        _ => return Err((Reason::Method, answers.verb_not_allowed("GET, POST, DELETE"))),
    };
    if headers::has(lines, "upgrade") {
        return Err((Reason::Method, answers.verb_not_allowed("GET, POST, DELETE")));
    }
    check_session_headers(lines).map_err(|rejected| (rejected.reason, answers.rejected(&rejected)))?;
    let declared = Declared::read(lines);
    match verb {
        Verb::Post => check_media_type(policy, head, answers)?,
        // https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
        Verb::Get | Verb::Delete if declared.era() == Era::Modern => {
            return Err((Reason::Method, answers.verb_not_allowed("POST")));
        }
        Verb::Get | Verb::Delete => {
            if let Some(rejected) = declared.rejects_stream() {
                return Err((rejected.reason, answers.rejected(&rejected)));
            }
        }
    }
    Ok((verb, declared))
}

/// One line each, and visible ASCII as the specification demands of session ids.
fn check_session_headers(lines: &HeaderLines<'_>) -> Result<(), Rejected> {
    for name in SESSION {
        match single(lines, name) {
            Single::Absent => {}
            Single::Repeated => {
                let message = format!("the header {name} is sent more than once");
                return Err(Rejected {
                    reason: Reason::Ambiguous,
                    ..invalid(&message, None)
                });
            }
            Single::One(value) if *name == SESSION_ID && !value.iter().all(u8::is_ascii_graphic) => {
                return Err(invalid("mcp-session-id must be visible ASCII", None));
            }
            Single::One(_) => {}
        }
    }
    Ok(())
}

fn check_media_type(policy: &Policy, head: &RequestHead<'_>, answers: &Answers<'_>) -> Result<(), Refused> {
    let lines = head.headers;
    let media_type_ok =
        matches!(single(lines, "content-type"), Single::One(value) if is_json_media_type(value));
    let encoding_ok = headers::all(lines, "content-encoding").all(|v| v.eq_ignore_ascii_case(b"identity"));
    if !media_type_ok || !encoding_ok {
        let text = if encoding_ok {
            "The request must be sent as application/json in UTF-8."
        } else {
            "The request must be sent without content-encoding."
        };
        return Err((Reason::MediaType, answers.plain(415, Reason::MediaType, text)));
    }
    let declared_length = match single(lines, "content-length") {
        Single::One(value) => std::str::from_utf8(value)
            .ok()
            .and_then(|v| v.parse::<usize>().ok()),
        Single::Absent | Single::Repeated => None,
    };
    if declared_length.is_some_and(|length| length > policy.limits().request_bytes) {
        return Err((Reason::TooLarge, too_large(policy)));
    }
    Ok(())
}

/// What must not reach the upstream, and the one thing it must be told: to send nothing encoded.
fn edits(policy: &Policy, lines: &HeaderLines<'_>, declared: &Declared, caller: &Caller) -> Vec<HeaderEdit> {
    let modern = declared.era() == Era::Modern;
    let credential = |name: &str| {
        policy.identity().headers.iter().any(|h| h == name)
            || (caller.subject.is_some() && name == "authorization")
    };
    let unwanted = |name: &str| {
        credential(name)
            || OVERRIDES.contains(&name)
            || ROUTER.iter().any(|start| name.starts_with(start))
            || context::is_ours(name)
            || if modern {
                SESSION.contains(&name)
            } else {
                is_mirror(name.as_bytes()) || name.starts_with("mcp-param-")
            }
    };
    let mut edits: Vec<HeaderEdit> = Vec::new();
    for (name, _) in lines {
        let Ok(name) = std::str::from_utf8(name) else {
            continue;
        };
        // HTTP/2 has lower case only, and Envoy makes HTTP/1 names so; other hosts may not.
        let name = if name.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        let known = || {
            edits
                .iter()
                .any(|edit| matches!(edit, HeaderEdit::Remove(n) if *n == name))
        };
        // Some frameworks read both spellings as one header.
        let folded = name.replace('_', "-");
        let twin = folded != *name
            && (unwanted(&folded) || SESSION.contains(&&*folded) || is_mirror(folded.as_bytes()));
        if (twin || unwanted(&name)) && !known() {
            edits.push(HeaderEdit::Remove(name.into_owned()));
        }
    }
    edits.push(HeaderEdit::Set(
        "accept-encoding".to_owned(),
        b"identity".to_vec(),
    ));
    edits
}

/// Headers by which frameworks let a client change the verb or the path behind a proxy's back.
const OVERRIDES: &[&str] = &[
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];
/// Headers by which a client could tell Envoy's router when to give up and how often to try: a timeout counts against the
/// server, and a call that is tried twice may run twice.
/// <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#http-headers-consumed>
const ROUTER: &[&str] = &[
    "x-envoy-upstream-",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-retry-",
    "x-envoy-max-retries",
    "x-envoy-hedge-",
    "x-envoy-retriable-",
];
/// Headers of sessions and resumption, which 2026-07-28 removed.
const SESSION: &[&str] = &[SESSION_ID, "last-event-id"];

/// Where a host that traces puts the id of its own trace: a filter cannot ask for it. Never forwarded.
const SPAN_TRACE: &str = "x-toolgate-trace-id";

pub(super) const SESSION_ID: &str = "mcp-session-id";

fn is_mirror(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"mcp-method") || name.eq_ignore_ascii_case(b"mcp-name")
}

fn pseudo<'a>(lines: &HeaderLines<'a>, name: &[u8]) -> &'a [u8] {
    lines.iter().find(|(n, _)| *n == name).map_or(&[], |(_, v)| *v)
}
