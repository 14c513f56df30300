//! Chains of a real Envoy with four workers: every call of a session or trace has its number, whatever came of it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use toolgate_tests::access_log::AccessLog;
use toolgate_tests::client::{Connection, Request, Transport};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::run;
use toolgate_tests::toolgate::Render;
use toolgate_tests::upstream::{Answer, Door, Upstream, mcp_server};

use super::{
    PATH, TRACE, legacy, modern, policy, session, traceparent, verified_by_python, verified_by_toolgate,
};
use crate::policy_in_force::Ecds;

const WORKERS: u32 = 4;

/// The lines of one chain in order, once there are so many; their numbers and links are what they must be.
async fn chain(log: &AccessLog, count: usize, is_meant: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut lines = log
        .wait_for(count, |line| line["chain_id"].is_string() && is_meant(line))
        .await;
    let number = |line: &Value| {
        line["chain_seq"]
            .as_str()
            .and_then(|seq| seq.parse::<usize>().ok())
    };
    lines.sort_by_key(number);
    let mut before = Value::Null;
    for (line, expected) in lines.iter().zip(1..) {
        assert_eq!(number(line), Some(expected), "{line}");
        assert_eq!(line["chain_id"], lines[0]["chain_id"], "{line}");
        assert_eq!(line["chain_prev"], before, "{line}");
        before = line["chain_digest"].clone();
    }
    lines
}

/// Both verifiers agree that the log is whole, and that a copy with one byte changed is not.
fn verify(log: &Path, records: usize, chains: usize) {
    let said = verified_by_python(log).unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(said, format!("{records} records in {chains} chains"));
    verified_by_toolgate(log).unwrap_or_else(|said| panic!("{said}"));
    let text = std::fs::read_to_string(log).expect("readable");
    let chained = text.find("\"chain_id\":\"").expect("a chain");
    let line = text[..chained].rfind('\n').map_or(0, |end| end + 1);
    let (before, rest) = text.split_at(line);
    let edited = before.to_owned() + &rest.replacen("\"server\":\"docs\"", "\"server\":\"dogs\"", 1);
    assert_ne!(edited, text);
    let copy = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(copy.path(), edited).expect("written");
    assert!(verified_by_python(copy.path()).is_err());
    assert!(verified_by_toolgate(copy.path()).is_err());
}

struct Stand {
    envoy: Envoy,
    upstream: Upstream,
    log: AccessLog,
    directory: TempDir,
}

impl Stand {
    /// With a policy that can be replaced.
    async fn start(release: Release) -> Self {
        let upstream = Upstream::start(mcp_server(json!([]))).await;
        let (log, directory) = (
            AccessLog::new(),
            tempfile::tempdir().expect("a temporary directory"),
        );
        let policy = policy(&json!({}));
        let render = log.written_by(Render::new(policy.clone()).upstream("docs", &upstream.url(PATH)));
        let ecds = Ecds::of(directory.path(), render);
        ecds.put(&policy.to_string());
        let options = Options {
            release,
            concurrency: WORKERS,
        };
        let envoy = Envoy::start(options, |listener, admin| ecds.bootstrap(listener, admin)).await;
        Self {
            envoy,
            upstream,
            log,
            directory,
        }
    }

    fn put(&self, policy: &Value) {
        let render = Render::new(policy.clone()).upstream("docs", &self.upstream.url(PATH));
        Ecds::of(self.directory.path(), self.log.written_by(render)).put(&policy.to_string());
    }

    fn log_file(&self) -> PathBuf {
        self.log.path()
    }

