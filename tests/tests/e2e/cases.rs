//! The engine's case table (`engine/cases`) through a real Envoy: one meaning of every case, wherever it runs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use toolgate_tests::client::{Request, Response, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::run;
use toolgate_tests::upstream::{Answer, Received, Upstream};

use self::table::{Case, Outcome};

#[path = "../../../engine/tests/cases/mod.rs"]
mod table;

/// Cases in flight at a time.
const PARALLEL: usize = 8;

/// `limits.resultBytes` of the policy.
const RESULT_BYTES: usize = 65_536;

/// A body of this many bytes is not sent one byte at a time: that would only take long.
const MANY: usize = 4096;

#[test]
fn every_case_holds_with_held_headers() {
    run(play(Release::V1_40, "headers", 1, 0));
}

#[test]
fn every_case_holds_with_held_headers_on_two_workers() {
    run(play(Release::V1_40, "headers", 2, 2));
}

#[test]
fn every_case_holds_with_a_held_body() {
    run(play(Release::V1_40, "body", 1, 4));
}

#[test]
fn every_case_holds_with_a_held_body_on_two_workers() {
    run(play(Release::V1_40, "body", 2, 5));
}

#[test]
fn every_case_holds_on_the_oldest_envoy() {
    run(play(Release::V1_36, "headers", 2, 6));
}

#[test]
fn every_case_holds_with_a_held_body_on_the_oldest_envoy() {
    run(play(Release::V1_36, "body", 1, 1));
}

