//! Limits that a rate limit service counts: the real one before a real Redis, and scripted ones where a test needs a
//! service to misbehave.
//!
//! Every call is looked at from all sides: what the caller got, what the server received, and what the access log says.

mod budgets;
mod failures;
mod held;
mod limitador;
mod outages;
mod questions;
mod scripted;
mod shared;

use std::fs;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};
use toolgate_tests::client::{Request, Response, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::messages::Era;
use toolgate_tests::ports;
use toolgate_tests::rate_limit::{Durability, RateLimitService, Redis, Settings};
use toolgate_tests::toolgate::toolgate;
use toolgate_tests::upstream::{Received, mcp_server};

use super::{PATH, policy, text};

/// Longer than anything takes on a busy machine: for tests in which the service answers.
const PATIENT: &str = "10s";

/// What a caller is told whose limits nobody can look up.
const NOBODY_KNOWS: &str = "Whether this call is within its limits cannot be found out at the moment. \
    Try again later.";

/// A policy for these keys and teams whose service is waited for as long as `timeout`.
///
/// The tool `quarter` costs 0.25, and a few others what their tests say; nobody listens where the server `dead` is.
fn governed(keys: &Value, teams: &Value, on_error: &str, timeout: &str) -> Value {
    let mut policy = policy(keys, teams);
    policy["rateLimitService"] = json!({ "cluster": "ratelimit", "timeout": timeout, "onError": on_error });
    policy["servers"]["docs"]["tools"] = json!({
        "quarter": { "cost": 0.25 }, "hundredth": { "cost": 0.01 },
        "export": { "cost": 0.01, "costPerKiB": 0.1 }, "after": { "costPerKiB": 0.1 },
        "dear": { "cost": 16_666.666_6 }, "cheap": { "cost": 0.000_001 }, "all": { "cost": 50_000.000_001 },
        "strict": { "inputSchema": { "type": "object", "properties": { "query": { "type": "integer" } } } },
    });
    policy["servers"]["dead"] = json!({ "path": "/dead/mcp", "tools": { "quarter": { "cost": 0.25 } } });
    policy["roles"]["all"]["allow"] = json!(["docs/*", "dead/*"]);
    policy
}

/// All members of these objects.
fn together<const N: usize>(objects: [Value; N]) -> Value {
    let members = objects.into_iter().flat_map(|object| match object {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    });
    Value::Object(members.collect())
}

/// A quota of the service that does not start again during a test.
fn quota(limit: u32) -> Value {
    json!({ "limit": limit, "per": "365d", "scope": "global" })
}

/// What `toolgate render ratelimit` prints for a policy.
fn rendered(policy: &Value) -> String {
    let file = NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), policy.to_string()).expect("the policy is written");
    let path = file.path().display().to_string();
    let output = toolgate(["render", "ratelimit", "--policy", &path]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The real service and the Redis in which it counts.
struct Counting {
    redis: Redis,
    service: RateLimitService,
    /// The service's configuration.
    domain: String,
}

impl Counting {
    /// Starts both as operators are told to: with the rendered file, and the settings in its comments.
    async fn start() -> Self {
        let domain = rendered(&governed(
            &json!({ "ada": { "quotas": [quota(1)] } }),
            &json!({}),
            "deny",
            PATIENT,
        ));
        let mut settings = Settings::none();
        for (name, value) in domain.lines().filter_map(setting) {
            settings = settings.set(name, value);
        }
        let redis = Redis::start(Durability::EveryWrite).await;
        let service = RateLimitService::start(&redis, Some(&domain), settings).await;
        Self {
            redis,
            service,
            domain,
        }
    }

    /// The one that tests share which do it no harm; each has keys of its own names.
    async fn shared() -> &'static Self {
        static SHARED: OnceCell<Counting> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    fn address(&self) -> SocketAddr {
        self.service.address()
    }

    /// What Redis has counted under names that contain `part`.
    async fn counted(&self, part: &str) -> Vec<u64> {
        let names = self.redis.command(&["KEYS", "*"]).await.expect("an answer");
        let mut counts = Vec::new();
        for name in names.iter().filter(|name| name.contains(part)) {
            let count = self.redis.command(&["GET", name]).await.expect("an answer");
            counts.extend(count.iter().filter_map(|count| count.parse::<u64>().ok()));
        }
        counts
    }
}

/// A line like `#   NAME=value`.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix("#   ")?.split_once('=')?;
    name.bytes()
        .all(|b| b.is_ascii_uppercase() || b == b'_')
        .then_some((name, value))
}