    /// Sends all of them at once, on connections of their own.
    async fn at_once(&self, requests: impl IntoIterator<Item = Request>) {
        let mut calls = JoinSet::new();
        let address = self.envoy.address();
        for (number, request) in requests.into_iter().enumerate() {
            let transport = [Transport::Length, Transport::Http2][number % 2];
            calls.spawn(async move { request.send(address, transport).await });
        }
        for answer in calls.join_all().await {
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
}

#[test]
fn every_call_of_a_session_is_in_its_chain() {
    for release in Release::ALL {
        run(every_call(release));
    }
}

async fn every_call(release: Release) {
    let stand = Stand::start(release).await;
    let session = session(&stand.envoy, &stand.upstream, "chained").await;
    let call = |id: u64, tool: &str| {
        legacy(id, tool, &json!({ "number": id }))
            .header("mcp-session-id", &session)
            // The session's chain it is, whatever trace its calls are in.
            .header("traceparent", traceparent(&format!("{id:032x}")))
    };
    stand.upstream.answer("streamed.", |received| {
        let id = received.json()["id"].clone();
        Answer::sse_messages([
            &json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {} }),
            &json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [] } }),
        ])
    });
    let tools = ["search", "delete_all", "strict", "once", "streamed", "priced"];
    let requests = (1..=120).map(|id| {
        let tool = tools[usize::try_from(id).unwrap() % tools.len()];
        call(id, tool).header("x-label", format!("{tool}."))
    });
    stand.at_once(requests).await;
    // Clients that leave while the server works.
    let door = Door::closed();
    let held = door.clone();
    stand
        .upstream
        .answer("left.", move |_| Answer::new(200).behind(&held));
    for number in 1..=4 {
        let mut connection = Connection::open(stand.envoy.address()).await.expect("connects");
        let request = call(120 + number, "search").header("x-label", "left.");
        connection
            .request(&request, Transport::Length)
            .await
            .expect("sent");
        stand
            .upstream
            .wait_for("left.", usize::try_from(number).unwrap())
            .await;
    }
    chain(&stand.log, 124, |_| true).await;
    door.open();
    // Another policy goes on with it.
    stand.put(&policy(&json!({ "arguments": "values" })));
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    let (mut last, mut in_a_row) = (124, 0);
    while in_a_row < 16 {
        last += 1;
        stand.envoy.send(&call(last, "search"), Transport::Length).await;
        let record = stand.log.of_request(last).await;
        in_a_row = if record["arguments"].is_string() {
            in_a_row + 1
        } else {
            0
        };
        assert!(
            std::time::Instant::now() < deadline,
            "{release:?}: the new policy is not in force"
        );
    }
    let count = usize::try_from(last).unwrap();
    let lines = chain(&stand.log, count, |_| true).await;
    assert_ne!(lines[0]["policy"], lines[count - 1]["policy"]);
    let of = |field: &str, value: &str| lines.iter().filter(|line| line[field] == value).count();
    for (decision, expected) in [("hidden", 20), ("schema", 20), ("quota", 19)] {
        assert_eq!(of("decision", decision), expected, "{release:?}: {decision}");
    }
    assert_eq!(
        (of("outcome", "client_gone"), of("cost_micros", "250000")),
        (4, 20)
    );
    assert_eq!(of("gen_ai.tool.name", "streamed"), 20);
    verify(&stand.log_file(), count, 1);
    let log = stand.envoy.log();
    assert!(!log.contains("panicked") && !log.contains("[critical]"), "{log}");
}

#[test]
fn sessions_traces_and_keys_have_chains_of_their_own() {
    run(async {
        let stand = Stand::start(Release::V1_40).await;
        let (one, two) = (
            session(&stand.envoy, &stand.upstream, "one").await,
            session(&stand.envoy, &stand.upstream, "two").await,
        );
        let none = json!({});
        let other = "0af7651916cd43dd8448eb211c80319c";
        let runs: [&dyn Fn(u64) -> Request; 5] = [
            &|id| legacy(id, "search", &none).header("mcp-session-id", &one),
            &|id| legacy(id, "search", &none).header("mcp-session-id", &two),
            &|id| legacy(id, "search", &none).header("traceparent", traceparent(TRACE)),
            &|id| modern(id, "search", &none, &json!({ "traceparent": traceparent(other) })),
            // The same trace with another key.
            &|id| {
                let request = legacy(id, "search", &none)
                    .without("authorization")
                    .key("eve-key");
                request.header("traceparent", traceparent(TRACE))
            },
        ];
        let requests = runs
            .iter()
            .zip(0..)
            .flat_map(|(run, number)| (1..=10).map(move |id| run(100 * number + id)));
        stand.at_once(requests).await;
        // In none.
        stand
            .at_once((900..910).map(|id| legacy(id, "search", &none)))
            .await;
        for number in 0..5 {
            let ids: Vec<Value> = (1..=10)
                .map(|id| json!((100 * number + id).to_string()))
                .collect();
            let lines = chain(&stand.log, 10, |line| ids.contains(&line["jsonrpc.request.id"])).await;
            let loops = lines.iter().filter(|line| line["decision"] == "loop").count();
            assert_eq!(loops, if number == 4 { 8 } else { 0 });
        }
        verify(&stand.log_file(), 50, 5);
    });
}

