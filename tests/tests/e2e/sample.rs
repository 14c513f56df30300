//! The bootstrap that operators copy (`envoy/toolgate.yaml`) governs as it stands.

use std::fs;

use serde_json::json;
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::toolgate::key_digest;
use toolgate_tests::upstream::{Upstream, mcp_server};
use toolgate_tests::{paths, run};

#[test]
fn the_bootstrap_to_copy_governs_on_every_envoy() {
    run(async {
        let text = fs::read_to_string(paths::workspace().join("envoy/toolgate.yaml")).unwrap();
        let upstream = Upstream::start(mcp_server(json!([{ "name": "search_docs" }]))).await;
        let port = upstream
            .url("/")
            .rsplit(':')
            .next()
            .unwrap()
            .trim_end_matches('/')
            .to_owned();
        for release in Release::ALL {
            let options = Options {
                release,
                ..Options::default()
            };
            let envoy = Envoy::start(options, |listener, admin| {
                text.replace("port_value: 9901", &format!("port_value: {}", admin.port()))
                    .replace(
                        "port_value: 8080 } }",
                        &format!(
                            "port_value: {} }} }}\n    enable_reuse_port: false",
                            listener.port()
                        ),
                    )
                    .replace("port_value: 3000", &format!("port_value: {port}"))
                    .replace(
                        "/etc/toolgate/toolgate.wasm",
                        &paths::module().display().to_string(),
                    )
                    .replace(&format!("{:064}", 1), &key_digest("alice-key"))
            })
            .await;
            for (key, tool, status, decision, arrives) in [
                ("alice-key", "search_docs", 200, "allowed", true),
                ("alice-key", "delete_docs", 200, "hidden", false),
                ("other-key", "search_docs", 401, "bad_key", false),
            ] {
                let label = format!("{release:?}-{key}-{tool}");
                let body =
                    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool } });
                let request = Request::post("/docs/mcp", body.to_string())
                    .key(key)
                    .header("x-label", &label);
                let answer = envoy.send(&request, Transport::ALL[0]).await;
                assert_eq!(
                    (answer.status, answer.header("x-toolgate-decision").as_str()),
                    (status, decision),
                    "{label}"
                );
                assert_eq!(
                    upstream.received_for(&label).len(),
                    usize::from(arrives),
                    "{label}"
                );
            }
        }
    });
}
