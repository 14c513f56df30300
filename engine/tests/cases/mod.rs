//! The case table (`engine/cases`), and how it runs against the engine alone.
//!
//! The end-to-end tests include this file too, so that every case has one meaning.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::option_option)]

mod bound;
pub mod native;

use serde::Deserialize;
use serde_json::Value;

/// Every file of the table.
const FILES: &[(&str, &str)] = &[
    ("eras.json", include_str!("../../cases/eras.json")),
    ("grants.json", include_str!("../../cases/grants.json")),
    ("identity.json", include_str!("../../cases/identity.json")),
    ("lists.json", include_str!("../../cases/lists.json")),
    ("schema.json", include_str!("../../cases/schema.json")),
    ("sessions.json", include_str!("../../cases/sessions.json")),
    ("shadow.json", include_str!("../../cases/shadow.json")),
    ("smuggling.json", include_str!("../../cases/smuggling.json")),
    ("tasks.json", include_str!("../../cases/tasks.json")),
    ("upstream.json", include_str!("../../cases/upstream.json")),
];

/// The policy of every case.
pub const POLICY: &str = include_str!("../../cases/policy.json");

/// What `sessions.secretEnv` of that policy leads to, and the variable.
pub const SECRET: &str = "the case table's secret that everybody may know";
pub const SECRET_ENV: &str = "TOOLGATE_CASES_SECRET";

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub request: Request,
    #[serde(default)]
    pub response: Option<Response>,
    pub expect: Expect,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[serde(default = "post")]
    pub method: String,
    #[serde(default = "docs")]
    pub path: String,
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default = "reader")]
    pub key: Option<String>,
    #[serde(default)]
    pub headers: Vec<(String, Option<String>)>,
    #[serde(default)]
    pub body: Option<Value>,
    #[serde(default)]
    pub text: Option<String>,
    #[serde(default)]
    pub hex: Option<String>,
    #[serde(default)]
    pub pad: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    #[serde(default = "ok")]
    pub status: u16,
    #[serde(default)]
    pub headers: Vec<(String, Option<String>)>,
    #[serde(default)]
    pub body: Option<Value>,
    #[serde(default)]
    pub text: Option<String>,
    #[serde(default)]
    pub hex: Option<String>,
    #[serde(default)]
    pub pad: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub forwarded: bool,
    pub decision: String,
    #[serde(default)]
    pub header: Option<String>,
    #[serde(default)]
    pub would_deny: Option<String>,
    #[serde(default)]
    pub status: Option<u16>,
    #[serde(default)]
    pub code: Option<i64>,
    #[serde(default, rename = "isError")]
    pub is_error: Option<bool>,
    #[serde(default)]
    pub id: Option<Value>,
    #[serde(default)]
    pub contains: Vec<String>,
    #[serde(default)]
    pub lacks: Vec<String>,
    #[serde(default)]
    pub body: Option<Value>,
    #[serde(default)]
    pub text: Option<String>,
    #[serde(default)]
    pub response_has: Vec<(String, String)>,
    #[serde(default)]
    pub response_lacks: Vec<String>,
    #[serde(default)]
    pub upstream_body: Option<Value>,
    #[serde(default)]
    pub upstream_has: Vec<(String, String)>,
    #[serde(default)]
    pub upstream_lacks: Vec<String>,
}

fn post() -> String {
    "POST".to_owned()
}
fn docs() -> String {
    "/docs/mcp".to_owned()
}
#[allow(clippy::unnecessary_wraps)]
fn reader() -> Option<String> {
    Some("reader".to_owned())
}
fn ok() -> u16 {
    200
}

/// The whole table. Names are unique.
pub fn all() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (file, text) in FILES {
        let parsed: Vec<Case> = serde_json::from_str(text).unwrap_or_else(|e| panic!("{file}: {e}"));
        for case in parsed {
            assert!(
                cases.iter().all(|c| c.name != case.name),
                "{file}: {:?} twice",
                case.name
            );
            cases.push(case.with_ids());
        }
    }
    cases
}

