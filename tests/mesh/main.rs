//! What `toolgate render wasmplugin`, `envoyfilter` and `envoy-gateway` print, in the hands of the control planes they are
//! for: Istio's discovery server and Envoy Gateway, each with a plain Envoy.
//!
//! `make mesh` runs it in a network of its own, because Envoy Gateway's ports are fixed and on all interfaces.

mod envoy_gateway;
mod image;
mod istio;
mod manifests;
mod policy;
mod route;

use toolgate_tests::paths;

/// A program that `scripts/setup.sh mesh` built.
fn program(name: &str) -> std::path::PathBuf {
    let program = paths::installed(name).join(name);
    assert!(
        program.exists(),
        "{} is missing: run scripts/setup.sh mesh",
        program.display()
    );
    program
}
