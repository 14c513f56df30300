//! Tasks of 2025-11-25.

use serde_json::{Value, json};
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::messages::Era;
use toolgate_tests::run;

use super::server::{Form, SOMEBODYS};
use super::{Client, PATH, forged, gates, ids};

#[test]
fn a_task_is_its_makers_wherever_it_is_named() {
    run(async {
        for gate in gates().await {
            for form in Form::ALL {
                let alice = Client {
                    gate,
                    era: Era::Legacy,
                    key: "alice",
                    form,
                };
                let raw = format!("legacy-{}", form.name());
                let tagged = alice.make("search", &raw, &raw).await;
                for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
                    let (answer, received) = alice.exchange(method, json!({ "taskId": tagged }), &raw).await;
                    assert_eq!(
                        received.json()["params"],
                        json!({ "taskId": raw }),
                        "{method}: {received:?}"
                    );
                    assert_eq!(ids(&answer["result"]), [&tagged], "{method}: {answer}");
                    let label = format!("not-{raw}-{method}");
                    alice
                        .of("bob")
                        .assert_unknown(method, json!({ "taskId": tagged }), &label)
                        .await;
                    for id in forged(&tagged, &raw) {
                        alice
                            .assert_unknown(method, json!({ "taskId": id }), &label)
                            .await;
                    }
                }
                // The same task, as another sees it.
                let theirs = alice.of("bob").make("search", &raw, &format!("bobs-{raw}")).await;
                assert_ne!(theirs, tagged);
                alice
                    .assert_unknown("tasks/get", json!({ "taskId": theirs }), &format!("not-{raw}"))
                    .await;
            }
        }
    });
}

#[test]
fn a_list_of_tasks_has_ones_own() {
    run(async {
        for gate in gates().await {
            for form in Form::ALL {
                let alice = Client {
                    gate,
                    era: Era::Legacy,
                    key: "alice",
                    form,
                };
                let bob = alice.of("bob");
                let label = format!("list-{}", form.name());
                let mut mine = Vec::new();
                for number in 0..3 {
                    mine.push(alice.make("search", &format!("{label}-a{number}"), &label).await);
                }
                let theirs = bob.make("export", &format!("{label}-b"), &label).await;
                let named = |answer: &Value| {
                    let all = ids(&answer["result"]["tasks"]);
                    let these = all.into_iter().filter(|id| id.contains(&label));
                    these.map(str::to_owned).collect::<Vec<_>>()
                };
                let (answer, _) = alice.exchange("tasks/list", json!({}), &label).await;
                assert_eq!(named(&answer), mine, "{answer}");
                assert_eq!(answer["result"]["nextCursor"], "more", "{answer}");
                assert!(!answer.to_string().contains(SOMEBODYS), "{answer}");
                let (answer, _) = bob.exchange("tasks/list", json!({}), &label).await;
                assert_eq!(named(&answer), [theirs], "{answer}");
                // What is listed opens.
                for id in mine {
                    let (answer, _) = alice.exchange("tasks/get", json!({ "taskId": id }), &label).await;
                    assert_eq!(ids(&answer), [id.as_str()], "{answer}");
                }
            }
        }
    });
}

#[test]
fn news_of_tasks_goes_to_their_makers() {
    run(async {
        for gate in gates().await {
            let alice = Client {
                gate,
                era: Era::Legacy,
                key: "alice",
                form: Form::Events,
            };
            let mine = alice.make("search", "news-of-alice", "news").await;
            let theirs = alice.of("bob").make("search", "news-of-bob", "news").await;
            for (key, own, other) in [("alice", &mine, "news-of-bob"), ("bob", &theirs, "news-of-alice")] {
                let listen = Request::new("GET", PATH)
                    .header("accept", "text/event-stream")
                    .header("mcp-protocol-version", "2025-11-25");
                let post = alice
                    .of(key)
                    .request("tasks/get", json!({ "taskId": own }), "news");
                for request in [listen.key(key), post] {
                    let answer = gate.send(&request, Transport::Length).await;
                    let text = answer.text();
                    assert!(
                        !text.contains(other) && !text.contains(SOMEBODYS),
                        "{key}: {text}"
                    );
                    let messages = answer.messages();
                    let news = messages
                        .iter()
                        .filter(|message| message["method"] == "notifications/tasks/status");
                    let heard = news.filter(|message| message["params"]["taskId"] == **own);
                    assert_eq!(heard.count(), 1, "{key}: {text}");
                    // Those that are left all came with a tag.
                    let all = messages.iter().flat_map(ids);
                    assert!(all.into_iter().all(|id| id.starts_with("t1.")), "{key}: {text}");
                }
            }
        }
    });
}

#[test]
fn metadata_about_tasks_is_opened_too() {
    let related = |id: &str| json!({ "io.modelcontextprotocol/related-task": { "taskId": id } });
    run(async {
        for gate in gates().await {
            let alice = Client {
                gate,
                era: Era::Legacy,
                key: "alice",
                form: Form::Length,
            };
            let tagged = alice.make("search", "meta-task", "meta").await;
            let call =
                |id: &str| json!({ "name": "search", "arguments": { "task": "x" }, "_meta": related(id) });
            let (_, received) = alice.exchange("tools/call", call(&tagged), "meta").await;
            assert_eq!(ids(&received.json()), ["meta-task"], "{received:?}");
            alice
                .of("bob")
                .assert_unknown("tools/call", call(&tagged), "meta-bob")
                .await;
            alice
                .assert_unknown("tools/call", call("meta-task"), "meta-raw")
                .await;

            // The answer to what the server has asked for a task.
            for (id, expected) in [
                (tagged.as_str(), json!(related("meta-task"))),
                ("unknown", json!({})),
            ] {
                let label = format!("meta-response-{id}");
                let message = json!({ "jsonrpc": "2.0", "id": 9, "result": { "action": "accept", "_meta": related(id) } });
                let request = Request::json(PATH, &message)
                    .key("alice")
                    .header("mcp-protocol-version", "2025-11-25")
                    .header("x-label", &label);
                let answer = gate.send(&request, Transport::Length).await;
                assert_eq!(answer.header("x-toolgate-decision"), "allowed", "{answer:?}");
                let received = gate.upstream.labelled(&label);
                assert_eq!(received.len(), 1, "{label}");
                assert_eq!(received[0].json()["result"]["_meta"], expected, "{label}");
                assert_eq!(received[0].body.len(), message.to_string().len(), "{label}");
            }
        }
    });
}
