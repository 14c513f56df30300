//! The base and the example in `deploy/kustomize`: built by the real kustomize, run by a real Envoy from the files and
//! arguments that come out, laid out in a directory as a kubelet mounts them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::messages::Era;
use toolgate_tests::upstream::{Upstream, mcp_server};
use toolgate_tests::{paths, ports, run};

const SERVICE: &str = "docs.tools.svc.cluster.local";

/// Copies the directory, renders what the example needs, and builds it.
fn build(scratch: &Path) -> Vec<Value> {
    let copy = scratch.join("kustomize");
    let copied = Command::new("cp")
        .arg("-R")
        .arg(paths::workspace().join("deploy/kustomize"))
        .arg(&copy)
        .status();
    assert!(copied.expect("cp starts").success());
    render(&copy);
    let output = Command::new(paths::installed("kustomize").join("kustomize"))
        .arg("build")
        .arg(copy.join("example"))
        .output()
        .expect("kustomize starts: run scripts/setup.sh test");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.split("\n---\n")
        .map(|text| serde_saphyr::from_str(text).expect("YAML"))
        .collect()
}

fn render(copy: &Path) {
    let rendered = Command::new(copy.join("example/render.sh"))
        .env("TOOLGATE", paths::toolgate())
        .output();
    let rendered = rendered.expect("the script starts");
    assert!(
        rendered.status.success(),
        "{}",
        String::from_utf8_lossy(&rendered.stderr)
    );
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> Vec<&'a Value> {
    documents
        .iter()
        .filter(|document| document["kind"] == kind)
        .collect()
}

/// The pod's volumes as directories, with every path in them as it is there.
struct Pod {
    root: TempDir,
    container: Value,
    volumes: Value,
    health: std::net::SocketAddr,
}