/// Two Envoys of one policy before the shared service, 1.40 and 1.36. Each test has keys of its own.
async fn real() -> [&'static World; 2] {
    static REAL: OnceCell<[World; 2]> = OnceCell::const_new();
    let start = async || {
        let keys = together([shared::keys(), budgets::keys(), held::real_keys()]);
        let policy = governed(
            &keys,
            &together([shared::teams(), budgets::teams()]),
            "deny",
            PATIENT,
        );
        let service = Counting::shared().await.address();
        let world = |release| World::start_with(release, policy.clone(), service, |bootstrap| bootstrap);
        let (first, second) = tokio::join!(world(Release::V1_40), world(Release::V1_36));
        [first, second]
    };
    REAL.get_or_init(start).await.each_ref()
}

/// An Envoy with a policy before a scripted server, and its access log.
struct World {
    name: String,
    gate: Gate,
    log: NamedTempFile,
    holds_body: bool,
    refused: Mutex<Vec<String>>,
}

impl World {
    /// Envoy 1.40 with two workers that asks the service at `service`.
    async fn start(policy: Value, service: SocketAddr) -> Self {
        Self::start_with(Release::V1_40, policy, service, |bootstrap| bootstrap).await
    }

    async fn start_with(
        release: Release,
        policy: Value,
        service: SocketAddr,
        patch: impl Fn(String) -> String,
    ) -> Self {
        let log = NamedTempFile::new().expect("a temporary file");
        let hold = policy["hold"].as_str().unwrap_or("headers").to_owned();
        let nobody = format!("http://{}/mcp", ports::free());
        let options = Options {
            release,
            concurrency: 2,
        };
        let gate = Gate::start_with(
            options,
            policy,
            mcp_server(json!([])),
            |render| {
                let render = render.upstream_instead("dead", &nobody);
                let render = render.arg("--access-log").arg(log.path().display().to_string());
                render.arg("--rate-limit-service").arg(service.to_string())
            },
            patch,
        )
        .await;
        Self {
            name: format!("{release:?}, hold {hold}"),
            gate,
            log,
            holds_body: hold == "body",
            refused: Mutex::default(),
        }
    }

    /// Calls `tool` with the key `<key>-key`.
    async fn call(&self, key: &str, tool: &str, label: &str) -> Outcome {
        self.send(label, &call(key, tool, label), Transport::Length).await
    }

    /// Sends a call with this label and waits until its exchange is over for Envoy.
    async fn send(&self, label: &str, request: &Request, transport: Transport) -> Outcome {
        let answer = self.gate.send(request, transport).await;
        let line = self.line(label).await;
        let arrived = self.gate.upstream.labelled(label);
        if answer.header("x-toolgate-decision") != "allowed" {
            self.refused().push(label.to_owned());
        }
        Outcome {
            what: format!(
                "{label} over {transport:?} ({}): {} {line}",
                self.name,
                answer.text()
            ),
            answer,
            line,
            arrived,
            holds_body: self.holds_body,
        }
    }

    /// The line of the access log about the call with this label.
    async fn line(&self, label: &str) -> Value {
        // The id is written as JSON.
        let id = format!("\"jsonrpc.request.id\":{}", json!(json!(label).to_string()));
        let mut lines = self.lines(&id, 1).await;
        lines.remove(0)
    }

