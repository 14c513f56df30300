use super::*;
use crate::json::Limits;
use crate::mcp::envelope;
use serde_json::{Value as Tree, json};

fn with_call<T>(
    method: &str,
    params: &Tree,
    then: impl FnOnce(&Envelope<'_>, Result<Option<Call<'_>>, Rejected>) -> T,
) -> T {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let envelope = envelope::read(body.as_bytes(), &Limits::default()).unwrap();
    then(&envelope, Call::read(&envelope))
}

#[test]
fn listeners_name_resources_and_tasks() {
    let read = |notifications: Tree| {
        with_call(
            "subscriptions/listen",
            &json!({ "notifications": notifications }),
            |_, call| {
                call.map(|call| match call.unwrap().object {
                    Object::Resources(uris) => uris.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    other => panic!("{other:?}"),
                })
            },
        )
    };
    let both = json!({ "resourceSubscriptions": ["a://1", "a://2"], "taskIds": ["1", "t1.x"], "toolsListChanged": true });
    assert_eq!(read(both).unwrap(), ["a://1", "a://2"]);
    assert_eq!(read(json!({})).unwrap(), [] as [&str; 0]);
    let many: Vec<String> = (0..=MAX_SUBSCRIPTIONS).map(|i| i.to_string()).collect();
    assert!(read(json!({ "taskIds": &many[1..] })).is_ok());
    for bad in [
        json!({ "taskIds": "1" }),
        json!({ "taskIds": [1] }),
        json!({ "taskIds": [""] }),
        json!({ "taskIds": ["1\n"] }),
        json!({ "taskIds": many }),
        json!({ "resourceSubscriptions": {} }),
        json!({ "resourceSubscriptions": [null] }),
        json!({ "resourceSubscriptions": many }),
    ] {
        assert!(read(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn who_may_get_a_task() {
    let asks = |params: &Tree, era| {
        with_call("tools/call", params, |envelope, _| {
            asks_for_task(&envelope.params, era)
        })
    };
    let legacy = json!({ "name": "t", "task": { "ttl": 60000 } });
    let modern = |extensions: Tree| json!({ "name": "t", "_meta": { "io.modelcontextprotocol/clientCapabilities": { "extensions": extensions } } });
    assert!(asks(&legacy, Era::Legacy) && !asks(&legacy, Era::Modern));
    let able = modern(json!({ "io.modelcontextprotocol/tasks": {} }));
    assert!(asks(&able, Era::Modern) && !asks(&able, Era::Legacy));
    for unable in [
        modern(json!({})),
        modern(json!("io.modelcontextprotocol/tasks")),
        json!({ "name": "t" }),
    ] {
        assert!(
            !asks(&unable, Era::Modern) && !asks(&unable, Era::Legacy),
            "{unable}"
        );
    }
}
