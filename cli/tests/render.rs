//! `render envoy`: the bootstrap's promises, one by one. That real Envoys accept it is tested elsewhere.

mod common;

use common::{Bench, policy};
use serde_json::{Value, json};

const BOTH: &str = "--upstream docs=http://127.0.0.1:3000/mcp --upstream files=http://127.0.0.1:3001/";

fn hcm(bootstrap: &Value) -> &Value {
    &bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
}

fn cluster<'a>(bootstrap: &'a Value, name: &str) -> &'a Value {
    let clusters = bootstrap["static_resources"]["clusters"].as_array().unwrap();
    clusters
        .iter()
        .find(|cluster| cluster["name"] == name)
        .unwrap_or_else(|| panic!("no cluster {name}"))
}

fn filter_names(bootstrap: &Value) -> Vec<&str> {
    let filters = hcm(bootstrap)["http_filters"].as_array().unwrap();
    filters
        .iter()
        .map(|filter| filter["name"].as_str().unwrap())
        .collect()
}

fn wasm(bootstrap: &Value) -> &Value {
    let filters = hcm(bootstrap)["http_filters"].as_array().unwrap();
    &filters
        .iter()
        .find(|filter| filter["name"] == "toolgate")
        .unwrap()["typed_config"]["config"]
}

fn route<'a>(bootstrap: &'a Value, host: &str, server: &str) -> &'a Value {
    let hosts = hcm(bootstrap)["route_config"]["virtual_hosts"]
        .as_array()
        .unwrap();
    let host = hosts.iter().find(|at| at["domains"] == json!([host])).unwrap();
    host["routes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|route| route["name"] == server)
        .unwrap()
}

#[test]
fn hardens_what_envoy_reads_before_the_filter() {
    let bootstrap = Bench::new(&policy()).bootstrap(BOTH);
    let hcm = hcm(&bootstrap);
    assert_eq!(hcm["normalize_path"], true);
    assert_eq!(hcm["merge_slashes"], true);
    assert_eq!(hcm["strip_trailing_host_dot"], true);
    assert_eq!(hcm["path_with_escaped_slashes_action"], "REJECT_REQUEST");
    assert_eq!(
        hcm["common_http_protocol_options"]["headers_with_underscores_action"],
        "REJECT_REQUEST"
    );
    assert_eq!(hcm["use_remote_address"], true);
    assert!(hcm.get("upgrade_configs").is_none());
    assert_eq!(
        bootstrap["static_resources"]["listeners"][0]["enable_reuse_port"],
        false
    );
    assert_eq!(
        filter_names(&bootstrap),
        ["toolgate", "envoy.filters.http.router"]
    );
}

#[test]
fn the_filter_gets_the_policy_as_text_and_the_flag_that_holds_headers() {
    let bench = Bench::new(&policy());
    let bootstrap = bench.bootstrap(BOTH);
    let config = wasm(&bootstrap);
    assert_eq!(
        config["configuration"]["@type"],
        "type.googleapis.com/google.protobuf.StringValue"
    );
    let text = config["configuration"]["value"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), policy());
    assert!(!text.contains('\n'));
    assert_eq!(config["allow_on_headers_stop_iteration"], true);
    assert_eq!(config["failure_policy"], "FAIL_RELOAD");
    for name in ["name", "root_id"] {
        assert_eq!(config[name], "toolgate");
    }
    let file = config["vm_config"]["code"]["local"]["filename"].as_str().unwrap();
    assert_eq!(file, bench.path("toolgate.wasm").to_str().unwrap());

    let mut body = policy();
    body["hold"] = json!("body");
    let bootstrap = Bench::new(&body).bootstrap(BOTH);
    assert!(wasm(&bootstrap).get("allow_on_headers_stop_iteration").is_none());
}

