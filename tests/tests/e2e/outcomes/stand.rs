//! The Envoys of these tests, and requests whose line in the access log can be found.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use toolgate_tests::SOON;
use toolgate_tests::access_log::AccessLog;
use toolgate_tests::client::{Connection, Request, Response, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::ports;
use toolgate_tests::toolgate::key_digest;
use toolgate_tests::upstream::{Answer, Received, Upstream, Version};

/// `limits.resultBytes`, except where it is the default.
pub(super) const RESULT_BYTES: usize = 65_536;

/// The default of `limits.resultBytes`.
pub(super) const DEFAULT_RESULT_BYTES: usize = 8_388_608;

/// What Envoy waits for on `hasty` in all, and on `idle` between two pieces.
pub(super) const PATIENCE: Duration = Duration::from_millis(700);

/// An Envoy before a scripted server under several names, and its access log.
pub(super) struct Stand {
    pub(super) gate: Gate,
    pub(super) log: AccessLog,
    /// What is held until the verdict.
    pub(super) hold: &'static str,
    /// The release and what is held, for messages.
    pub(super) name: String,
    /// Behind `frames`: the same over HTTP/2.
    _frames: Upstream,
    answers: Answers,
}

/// What is answered to requests with these labels. There are thousands, too many for rules of the scripted server.
#[derive(Clone, Default)]
struct Answers(Arc<Mutex<HashMap<String, Answer>>>);

impl Answers {
    fn set(&self, label: &str, answer: Answer) {
        self.0
            .lock()
            .expect("nobody panics here")
            .insert(label.to_owned(), answer);
    }

    fn script(&self) -> impl Fn(&Received) -> Answer + Send + Sync + 'static {
        let answers = self.0.clone();
        move |received| {
            let label = String::from_utf8_lossy(received.header("x-label").unwrap_or_default());
            let answer = answers.lock().expect("nobody panics here").remove(&*label);
            answer.unwrap_or_else(|| Answer::new(500).body(format!("no answer for {label:?}")))
        }
    }
}

/// What came of a request.
pub(super) struct Went {
    pub(super) answer: Response,
    pub(super) line: Value,
}

impl Went {
    /// The outcome and its code, empty where there is none.
    pub(super) fn outcome(&self) -> (&str, &str) {
        outcome(&self.line)
    }
}

pub(super) fn outcome(line: &Value) -> (&str, &str) {
    let text = |field: &str| line[field].as_str().unwrap_or_default();
    (text("outcome"), text("outcome_code"))
}

/// A field of a line that is a number.
pub(super) fn number(line: &Value, field: &str) -> Option<u64> {
    line[field].as_str().and_then(|text| text.parse().ok())
}

/// An id that no other request has.
pub(super) fn next_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(1000);
    LAST.fetch_add(1, Ordering::Relaxed)
}

impl Stand {
    /// Sends a request for `method` to `server`, which is answered by what `script` makes of its id.
    pub(super) async fn went(&self, server: &str, method: &str, script: impl FnOnce(u64) -> Answer) -> Went {
        let id = next_id();
        let request = self.prepare(server, method, id, script(id));
        let answer = self.gate.send(&request, Transport::Length).await;
        let line = self.log.of_request(id).await;
        Went { answer, line }
    }

    /// The same on a connection of the caller's.
    pub(super) async fn went_on(
        &self,
        connection: &mut Connection,
        method: &str,
        script: impl FnOnce(u64) -> Answer,
    ) -> Went {
        let id = next_id();
        let request = self.prepare("docs", method, id, script(id));
        let answer = tokio::time::timeout(SOON, connection.exchange(&request, Transport::Length));
        let answer = answer.await.expect("an answer in time").expect("an answer");
        let line = self.log.of_request(id).await;
        Went { answer, line }
    }

    /// A request that will be answered so.
    pub(super) fn prepare(&self, server: &str, method: &str, id: u64, answer: Answer) -> Request {
        let label = format!("went-{id}.");
        self.answers.set(&label, answer);
        request(server, method, id).header("x-label", label)
    }

    pub(super) async fn connect(&self) -> Connection {
        Connection::open(self.gate.envoy.address())
            .await
            .expect("Envoy accepts")
    }

    /// The only worker still serves, and has never been restarted.
    pub(super) async fn alive(&self) {
        let went = self.went("docs", "tools/call", |id| Answer::json(&ok(id))).await;
        assert_eq!(
            (went.answer.status, went.outcome()),
            (200, ("ok", "")),
            "{}: {:?}",
            self.name,
            went.answer
        );
        let log = self.gate.envoy.log();
        assert!(!log.contains("panicked") && !log.contains("[critical]"), "{log}");
    }
}

