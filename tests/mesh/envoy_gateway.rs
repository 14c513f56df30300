//! Envoy Gateway, in its standalone mode, runs the rendered `EnvoyPatchPolicy` and `EnvoyExtensionPolicy`.
//! <https://gateway.envoyproxy.io/docs/tasks/operations/standalone-deployment-mode/>

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep};
use toolgate_tests::envoy::Release;
use toolgate_tests::process::{Process, Program};
use toolgate_tests::upstream::{Upstream, mcp_server};
use toolgate_tests::{paths, ports, run_within};

use crate::manifests::{render, replace};
use crate::route::Route;
use crate::{image, policy, program};

const LIMIT: Duration = Duration::from_mins(6);
/// The Envoy that this release of Envoy Gateway asks for; what stands in its place is a release that is tested here.
const ENVOY: &str = "1.38.1";
/// How long the gateway may take to be up, or to say something.
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn an_envoypatchpolicy_governs_calls_and_follows_the_policy() {
    run_within(LIMIT, async {
        let module = format!("file://{}", paths::module().display());
        let [(first, before), (second, after)] =
            ["search", "fetch"].map(|tool| rendered(tool, "headers", &module));
        assert_ne!(first, second);
        let gateway = EnvoyGateway::start(&before).await;
        gateway
            .says(
                "Got new status for EnvoyPatchPolicy",
                &["type: Accepted", "type: Programmed"],
            )
            .await;
        gateway.follows(&first, &after, &second).await;
    });
}

#[test]
fn an_envoyextensionpolicy_takes_the_module_from_a_registry_and_follows_the_policy() {
    run_within(LIMIT, async {
        let registry = image::Registry::start().await;
        let image = format!("oci://{}", registry.reference());
        let [(first, before), (second, after)] =
            ["search", "fetch"].map(|tool| rendered(tool, "body", &image));
        let gateway = EnvoyGateway::start(&before).await;
        gateway
            .says(
                "Got new status for EnvoyExtensionPolicy",
                &["message: Policy has been accepted.", "type: Accepted"],
            )
            .await;
        assert!(registry.was_asked_for_the_module(), "{}", registry.log());
        gateway.follows(&first, &after, &second).await;
    });
}

#[test]
fn a_field_that_envoy_gateway_lacks_would_be_refused() {
    run_within(LIMIT, async {
        for (hold, module, field) in [
            ("body", "oci://registry.example/toolgate:1", "rootID"),
            ("headers", "file:///toolgate.wasm", "jsonPath"),
        ] {
            let (_, manifest) = rendered("search", hold, module);
            let spoiled = manifest.replace(&format!("{field}:"), &format!("{field}s:"));
            assert_ne!(manifest, spoiled);
            let gateway = EnvoyGateway::start(&spoiled).await;
            gateway
                .logs(&format!(
                    "{field}s: Invalid value: value provided for unknown field"
                ))
                .await;
        }
    });
}

/// What a policy that grants `tool` is called, and what is rendered for it.
fn rendered(tool: &str, hold: &str, module: &str) -> (String, String) {
    let policy = policy::granting(tool, hold);
    let arguments = [
        "--name",
        "toolgate",
        "--namespace",
        "default",
        "--gateway",
        "agents",
        "--bootstrap",
    ];
    (
        policy::hash(&policy),
        render("envoy-gateway", &policy, module, &arguments),
    )
}

/// The gateway, the Envoy that it starts, and a server behind it.
struct EnvoyGateway {
    upstream: Upstream,
    listener: SocketAddr,
    holds_heads: bool,
    process: Process,
    directory: TempDir,
    /// Its ports are fixed: one at a time.
    _turn: MutexGuard<'static, ()>,
}

impl EnvoyGateway {
    async fn start(manifest: &str) -> Self {
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let upstream = Upstream::start(mcp_server(json!([]))).await;
        let listener = ports::free();
        let at = |name: &str| directory.path().join(name);
        for name in ["resources", "config", "state", "runtime"] {
            fs::create_dir(at(name)).expect("a directory");
        }
        let envoys = at("data").join("envoy-versions").join(ENVOY).join("bin");
        fs::create_dir_all(&envoys).expect("a directory");
        std::os::unix::fs::symlink(Release::V1_40.program(), envoys.join("envoy")).expect("a link");
        fs::write(at("gateway.yaml"), configuration(directory.path()).to_string()).expect("written");
        let certificates = Command::new(program("envoy-gateway"))
            .args(["certgen", "--local", "--config-home"])
            .arg(at("config"))
            .output()
            .expect("it starts");
        assert!(certificates.status.success(), "{certificates:?}");
        fs::write(
            at("resources/all.yaml"),
            documents(listener, upstream.address(), &at("config"), manifest),
        )
        .expect("written");
        let server = Program::new(program("envoy-gateway"))
            .args(["server", "--config-path"])
            .arg(at("gateway.yaml"));
        let process = Process::start(&server, &at("gateway.log")).expect("Envoy Gateway starts");
        Self {
            upstream,
            listener,
            holds_heads: manifest.contains("kind: EnvoyPatchPolicy"),
            process,
            directory,
            _turn: turn,
        }
    }

    /// Replaces what is rendered, as `kubectl apply` would.
    fn push(&self, manifest: &str) {
        let at = |name: &str| self.directory.path().join(name);
        let documents = documents(self.listener, self.upstream.address(), &at("config"), manifest);
        replace(&at("resources/all.yaml"), &documents);
    }

