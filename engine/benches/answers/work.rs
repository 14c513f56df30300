//! The answers whose way back is measured.

use std::hint::black_box;
use std::rc::Rc;

use serde_json::json;
use toolgate_engine::binding::Secrets;
use toolgate_engine::exchange::{
    BodyStep, ChunkStep, Engine, Exchange, HeadStep, RequestHead, ResponseHead, ResponseStep, ResultStep,
    UnixNanos,
};
use toolgate_engine::policy::Policy;
use toolgate_engine::store::MemoryStore;

const NOW: UnixNanos = UnixNanos(1_767_225_600_000_000_000);

/// The SHA-256 of `key`.
const KEY: &str = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";

/// What Envoy hands over at once.
pub(crate) const WINDOW: usize = 16 * 1024;

/// One answer, again and again.
pub(crate) struct Work {
    engine: Rc<Engine>,
    store: MemoryStore,
    request: &'static str,
    head: Vec<(&'static [u8], Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Work {
    fn new(request: &'static str, media_type: &str, body: Vec<u8>) -> Work {
        let policy = json!({
            "version": 1,
            "limits": { "resultBytes": 16_777_216 },
            "servers": { "docs": { "path": "/mcp" } },
            "roles": { "all": { "allow": ["docs/*"], "deny": ["docs/*_7"] } },
            "keys": { "one": { "sha256": [KEY], "roles": ["all"] } }
        });
        Work {
            engine: Engine::new(
                Policy::compile(policy.to_string().as_bytes()).expect("a valid policy"),
                Secrets::random([7; 32]),
            ),
            store: MemoryStore::new(),
            request,
            head: vec![
                (b":status", b"200".to_vec()),
                (b"content-type", media_type.as_bytes().to_vec()),
                (b"content-length", body.len().to_string().into_bytes()),
            ],
            body,
        }
    }

    /// The result of a call, as one JSON body.
    pub(crate) fn json(result: Vec<u8>) -> Work {
        Work::new(CALL, "application/json", result)
    }

    /// Notifications of about this size, and then the result.
    pub(crate) fn notifications(size: usize, total: usize) -> Work {
        let text = prose(size);
        let event = json!({
            "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": text }
        });
        let mut stream = format!("event: message\ndata: {event}\n\n").repeat((total / size).max(1));
        stream
            .push_str("event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[]}}\n\n");
        Work::new(CALL, "text/event-stream", stream.into_bytes())
    }

    /// The result as one event.
    pub(crate) fn event(result: &[u8]) -> Work {
        let stream = [b"event: message\ndata: ", result, b"\n\n"].concat();
        Work::new(CALL, "text/event-stream", stream)
    }

    /// A list of this many tools of about 400 bytes each, of which one in ten is filtered out.
    pub(crate) fn list(tools: usize) -> Work {
        let tool = |i: usize| {
            json!({
                "name": format!("tool_{i}"),
                "description": prose(200),
                "inputSchema": {
                    "type": "object",
                    "properties": { "query": { "type": "string", "maxLength": 500 }, "limit": { "type": "integer" } },
                    "required": ["query"]
                }
            })
        };
        let tools: Vec<_> = (0..tools).map(tool).collect();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": tools } }).to_string();
        Work::new(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
            "application/json",
            body.into_bytes(),
        )
    }

    /// The whole way back; bytes that went out.
    pub(crate) fn run(&self) -> usize {
        let mut exchange = self.forwarded();
        let head: Vec<(&[u8], &[u8])> = self.head.iter().map(|(name, value)| (*name, &**value)).collect();
        let head = ResponseHead {
            headers: &head,
            end_of_stream: false,
        };
        match exchange.response_head(&head, NOW) {
            ResponseStep::Pass(_) | ResponseStep::Replace(_) => 0,
            ResponseStep::Await { .. } => match exchange.response_body(&self.body, &self.store, NOW) {
                ResultStep::Keep => self.body.len(),
                ResultStep::Rewrite { body, .. } => black_box(body).len(),
                ResultStep::Replace(_) => 0,
            },
            ResponseStep::Stream(_) => {
                let chunk = |window| match exchange.response_chunk(window, &self.store, NOW) {
                    ChunkStep::Keep => window.len(),
                    ChunkStep::Splice { front, keep } => black_box(front).len() + keep,
                    ChunkStep::Rewrite(bytes) => black_box(bytes).len(),
                };
                self.body.chunks(WINDOW).map(chunk).sum()
            }
        }
    }

    fn forwarded(&self) -> Exchange {
        let lines: [(&[u8], &[u8]); 4] = [
            (b":method", b"POST"),
            (b":path", b"/mcp"),
            (b"content-type", b"application/json"),
            (b"authorization", b"Bearer key"),
        ];
        let head = RequestHead {
            headers: &lines,
            end_of_stream: false,
            jwt: None,
        };
        let mut exchange = Exchange::new(Rc::clone(&self.engine));
        let step = exchange.request_head(&head, &self.store, NOW);
        assert!(matches!(step, HeadStep::Await { .. }), "{step:?}");
        let step = exchange.request_body(self.request.as_bytes(), &self.store, NOW);
        assert!(matches!(step, BodyStep::Forward(_)), "{step:?}");
        exchange
    }
}

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_page","arguments":{}}}"#;

/// The result of a call with this much text in it: prose, with a line end every 80 characters.
pub(crate) fn text_result(size: usize) -> Vec<u8> {
    let content = json!([{ "type": "text", "text": prose(size) }]);
    result(&content)
}

/// The result of a call with this much JSON in it, in the form of records.
pub(crate) fn structured_result(size: usize) -> Vec<u8> {
    let record = |i: usize| json!({ "id": i, "name": format!("record number {i}"), "price": 12.5, "tags": ["a", "b"], "active": true });
    let records: Vec<_> = (0..size / 88).map(record).collect();
    result(&json!([{ "type": "text", "text": "" }, { "records": records }]))
}

/// The result of a call with this much JSON in it as a text, as most servers send it.
pub(crate) fn quoted_result(size: usize) -> Vec<u8> {
    let inner = String::from_utf8(structured_result(size * 4 / 5)).expect("UTF-8");
    result(&json!([{ "type": "text", "text": inner }]))
}

fn result(content: &serde_json::Value) -> Vec<u8> {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "result": { "content": content, "isError": false } });
    message.to_string().into_bytes()
}

fn prose(size: usize) -> String {
    let line = "The quick brown fox jumps over the lazy dog, and then it does so once more again.\n";
    line.chars().cycle().take(size).collect()
}
