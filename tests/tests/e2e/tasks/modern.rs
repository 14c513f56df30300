//! Tasks of the extension to 2026-07-28.

use serde_json::{Value, json};
use toolgate_tests::client::Transport;
use toolgate_tests::messages::Era;
use toolgate_tests::run;

use super::server::{Form, SOMEBODYS};
use super::{Client, forged, gates, ids};

#[test]
fn a_task_is_its_makers_in_the_body_and_in_the_mirror() {
    run(async {
        for gate in gates().await {
            for form in [Form::Length, Form::Chunks, Form::Events] {
                let alice = Client {
                    gate,
                    era: Era::Modern,
                    key: "alice",
                    form,
                };
                let raw = format!("modern-{}", form.name());
                let tagged = alice.make("search", &raw, &raw).await;
                for (method, more) in [
                    ("tasks/get", None),
                    ("tasks/update", Some(json!({ "a": { "action": "accept" } }))),
                    ("tasks/cancel", None),
                ] {
                    let params = |id: &str| match &more {
                        Some(responses) => json!({ "taskId": id, "inputResponses": responses }),
                        None => json!({ "taskId": id }),
                    };
                    let (answer, received) = alice.exchange(method, params(&tagged), &raw).await;
                    assert_eq!(ids(&received.json()), [&raw], "{method}: {received:?}");
                    assert_eq!(
                        received.header("mcp-name"),
                        Some(raw.as_bytes()),
                        "{method}: {received:?}"
                    );
                    assert_eq!(received.count("mcp-name"), 1, "{method}: {received:?}");
                    if let Some(responses) = &more {
                        assert_eq!(received.json()["params"]["inputResponses"], *responses);
                    }
                    if method == "tasks/get" {
                        assert_eq!(ids(&answer["result"]), [&tagged], "{answer}");
                        assert_eq!(
                            answer["result"]["result"]["content"][0]["text"], "done",
                            "{answer}"
                        );
                    }
                    let label = format!("not-{raw}-{method}");
                    alice
                        .of("bob")
                        .assert_unknown(method, params(&tagged), &label)
                        .await;
                    for id in forged(&tagged, &raw) {
                        alice.assert_unknown(method, params(&id), &label).await;
                    }
                }
            }
        }
    });
}

#[test]
fn an_id_that_no_header_can_hold_is_mirrored_in_base64() {
    use base64::Engine as _;
    let encoded = |text: &str| {
        let text = base64::engine::general_purpose::STANDARD.encode(text);
        format!("=?base64?{text}?=")
    };
    run(async {
        for gate in gates().await {
            let alice = Client {
                gate,
                era: Era::Modern,
                key: "alice",
                form: Form::Length,
            };
            let tagged = alice.make("search", "tâche", "mirror").await;
            let request = alice
                .request("tasks/get", json!({ "taskId": tagged }), "mirror")
                .with("mcp-name", encoded(&tagged));
            let answer = gate.send(&request, Transport::Length).await;
            assert_eq!(answer.header("x-toolgate-decision"), "allowed", "{answer:?}");
            let received = gate.upstream.labelled("mirror").pop().expect("it arrived");
            assert_eq!(received.json()["params"]["taskId"], "tâche");
            assert_eq!(received.header("mcp-name"), Some(encoded("tâche").as_bytes()));
        }
    });
}

#[test]
fn body_and_mirror_must_name_one_task() {
    run(async {
        for gate in gates().await {
            let alice = Client {
                gate,
                era: Era::Modern,
                key: "alice",
                form: Form::Length,
            };
            let first = alice.make("search", "mirror-1", "mirrors").await;
            let second = alice.make("search", "mirror-2", "mirrors").await;
            for (number, (body, mirror)) in [(&*first, &*second), (&first, "mirror-1"), ("mirror-1", &first)]
                .into_iter()
                .enumerate()
            {
                let label = format!("disagree-{number}");
                let request = alice
                    .request("tasks/get", json!({ "taskId": body }), &label)
                    .with("mcp-name", mirror);
                let answer = gate.send(&request, Transport::Length).await;
                assert_eq!(answer.header("x-toolgate-decision"), "mismatch", "{answer:?}");
                assert_eq!(answer.json()["error"]["code"], -32_020, "{answer:?}");
                let received = gate.upstream.labelled(&label);
                assert!(
                    received.iter().all(|request| request.body.is_empty()),
                    "{received:?}"
                );
            }
        }
    });
}

#[test]
fn a_listener_hears_of_its_own_tasks() {
    run(async {
        for gate in gates().await {
            let alice = Client {
                gate,
                era: Era::Modern,
                key: "alice",
                form: Form::Events,
            };
            let mine = [
                alice.make("search", "listen-1", "listen").await,
                alice.make("export", "listen-2", "listen").await,
            ];
            let theirs = alice.of("bob").make("search", "listen-3", "listen").await;
            let to = |ids: &[&str]| json!({ "notifications": { "taskIds": ids, "toolsListChanged": true } });

            let request = alice.request("subscriptions/listen", to(&[&mine[0], &mine[1]]), "listen-own");
            let answer = gate.send(&request, Transport::Length).await;
            assert_eq!(answer.header("x-toolgate-decision"), "allowed", "{answer:?}");
            assert!(!answer.text().contains(SOMEBODYS), "{answer:?}");
            let messages = answer.messages();
            let methods: Vec<&Value> = messages.iter().map(|message| &message["method"]).collect();
            let [begin, note, none] = [
                json!("notifications/subscriptions/acknowledged"),
                json!("notifications/tasks"),
                Value::Null,
            ];
            assert_eq!(methods, [&begin, &note, &note, &none], "{answer:?}");
            assert_eq!(ids(&messages[0]), mine, "{answer:?}");
            assert_eq!(messages[1]["params"]["taskId"], mine[0], "{answer:?}");
            assert_eq!(messages[2]["params"]["taskId"], mine[1], "{answer:?}");
            assert_eq!(
                messages[1]["params"]["result"]["content"][0]["text"], "done",
                "{answer:?}"
            );
            let received = gate.upstream.labelled("listen-own");
            assert_eq!(ids(&received[0].json()), ["listen-1", "listen-2"]);

            for (number, other) in [&*theirs, "listen-1", SOMEBODYS].into_iter().enumerate() {
                let label = format!("listen-other-{number}");
                alice
                    .assert_unknown("subscriptions/listen", to(&[&mine[0], other]), &label)
                    .await;
            }
        }
    });
}