impl Pod {
    fn mounted(&self, volume: &str) -> PathBuf {
        let mounts = self.container["volumeMounts"].as_array().expect("mounts");
        let mount = mounts
            .iter()
            .find(|mount| mount["name"] == volume)
            .expect("a mount");
        assert!(mount.get("subPath").is_none(), "it would never change");
        let path = mount["mountPath"].as_str().expect("a path");
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// A path of the container as it is here.
    fn here(&self, text: &str) -> String {
        let root = self.root.path().display();
        text.replace("/etc/toolgate", &format!("{root}/etc/toolgate"))
            .replace("/opt/toolgate", &format!("{root}/opt/toolgate"))
    }

    /// Puts a ConfigMap where its volume is mounted, as the kubelet does it.
    fn mount(&self, volume: &str, data: &Value, change: impl Fn(String) -> String) {
        let directory = self.mounted(volume);
        fs::create_dir_all(&directory).expect("made");
        let old = fs::read_link(directory.join("..data")).ok();
        let stamp = format!("..2026_11_20_10_00_00.{}", ports::free().port());
        fs::create_dir(directory.join(&stamp)).expect("made");
        for (name, text) in data.as_object().expect("data") {
            let text = change(self.here(text.as_str().expect("text")));
            fs::write(directory.join(&stamp).join(name), text).expect("written");
        }
        symlink(&stamp, directory.join("..data_tmp")).expect("linked");
        fs::rename(directory.join("..data_tmp"), directory.join("..data")).expect("renamed");
        for name in data.as_object().expect("data").keys() {
            if old.is_none() {
                symlink(Path::new("..data").join(name), directory.join(name)).expect("linked");
            }
        }
        if let Some(old) = old {
            fs::remove_dir_all(directory.join(old)).expect("removed");
        }
    }
}

#[test]
fn the_example_governs_and_takes_a_new_configmap() {
    run(async {
        let scratch = tempfile::tempdir().expect("a directory");
        let documents = build(scratch.path());
        let deployment = of_kind(&documents, "Deployment")[0];
        let template = &deployment["spec"]["template"];
        assert_is_hardened(template);
        let pod = Pod {
            root: tempfile::tempdir().expect("a directory"),
            container: template["spec"]["containers"][0].clone(),
            volumes: template["spec"]["volumes"].clone(),
            health: ports::free(),
        };
        let upstream = Upstream::start(mcp_server(json!([]))).await;
        let envoy = start(&pod, &documents, &upstream).await;

        assert_eq!(decision(&envoy, "search_docs").await, "allowed");
        assert_eq!(decision(&envoy, "delete_page").await, "hidden");
        assert_eq!(upstream.received().len(), 1);
        assert_answers_probes(&pod).await;

        // Another policy, rendered the same way; the kubelet brings it.
        let copy = scratch.path().join("kustomize");
        let file = copy.join("example/policy.json");
        let policy = fs::read_to_string(&file).expect("a file");
        fs::write(&file, policy.replace("docs/search_*", "docs/delete_*")).expect("written");
        render(&copy);
        let map: Value = serde_saphyr::from_str(
            fs::read_to_string(copy.join("example/policy.yaml"))
                .expect("a file")
                .trim_start_matches("---\n"),
        )
        .expect("YAML");
        pod.mount("policy", &map["data"], |text| text);
        let deadline = Instant::now() + Duration::from_mins(1);
        while decision(&envoy, "delete_page").await != "allowed" {
            assert!(Instant::now() < deadline, "{}", envoy.log());
            sleep(Duration::from_millis(20)).await;
        }
    });
}

/// Envoy, from the container's arguments.
async fn start(pod: &Pod, documents: &[Value], upstream: &Upstream) -> Envoy {
    let arguments: Vec<&str> = pod.container["args"]
        .as_array()
        .expect("arguments")
        .iter()
        .map(|argument| argument.as_str().expect("text"))
        .collect();
    assert_eq!(arguments[..2], ["-c", "/etc/toolgate/bootstrap/envoy.json"]);
    assert!(arguments.contains(&"--disable-hot-restart"));
    fs::create_dir_all(pod.mounted("module")).expect("made");
    fs::copy(paths::module(), pod.mounted("module").join("plugin.wasm")).expect("copied");
    for volume in ["policy", "bootstrap"] {
        let volumes = pod.volumes.as_array().expect("volumes");
        let found = volumes
            .iter()
            .find(|found| found["name"] == volume)
            .expect("a volume");
        let name = &found["configMap"]["name"];
        let maps = of_kind(documents, "ConfigMap");
        let map = maps
            .iter()
            .find(|map| map["metadata"]["name"] == *name)
            .expect("a ConfigMap");
        assert_eq!(map["metadata"]["namespace"], "toolgate");
        pod.mount(volume, &map["data"], |text| text);
    }
    let bootstrap = fs::read_to_string(pod.mounted("bootstrap").join("envoy.json")).expect("a file");
    let options = Options {
        release: Release::V1_40,
        concurrency: 2,
    };
    Envoy::start(options, |listener, admin| {
        // What differs between this machine and a cluster: addresses.
        let text = bootstrap.clone();
        let mut bootstrap: Value = serde_json::from_str(&text).expect("JSON");
        bootstrap["admin"]["address"] = address(admin);
        let resources = &mut bootstrap["static_resources"];
        resources["listeners"][0]["address"] = address(listener);
        resources["listeners"][1]["address"] = address(pod.health);
        for cluster in resources["clusters"].as_array_mut().expect("clusters") {
            let to = if cluster["name"] == "docs" {
                assert!(cluster.to_string().contains(SERVICE));
                cluster["type"] = json!("STATIC");
                upstream.address()
            } else {
                admin
            };
            cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"] =
                json!({ "address": address(to) });
        }
        bootstrap.to_string()
    })
    .await
}

fn address(address: std::net::SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}

async fn decision(envoy: &Envoy, tool: &str) -> String {
    let request = Era::Modern.call("/docs/mcp", tool, &json!({})).key("example-key");
    envoy
        .send(&request, Transport::Length)
        .await
        .header("x-toolgate-decision")
}

/// What "restricted" asks for. <https://kubernetes.io/docs/concepts/security/pod-security-standards/>
fn assert_is_hardened(template: &Value) {
    let pod = &template["spec"]["securityContext"];
    assert_eq!(
        (&pod["runAsNonRoot"], &pod["seccompProfile"]["type"]),
        (&json!(true), &json!("RuntimeDefault"))
    );
    let container = &template["spec"]["containers"][0];
    let context = &container["securityContext"];
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
    assert!(container["resources"]["limits"]["memory"].is_string());
    assert_eq!(template["spec"]["automountServiceAccountToken"], false);
}

/// The probes' question is answered, and nothing else of the admin interface.
async fn assert_answers_probes(pod: &Pod) {
    let ask = |method: &str, target: &str| {
        let request = Request::new(method, target);
        async move { request.send(pod.health, Transport::Length).await }
    };
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let probe = &pod.container[probe]["httpGet"];
        assert_eq!(probe["port"], "health");
        let answer = ask("GET", probe["path"].as_str().expect("a path")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let metrics = ask("GET", "/stats/prometheus").await;
    assert!(
        metrics.text().contains("toolgate_policy_info{"),
        "{}",
        metrics.text()
    );
    for (method, target) in [
        ("POST", "/ready"),
        ("POST", "/quitquitquit"),
        ("GET", "/config_dump"),
        ("GET", "/stats"),
        ("GET", "/stats/prometheus?filter=.*"),
        ("GET", "/ready/../config_dump"),
        ("GET", "/"),
    ] {
        assert_eq!(ask(method, target).await.status, 404, "{method} {target}");
    }
}
