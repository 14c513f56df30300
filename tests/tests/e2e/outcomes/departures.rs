//! Clients that leave before, while and after they are answered.

use serde_json::Value;
use toolgate_tests::client::{Http2, Transport};
use toolgate_tests::upstream::Answer;
use toolgate_tests::{SOON, run};

use super::stand::{Stand, all, event, next_id, ok, outcome};
use super::{PRIMED, Script, events, half_of, hang, hanging, note, tool_error};

/// What a client waits for before it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    /// The server has the request.
    Asked,
    /// The head is here.
    Head,
    /// So many bytes are here.
    After(usize),
}

#[test]
fn a_client_that_leaves_before_its_answer_says_nothing_of_the_server() {
    run(async {
        for stand in all().await {
            let cases: [(&str, Leaves, &str, Script); 6] = [
                ("silence", Leaves::Asked, "client_gone", |_| Answer::silence()),
                ("head", Leaves::Head, "client_gone", |_| hanging(events(":\n\n"))),
                ("note", Leaves::After(note().len()), "client_gone", |_| {
                    hanging(events(note()))
                }),
                ("id", Leaves::After(PRIMED.len()), "client_gone", |_| {
                    hanging(events(PRIMED))
                }),
                ("half", Leaves::After(10), "client_gone", |_| half_of(hang())),
                // A client has what it wanted and leaves the rest of the stream.
                ("answer", Leaves::After(event(ok(1000)).len()), "ok", |id| {
                    hanging(events(event(ok(id))))
                }),
            ];
            for (name, leaves, expected, script) in cases {
                let line = leave(stand, leaves, script).await;
                assert_eq!(outcome(&line), (expected, ""), "{name}, {}: {line}", stand.name);
            }
            stand.alive().await;
        }
    });
}

#[test]
fn a_stream_that_a_client_resets_is_left_too() {
    run(async {
        for stand in all().await {
            for (leaves, expected, script) in [
                (Leaves::Asked, "client_gone", (|_| Answer::silence()) as Script),
                (Leaves::Head, "client_gone", |_| hanging(events(note()))),
                (Leaves::After(1), "tool_error", |id| {
                    hanging(events(event(tool_error(id))))
                }),
            ] {
                let id = next_id();
                let request = stand.prepare("docs", "tools/call", id, script(id));
                let connection = Http2::connect(stand.gate.envoy.address())
                    .await
                    .expect("Envoy accepts");
                let (mut stream, answer) = connection.begin(&request, false).await.expect("begun");
                let body = request.body.clone().expect("a body");
                stream.send_data(body, true).expect("sent");
                stand.gate.upstream.wait_for(&format!("went-{id}."), 1).await;
                match leaves {
                    Leaves::Asked => {}
                    _ => {
                        let mut head = answer.await.expect("a head");
                        let piece = head.body_mut().data().await;
                        assert!(piece.is_some_and(|piece| piece.is_ok()));
                    }
                }
                stream.send_reset(h2::Reason::CANCEL);
                let line = stand.log.of_request(id).await;
                assert_eq!(
                    outcome(&line),
                    (expected, ""),
                    "{leaves:?}, {}: {line}",
                    stand.name
                );
            }
            stand.alive().await;
        }
    });
}

async fn leave(stand: &Stand, leaves: Leaves, script: Script) -> Value {
    let id = next_id();
    let request = stand.prepare("docs", "tools/call", id, script(id));
    let mut client = stand.connect().await;
    client.request(&request, Transport::Length).await.expect("sent");
    stand.gate.upstream.wait_for(&format!("went-{id}."), 1).await;
    let arrive = async {
        if leaves != Leaves::Asked {
            client.head().await.expect("a head");
        }
        let mut here = 0;
        while let Leaves::After(bytes) = leaves
            && here < bytes
        {
            here += client
                .piece()
                .await
                .expect("readable")
                .expect("not the end")
                .len();
        }
    };
    tokio::time::timeout(SOON, arrive)
        .await
        .expect("what it waits for comes");
    drop(client);
    stand.log.of_request(id).await
}