    /// Waits until a status, which is written to the log, says all this.
    async fn says(&self, heading: &str, parts: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.process.log();
            let mut statuses = log.split(heading).skip(1);
            // Of what follows, only the status itself.
            if statuses.any(|rest| {
                parts.iter().all(|part| {
                    rest.split("Got new status")
                        .next()
                        .is_some_and(|status| status.contains(part))
                })
            }) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{heading}: {parts:?} is not there:\n{log}"
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sees that the policy `first` is in force, and after a push of another manifest `second`.
    async fn follows(&self, first: &str, after: &str, second: &str) {
        self.route().await.is_governed("search", "fetch", first).await;
        self.push(after);
        self.route().await.is_governed("fetch", "search", second).await;
    }

    /// Waits until it logs this.
    async fn logs(&self, part: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.process.log().contains(part) {
            assert!(
                Instant::now() < deadline,
                "{part} is not there:\n{}",
                self.process.log()
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn route(&self) -> Route<'_> {
        Route {
            listener: self.listener,
            admin: self.admin().await,
            upstream: &self.upstream,
            holds_heads: self.holds_heads,
        }
    }

    /// Envoy's admin interface, whose port Envoy chooses.
    async fn admin(&self) -> SocketAddr {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let file = find(&self.directory.path().join("runtime"), "admin-address.txt");
            let address = file.and_then(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
            if let Some(address) = address {
                return address;
            }
            assert!(Instant::now() < deadline, "no Envoy:\n{}", self.process.log());
            sleep(Duration::from_millis(100)).await;
        }
    }
}

fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    entries.map(|entry| entry.path()).find_map(|path| {
        if path.is_dir() {
            find(&path, name)
        } else {
            path.ends_with(name).then_some(path)
        }
    })
}

/// Envoy Gateway with everything that it keeps below `directory`.
fn configuration(directory: &Path) -> Value {
    let at = |name: &str| directory.join(name);
    json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyGateway",
        "gateway": { "controllerName": "gateway.envoyproxy.io/gatewayclass-controller" },
        "provider": { "type": "Custom", "custom": {
            "resource": { "type": "File", "file": { "paths": [at("resources")] } },
            "infrastructure": { "type": "Host", "host": {
                "configHome": at("config"), "dataHome": at("data"), "stateHome": at("state"), "runtimeDir": at("runtime"),
            } },
        } },
        "logging": { "level": { "default": "info" } },
        "extensionApis": { "enableBackend": true, "enableEnvoyPatchPolicy": true },
    })
}

/// A gateway that listens at `listener` and sends everything to `upstream`, and `manifest`.
fn documents(listener: SocketAddr, upstream: SocketAddr, config: &Path, manifest: &str) -> String {
    let class = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": { "name": "eg" },
        "spec": { "controllerName": "gateway.envoyproxy.io/gatewayclass-controller" },
    });
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": { "name": "agents", "namespace": "default" },
        "spec": {
            "gatewayClassName": "eg",
            "infrastructure": { "parametersRef": {
                "group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "toolgate-bootstrap",
            } },
            "listeners": [{ "name": "http", "protocol": "HTTP", "port": listener.port() }],
        },
    });
    let server = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "Backend",
        "metadata": { "name": "docs", "namespace": "default" },
        "spec": { "endpoints": [{ "ip": { "address": upstream.ip(), "port": upstream.port() } }] },
    });
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": { "name": "docs", "namespace": "default" },
        "spec": {
            "parentRefs": [{ "name": "agents" }],
            "rules": [{
                "matches": [{ "path": { "type": "PathPrefix", "value": "/" } }],
                "backendRefs": [{ "group": "gateway.envoyproxy.io", "kind": "Backend", "name": "docs" }],
            }],
        },
    });
    let mut documents = String::new();
    for document in [class, gateway, server, route] {
        let _ = writeln!(documents, "{document}\n---");
    }
    if manifest.contains("EnvoyExtensionPolicy") {
        let _ = writeln!(documents, "{}\n---", way_to_the_module(config));
    }
    documents + manifest
}

/// Envoy fetches the module from the gateway, whose name is `envoy-gateway` to it, and both show certificates. In a cluster a
/// service, a volume and a secret give it all that; here it is told.
fn way_to_the_module(config: &Path) -> Value {
    let replace = |path: &str, value: Value| {
        json!({
            "type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "name": "wasm_cluster",
            "operation": { "op": "replace", "path": path, "value": value },
        })
    };
    let file = |name: &str| json!({ "filename": config.join("certs/envoy").join(name) });
    let tls = json!({
        "tls_params": { "tls_maximum_protocol_version": "TLSv1_3" },
        "tls_certificates": [{ "certificate_chain": file("tls.crt"), "private_key": file("tls.key") }],
        "validation_context": { "trusted_ca": file("ca.crt") },
    });
    let endpoint = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/address";
    json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyPatchPolicy",
        "metadata": { "name": "way-to-the-module", "namespace": "default" },
        "spec": {
            "targetRef": { "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "agents" },
            "type": "JSONPatch",
            "jsonPatches": [
                replace(endpoint, "127.0.0.1".into()),
                replace("/transport_socket/typed_config/common_tls_context", tls),
            ],
        },
    })
}
