//! Circuit breakers in a real Envoy with four workers: what opens one, and what the server receives while it is open.
//!
//! One Envoy stands before everything here. Each test has tools or servers of its own, so that no breaker is shared.

mod exact;
mod failures;
mod metrics;
mod open;
mod probes;
mod ratio;
mod reload;
mod shadow;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use toolgate_tests::SOON;
use toolgate_tests::client::{Request, Response, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::messages::Era;
use toolgate_tests::ports;
use toolgate_tests::rate_limit::{Answer as Verdict, FakeService};
use toolgate_tests::toolgate::key_digest;
use toolgate_tests::upstream::{Answer, mcp_server};

/// How long the breakers of `quick` and `quick3` stay open: more than a busy machine needs for the next call.
const OPEN: Duration = Duration::from_secs(4);

/// `limits.resultBytes` here.
const RESULT_BYTES: usize = 65_536;

/// After so long, Envoy gives up on the server `hurried`.
const ROUTE_TIMEOUT: &str = "1.5s";

/// Servers with one breaker for everything, each for one test: two failures open it, for an hour.
const WHOLE: [&str; 8] = [
    "whole_refusals",
    "whole_initialize",
    "whole_lists",
    "whole_calls",
    "whole_own",
    "whole_harmless",
    "whole_gone",
    "whole_metrics",
];

/// A governed Envoy, and what it leaves.
struct Stand {
    gate: Gate,
    /// Only bodies are held: the heads of refused requests arrive.
    heads_go_ahead: bool,
    /// Where the server `gone` would be; nobody listens there until a test does.
    gone: SocketAddr,
    log: PathBuf,
    _directory: TempDir,
    _service: FakeService,
}

/// The Envoy that most tests share.
async fn stand() -> &'static Stand {
    static STAND: OnceCell<Stand> = OnceCell::const_new();
    let options = Options {
        release: Release::V1_40,
        concurrency: 4,
    };
    STAND.get_or_init(|| start(options, "headers")).await
}

async fn start(options: Options, hold: &str) -> Stand {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let log = directory.path().join("access.log");
    let gone = ports::free();
    let nobody = format!("http://{gone}/mcp");
    // The key `asking` waits for it, for ever.
    let service = FakeService::start(|_| Verdict::Never).await;
    let gate = Gate::start_with(
        options,
        policy(hold),
        mcp_server(json!([{ "name": "search" }, { "name": "write" }])),
        |render| {
            render
                .upstream_instead("gone", &nobody)
                .upstream_instead("whole_gone", &nobody)
                .arg("--access-log")
                .arg(log.display().to_string())
                .arg("--rate-limit-service")
                .arg(service.address().to_string())
        },
        |bootstrap| in_a_hurry(&bootstrap),
    )
    .await;
    Stand {
        gate,
        heads_go_ahead: hold == "body",
        gone,
        log,
        _directory: directory,
        _service: service,
    }
}

