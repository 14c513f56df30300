//! Where the programs under test and the installed parties are. Each place can be given by an environment variable.

use std::env;
use std::path::{Path, PathBuf};

/// The workspace's root directory.
///
/// # Panics
///
/// Never: this package is a member of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a member of the workspace")
}

/// Directory of the test parties' scripts.
pub fn parties() -> PathBuf {
    workspace().join("tests/parties")
}

/// The command line tool: `TOOLGATE_BIN`, or what `make build` leaves.
pub fn toolgate() -> PathBuf {
    given("TOOLGATE_BIN").unwrap_or_else(|| workspace().join("dist/toolgate"))
}

/// The filter: `TOOLGATE_WASM`, or what `make build` leaves.
pub fn module() -> PathBuf {
    given("TOOLGATE_WASM").unwrap_or_else(|| workspace().join("dist/toolgate.wasm"))
}

/// What `scripts/setup.sh` installed under `name`.
///
/// # Panics
///
/// When neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn installed(name: &str) -> PathBuf {
    let cache = given("XDG_CACHE_HOME")
        .or_else(|| given("HOME").map(|home| home.join(".cache")))
        .expect("HOME or XDG_CACHE_HOME is set");
    cache.join("toolgate").join(name)
}

/// The path in an environment variable, if it is set and not empty.
pub fn given(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}