/// Plays the whole table. `shift` says which transport the first case takes; the following ones take turns.
async fn play(release: Release, hold: &str, concurrency: u32, shift: usize) {
    let cases: Arc<Vec<Case>> = Arc::new(table::all());
    let directory = tempfile::tempdir().expect("a temporary directory");
    let log = directory.path().join("access.log");
    let options = Options { release, concurrency };
    let gate = Arc::new(start(options, hold, &log, Arc::clone(&cases)).await);

    let mut players = tokio::task::JoinSet::new();
    for player in 0..PARALLEL {
        let (gate, cases) = (Arc::clone(&gate), Arc::clone(&cases));
        players.spawn(async move {
            let mut answers = Vec::new();
            for (number, case) in cases.iter().enumerate().skip(player).step_by(PARALLEL) {
                let transport = transport(case, number + shift);
                answers.push((
                    number,
                    transport,
                    gate.send(&request(case, number), transport).await,
                ));
            }
            answers
        });
    }
    let mut answers = Vec::new();
    while let Some(played) = players.join_next().await {
        // A panic in a task is not part of the test's own output.
        answers.extend(played.unwrap_or_else(|error| panic!("{error}")));
    }
    let Gate { envoy, upstream } = Arc::into_inner(gate).expect("the players are done");
    // Only now: what arrives late arrives.
    envoy.terminate();
    let lines = read_log(&log);
    let mut received: HashMap<String, Vec<Received>> = HashMap::new();
    for request in upstream.received() {
        received.entry(label_of(&request)).or_default().push(request);
    }

    let mut failures = Vec::new();
    for (number, transport, answer) in answers {
        let case = expected(&cases[number], number, hold);
        let label = label(number);
        let arrived = received.remove(&label).unwrap_or_default();
        let wrong = judge(&case, hold, answer, arrived, lines.get(&label));
        let what = format!("{} ({transport:?}, hold {hold})", case.name);
        failures.extend(
            wrong
                .into_iter()
                .map(|difference| format!("{what}: {difference}")),
        );
    }
    failures.extend(
        received
            .into_iter()
            .map(|(label, arrived)| format!("{label:?}: {arrived:?}")),
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

async fn start(options: Options, hold: &str, log: &Path, cases: Arc<Vec<Case>>) -> Gate {
    let mut policy: Value = serde_json::from_str(table::POLICY).expect("JSON");
    policy["hold"] = json!(hold);
    let script = move |received: &Received| {
        let number = label_of(received)
            .strip_prefix("case-")
            .and_then(|number| number.parse().ok());
        number.map_or_else(Answer::reset, |number: usize| answer(&cases[number], number))
    };
    let log = log.to_str().expect("text");
    Gate::start_in(
        &[(table::SECRET_ENV, table::SECRET)],
        Upstream::start(script).await,
        options,
        policy,
        |render| render.arg("--access-log").arg(log),
        |bootstrap| labelled(&bootstrap),
    )
    .await
}

/// Adds the label to the access log.
fn labelled(bootstrap: &str) -> String {
    let mut bootstrap: Value = serde_json::from_str(bootstrap).expect("JSON");
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let format = bootstrap.pointer_mut(&format!(
        "{manager}/access_log/0/typed_config/log_format/json_format"
    ));
    format.expect("an access log")["label"] = json!("%REQ(X-LABEL)%");
    bootstrap.to_string()
}

fn read_log(log: &Path) -> HashMap<String, Value> {
    let text = std::fs::read_to_string(log).expect("the access log");
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a JSON line");
        (line["label"].as_str().unwrap_or_default().to_owned(), line)
    };
    text.lines().map(line).collect()
}

/// Transports take turns, where the case has a body for which there is a choice.
fn transport(case: &Case, turn: usize) -> Transport {
    let size = case.request.bytes().len();
    // An authority that is none, or that names a user, does not get through the codecs of HTTP/2.
    let host = case.request.host.as_deref().unwrap_or("localhost");
    if host.contains('@') || host.parse::<http::uri::Authority>().is_err() {
        return Transport::Length;
    }
    let all: &[Transport] = if size == 0 {
        &[Transport::Length, Transport::Http2]
    } else {
        &Transport::ALL
    };
    match all[turn % all.len()] {
        Transport::ChunkedBytes | Transport::Http2Pieces if size >= MANY => Transport::ChunkedTrailers,
        transport => transport,
    }
}

fn request(case: &Case, number: usize) -> Request {
    let mut request = Request::new(&case.request.method, &case.request.path).header("x-label", label(number));
    for (name, value) in case.request.header_lines() {
        request = request.header(name, value);
    }
    if let Some(host) = &case.request.host {
        request = request.authority(host);
    }
    let body = case.request.bytes();
    if body.is_empty() && case.request.method != "POST" {
        return request;
    }
    request.body(body)
}

fn answer(case: &Case, number: usize) -> Answer {
    let response = case.response.clone().unwrap_or_default();
    let mut answer = Answer::new(response.status);
    for (name, value) in response.header_lines() {
        answer = answer.header(&name, value);
    }
    let body = response.bytes();
    if body.is_empty() {
        answer
    } else if in_chunks(number) {
        answer.chunked(body.chunks(37.max(body.len() / 40)).map(<[u8]>::to_vec))
    } else {
        answer.body(body)
    }
}

/// What is expected in either mode. With `hold: body` the head of an answer goes ahead too, with its status: that a list
/// cannot be used is then said in its body alone.
fn expected(case: &Case, number: usize, hold: &str) -> Case {
    let mut case = case.clone();
    let response = case.response.clone().unwrap_or_default();
    // One media type, and nothing about an encoding.
    let lines = response.header_lines();
    let mut content = lines.iter().filter(|(name, _)| name.starts_with("content-"));
    let is_json = content
        .next()
        .is_some_and(|(_, value)| value == "application/json")
        && content.next().is_none();
    let is_list = String::from_utf8_lossy(&case.request.bytes()).contains("/list");
    let announced = if in_chunks(number) {
        0
    } else {
        response.bytes().len()
    };
    let body_decides = is_list && is_json && announced <= RESULT_BYTES;
    if hold == "body" && case.expect.decision == "upstream" && body_decides {
        case.expect.status = Some(response.status);
        case.expect.header = Some("allowed".to_owned());
    }
    case
}

/// Every second answer comes in small chunks.
fn in_chunks(number: usize) -> bool {
    number % 2 == 1
}

fn judge(
    case: &Case,
    hold: &str,
    answer: Response,
    arrived: Vec<Received>,
    line: Option<&Value>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let text = |name: &str| line.and_then(|line| line[name].as_str()).map(str::to_owned);
    let complete = arrived.iter().filter(|request| request.complete).count();
    if !answer.complete {
        wrong.push("the answer is not complete".to_owned());
    }
    if line.is_none() {
        wrong.push("no line in the access log".to_owned());
    }
    if case.expect.forwarded && (arrived.len(), complete) != (1, 1) {
        wrong.push(format!("should have arrived once: {arrived:?}"));
    }
    // With the headers held nothing may arrive; else the head may, but no byte of the body.
    if !case.expect.forwarded
        && arrived
            .iter()
            .any(|request| hold == "headers" || !request.raw_body.is_empty())
    {
        wrong.push(format!("should not have arrived: {arrived:?}"));
    }
    let to_text = |(name, value): (String, Vec<u8>)| (name, String::from_utf8_lossy(&value).into_owned());
    let outcome = Outcome {
        upstream: arrived
            .into_iter()
            .find(|request| request.complete)
            .map(|request| table::Received {
                headers: request.headers,
                body: request.body,
            }),
        status: answer.status,
        headers: answer.headers.into_iter().map(to_text).collect(),
        body: answer.body,
        would_deny: Some(text("would_deny")),
        decision: Some(text("decision").unwrap_or_default()),
    };
    wrong.extend(table::differences(case, &outcome));
    wrong
}

fn label(number: usize) -> String {
    format!("case-{number}")
}

fn label_of(received: &Received) -> String {
    String::from_utf8_lossy(received.header("x-label").unwrap_or_default()).into_owned()
}
