//! What `toolgate render envoy` prints, in the Envoys it is meant for, with every option in use at once.

mod access_log;
mod routes;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use toolgate_tests::client::{Request, Response, Transport};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::tls::{Authority, Identity, Tunnel};
use toolgate_tests::toolgate::{Render, key_digest};
use toolgate_tests::upstream::{Answer, Received, Upstream, mcp_server};
use toolgate_tests::{ports, run};

const KEY: &str = "stand-key";
const ISSUER: &str = "https://issuer.example";
/// The secret in the query of requests; access logs must not have it.
const QUERY: &str = "token=query-secret&at=/docs/mcp%3F&q=%20+";

#[test]
fn every_option_in_either_mode_loads_on_every_release() {
    run(async {
        // The other combinations run: see `stands`.
        let [old, new] = stands().await.map(|stand| &stand.parts);
        let checks = [(Release::V1_36, "headers", old), (Release::V1_40, "body", new)];
        let checks = checks.map(|(release, hold, parts)| {
            let bootstrap = parts.render(hold, ports::free(), ports::free());
            tokio::task::spawn_blocking(move || (release, hold, Envoy::validate(release, &bootstrap)))
        });
        for check in checks {
            let (release, hold, outcome) = check.await.expect("no panic");
            assert_eq!(outcome, Ok(()), "{release:?} hold: {hold}");
        }
        let broken = new
            .render("headers", ports::free(), ports::free())
            .replace("\"prefix_rewrite\"", "\"prefix_rewritten\"");
        assert!(
            Envoy::validate(Release::V1_40, &broken).is_err(),
            "the check is none"
        );
    });
}

/// What stands around an Envoy: servers of all kinds, and the files that the options name.
struct Parts {
    directory: TempDir,
    authority: Authority,
    /// Plain HTTP; what is behind a path is told by the path.
    plain: Upstream,
    /// Two replicas of one server.
    pool: [Upstream; 2],
    /// Behind TLS with a certificate for `localhost` and `127.0.0.1`, from the trusted authority.
    secure: Upstream,
    secure_tls: Tunnel,
    /// Behind TLS with a certificate for another name.
    misnamed: Upstream,
    misnamed_tls: Tunnel,
    /// Behind TLS with the right name, from an authority nobody trusts.
    untrusted: Upstream,
    untrusted_tls: Tunnel,
}

impl Parts {
    async fn new() -> Self {
        let authority = Authority::new();
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).expect("written");
        authority.issue(&["gate.example"]).write(directory.path(), "gate");
        // The public key of RFC 7517, appendix A.1.
        let jwks = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "1", "use": "sig",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" }] });
        std::fs::write(directory.path().join("jwks.json"), jwks.to_string()).expect("written");
        let (secure, secure_tls) = behind_tls(&authority.issue(&["localhost", "127.0.0.1"])).await;
        let (misnamed, misnamed_tls) =
            behind_tls(&authority.issue(&["elsewhere.example", "127.0.0.2"])).await;
        let (untrusted, untrusted_tls) = behind_tls(&Authority::new().issue(&["localhost"])).await;
        Self {
            directory,
            authority,
            plain: Upstream::start(mcp_server(json!([]))).await,
            pool: [
                Upstream::start(replica("session-of-0")).await,
                Upstream::start(replica("session-of-1")).await,
            ],
            secure,
            secure_tls,
            misnamed,
            misnamed_tls,
            untrusted,
            untrusted_tls,
        }
    }

    fn render(&self, hold: &str, listener: SocketAddr, admin: SocketAddr) -> String {
        let file = |name: &str| self.directory.path().join(name).display().to_string();
        let mut render = Render::new(policy(hold))
            .upstream("docs", &self.plain.url("/deep/er/mcp"))
            .upstream("one", &self.plain.url("/of-one"))
            .upstream("two", &self.plain.url("/of-two"))
            .upstream("rest", &self.plain.url("/of-rest"));
        for replica in &self.pool {
            render = render.upstream("pool", &replica.url("/mcp"));
        }
        for (server, host, tunnel) in [
            ("secure", "localhost", &self.secure_tls),
            ("secure-address", "127.0.0.1", &self.secure_tls),
            ("misnamed", "localhost", &self.misnamed_tls),
            ("misnamed-address", "127.0.0.1", &self.misnamed_tls),
            ("untrusted", "localhost", &self.untrusted_tls),
        ] {
            let port = tunnel.address().port();
            render = render.upstream(server, &format!("https://{host}:{port}/behind/tls"));
        }
        for (option, value) in [
            ("--tls-cert", file("gate.pem")),
            ("--tls-key", file("gate.key")),
            ("--upstream-ca", file("ca.pem")),
            ("--jwks", file("jwks.json")),
            ("--jwt-issuer", ISSUER.to_owned()),
            ("--jwt-audience", "toolgate".to_owned()),
            ("--access-log", file("access.log")),
        ] {
            render = render.arg(option).arg(value);
        }
        render
            .run(self.directory.path(), listener, admin)
            .expect("it is rendered")
    }
}