fn policy(hold: &str) -> Value {
    let breaker = json!({ "failures": 3, "open": "1h" });
    let quick =
        |probes: u32| json!({ "failures": 1, "open": format!("{}s", OPEN.as_secs()), "probes": probes });
    let with = |changes: Value| {
        let mut own = breaker.clone();
        for (name, value) in changes.as_object().into_iter().flatten() {
            own[name] = value.clone();
        }
        json!({ "breaker": own })
    };
    let share = |window: &str, min_calls: u32| json!({ "breaker": { "ratio": 0.5, "minCalls": min_calls, "window": window, "open": "1h" } });
    let strict = json!({ "inputSchema": { "type": "object", "required": ["needed"] } });
    let mut policy = json!({
        "version": 1,
        "hold": hold,
        "limits": { "resultBytes": RESULT_BYTES },
        "servers": {
            "docs": { "path": "/docs/mcp", "breaker": breaker, "tools": {
                "tool_errors": with(json!({ "countToolErrors": true })),
                "slow": with(json!({ "slow": "600ms" })),
                "slow_stream": with(json!({ "slow": "600ms" })),
                "share": share("1h", 10),
                "share_below": share("1h", 10),
                "share_slides": share("4s", 4),
                "either": { "breaker": { "failures": 3, "ratio": 0.5, "minCalls": 4, "window": "1h", "open": "1h" } },
            } },
            "hurried": { "path": "/hurried/mcp", "breaker": breaker },
            "gone": { "path": "/gone/mcp", "breaker": quick(1), "tools": { "known": {} } },
            "quick": { "path": "/quick/mcp", "breaker": quick(1), "tools": { "strict": strict, "measured": {} } },
            "measures": { "path": "/measures/mcp", "tools": { "sized": {} } },
            "nameless": { "path": "/nameless/mcp", "breaker": breaker },
            "quick3": { "path": "/quick3/mcp", "breaker": quick(3) },
        },
        "roles": { "all": { "allow": ["*/*"], "resources": ["*/*"], "prompts": ["*/*"] } },
        "keys": {
            "ada": { "sha256": [key_digest("ada-key")], "roles": ["all"] },
            "shade": { "sha256": [key_digest("shade-key")], "roles": ["all"], "mode": "shadow" },
            "poor": {
                "sha256": [key_digest("poor-key")], "roles": ["all"],
                "quotas": [{ "limit": 1, "per": "365d" }],
            },
            "spent": {
                "sha256": [key_digest("spent-key")], "roles": ["all"],
                "quotas": [{ "limit": 1, "per": "365d" }],
            },
            "asking": {
                "sha256": [key_digest("asking-key")], "roles": ["all"],
                "quotas": [{ "limit": 1000, "per": "day", "scope": "global" }],
            },
        },
        "rateLimitService": { "cluster": "ratelimit", "timeout": "30s" },
    });
    for name in WHOLE {
        policy["servers"][name] = json!({
            "path": format!("/{name}/mcp"),
            "breaker": { "each": "server", "failures": 2, "open": "1h" },
        });
    }
    policy["servers"]["whole_own"]["tools"] = json!({ "own": with(json!({})) });
    policy
}

/// The bootstrap with a timeout for the server `hurried`; the rendered one has none, for the sake of long streams.
fn in_a_hurry(bootstrap: &str) -> String {
    let mut bootstrap: Value = serde_json::from_str(bootstrap).expect("JSON");
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let hosts = bootstrap.pointer_mut(&format!("{manager}/route_config/virtual_hosts"));
    let hosts = hosts.and_then(Value::as_array_mut).expect("virtual hosts");
    let routes = hosts
        .iter_mut()
        .filter_map(|host| host["routes"].as_array_mut())
        .flatten();
    let mut changed = 0;
    for route in routes.filter(|route| route["name"] == "hurried") {
        route["route"]["timeout"] = ROUTE_TIMEOUT.into();
        changed += 1;
    }
    assert_eq!(changed, 1);
    bootstrap.to_string()
}

/// A tool whose answers a test decides. No two tests have one of the same name on the same server.
#[derive(Clone)]
struct Tool<'s> {
    stand: &'s Stand,
    server: &'static str,
    name: String,
    era: Era,
}

impl<'s> Tool<'s> {
    fn new(stand: &'s Stand, server: &'static str, name: &str) -> Self {
        Self {
            stand,
            server,
            name: name.to_owned(),
            era: Era::Modern,
        }
    }

    fn era(self, era: Era) -> Self {
        Self { era, ..self }
    }

    /// What all its requests carry, and no others.
    fn label(&self) -> String {
        format!("{}/{}.", self.server, self.name)
    }

    /// From now on, its calls are answered like this.
    fn answers(&self, answer: Answer) -> &Self {
        let upstream = &self.stand.gate.upstream;
        upstream.answer(&self.label(), move |_| answer.clone());
        self
    }

