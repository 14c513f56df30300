//! Running the program and reading what it says.
#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// SHA-256 of some key that nobody presents.
pub(crate) const DIGEST: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A directory with files, and the program run in it.
pub(crate) struct Bench {
    directory: TempDir,
}

/// What one run left.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    /// With `policy.json` and a stand-in for the filter, whose content only Envoy reads.
    pub(crate) fn new(policy: &Value) -> Self {
        let bench = Self {
            directory: TempDir::new().unwrap(),
        };
        bench.write("policy.json", &format!("{policy:#}"));
        bench.write("toolgate.wasm", "");
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        // Envoy and the program see the same path, whatever links lie on the way.
        self.directory.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program with these arguments, separated by spaces.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments.split_whitespace())
            .current_dir(self.directory.path());
        for variable in ["TOOLGATE_ENVOY", "TOOLGATE_WASM", "CLICOLOR_FORCE"] {
            command.env_remove(variable);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &str) -> Said {
        self.command(arguments).output().unwrap().into()
    }

    /// `render envoy` with what it always needs.
    pub(crate) fn render(&self, arguments: &str) -> Said {
        self.run(&format!(
            "render envoy --policy policy.json --wasm toolgate.wasm --listen 127.0.0.1:8080 --admin 127.0.0.1:9901 \
             {arguments}"
        ))
    }

    /// The same, as the bootstrap that it must be.
    pub(crate) fn bootstrap(&self, arguments: &str) -> Value {
        let said = self.render(arguments);
        assert_eq!(said.code, Some(0), "{said:?}");
        said.json()
    }
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Refused as a wrong question, with these words.
    #[track_caller]
    pub(crate) fn is_usage(&self, words: &[&str]) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert_eq!(self.out, "", "nothing half-done on standard output");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {self:?}");
        }
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_toolgate"))
}

/// Two servers, a reader, and keys in every state.
pub(crate) fn policy() -> Value {
    let key = |letter: &str, roles: Value| json!({ "sha256": [letter.repeat(64)], "roles": roles });
    let with = |mut key: Value, member: &str, value: Value| {
        key[member] = value;
        key
    };
    json!({
        "version": 1,
        "servers": {
            "docs": { "path": "/docs/mcp", "tools": {
                "search": { "inputSchema": { "type": "object", "properties": { "q": { "type": "string" } } } },
                "drop_table": {},
            } },
            "files": { "path": "/files/mcp" },
        },
        "roles": {
            "reader": { "allow": ["docs/*"], "deny": ["*/drop_*"], "resources": ["docs/file:///srv/*"] },
            "filer": { "allow": ["files/*"] },
        },
        "teams": { "eng": {} },
        "keys": {
            "ada": with(key("a", json!(["reader"])), "team", json!("eng")),
            "bob": key("b", json!(["filer"])),
            "old": with(key("c", json!(["reader"])), "expires", json!("2020-01-01T00:00:00Z")),
            "try": with(key("d", json!(["reader"])), "mode", json!("shadow")),
        },
    })
}

/// Quotas and budgets of a key, its team and the team above, with a price for every call.
pub(crate) fn limited() -> Value {
    let mut limited = policy();
    limited["servers"]["docs"]["cost"] = json!(0.01);
    limited["servers"]["docs"]["tools"]["search"]["cost"] = json!(0.002);
    limited["servers"]["docs"]["tools"]["search"]["costPerKiB"] = json!(0.001);
    limited["teams"] = json!({
        "all": { "budget": { "limit": 20000, "per": "month", "scope": "global" } },
        "eng": { "parent": "all", "quotas": [{ "limit": 2000, "per": "minute" }] },
    });
    limited["keys"]["ada"]["quotas"] = json!([
        { "limit": 100, "per": "minute", "burst": 20 },
        { "limit": 5, "per": "hour", "on": "docs/exp*", "each": "tool" },
        { "limit": 7, "per": "hour", "on": "files/*" },
    ]);
    limited["keys"]["ada"]["budget"] = json!({ "limit": 50, "per": "day" });
    limited["rateLimitService"] = json!({ "cluster": "limits" });
    limited
}
