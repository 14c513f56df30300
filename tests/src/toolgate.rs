//! The command line tool as tests use it.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::paths;

/// Runs the tool to its end.
///
/// # Panics
///
/// When it cannot be started.
pub fn toolgate<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    let program = paths::toolgate();
    Command::new(&program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; run `make build` first", program.display()))
}

/// A bootstrap to be rendered.
#[derive(Clone, Debug, Default)]
pub struct Render {
    policy: Value,
    module: Option<PathBuf>,
    upstreams: Vec<String>,
    arguments: Vec<String>,
}

impl Render {
    /// Renders for `policy`.
    pub fn new(policy: Value) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// Puts `url` behind the policy's server `name`.
    #[must_use]
    pub fn upstream(mut self, name: &str, url: &str) -> Self {
        self.upstreams.push(format!("{name}={url}"));
        self
    }

    /// Puts `url` behind the policy's server `name` instead of what is behind it already.
    #[must_use]
    pub fn upstream_instead(mut self, name: &str, url: &str) -> Self {
        self.upstreams
            .retain(|upstream| upstream.split('=').next() != Some(name));
        self.upstream(name, url)
    }

    /// Takes the filter from this file instead of the one that was built.
    #[must_use]
    pub fn wasm(mut self, module: &Path) -> Self {
        self.module = Some(module.to_owned());
        self
    }

    /// Adds an argument of `toolgate render envoy`.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Runs `toolgate render envoy`; `Err` has what it wrote to standard error.
    pub fn run(&self, directory: &Path, listener: SocketAddr, admin: SocketAddr) -> Result<String, String> {
        let policy = directory.join("policy.json");
        fs::write(&policy, self.policy.to_string()).map_err(|error| error.to_string())?;
        let mut arguments = vec![
            "render".into(),
            "envoy".into(),
            "--policy".into(),
            policy.into_os_string(),
        ];
        let module = self.module.clone().unwrap_or_else(paths::module);
        arguments.extend(["--wasm".into(), module.into_os_string()]);
        arguments.extend(["--listen".into(), listener.to_string().into()]);
        arguments.extend(["--admin".into(), admin.to_string().into()]);
        for upstream in &self.upstreams {
            arguments.extend(["--upstream".into(), upstream.into()]);
        }
        arguments.extend(self.arguments.iter().map(Into::into));
        let output = toolgate(&arguments);
        if output.status.success() {
            String::from_utf8(output.stdout).map_err(|error| error.to_string())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

/// The digest that a policy stores for a key.
pub fn key_digest(key: &str) -> String {
    digest(key.as_bytes())
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