impl Case {
    /// Puts ids into the place of what stands for them.
    fn with_ids(mut self) -> Case {
        let response = self.response.as_mut();
        let (answered, answer) = match response {
            Some(response) => (&mut response.headers[..], response.body.as_mut()),
            None => (&mut [][..], None),
        };
        let values = self.request.headers.iter_mut().chain(answered);
        let expected = self.expect.response_has.iter_mut();
        let expected = expected.chain(&mut self.expect.upstream_has);
        values
            .filter_map(|(_, value)| value.as_mut())
            .chain(expected.map(|(_, value)| value))
            .for_each(bound::expand);
        let bodies = [self.request.body.as_mut(), answer, self.expect.body.as_mut()];
        bodies.into_iter().flatten().for_each(bound::expand_all);
        self
    }
}

impl Request {
    pub fn bytes(&self) -> Vec<u8> {
        bytes(
            self.body.as_ref(),
            self.text.as_deref(),
            self.hex.as_deref(),
            self.pad,
        )
    }

    /// The header lines as sent, without pseudo-headers, `host` and `content-length`.
    pub fn header_lines(&self) -> Vec<(String, String)> {
        let given = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut lines = Vec::new();
        if self.method == "POST" && !given("content-type") {
            lines.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        if !given("accept") {
            lines.push((
                "accept".to_owned(),
                "application/json, text/event-stream".to_owned(),
            ));
        }
        if let Some(key) = &self.key {
            lines.push(("authorization".to_owned(), format!("Bearer {key}-key")));
        }
        for (name, value) in &self.headers {
            lines.extend(value.as_ref().map(|value| (name.clone(), value.clone())));
        }
        lines
    }
}

impl Default for Response {
    fn default() -> Self {
        let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "done"}]}});
        Response {
            status: 200,
            headers: Vec::new(),
            body: Some(body),
            text: None,
            hex: None,
            pad: 0,
        }
    }
}

impl Response {
    pub fn bytes(&self) -> Vec<u8> {
        bytes(
            self.body.as_ref(),
            self.text.as_deref(),
            self.hex.as_deref(),
            self.pad,
        )
    }

    /// The header lines, with `content-type: application/json` where none is given and there is a body.
    pub fn header_lines(&self) -> Vec<(String, String)> {
        let given = self.headers.iter().any(|(n, _)| n == "content-type");
        let typed = (!given && !self.bytes().is_empty())
            .then(|| ("content-type".to_owned(), "application/json".to_owned()));
        let lines = self
            .headers
            .iter()
            .filter_map(|(n, v)| Some((n.clone(), v.clone()?)));
        lines.chain(typed).collect()
    }
}

fn bytes(body: Option<&Value>, text: Option<&str>, hex: Option<&str>, pad: usize) -> Vec<u8> {
    let mut bytes = match (body, text, hex) {
        (Some(body), None, None) => serde_json::to_vec(body).unwrap(),
        (None, Some(text), None) => text.as_bytes().to_vec(),
        (None, None, Some(hex)) => (0..hex.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap_or_else(|e| panic!("{hex}: {e}")))
            .collect(),
        (None, None, None) => Vec::new(),
        _ => panic!("body, text and hex exclude each other"),
    };
    bytes.resize(bytes.len().max(pad), b' ');
    bytes
}

/// What came of a case, wherever it ran.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What the server received; `None` if nothing (or no complete body).
    pub upstream: Option<Received>,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// `None` where the place of the run does not show it.
    pub would_deny: Option<Option<String>>,
    pub decision: Option<String>,
}