#[test]
fn envoys_buffers_are_above_the_policys_limits_everywhere() {
    let mut large = policy();
    large["limits"] = json!({ "requestBytes": 10_000_000, "resultBytes": 20_000_000 });
    let bootstrap = Bench::new(&large).bootstrap(BOTH);
    for limit in [
        &bootstrap["static_resources"]["listeners"][0]["per_connection_buffer_limit_bytes"],
        &route(&bootstrap, "*", "docs")["request_body_buffer_limit"],
        &hcm(&bootstrap)["http2_protocol_options"]["initial_stream_window_size"],
    ] {
        assert!(limit.as_u64().unwrap() > 20_000_000, "{limit}");
    }
    // Towards the server it is only how much is read at once; the filter's copies are as large.
    let step = &cluster(&bootstrap, "docs")["per_connection_buffer_limit_bytes"];
    assert_eq!(step.as_u64(), Some(256 * 1024));
}

#[test]
fn routes_the_policys_exact_path_to_the_upstreams_without_timeout_or_retry() {
    let bootstrap = Bench::new(&policy()).bootstrap(BOTH);
    let route = route(&bootstrap, "*", "docs");
    assert_eq!(route["match"], json!({ "path": "/docs/mcp" }));
    assert_eq!(route["route"]["prefix_rewrite"], "/mcp");
    assert_eq!(route["route"]["cluster"], "docs");
    assert_eq!(route["route"]["timeout"], "0s");
    assert!(route["route"].get("retry_policy").is_none());
    assert!(
        route["route"].get("host_rewrite_literal").is_none(),
        "a local server checks the client's Host itself"
    );
}