pub(super) fn request(server: &str, method: &str, id: u64) -> Request {
    let params = match method {
        "tools/call" => json!({ "name": "search", "arguments": {} }),
        "resources/read" => json!({ "uri": "docs:open" }),
        "notifications/cancelled" => json!({ "requestId": 1 }),
        _ => json!({}),
    };
    let mut message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
    if !method.starts_with("notifications/") {
        message["id"] = id.into();
    }
    Request::json(&format!("/{server}/mcp"), &message)
        .key("key")
        .header("mcp-protocol-version", "2025-11-25")
}

/// A result.
pub(super) fn ok(id: u64) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [{ "type": "text", "text": "fine" }] } })
}

/// The text of a result of exactly this many bytes.
pub(super) fn sized(id: u64, size: usize) -> String {
    let frame = json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [], "x": "" } }).to_string();
    frame.replace(
        "\"x\":\"\"",
        &format!("\"x\":\"{}\"", "y".repeat(size - frame.len())),
    )
}

pub(super) fn event(message: impl std::fmt::Display) -> String {
    format!("event: message\ndata: {message}\n\n")
}

/// Each release, and each way to hold, at least once.
pub(super) async fn all() -> [&'static Stand; 3] {
    let (headers, body, old) = tokio::join!(headers(), body(), old());
    [headers, body, old]
}

/// Envoy 1.40, heads are held.
pub(super) async fn headers() -> &'static Stand {
    static STAND: OnceCell<Stand> = OnceCell::const_new();
    STAND
        .get_or_init(|| start(Release::V1_40, "headers", Some(RESULT_BYTES)))
        .await
}

/// Envoy 1.40, bodies are held.
pub(super) async fn body() -> &'static Stand {
    static STAND: OnceCell<Stand> = OnceCell::const_new();
    STAND
        .get_or_init(|| start(Release::V1_40, "body", Some(RESULT_BYTES)))
        .await
}

/// Envoy 1.36, heads are held.
pub(super) async fn old() -> &'static Stand {
    static STAND: OnceCell<Stand> = OnceCell::const_new();
    STAND
        .get_or_init(|| start(Release::V1_36, "headers", Some(RESULT_BYTES)))
        .await
}

/// Envoy 1.40 with the default limits.
pub(super) async fn start_wide() -> Stand {
    start(Release::V1_40, "headers", None).await
}

async fn start(release: Release, hold: &'static str, result_bytes: Option<usize>) -> Stand {
    let options = Options {
        release,
        concurrency: 1,
    };
    let mut policy = json!({
        "version": 1,
        "hold": hold,
        "servers": {},
        "roles": { "reader": { "allow": ["*/search"], "resources": ["*/docs:*"] } },
        "keys": { "reader": { "sha256": [key_digest("key")], "roles": ["reader"] } },
    });
    for server in ["docs", "hasty", "idle", "gone", "nobody", "frames"] {
        policy["servers"][server] = json!({ "path": format!("/{server}/mcp") });
    }
    if let Some(bytes) = result_bytes {
        policy["limits"] = json!({ "resultBytes": bytes });
    }
    let log = AccessLog::new();
    let answers = Answers::default();
    let frames = Upstream::start_version(Version::Http2, answers.script()).await;
    // A port that nobody listens on.
    let gone = format!("http://{}/mcp", ports::free());
    let gate = Gate::start_with(
        options,
        policy,
        answers.script(),
        |render| {
            let render = render
                .upstream_instead("gone", &gone)
                .upstream_instead("frames", &frames.url("/mcp"));
            log.written_by(render)
        },
        |bootstrap| patched(&bootstrap),
    )
    .await;
    Stand {
        gate,
        log,
        hold,
        name: format!("{release:?}, hold {hold}"),
        _frames: frames,
        answers,
    }
}

/// Gives `hasty` and `idle` timeouts, `nobody` no endpoint, and `frames` HTTP/2.
fn patched(bootstrap: &str) -> String {
    let mut bootstrap: Value = serde_json::from_str(bootstrap).expect("JSON");
    let patience = format!("{}s", PATIENCE.as_secs_f64());
    let routes = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes";
    let routes = bootstrap.pointer_mut(routes).and_then(Value::as_array_mut);
    let mut patches = 0;
    for route in routes.expect("routes") {
        let field = match route["name"].as_str() {
            Some("hasty") => "timeout",
            Some("idle") => "idle_timeout",
            _ => continue,
        };
        route["route"][field] = patience.as_str().into();
        patches += 1;
    }
    let clusters = bootstrap
        .pointer_mut("/static_resources/clusters")
        .and_then(Value::as_array_mut);
    for cluster in clusters.expect("clusters") {
        match cluster["name"].as_str() {
            Some("nobody") => cluster["load_assignment"]["endpoints"] = json!([]),
            Some("frames") => {
                let text = cluster.to_string();
                let http2 = text.replace("\"http_protocol_options\":{}", "\"http2_protocol_options\":{}");
                assert_ne!(text, http2);
                *cluster = serde_json::from_str(&http2).expect("JSON");
            }
            _ => continue,
        }
        patches += 1;
    }
    assert_eq!(patches, 4, "{bootstrap}");
    bootstrap.to_string()
}
