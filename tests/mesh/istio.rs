//! Istio's discovery server pushes the rendered `WasmPlugin` and `EnvoyFilter` to an Envoy that is its gateway.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::process::{Process, Program};
use toolgate_tests::toolgate::toolgate;
use toolgate_tests::upstream::{Upstream, mcp_server};
use toolgate_tests::{paths, ports, run_within};

use crate::manifests::{object, render, replace};
use crate::route::Route;
use crate::{image, policy, program};

/// Compiling modules on a busy machine.
const LIMIT: Duration = Duration::from_mins(5);
const NAMESPACE: &str = "istio-system";

#[test]
fn a_wasmplugin_governs_calls_and_follows_the_policy() {
    run_within(LIMIT, async {
        let module = format!("file://{}", paths::module().display());
        follows_the_policy(Release::V1_40, "wasmplugin", &module).await;
    });
}

#[test]
fn an_envoyfilter_governs_calls_and_follows_the_policy() {
    run_within(LIMIT, async {
        let module = format!("file://{}", paths::module().display());
        follows_the_policy(Release::V1_40, "envoyfilter", &module).await;
    });
}

#[test]
fn a_wasmplugin_takes_the_module_from_a_registry() {
    run_within(LIMIT, async {
        let registry = image::Registry::start().await;
        let image = format!("oci://{}", registry.reference());
        follows_the_policy(Release::V1_36, "wasmplugin", &image).await;
        assert!(registry.was_asked_for_the_module());
    });
}

#[test]
fn manifests_have_no_field_that_istio_and_kubernetes_lack() {
    let policy = policy::granting("search", "headers");
    let digest = "0".repeat(64);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut files = kubernetes(&policy, directory.path());
    for kind in ["wasmplugin", "envoyfilter"] {
        for (module, arguments) in [
            ("file:///module.wasm", vec![]),
            ("oci://registry.example/toolgate:1", vec!["--sha256", &digest]),
            (
                "https://modules.example/toolgate.wasm",
                vec!["--sha256", &digest, "--gateway", "agents"],
            ),
        ] {
            let manifest = render(
                kind,
                &policy,
                module,
                &[&arguments[..], &["--bootstrap"]].concat(),
            );
            let file = directory.path().join(format!("{}.yaml", files.len()));
            fs::write(&file, &manifest).expect("written");
            files.push(file);
        }
    }
    assert_eq!(check(&files), Ok(()));
}

#[test]
fn a_field_that_istio_and_kubernetes_lack_would_be_found() {
    let policy = policy::granting("search", "headers");
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (kind, field, other) in [
        ("wasmplugin", "pluginConfig:", "pluginConfigs"),
        (
            "wasmplugin",
            "per_connection_buffer_limit_bytes:",
            "per_connection_buffer_bytes",
        ),
        ("envoyfilter", "root_id:", "root_ids"),
        ("envoyfilter", "\ndata:", "datum"),
    ] {
        let manifest = render(kind, &policy, "file:///module.wasm", &["--bootstrap"]);
        let begin = if field.starts_with('\n') { "\n" } else { "" };
        let spoiled = manifest.replace(field, &format!("{begin}{other}:"));
        assert_ne!(manifest, spoiled);
        let file = directory.path().join("spoiled.yaml");
        fs::write(&file, spoiled).expect("written");
        let error = check(&[file]).expect_err(other);
        assert!(
            error.contains(&format!("unknown field \"{other}\"")),
            "{kind} {other}: {error}"
        );
    }
}

/// Has Istio and Kubernetes check files.
fn check(files: &[PathBuf]) -> Result<(), String> {
    let output = Command::new(program("istio")).arg("check").args(files).output();
    let output = output.expect("it starts");
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The objects of a plain Envoy on Kubernetes: those in `deploy/`, without what is Kustomize's own, and the policy's.
fn kubernetes(policy: &Value, directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(paths::workspace().join("deploy/kustomize/base")).expect("the base");
    let files = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<_> = files
        .filter(|file| !file.ends_with("kustomization.yaml"))
        .collect();
    assert!(!files.is_empty());
    let [policy_file, map] = ["policy.json", "map.yaml"].map(|name| directory.join(name));
    fs::write(&policy_file, policy.to_string()).expect("written");
    let arguments = ["render", "configmap", "--wasm", "/module.wasm", "--policy"].map(OsStr::new);
    let output = toolgate(arguments.into_iter().chain([policy_file.as_os_str()]));
    assert!(output.status.success(), "{output:?}");
    fs::write(&map, output.stdout).expect("written");
    files.push(map);
    files
}

/// One policy after the other is in force, each under the name that its file has.
async fn follows_the_policy(release: Release, kind: &str, module: &str) {
    let rendered = |tool| {
        let policy = policy::granting(tool, "headers");
        let arguments = [
            "--name",
            "toolgate",
            "--namespace",
            NAMESPACE,
            "--selector",
            "istio=ingressgateway",
            "--bootstrap",
        ];
        (policy::hash(&policy), render(kind, &policy, module, &arguments))
    };
    let [(first, before), (second, after)] = ["search", "fetch"].map(rendered);
    assert_ne!(first, second);
    // The policy in a WasmPlugin holds bodies: Istio cannot tell Envoy what it takes to hold heads.
    let mesh = Mesh::start(release, kind == "envoyfilter", &before).await;
    mesh.route().is_governed("search", "fetch", &first).await;
    mesh.push(&after);
    mesh.route().is_governed("fetch", "search", &second).await;
}

/// A discovery server, an Envoy that it configures, and a server behind it.
struct Mesh {
    upstream: Upstream,
    envoy: Envoy,
    /// Where Istio has Envoy listen.
    listener: SocketAddr,
    file: PathBuf,
    holds_heads: bool,
    _discovery: Process,
    _directory: TempDir,
}

impl Mesh {
    async fn start(release: Release, holds_heads: bool, manifest: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let upstream = Upstream::start(mcp_server(json!([]))).await;
        let (discovery, listener) = (ports::free(), ports::free());
        let file = directory.path().join("istio.yaml");
        fs::write(&file, documents(listener, upstream.address(), manifest)).expect("written");
        let process = discover(discovery, &file, directory.path()).await;
        let options = Options {
            release,
            ..Options::default()
        };
        let envoy = Envoy::start(options, |_, admin| {
            bootstrap(discovery, admin, manifest).to_string()
        })
        .await;
        Self {
            upstream,
            envoy,
            listener,
            file,
            holds_heads,
            _discovery: process,
            _directory: directory,
        }
    }

    /// Replaces what is rendered, as `kubectl apply` would.
    fn push(&self, manifest: &str) {
        replace(
            &self.file,
            &documents(self.listener, self.upstream.address(), manifest),
        );
    }

    fn route(&self) -> Route<'_> {
        Route {
            listener: self.listener,
            admin: self.envoy.admin_address(),
            upstream: &self.upstream,
            holds_heads: self.holds_heads,
        }
    }
}

