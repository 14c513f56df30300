//! Two Envoys before one server: as rendered, and without the filter.

use std::net::SocketAddr;

use serde_json::{Value, json};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::toolgate::{Render, key_digest};

/// One worker each, no access log.
pub(crate) struct Pair {
    pub(crate) plain: Envoy,
    pub(crate) governed: Envoy,
}

impl Pair {
    /// Starts both; a result may have this many bytes.
    pub(crate) async fn start(server: SocketAddr, result_bytes: usize) -> Self {
        Self {
            plain: start(server, result_bytes, false).await,
            governed: start(server, result_bytes, true).await,
        }
    }
}

/// Grants half of the tools of `source::tools`, and the call of the streams.
fn policy(result_bytes: usize) -> Value {
    json!({
        "version": 1,
        "limits": { "resultBytes": result_bytes },
        "servers": { "docs": { "path": "/docs/mcp" } },
        "roles": { "reader": { "allow": ["docs/search", "docs/get_*"] } },
        "keys": { "bench": { "sha256": [key_digest("bench-key")], "roles": ["reader"] } }
    })
}

async fn start(server: SocketAddr, result_bytes: usize, governed: bool) -> Envoy {
    let options = Options {
        release: Release::V1_40,
        concurrency: 1,
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = format!("http://{server}/docs/mcp");
    let render = Render::new(policy(result_bytes)).upstream("docs", &url);
    Envoy::start(options, |listener, admin| {
        let text = render
            .run(directory.path(), listener, admin)
            .expect("the policy renders");
        let mut bootstrap: Value = serde_json::from_str(&text).expect("the bootstrap is JSON");
        let filters = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
        let filters = bootstrap.pointer_mut(filters).and_then(Value::as_array_mut);
        if !governed {
            filters
                .expect("filters")
                .retain(|filter| filter["name"] != "toolgate");
        }
        bootstrap.to_string()
    })
    .await
}
