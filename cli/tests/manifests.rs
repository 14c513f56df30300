//! `render wasmplugin`, `envoyfilter` and `envoy-gateway`: what is in the manifests, and what cannot be.
#![cfg(unix)]

mod common;

use common::{Bench, Said, policy};
use serde_json::{Value, json};

const ALL: [&str; 3] = ["wasmplugin", "envoyfilter", "envoy-gateway"];
const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn render(bench: &Bench, arguments: &str) -> Said {
    bench.run(&format!("render {arguments} --policy policy.json"))
}

/// The documents of a rendering that must succeed.
fn documents(bench: &Bench, arguments: &str) -> Vec<Value> {
    let said = render(bench, arguments);
    assert_eq!(said.code, Some(0), "{said:?}");
    let texts = said.out.split("---\n").skip(1);
    texts
        .map(|text| serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")))
        .collect()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    let mut found = documents.iter().filter(|document| document["kind"] == kind);
    let document = found
        .next()
        .unwrap_or_else(|| panic!("no {kind} in {documents:?}"));
    assert!(found.next().is_none(), "two of {kind}");
    document
}

/// The policy that a filter's configuration carries as text.
fn carried(config: &Value) -> Value {
    let configuration = &config["config"]["configuration"];
    assert_eq!(
        configuration["@type"],
        "type.googleapis.com/google.protobuf.StringValue"
    );
    serde_json::from_str(configuration["value"].as_str().unwrap()).unwrap()
}

fn body() -> Value {
    let mut body = policy();
    body["hold"] = json!("body");
    body
}

#[test]
fn a_wasmplugin_has_the_policy_with_another_hold_and_says_so() {
    let bench = Bench::new(&policy());
    let said = render(&bench, "wasmplugin --image oci://registry.example/toolgate:1");
    assert!(said.err.contains("says \"hold\": \"body\""), "{said:?}");
    assert!(
        said.err
            .contains("gateways whose pods are labelled istio=ingressgateway"),
        "{said:?}"
    );
    let documents = documents(
        &bench,
        &format!("wasmplugin --image oci://registry.example/toolgate:1 --sha256 {DIGEST}"),
    );
    let plugin = of_kind(&documents, "WasmPlugin");
    assert_eq!(plugin["apiVersion"], "extensions.istio.io/v1alpha1");
    assert_eq!(
        plugin["metadata"],
        json!({ "name": "toolgate", "namespace": "istio-system" })
    );
    let spec = &plugin["spec"];
    assert_eq!(spec["pluginConfig"], body());
    assert_eq!(spec["url"], "oci://registry.example/toolgate:1");
    assert_eq!(spec["sha256"], DIGEST);
    assert_eq!(spec["failStrategy"], "FAIL_RELOAD");
    assert_eq!(
        spec["selector"]["matchLabels"],
        json!({ "istio": "ingressgateway" })
    );
    assert!(spec.get("vmConfig").is_none());
    let limits = of_kind(&documents, "EnvoyFilter");
    assert_eq!(limits["metadata"]["name"], "toolgate-limits");
    let bytes = &limits["spec"]["configPatches"][0]["patch"]["value"]["per_connection_buffer_limit_bytes"];
    assert!(bytes.as_u64().unwrap() > 8_388_608, "above the policy's");

    let said = render(&Bench::new(&body()), "wasmplugin --image file:///t.wasm");
    assert!(said.code == Some(0) && !said.err.contains("hold"), "{said:?}");
}

#[test]
fn an_envoyfilter_holds_headers_and_is_discovered() {
    let bench = Bench::new(&policy());
    let documents = documents(
        &bench,
        &format!(
            "envoyfilter --image https://host.example/t.wasm --sha256 {DIGEST} --name gate --namespace mcp --selector app=gw --selector tier=edge"
        ),
    );
    let spec = &of_kind(&documents, "EnvoyFilter")["spec"];
    assert_eq!(
        spec["workloadSelector"]["labels"],
        json!({ "app": "gw", "tier": "edge" })
    );
    let patches = &spec["configPatches"];
    let resource = &patches[0]["patch"]["value"];
    assert_eq!(resource["name"], "mcp.gate");
    assert_eq!(carried(&resource["typed_config"]), policy());
    let config = &resource["typed_config"]["config"];
    assert_eq!(config["allow_on_headers_stop_iteration"], true);
    assert_eq!(
        config["vm_config"]["code"],
        json!({ "remote": {
            "http_uri": { "uri": "https://host.example/t.wasm", "cluster": "_", "timeout": "30s" }, "sha256": DIGEST,
        } })
    );
    let place = &patches[1];
    assert_eq!(place["applyTo"], "HTTP_FILTER");
    assert_eq!(place["patch"]["operation"], "INSERT_BEFORE");
    assert_eq!(place["patch"]["value"]["name"], "mcp.gate");
    assert_eq!(
        place["patch"]["value"]["config_discovery"]["type_urls"],
        json!([resource["typed_config"]["@type"]])
    );
}

#[test]
fn a_gateway_of_the_gateway_api_is_referred_to_instead_of_labels() {
    let bench = Bench::new(&policy());
    for target in ["wasmplugin", "envoyfilter"] {
        for document in documents(&bench, &format!("{target} --image file:///t.wasm --gateway mcp")) {
            let reference =
                json!([{ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "mcp" }]);
            assert_eq!(document["spec"]["targetRefs"], reference);
            assert_eq!(document["metadata"]["namespace"], "default");
            assert!(
                document["spec"].get("selector").is_none()
                    && document["spec"].get("workloadSelector").is_none()
            );
        }
        render(
            &bench,
            &format!("{target} --image file:///t.wasm --gateway mcp --selector a=b"),
        )
        .is_usage(&["--gateway"]);
    }
}

#[test]
fn envoy_gateway_is_patched_where_headers_are_held() {
    let bench = Bench::new(&policy());
    let documents = documents(
        &bench,
        "envoy-gateway --image file:///t.wasm --gateway mcp --namespace agents --listener http --listener https",
    );
    let spec = &of_kind(&documents, "EnvoyPatchPolicy")["spec"];
    assert_eq!(spec["targetRef"]["name"], "mcp");
    let patches = spec["jsonPatches"].as_array().unwrap();
    let names: Vec<_> = patches
        .iter()
        .map(|patch| patch["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["agents/mcp/http", "agents/mcp/https"]);
    let filter = &patches[0]["operation"]["value"];
    assert_eq!(carried(&filter["typed_config"]), policy());
    assert_eq!(
        filter["typed_config"]["config"]["allow_on_headers_stop_iteration"],
        true
    );
    let traffic = &of_kind(&documents, "ClientTrafficPolicy")["spec"];
    assert!(traffic["connection"]["bufferLimit"].as_u64().unwrap() > 8_388_608);
    assert_eq!(
        of_kind(&documents, "BackendTrafficPolicy")["spec"]["timeout"]["http"]["requestTimeout"],
        "0s"
    );
}

#[test]
fn envoy_gateway_fetches_a_module_by_a_cluster_that_verifies_the_host() {
    let bench = Bench::new(&policy());
    let documents = documents(
        &bench,
        &format!("envoy-gateway --image https://host.example:8443/t.wasm --sha256 {DIGEST}"),
    );
    let patches = &of_kind(&documents, "EnvoyPatchPolicy")["spec"]["jsonPatches"];
    let cluster = &patches[0]["operation"]["value"];
    assert_eq!(patches[0]["operation"]["path"], "");
    let code = &patches[1]["operation"]["value"]["typed_config"]["config"]["vm_config"]["code"]["remote"];
    assert_eq!(code["http_uri"]["cluster"], cluster["name"]);
    assert_eq!(code["sha256"], DIGEST);
    let tls = &cluster["transport_socket"]["typed_config"];
    assert_eq!(tls["sni"], "host.example");
    let endpoint = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"];
    assert_eq!(
        endpoint["socket_address"],
        json!({ "address": "host.example", "port_value": 8443 })
    );
}

#[test]
fn envoy_gateway_extends_where_the_body_is_held() {
    let bench = Bench::new(&body());
    for (image, code) in [
        (
            "oci://r.example/t:1".to_owned(),
            json!({ "type": "Image", "image": { "url": "r.example/t:1" } }),
        ),
        (
            format!("https://h.example/t.wasm --sha256 {DIGEST}"),
            json!({ "type": "HTTP", "http": { "url": "https://h.example/t.wasm", "sha256": DIGEST } }),
        ),
    ] {
        let documents = documents(&bench, &format!("envoy-gateway --image {image}"));
        let wasm = &of_kind(&documents, "EnvoyExtensionPolicy")["spec"]["wasm"][0];
        assert_eq!(wasm["code"], code);
        assert_eq!(wasm["config"], body());
        assert_eq!(wasm["failOpen"], false);
        assert_eq!(wasm["rootID"], "toolgate");
    }
}

#[test]
fn what_a_mesh_cannot_load_is_refused_with_what_it_can() {
    let headers = Bench::new(&policy());
    render(&headers, "envoy-gateway --image oci://r.example/t:1")
        .is_usage(&["cannot pull images", "file:///PATH"]);
    let bodies = Bench::new(&body());
    render(&bodies, "envoy-gateway --image file:///t.wasm").is_usage(&["takes no file", "oci://"]);
    for target in ALL {
        render(&headers, &format!("{target} --image https://h.example/t.wasm")).is_usage(&["--sha256 HEX"]);
        render(&headers, &format!("{target} --image file:///t.wasm --name A")).is_usage(&["lower case"]);
        render(&headers, target).is_usage(&["--image"]);
    }
    render(&headers, "wasmplugin --image file:///t.wasm --selector a=*")
        .is_usage(&["value of a Kubernetes label"]);
}

#[test]
fn the_session_secret_gets_through_to_the_filter() {
    let mut secret = policy();
    secret["sessions"] = json!({ "secretEnv": "TOOLGATE_SESSION_SECRET" });
    let bench = Bench::new(&secret);
    let image = "--image file:///t.wasm";
    for target in ALL {
        let said = render(&bench, &format!("{target} {image}"));
        assert!(said.err.contains("must have TOOLGATE_SESSION_SECRET"), "{said:?}");
    }
    let plugin = documents(&bench, &format!("wasmplugin {image}"));
    assert_eq!(
        of_kind(&plugin, "WasmPlugin")["spec"]["vmConfig"]["env"],
        json!([{ "name": "TOOLGATE_SESSION_SECRET", "valueFrom": "HOST" }])
    );
    for target in ["envoyfilter", "envoy-gateway"] {
        let said = render(&bench, &format!("{target} {image}"));
        assert!(said.out.contains("host_env_keys:"), "{said:?}");
    }
    secret["hold"] = json!("body");
    let bench = Bench::new(&secret);
    let extension = documents(&bench, "envoy-gateway --image oci://r.example/t:1");
    assert_eq!(
        of_kind(&extension, "EnvoyExtensionPolicy")["spec"]["wasm"][0]["env"],
        json!({ "hostKeys": ["TOOLGATE_SESSION_SECRET"] })
    );
}

#[test]
fn numbers_that_a_double_cannot_hold_are_refused_where_they_would_become_one() {
    let mut text = policy().to_string();
    let schema = r#""inputSchema":{"#;
    assert!(text.contains(schema));
    text = text.replacen(schema, r#""inputSchema":{"maximum":9007199254740993,"#, 1);
    let bench = Bench::new(&json!({}));
    bench.write("policy.json", &text);
    let said = render(&bench, "wasmplugin --image file:///t.wasm");
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    for word in [
        "/servers/docs/tools/search/inputSchema/maximum",
        "9007199254740993",
        "render envoyfilter",
    ] {
        assert!(said.err.contains(word), "{said:?}");
    }
    // As text every digit stays.
    for target in ["envoyfilter", "envoy-gateway"] {
        let said = render(&bench, &format!("{target} --image file:///t.wasm"));
        assert!(
            said.code == Some(0) && said.out.contains("9007199254740993"),
            "{said:?}"
        );
    }
}

#[test]
fn the_bootstrap_that_gives_metrics_their_labels_is_printed_on_request() {
    let bench = Bench::new(&policy());
    for target in ALL {
        let without = render(&bench, &format!("{target} --image file:///t.wasm"));
        assert!(
            without.err.contains("--bootstrap") && !without.out.contains("stats_tags"),
            "{without:?}"
        );
        let with = documents(&bench, &format!("{target} --image file:///t.wasm --bootstrap"));
        let text = if target == "envoy-gateway" {
            let bootstrap = &of_kind(&with, "EnvoyProxy")["spec"]["bootstrap"];
            assert_eq!(bootstrap["type"], "Merge");
            bootstrap["value"].as_str().unwrap()
        } else {
            of_kind(&with, "ConfigMap")["data"]["custom_bootstrap.json"]
                .as_str()
                .unwrap()
        };
        let bootstrap: Value = serde_saphyr::from_str(text).unwrap();
        let plain =
            bench.bootstrap("--upstream docs=http://127.0.0.1:1/mcp --upstream files=http://127.0.0.1:2/");
        assert_eq!(bootstrap["stats_config"], plain["stats_config"]);
    }
}

#[test]
fn an_object_that_kubernetes_cannot_store_is_refused() {
    let mut large = policy();
    for number in 0..20_000 {
        large["keys"][format!("key-{number:05}")] =
            json!({ "sha256": [format!("{number:064x}")], "roles": ["reader"] });
    }
    let bench = Bench::new(&large);
    for target in ALL {
        let said = render(&bench, &format!("{target} --image file:///t.wasm"));
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
        assert!(said.err.contains("at most 1572864"), "{}", said.err);
    }
}