/// A running Envoy among its parts. It speaks TLS only: clients reach it through the tunnels.
struct Stand {
    envoy: Envoy,
    http1: Tunnel,
    http2: Tunnel,
    parts: Parts,
    hold: &'static str,
}

impl Stand {
    async fn start(release: Release, hold: &'static str) -> Self {
        let parts = Parts::new().await;
        let options = Options {
            release,
            ..Options::default()
        };
        let envoy = Envoy::start(options, |listener, admin| parts.render(hold, listener, admin)).await;
        let ca = parts.authority.pem();
        let to = envoy.address();
        Self {
            http1: Tunnel::to(to, "gate.example", &ca, &["http/1.1"]).await,
            http2: Tunnel::to(to, "gate.example", &ca, &["h2", "http/1.1"]).await,
            envoy,
            parts,
            hold,
        }
    }

    fn holds_bodies(&self) -> bool {
        self.hold == "body"
    }

    async fn send(&self, request: &Request) -> Response {
        request.send(self.http1.address(), Transport::Length).await
    }

    fn access_log(&self) -> PathBuf {
        self.parts.directory.path().join("access.log")
    }
}

/// The oldest release holding bodies and the newest holding headers, shared by all tests here.
async fn stands() -> [&'static Stand; 2] {
    static STANDS: OnceCell<[Stand; 2]> = OnceCell::const_new();
    let stands = STANDS
        .get_or_init(|| async {
            tokio::join!(
                Stand::start(Release::V1_36, "body"),
                Stand::start(Release::V1_40, "headers")
            )
            .into()
        })
        .await;
    stands.each_ref()
}

async fn behind_tls(identity: &Identity) -> (Upstream, Tunnel) {
    let upstream = Upstream::start(mcp_server(json!([]))).await;
    let tunnel = Tunnel::in_front_of(upstream.address(), identity, &["http/1.1"]).await;
    (upstream, tunnel)
}

/// A server whose sessions are called `session`.
fn replica(session: &'static str) -> impl Fn(&Received) -> Answer + Send + Sync + 'static {
    move |received| match (received.method.as_str(), received.json()) {
        ("GET", _) => Answer::sse_messages([
            &json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {} }),
        ]),
        ("POST", message) => {
            let result = match message["method"].as_str() {
                Some("initialize") => {
                    json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "r", "version": "1" } })
                }
                _ => json!({ "content": [], "resultType": "complete" }),
            };
            let answer = Answer::json(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }));
            if message["method"] == "initialize" {
                answer.header("mcp-session-id", session)
            } else {
                answer
            }
        }
        _ => Answer::new(200),
    }
}

fn policy(hold: &str) -> Value {
    let mut servers = json!({
        "docs": { "path": "/docs/mcp" },
        "pool": { "path": "/pool/mcp" },
        "one": { "path": "/mcp", "host": "one.example" },
        "two": { "path": "/mcp", "host": "two.example" },
        "rest": { "path": "/mcp" },
    });
    for name in [
        "secure",
        "secure-address",
        "misnamed",
        "misnamed-address",
        "untrusted",
    ] {
        servers[name] = json!({ "path": format!("/{name}/mcp") });
    }
    json!({
        "version": 1,
        "hold": hold,
        "identity": { "jwt": { "metadata": "jwt_payload", "claim": "sub" } },
        "origins": ["https://agents.example"],
        "servers": servers,
        "roles": { "all": { "allow": ["*/*"], "deny": ["*/delete_*"] } },
        "teams": { "red": {} },
        "keys": { "stand": { "sha256": [key_digest(KEY)], "roles": ["all"], "team": "red" } },
    })
}
