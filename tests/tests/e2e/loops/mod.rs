//! Loop guards in a real Envoy with four workers: what counts as the same call and as the same run, to the last one.

mod exact;
mod runs;
mod same;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use toolgate_tests::client::{Request, Response, Transport};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::jwt::Issuer;
use toolgate_tests::messages::Era;
use toolgate_tests::toolgate::{Render, key_digest};
use toolgate_tests::upstream::{Upstream, mcp_server};

const ISSUER: &str = "https://issuer.example";

/// The path of the server `docs`.
const PATH: &str = "/docs/mcp";

/// A governed Envoy, and what it needs and leaves.
struct Stand {
    gate: Gate,
    issuer: Issuer,
    directory: TempDir,
}

/// The Envoy that all tests here share: each has tools or keys of its own.
async fn stand() -> &'static Stand {
    static STAND: OnceCell<Stand> = OnceCell::const_new();
    STAND.get_or_init(start).await
}

async fn start() -> Stand {
    let upstream = Upstream::start(mcp_server(json!([]))).await;
    let issuer = Issuer::new();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (keys, log) = (
        directory.path().join("jwks.json"),
        directory.path().join("access.log"),
    );
    std::fs::write(&keys, issuer.jwks().to_string()).expect("written");
    let mut render = Render::new(policy());
    for server in ["docs", "other"] {
        render = render.upstream(server, &upstream.url(&format!("/{server}/mcp")));
    }
    for argument in [
        "--jwks",
        &keys.display().to_string(),
        "--jwt-issuer",
        ISSUER,
        "--jwt-audience",
        "toolgate",
        "--access-log",
        &log.display().to_string(),
    ] {
        render = render.arg(argument);
    }
    let options = Options {
        release: Release::V1_40,
        concurrency: 4,
    };
    let envoy = Envoy::start(options, |listener, admin| {
        render
            .run(directory.path(), listener, admin)
            .expect("the policy renders")
    })
    .await;
    Stand {
        gate: Gate { envoy, upstream },
        issuer,
        directory,
    }
}

/// Keys by what they are guarded from; each is presented as `<name>-key`.
fn keys() -> Value {
    let run = |limit: u32| json!({ "anyCall": { "limit": limit, "per": "1h" } });
    json!({
        "five": { "identicalCalls": 5, "per": "1h" },
        "five_too": { "identicalCalls": 5, "per": "1h" },
        "one": { "identicalCalls": 1, "per": "1h" },
        "two": { "identicalCalls": 2, "per": "1h" },
        "brief": { "identicalCalls": 2, "per": "3s" },
        "brief_run": { "anyCall": { "limit": 2, "per": "3s" } },
        "run": run(4),
        "run_exact": run(60),
        "run_alone": run(4),
        "run_mixed": run(4),
        "run_spared": run(2),
        "both": { "identicalCalls": 3, "per": "1h", "anyCall": { "limit": 5, "per": "1h" } },
        "both_exact": { "identicalCalls": 40, "per": "1h", "anyCall": { "limit": 70, "per": "1h" } },
        "shade": { "identicalCalls": 2, "per": "1h" },
        "quota": { "identicalCalls": 2, "per": "1h" },
    })
}

fn policy() -> Value {
    let mut policy = json!({
        "version": 1,
        "identity": { "jwt": { "metadata": "jwt_payload", "claim": "sub" } },
        "servers": {
            "docs": { "path": PATH, "tools": {
                "strict": { "inputSchema": { "type": "object", "required": ["needed"] } },
            } },
            "other": { "path": "/other/mcp" },
        },
        "roles": { "all": { "allow": ["docs/*", "other/*"], "deny": ["docs/hidden"] } },
        "keys": {
            "people": { "subjects": ["user:*"], "roles": ["all"], "loops": { "identicalCalls": 2, "per": "1h",
                "anyCall": { "limit": 5, "per": "1h" } } },
            "free": { "sha256": [key_digest("free-key")], "roles": ["all"] },
        },
    });
    for (name, loops) in keys().as_object().into_iter().flatten() {
        let digest = key_digest(&format!("{name}-key"));
        policy["keys"][name] = json!({ "sha256": [digest], "roles": ["all"], "loops": loops });
    }
    policy["keys"]["shade"]["mode"] = json!("shadow");
    policy["keys"]["quota"]["quotas"] = json!([{ "limit": 1, "per": "365d" }]);
    policy
}

/// A call of `tool` by `key` with arguments as they are written here.
fn written(key: &str, tool: &str, arguments: &str) -> Request {
    let name = json!(tool);
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{name},"arguments":{arguments}}}}}"#
    );
    Request::post(PATH, body)
        .key(&format!("{key}-key"))
        .header("mcp-protocol-version", "2025-11-25")
        .header("x-label", format!("{tool}."))
}

fn call(key: &str, tool: &str, arguments: &Value) -> Request {
    written(key, tool, &arguments.to_string())
}

/// The same in 2026-07-28, with more in `params`.
fn modern(key: &str, tool: &str, params: Value) -> Request {
    let mut params = params;
    params["arguments"] = json!({ "q": 1 });
    Era::Modern
        .request(PATH, "tools/call", Some(tool), params)
        .key(&format!("{key}-key"))
        .header("x-label", format!("{tool}."))
}

impl Stand {
    async fn send(&self, request: &Request) -> Response {
        self.gate.send(request, Transport::Length).await
    }

    /// How many calls with this tool's label have arrived.
    fn arrived(&self, tool: &str) -> usize {
        self.gate.upstream.labelled(&format!("{tool}.")).len()
    }

    /// Sends it and expects it to arrive.
    async fn passes(&self, request: &Request) {
        let label = label(request);
        let before = self.arrived(&label);
        let answer = self.send(request).await;
        assert_eq!(
            answer.header("x-toolgate-decision"),
            "allowed",
            "{request:?}: {}",
            answer.text()
        );
        assert_eq!(self.arrived(&label), before + 1, "{request:?}");
    }

    /// Sends it and expects it to be refused as a loop, and not to arrive.
    async fn is_looping(&self, request: &Request) -> Response {
        let label = label(request);
        let before = self.arrived(&label);
        let answer = self.send(request).await;
        assert_eq!(
            answer.header("x-toolgate-decision"),
            "loop",
            "{request:?}: {}",
            answer.text()
        );
        assert_eq!(self.arrived(&label), before, "{request:?}");
        answer
    }

    /// Begins a session as `key`, and returns its id as the client knows it.
    async fn session(&self, key: &str, id: &'static str) -> String {
        let (envoy, upstream) = (&self.gate.envoy, &self.gate.upstream);
        toolgate_tests::session::begin(envoy, upstream, PATH, &format!("{key}-key"), id).await
    }
}

fn label(request: &Request) -> String {
    let label = request.headers.iter().find(|(name, _)| name == b"x-label");
    let label = String::from_utf8(label.expect("a label").1.clone()).expect("text");
    label.trim_end_matches('.').to_owned()
}

fn text(answer: &Response) -> String {
    let answer = answer.json();
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn retry_after(answer: &Response) -> u64 {
    let told = &answer.json()["result"]["_meta"]["toolgate/retryAfterMs"];
    told.as_u64().unwrap_or_else(|| panic!("{answer:?}"))
}
