//! Questions, answers, and what lies between them.

mod replies;
mod requests;
mod units;

use crate::policy::Policy;
use crate::quota::{Bill, Book, Call};
use crate::time::UnixNanos;

/// 2026-11-20T12:34:56.5Z.
const NOW: UnixNanos = UnixNanos(1_795_178_096_500_000_000);

fn at(seconds: u64) -> UnixNanos {
    UnixNanos(seconds * 1_000_000_000)
}

/// A policy with one server, one key in a team, and these limits.
struct Fixture {
    policy: Policy,
    book: Book,
}

impl Fixture {
    fn new(service: &str, team: &str, key: &str) -> Fixture {
        let text = format!(
            r#"{{"version":1,"identity":{{"anonymous":"k"}},
            "servers":{{"docs":{{"path":"/mcp","tools":{{
                "free":{{}},"cheap":{{"cost":0.000001}},"dear":{{"cost":0.05}},"huge":{{"cost":5000}},"by_size":{{"costPerKiB":1}}}}}}}},
            "teams":{{"eng/a~b":{{{team}}}}},
            "keys":{{"k":{{"team":"eng/a~b"{comma}{key}}}}},
            "rateLimitService":{{"cluster":"rl","domain":"tg","timeout":"50ms"{comma2}{service}}}}}"#,
            comma = if key.is_empty() { "" } else { "," },
            comma2 = if service.is_empty() { "" } else { "," },
        );
        let policy = Policy::compile(text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        let book = Book::new(&policy);
        Fixture { policy, book }
    }

    fn bill(&self, tool: &str) -> Bill {
        let server = self.policy.server_by_name("docs").unwrap();
        self.book
            .bill(&Call {
                key: self.policy.key_by_name("k").unwrap(),
                subject: Some("somebody"),
                server: self.policy.server(server),
                tool,
            })
            .expect("limits apply")
    }
}