    /// From now on, its calls succeed.
    fn works(&self) -> &Self {
        self.answers(result(&json!({ "content": [], "isError": false })))
    }

    /// From now on, its calls fail.
    fn fails(&self) -> &Self {
        self.answers(Answer::new(500))
    }

    fn request(&self) -> Request {
        let call = self
            .era
            .call(&path(self.server), &self.name, &json!({ "q": "x" }));
        call.key("ada-key").header("x-label", self.label())
    }

    async fn send(&self, request: &Request) -> Response {
        self.send_over(request, Transport::Length).await
    }

    async fn send_over(&self, request: &Request, transport: Transport) -> Response {
        self.stand.gate.send(request, transport).await
    }

    /// How many of its calls have arrived.
    fn arrived(&self) -> usize {
        let received = self.stand.gate.upstream.labelled(&self.label());
        if !self.stand.heads_go_ahead {
            return received.len();
        }
        let (whole, heads): (Vec<_>, Vec<_>) = received.into_iter().partition(|request| request.complete);
        assert!(
            heads.iter().all(|request| request.raw_body.is_empty()),
            "{heads:?}"
        );
        whole.len()
    }

    /// Waits until the server has so many calls, each as a whole.
    async fn waits_for_arrivals(&self, count: usize) {
        until("the calls arrive", async || {
            let received = self.stand.gate.upstream.labelled(&self.label());
            received.iter().filter(|request| request.complete).count() >= count
        })
        .await;
    }

    /// A call that the server receives, whatever it answers.
    async fn passes(&self) -> Response {
        let before = self.arrived();
        let answer = self.send(&self.request()).await;
        assert_eq!(
            self.arrived(),
            before + 1,
            "{} is spared: {answer:?}",
            self.label()
        );
        answer
    }

    async fn passes_times(&self, times: usize) {
        for _ in 0..times {
            self.passes().await;
        }
    }

    /// A call of which the server receives nothing, because the breaker is open.
    async fn is_spared(&self) -> Response {
        let before = self.arrived();
        let answer = self.send(&self.request()).await;
        let what = format!("{}: {answer:?}", self.label());
        assert_eq!(answer.header("x-toolgate-decision"), "breaker", "{what}");
        assert_eq!(self.arrived(), before, "{what}");
        answer
    }

    /// Fails until its breaker is open.
    async fn opens_after(&self, failures: usize) -> Response {
        self.fails();
        self.passes_times(failures).await;
        self.is_spared().await
    }

    /// Waits until a breaker of `quick` that is open lets probes through.
    async fn waits_for_probes(&self) {
        let told = self.is_spared().await;
        tokio::time::sleep(Duration::from_millis(retry_after(&told) + 50)).await;
    }
}

fn path(server: &str) -> String {
    format!("/{server}/mcp")
}

/// An answer with this result to the request with the id 1, which all have here.
fn result(result: &Value) -> Answer {
    Answer::json(&response(result))
}

fn response(result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "result": result })
}

fn error(code: i64) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": code, "message": "said the server" } })
}

/// `_meta["toolgate/retryAfterMs"]` of a refused call.
fn retry_after(answer: &Response) -> u64 {
    let told = &answer.json()["result"]["_meta"]["toolgate/retryAfterMs"];
    told.as_u64().unwrap_or_else(|| panic!("{answer:?}"))
}

/// Waits for what happens soon.
async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Stand {
    /// The lines of the access log about this tool, once there are so many.
    async fn logged(&self, tool: &str, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + SOON;
        let lines = loop {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            // The last one may be half written.
            let lines = log.lines().filter(|line| line.contains(tool));
            let lines: Vec<Value> = lines
                .filter_map(|line| serde_json::from_str(line).ok())
                .filter(|line: &Value| line["gen_ai.tool.name"] == tool)
                .collect();
            if lines.len() >= count || Instant::now() > deadline {
                break lines;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(lines.len(), count, "{lines:?}");
        lines
    }
}