    /// The lines of the access log that contain this text, when there are so many.
    async fn lines(&self, part: &str, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let log = fs::read_to_string(self.log.path()).expect("the access log");
            let whole = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let found: Vec<_> = whole.filter(|line| line.contains(part)).collect();
            if found.len() >= count {
                let parse = |line: &str| serde_json::from_str(line).expect("a JSON line");
                return found.into_iter().map(parse).collect();
            }
            assert!(
                Instant::now() < deadline,
                "no {count} lines with {part} in\n{log}"
            );
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Looks again, after everything: nothing of a refused call has arrived, and no worker has crashed.
    fn settle(&self) {
        for label in self.refused().iter() {
            let arrived = self.gate.upstream.labelled(label);
            self.stayed(label, &arrived);
        }
        let log = self.gate.envoy.log();
        assert!(!log.contains("panicked") && !log.contains("[critical]"), "{log}");
    }

    /// Nothing of this call has arrived, but its head where that is not held.
    fn stayed(&self, label: &str, arrived: &[Received]) {
        let may = |request: &Received| self.holds_body && !request.complete && request.raw_body.is_empty();
        assert!(arrived.iter().all(may), "{label} ({}): {arrived:?}", self.name);
    }

    fn refused(&self) -> MutexGuard<'_, Vec<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call whose id is its label, so that the access log knows it.
fn call(key: &str, tool: &str, label: &str) -> Request {
    call_of_size(key, tool, label, 0)
}

/// A call whose arguments have at least `size` bytes.
fn call_of_size(key: &str, tool: &str, label: &str, size: usize) -> Request {
    let request = Era::Modern.call(PATH, tool, &json!({ "query": "x".repeat(size) }));
    let body = request.body.as_deref().unwrap_or_default();
    let mut message: Value = serde_json::from_slice(body).expect("JSON");
    message["id"] = json!(label);
    request
        .body(message.to_string())
        .key(&format!("{key}-key"))
        .header("x-label", label)
}

/// What came of a call.
struct Outcome {
    what: String,
    answer: Response,
    line: Value,
    arrived: Vec<Received>,
    holds_body: bool,
}

impl Outcome {
    fn was_allowed(&self) -> bool {
        self.answer.header("x-toolgate-decision") == "allowed"
    }

    /// The call was let through, with this from the service.
    #[track_caller]
    fn allowed(&self, rate_limit: &str) -> &Self {
        let what = &self.what;
        assert_eq!(self.answer.status, 200, "{what}");
        assert!(self.was_allowed(), "{what}");
        assert_eq!(self.line["decision"], "allowed", "{what}");
        let [arrived] = self.arrived.as_slice() else {
            panic!("{} arrivals: {what}", self.arrived.len())
        };
        assert!(arrived.complete, "{what}");
        self.said(rate_limit)
    }

    /// The call was refused with this reason and sentence, because of this limit.
    #[track_caller]
    fn refused(&self, reason: &str, sentence: &str, limit: Option<&str>) -> &Self {
        let what = &self.what;
        let body = self.answer.json();
        assert_eq!(self.answer.status, 200, "{what}");
        assert_eq!(self.answer.header("x-toolgate-decision"), reason, "{what}");
        assert_eq!(body["result"]["isError"], true, "{what}");
        assert!(text(&body).contains(sentence), "{sentence:?} is not in {what}");
        assert_eq!(self.line["decision"], reason, "{what}");
        assert_eq!(self.line["limit"].as_str(), limit, "{what}");
        assert_eq!(self.line["details"], format!("toolgate_{reason}"), "{what}");
        assert_eq!(self.line["cost_micros"], Value::Null, "{what}");
        for arrived in &self.arrived {
            assert!(
                self.holds_body && arrived.raw_body.is_empty(),
                "{what}: {arrived:?}"
            );
        }
        self
    }

    /// The access log's `rate_limit`: this, or for an error something that begins so; empty for none.
    #[track_caller]
    fn said(&self, rate_limit: &str) -> &Self {
        let said = self.line["rate_limit"].as_str().unwrap_or_default();
        let right = match rate_limit {
            "" | "within" | "over" => said == rate_limit,
            error => said.contains(error) && said.starts_with("error: "),
        };
        assert!(right, "{rate_limit:?} is not what it said: {}", self.what);
        self
    }

    /// In how many milliseconds to try again, and whether both places say the same.
    #[track_caller]
    fn retry(&self) -> Option<u64> {
        let body = self.answer.json();
        let millis = body["result"]["_meta"]["toolgate/retryAfterMs"].as_u64();
        let seconds = self.answer.header("retry-after");
        let expected = millis.map(|millis| millis.div_ceil(1000).to_string());
        assert_eq!(seconds, expected.unwrap_or_default(), "{}", self.what);
        millis
    }
}