/// Starts a discovery server at `address` and waits until it serves what is in `file`.
async fn discover(address: SocketAddr, file: &Path, directory: &Path) -> Process {
    let server = Program::new(program("istio"))
        .arg("serve")
        .arg(address.to_string())
        .arg(directory.join("modules"))
        .arg(file)
        // Two filters that only Istio's build of Envoy has.
        .env("PILOT_ENABLE_METADATA_EXCHANGE", "false")
        .env("PILOT_ENABLE_ALPN_FILTER", "false");
    let mut process = Process::start(&server, &directory.join("istio.log")).expect("Istio starts");
    let deadline = Instant::now() + Duration::from_mins(1);
    while !process.log().lines().any(|line| line == "ready") {
        assert!(
            process.exited().is_none() && Instant::now() < deadline,
            "{}",
            process.log()
        );
        sleep(Duration::from_millis(50)).await;
    }
    process
}

/// A gateway that listens at `listener` and sends everything to `upstream`, and `manifest`.
fn documents(listener: SocketAddr, upstream: SocketAddr, manifest: &str) -> String {
    let gateway = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": { "name": "agents", "namespace": NAMESPACE },
        "spec": {
            "selector": { "istio": "ingressgateway" },
            "servers": [{
                "port": { "number": listener.port(), "name": "http", "protocol": "HTTP" },
                "bind": listener.ip(),
                "hosts": ["*"],
            }],
        },
    });
    let routes = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": { "name": "docs", "namespace": NAMESPACE },
        "spec": {
            "hosts": ["*"],
            "gateways": ["agents"],
            "http": [{ "route": [{ "destination": { "host": "docs.example", "port": { "number": 80 } } }] }],
        },
    });
    let server = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": { "name": "docs", "namespace": NAMESPACE },
        "spec": {
            "hosts": ["docs.example"],
            "ports": [{ "number": 80, "name": "http", "protocol": "HTTP" }],
            "resolution": "STATIC",
            "location": "MESH_EXTERNAL",
            "endpoints": [{ "address": upstream.ip(), "ports": { "http": upstream.port() } }],
        },
    });
    format!("{gateway}\n---\n{routes}\n---\n{server}\n---\n{manifest}")
}

/// What tells an Envoy that it is the gateway of the discovery server at `discovery`, with the part of the bootstrap that
/// is rendered, as Istio's agent adds it.
/// <https://istio.io/latest/docs/reference/config/annotations/#SidecarBootstrapOverride>
fn bootstrap(discovery: SocketAddr, admin: SocketAddr, manifest: &str) -> Value {
    let custom = &object(manifest, "ConfigMap")["data"]["custom_bootstrap.json"];
    let custom: Value = serde_json::from_str(custom.as_str().expect("text")).expect("JSON");
    let ads = json!({ "ads": {}, "resource_api_version": "V3" });
    json!({
        "node": {
            // Not the address of any server: Istio would take this for the same pod, with its labels.
            "id": format!("router~192.0.2.1~gw.{NAMESPACE}~{NAMESPACE}.svc.cluster.local"),
            "cluster": "agents",
            "metadata": {
                "NAMESPACE": NAMESPACE,
                "LABELS": { "istio": "ingressgateway" },
                "ISTIO_VERSION": "1.31.1",
                "CLUSTER_ID": "Kubernetes",
            },
        },
        "admin": { "address": { "socket_address": { "address": admin.ip(), "port_value": admin.port() } } },
        "stats_config": custom["stats_config"],
        "dynamic_resources": {
            "lds_config": ads,
            "cds_config": ads,
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "discovery" } }],
            },
        },
        "static_resources": { "clusters": [{
            "name": "discovery",
            "connect_timeout": "5s",
            "typed_extension_protocol_options": { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            } },
            "load_assignment": { "cluster_name": "discovery", "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": {
                "socket_address": { "address": discovery.ip(), "port_value": discovery.port() },
            } } }] }] },
        }] },
    })
}