/// What the server received.
#[derive(Debug)]
pub struct Received {
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// Every difference between what came and what was expected.
pub fn differences(case: &Case, outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    let expect = &case.expect;
    let body_text = String::from_utf8_lossy(&outcome.body).into_owned();
    let json: Value = serde_json::from_slice(&outcome.body).unwrap_or(Value::Null);
    let mut same = |what: &str, got: String, want: String| {
        if got != want {
            wrong.push(format!("{what}: got {got}, want {want}"));
        }
    };
    same(
        "forwarded",
        outcome.upstream.is_some().to_string(),
        expect.forwarded.to_string(),
    );
    if let Some(received) = &outcome.upstream {
        let sent = case.request.bytes();
        match &expect.upstream_body {
            None => same(
                "bytes received",
                String::from_utf8_lossy(&received.body).into_owned(),
                String::from_utf8_lossy(&sent).into_owned(),
            ),
            // Edited in its place: content-length may have gone ahead.
            Some(body) => {
                let json: Value = serde_json::from_slice(&received.body).unwrap_or(Value::Null);
                same("body received", json.to_string(), body.to_string());
                same(
                    "length received",
                    received.body.len().to_string(),
                    sent.len().to_string(),
                );
            }
        }
        let value = |name: &str| {
            received
                .headers
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| String::from_utf8_lossy(v).into_owned())
        };
        for name in expect
            .upstream_lacks
            .iter()
            .map(String::as_str)
            .chain(["authorization", "x-virtual-key"])
        {
            same(
                &format!("upstream header {name}"),
                format!("{:?}", value(name)),
                "None".to_owned(),
            );
        }
        for (name, want) in expect
            .upstream_has
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .chain([("accept-encoding", "identity")])
        {
            same(
                &format!("upstream header {name}"),
                format!("{:?}", value(name)),
                format!("{:?}", Some(want)),
            );
        }
    }
    if let Some(decision) = &outcome.decision {
        same("decision", decision.clone(), expect.decision.clone());
    }
    let header = |name: &str| {
        outcome
            .headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.clone())
    };
    same(
        "x-toolgate-decision",
        format!("{:?}", header("x-toolgate-decision")),
        format!("{:?}", Some(expect.header.as_ref().unwrap_or(&expect.decision))),
    );
    if let Some(would_deny) = &outcome.would_deny {
        same(
            "would_deny",
            format!("{would_deny:?}"),
            format!("{:?}", expect.would_deny),
        );
    }
    if let Some(status) = expect.status {
        same("status", outcome.status.to_string(), status.to_string());
    }
    if let Some(code) = expect.code {
        same("code", json["error"]["code"].to_string(), code.to_string());
    }
    if let Some(is_error) = expect.is_error {
        same(
            "isError",
            json["result"]["isError"].to_string(),
            is_error.to_string(),
        );
    }
    if let Some(id) = &expect.id {
        same("id", json["id"].to_string(), id.to_string());
    }
    if let Some(body) = &expect.body {
        same("body", json.to_string(), body.to_string());
    }
    if let Some(text) = &expect.text {
        same("text", body_text.clone(), text.clone());
    }
    for part in &expect.contains {
        same(
            &format!("contains {part:?} in {body_text}"),
            body_text.contains(part).to_string(),
            "true".to_owned(),
        );
    }
    for part in &expect.lacks {
        same(
            &format!("lacks {part:?} in {body_text}"),
            body_text.contains(part).to_string(),
            "false".to_owned(),
        );
    }
    for (name, want) in &expect.response_has {
        same(
            &format!("header {name}"),
            format!("{:?}", header(name)),
            format!("{:?}", Some(want)),
        );
    }
    for name in &expect.response_lacks {
        same(
            &format!("header {name}"),
            format!("{:?}", header(name)),
            "None".to_owned(),
        );
    }
    if !expect.forwarded {
        // An answer that is to be empty has no media type: Envoy takes it away.
        if expect.text.as_deref() != Some("") {
            same(
                "content-type",
                format!("{:?}", header("content-type")),
                "Some(\"application/json\")".to_owned(),
            );
        }
        same(
            "cache-control",
            format!("{:?}", header("cache-control")),
            "Some(\"no-store\")".to_owned(),
        );
    }
    wrong
}