#[test]
fn hostile_values_are_in_the_log_as_they_were_digested() {
    for release in Release::ALL {
        run(hostile(release));
    }
}

async fn hostile(release: Release) {
    let log = AccessLog::new();
    let options = Options {
        release,
        concurrency: WORKERS,
    };
    let policy = policy(&json!({ "arguments": "values" }));
    let script = mcp_server(json!([]));
    let gate = Gate::start_with(
        options,
        policy,
        script,
        |render| log.written_by(render),
        |text| text,
    )
    .await;
    let names = [
        "a=1:b".to_owned(),
        "back\\slash \"quoted\" </script>".to_owned(),
        "\u{1F600}\u{2028}\u{202E}\u{7FF}\u{FFFD}".to_owned(),
        "delete_\u{e9}%00".to_owned(),
        "x".repeat(256),
        "\u{e9}".repeat(256),
        "y".repeat(1000),
        "-".to_owned(),
    ];
    // Their control characters are refused; those of arguments are not, in strings and between tokens.
    let ids = [r#""\\n=1:x\u003d""#, "\"\u{e9}\\ud83d\\ude00\"", "-7", "\"\""];
    let arguments = [
        "{\"a\":\"\\u0000\\n=5:x\\u007f\u{7f}\"}",
        "{\n\"b\" : 1,\r\n\t\"chain_seq=1:\":\"\\u2028\u{2028}\"}",
        "{ \"n\" : [1e3, -0] }",
    ];
    let mut sent = 0;
    for (number, name) in names.iter().enumerate() {
        for (id, arguments) in ids.iter().zip(arguments.iter().cycle()) {
            let name = json!(name);
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":{name},"arguments":{arguments}}}}}"#
            );
            let request = Request::post(PATH, body)
                .key("ada-key")
                .header("mcp-protocol-version", "2025-11-25")
                .header("traceparent", traceparent(TRACE));
            let transport = [Transport::Length, Transport::Http2][number % 2];
            assert_eq!(gate.send(&request, transport).await.status, 200, "{request:?}");
            sent += 1;
        }
    }
    let lines = chain(&log, sent, |_| true).await;
    for name in &names[..6] {
        let named = lines
            .iter()
            .filter(|line| line["gen_ai.tool.name"] == name.as_str());
        assert_eq!(named.count(), ids.len(), "{release:?}: {name:?}");
    }
    // None of these is known to be a call of anybody's session.
    let in_session = |session: &[u8]| legacy(1, "search", &json!({})).header("mcp-session-id", session);
    for (request, decision) in [
        (in_session(b"\xff\xfe"), "malformed"),
        (in_session(b"a\tb"), "malformed"),
        (in_session(b"nobody=7:x"), "session"),
        (legacy(1, "new\nline", &json!({})), "malformed"),
        (legacy(1, "nul\0", &json!({})), "malformed"),
        (legacy(1, "", &json!({})), "malformed"),
    ] {
        let request = request.header("traceparent", traceparent(TRACE));
        let answer = gate.send(&request, Transport::Length).await;
        assert_eq!(answer.header("x-toolgate-decision"), decision, "{request:?}");
    }
    let unchained = log.wait_for(6, |line| line["chain_id"].is_null()).await;
    assert!(unchained.iter().all(|line| line["chain_digest"].is_null()));
    verify(&log.path(), sent, 1);
}
