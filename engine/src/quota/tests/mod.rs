//! Local limits, from the arithmetic of one entry to many workers on one store.

mod charge;
mod gcra;
mod model;
mod money;
mod record;
mod refund;
mod text;
mod workers;

use std::time::Duration;

use crate::policy::Policy;
use crate::quota::{Bill, Book, Call};
use crate::time::UnixNanos;

/// 2026-11-21T00:00:00Z
const NOW: UnixNanos = UnixNanos(1_795_219_200_000_000_000);

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A policy with these teams, and keys that may call everything on `docs`.
struct World {
    policy: Policy,
    book: Book,
}

impl World {
    fn new(teams: &serde_json::Value, keys: &serde_json::Value) -> World {
        let mut keys = keys.clone();
        for (index, (_, key)) in keys.as_object_mut().unwrap().iter_mut().enumerate() {
            key["sha256"] = serde_json::json!([format!("{index:064x}")]);
            key["roles"] = serde_json::json!(["all"]);
        }
        let document = serde_json::json!({
            "version": 1,
            "servers": { "docs": { "path": "/mcp", "tools": {
                "free": {},
                "paid": { "cost": 0.05 },
                "long": { "costPerKiB": 0.001 },
                "both": { "cost": 0.01, "costPerKiB": 0.001 },
            } } },
            "roles": { "all": { "allow": ["docs/*"] } },
            "rateLimitService": { "cluster": "ratelimit", "domain": "toolgate" },
            "teams": teams,
            "keys": keys,
        });
        let policy =
            Policy::compile(document.to_string().as_bytes()).unwrap_or_else(|errors| panic!("{errors}"));
        let book = Book::new(&policy);
        World { policy, book }
    }

    /// One key called `key` with these fields.
    fn of_key(key: &serde_json::Value) -> World {
        World::new(&serde_json::json!({}), &serde_json::json!({ "key": key }))
    }

    fn bill(&self, key: &str, tool: &str) -> Bill {
        self.bill_of(key, tool, None).expect("a limit applies")
    }

    fn bill_of(&self, key: &str, tool: &str, subject: Option<&str>) -> Option<Bill> {
        self.book.bill(&Call {
            key: self.policy.key_by_name(key).expect("a key of the policy"),
            subject,
            server: self
                .policy
                .server(self.policy.server_by_name("docs").expect("the server")),
            tool,
        })
    }
}

fn after(nanos: u64) -> UnixNanos {
    UnixNanos(NOW.0 + nanos)
}