#[test]
fn a_server_with_a_host_comes_before_one_without() {
    let mut hosts = policy();
    hosts["servers"]["files"] = json!({ "path": "/docs/mcp", "host": "Files.Example" });
    let bootstrap = Bench::new(&hosts).bootstrap(BOTH);
    let virtual_hosts = hcm(&bootstrap)["route_config"]["virtual_hosts"]
        .as_array()
        .unwrap();
    let routes = |at: usize| -> Vec<&str> {
        virtual_hosts[at]["routes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|route| route["name"].as_str().unwrap())
            .collect()
    };
    assert_eq!(virtual_hosts[0]["domains"], json!(["files.example"]));
    assert_eq!(routes(0), ["files", "docs"]);
    assert_eq!(virtual_hosts[1]["domains"], json!(["*"]));
    assert_eq!(routes(1), ["docs"]);
}

#[test]
fn https_upstreams_are_verified_by_the_name_in_their_url() {
    let bench = Bench::new(&policy());
    bench.write("ca.pem", "");
    let bootstrap = bench.bootstrap(
        "--upstream docs=https://mcp.example/x --upstream files=https://[::1]:444/ --upstream-ca ca.pem",
    );
    let docs = &cluster(&bootstrap, "docs")["transport_socket"]["typed_config"];
    assert_eq!(docs["sni"], "mcp.example");
    let validation = &docs["common_tls_context"]["validation_context"];
    assert_eq!(
        validation["trusted_ca"]["filename"],
        bench.path("ca.pem").to_str().unwrap()
    );
    assert_eq!(
        validation["match_typed_subject_alt_names"],
        json!([{ "san_type": "DNS", "matcher": { "exact": "mcp.example" } }])
    );
    assert_eq!(
        route(&bootstrap, "*", "docs")["route"]["host_rewrite_literal"],
        "mcp.example"
    );
    let files = &cluster(&bootstrap, "files")["transport_socket"]["typed_config"];
    assert!(files.get("sni").is_none());
    assert_eq!(
        files["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"][0],
        json!({ "san_type": "IP_ADDRESS", "matcher": { "exact": "::1" } })
    );
}

#[test]
fn several_upstreams_of_one_name_are_one_cluster_that_keeps_sessions() {
    let bootstrap =
        Bench::new(&policy()).bootstrap(&format!("{BOTH} --upstream docs=http://127.0.0.1:3002/mcp"));
    let endpoints = &cluster(&bootstrap, "docs")["load_assignment"]["endpoints"][0]["lb_endpoints"];
    assert_eq!(endpoints.as_array().unwrap().len(), 2);
    let filters = [
        "toolgate",
        "envoy.filters.http.stateful_session",
        "envoy.filters.http.router",
    ];
    assert_eq!(filter_names(&bootstrap), filters);
    let off = |server| &route(&bootstrap, "*", server)["typed_per_filter_config"];
    assert_eq!(off("docs"), &Value::Null);
    assert_eq!(
        off("files")["envoy.filters.http.stateful_session"]["disabled"],
        true
    );
}

#[test]
fn tls_to_the_outside_speaks_both_protocols() {
    let bench = Bench::new(&policy());
    bench.write("cert.pem", "");
    bench.write("key.pem", "");
    let bootstrap = bench.bootstrap(&format!("{BOTH} --tls-cert cert.pem --tls-key key.pem"));
    let chain = &bootstrap["static_resources"]["listeners"][0]["filter_chains"][0];
    let context = &chain["transport_socket"]["typed_config"]["common_tls_context"];
    assert_eq!(context["alpn_protocols"], json!(["h2", "http/1.1"]));
    let certificate = &context["tls_certificates"][0]["certificate_chain"]["filename"];
    assert_eq!(certificate, bench.path("cert.pem").to_str().unwrap());
    bench
        .render(&format!("{BOTH} --tls-cert cert.pem"))
        .is_usage(&["--tls-key"]);
    bench
        .render(&format!("{BOTH} --tls-cert nowhere.pem --tls-key key.pem"))
        .is_usage(&["--tls-cert nowhere.pem"]);
}

fn with_jwt(headers: &Value) -> Bench {
    let mut reads = policy();
    reads["identity"] = json!({ "headers": headers, "jwt": { "metadata": "claims", "claim": "sub" } });
    let bench = Bench::new(&reads);
    bench.write("jwks.json", r#"{"keys":[{"kty":"oct","k":"AA"}]}"#);
    bench
}

#[test]
fn jwts_are_verified_before_the_filter_and_never_forwarded() {
    let bench = with_jwt(&json!(["authorization"]));
    let flags = "--jwt-issuer https://issuer.example --jwt-audience mcp";
    let bootstrap = bench.bootstrap(&format!("{BOTH} --jwks jwks.json {flags}"));
    assert_eq!(
        filter_names(&bootstrap)[..2],
        ["envoy.filters.http.jwt_authn", "toolgate"]
    );
    let filter = &hcm(&bootstrap)["http_filters"][0]["typed_config"];
    let provider = &filter["providers"]["toolgate"];
    assert_eq!(provider["payload_in_metadata"], "claims");
    assert_eq!(provider["forward"], false);
    assert_eq!(provider["issuer"], "https://issuer.example");
    assert_eq!(provider["audiences"], json!(["mcp"]));
    assert_eq!(
        provider["local_jwks"]["filename"],
        bench.path("jwks.json").to_str().unwrap()
    );
    // A virtual key in the same header is no JWT: it must get to the filter.
    let requires = &filter["rules"][0]["requires"]["requires_any"]["requirements"];
    assert_eq!(
        requires,
        &json!([{ "provider_name": "toolgate" }, { "allow_missing_or_failed": {} }])
    );

    let fetched = bench.bootstrap(&format!("{BOTH} --jwks http://127.0.0.1:9/keys {flags}"));
    let remote = &hcm(&fetched)["http_filters"][0]["typed_config"]["providers"]["toolgate"]["remote_jwks"];
    assert_eq!(
        cluster(&fetched, remote["http_uri"]["cluster"].as_str().unwrap())["type"],
        "STATIC"
    );
}

#[test]
fn where_no_key_shares_its_header_a_bad_jwt_is_envoys_401() {
    let bootstrap =
        with_jwt(&json!(["x-key"])).bootstrap(&format!("{BOTH} --jwks jwks.json --jwt-issuer me"));
    let filter = &hcm(&bootstrap)["http_filters"][0]["typed_config"];
    let requires = &filter["rules"][0]["requires"]["requires_any"]["requirements"];
    assert_eq!(requires[1], json!({ "allow_missing": {} }));
}

#[test]
fn jwt_flags_that_cannot_work_are_refused() {
    let bench = Bench::new(&policy());
    bench.write("jwks.json", r#"{"keys":[{}]}"#);
    bench
        .render(&format!("{BOTH} --jwks jwks.json --jwt-issuer me"))
        .is_usage(&["does not read JWTs", "\"jwt\""]);
    let bench = with_jwt(&json!(["authorization"]));
    bench.write("empty.json", r#"{"keys":[]}"#);
    bench
        .render(&format!("{BOTH} --jwks empty.json --jwt-issuer me"))
        .is_usage(&["not a JWK set"]);
    bench
        .render(&format!("{BOTH} --jwks jwks.json"))
        .is_usage(&["--jwt-issuer"]);
    let said = bench.render(BOTH);
    assert!(
        said.code == Some(0) && said.err.contains("without --jwks nothing verifies them"),
        "{said:?}"
    );
}

#[test]
fn the_access_log_is_json_with_stable_names() {
    let bench = Bench::new(&policy());
    let bootstrap = bench.bootstrap(&format!("{BOTH} --access-log log.json"));
    let log = &hcm(&bootstrap)["access_log"][0]["typed_config"];
    assert_eq!(log["path"], bench.path("log.json").to_str().unwrap());
    let fields = log["log_format"]["json_format"].as_object().unwrap();
    for (name, state) in [
        ("decision", "decision"),
        ("would_deny", "would_deny"),
        ("key", "key"),
        ("team", "team"),
        ("server", "server"),
        ("mcp.method.name", "method"),
        ("gen_ai.tool.name", "tool"),
        ("jsonrpc.request.id", "id"),
        ("mcp.protocol.version", "protocol"),
        ("mcp.session.id", "session"),
        ("limit", "limit"),
        ("cost_micros", "cost_micros"),
        ("rate_limit", "rate_limit"),
        ("store_conflicts", "store_conflicts"),
        ("outcome", "outcome"),
        ("outcome_code", "outcome_code"),
        ("result_bytes", "result_bytes"),
        ("result_tokens", "result_tokens"),
        ("first_byte_ms", "first_byte_ms"),
        ("call_duration_ms", "duration_ms"),
    ] {
        assert_eq!(
            fields[name],
            format!("%FILTER_STATE(wasm.toolgate.{state}:PLAIN)%")
        );
    }
    assert!(hcm(&bench.bootstrap(BOTH)).get("access_log").is_none());
}

#[test]
fn upstreams_and_servers_must_match_one_to_one() {
    let bench = Bench::new(&policy());
    bench
        .render("--upstream docs=http://h/")
        .is_usage(&["\"files\" has no upstream", "--upstream files=http://"]);
    bench
        .render(&format!("{BOTH} --upstream flies=http://h/"))
        .is_usage(&["no server \"flies\"", "\"files\"?"]);
    bench
        .render(&format!("{BOTH} --upstream docs=http://h/other"))
        .is_usage(&["differ in their path"]);
    bench
        .render(&format!("{BOTH} --upstream docs"))
        .is_usage(&["NAME=URL"]);
}

#[test]
fn an_invalid_policy_is_no_with_all_its_errors_and_no_bootstrap() {
    let mut wrong = policy();
    wrong["servers"]["docs"]["toolz"] = json!(1);
    wrong["keys"]["ada"]["roles"] = json!(["raeder"]);
    let said = Bench::new(&wrong).render(BOTH);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(
        said.err.contains("/servers/docs/toolz") && said.err.contains("/keys/ada/roles/0"),
        "{said:?}"
    );
}

#[test]
fn what_cannot_be_rendered_is_refused() {
    Bench::new(&policy())
        .run("render nonsense")
        .is_usage(&["nonsense"]);
}

#[test]
fn an_admin_interface_for_everyone_is_warned_of() {
    let bench = Bench::new(&policy());
    let said = bench.run(&format!(
        "render envoy --policy policy.json --wasm toolgate.wasm --listen 0.0.0.0:1 --admin 0.0.0.0:2 {BOTH}"
    ));
    assert!(
        said.code == Some(0) && said.err.contains("no authentication"),
        "{said:?}"
    );
}
