use super::*;
use crate::json::{Limits, parse_answer};
use proptest::prelude::*;
use serde_json::{Value as Tree, json};

/// Tags every id but those that begin with `foreign`, which are dropped, and `kept`; and notes what it saw.
fn tagged_text(text: &str) -> (Rewritten, Vec<(Place, String)>) {
    let message = parse_answer(text.as_bytes(), &Limits::default()).unwrap();
    let mut seen = Vec::new();
    let rewritten = rewrite(message, &mut |place, id| {
        seen.push((place, id.to_owned()));
        match id {
            "kept" => Tagging::Keep,
            id if id.starts_with("foreign") => Tagging::Drop,
            id => Tagging::Replace(format!("t1.{id}")),
        }
    });
    (rewritten, seen)
}

fn tagged(message: &Tree) -> (Tree, Vec<(Place, String)>) {
    let (rewritten, seen) = tagged_text(&message.to_string());
    let after = match rewritten {
        Rewritten::Unchanged => message.clone(),
        Rewritten::Changed(out) => serde_json::from_slice(&out).unwrap(),
        Rewritten::Dropped => json!("dropped"),
    };
    (after, seen)
}

fn answer(result: &Tree) -> Tree {
    json!({ "jsonrpc": "2.0", "id": 1, "result": result })
}

fn notice(method: &str, params: &Tree) -> Tree {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

/// What is seen in `make("7")`, which must become `make("t1.7")`.
fn places(make: impl Fn(&str) -> Tree) -> Vec<Place> {
    let (after, seen) = tagged(&make("7"));
    assert_eq!(after, make("t1.7"));
    assert_eq!(tagged(&make("kept")).0, make("kept"));
    seen.into_iter().map(|(place, _)| place).collect()
}

fn related(id: &str) -> Tree {
    json!({ "a": 1, RELATED: { "taskId": id } })
}

#[test]
fn every_place_is_found() {
    use Place::{Created, Listed, Notified, Related, State, Subscribed};
    let legacy = |id: &str| answer(&json!({ "task": { "taskId": id, "status": "working" }, "_meta": {} }));
    assert_eq!(places(legacy), [Created]);
    let modern = |id: &str| answer(&json!({ "taskId": id, "resultType": "task", "status": "working" }));
    assert_eq!(places(modern), [Created]);
    for kind in [json!({}), json!({ "resultType": "complete" })] {
        let state = |id: &str| {
            let mut result = kind.clone();
            result["status"] = json!("completed");
            result["taskId"] = json!(id);
            result["result"] = json!({ "content": [], "_meta": related(id) });
            answer(&result)
        };
        let mut seen = places(state);
        seen.sort_by_key(|place| *place == State);
        assert_eq!(seen, [Related, State]);
    }
    let list =
        |id: &str| answer(&json!({ "tasks": [{ "taskId": id }, { "taskId": "kept" }], "nextCursor": "c" }));
    assert_eq!(places(list), [Listed, Listed]);
    let result = |id: &str| answer(&json!({ "content": [], "_meta": related(id) }));
    assert_eq!(places(result), [Related]);
    let empty = |id: &str| json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": 1, "message": "" }, "result": { "_meta": related(id) } });
    assert_eq!(places(empty), [Related]);

    let state = |id: &str| {
        notice(
            "notifications/tasks/status",
            &json!({ "taskId": id, "status": "working" }),
        )
    };
    assert_eq!(places(state), [Notified]);
    let full = |id: &str| {
        let result = json!({ "content": [], "_meta": related(id) });
        notice(
            "notifications/tasks",
            &json!({ "taskId": id, "status": "completed", "result": result }),
        )
    };
    assert_eq!(places(full), [Related, Notified]);
    let listening = |id: &str| {
        notice(
            "notifications/subscriptions/acknowledged",
            &json!({ "notifications": { "taskIds": [id, "kept"] } }),
        )
    };
    assert_eq!(places(listening), [Subscribed, Subscribed]);
    let progress = |id: &str| {
        notice(
            "notifications/progress",
            &json!({ "progress": 1, "_meta": related(id) }),
        )
    };
    assert_eq!(places(progress), [Related]);
    let question = |id: &str| {
        let params = json!({ "message": "?", "_meta": related(id) });
        json!({ "jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": params })
    };
    assert_eq!(places(question), [Related]);
    let batch = |id: &str| json!([legacy(id), progress(id), { "taskId": "x" }]);
    assert_eq!(places(batch), [Created, Related]);
}

#[test]
fn what_is_not_the_servers_task_stays() {
    for message in [
        answer(
            &json!({ "content": [{ "type": "text", "text": "taskId" }], "structuredContent": { "taskId": "7" } }),
        ),
        // A server's own member, not of a task's shape.
        answer(&json!({ "content": [], "taskId": "7" })),
        answer(&json!({ "taskId": 7, "status": "working", "task": "taskId", "tasks": { "taskId": "7" } })),
        answer(&json!({ "tasks": ["7", { "taskId": 7 }], "_meta": { "taskId": "7", RELATED: "7" } })),
        answer(&json!({ "contents": [{ "_meta": related("7") }] })),
        // What a server asks about a client's task.
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": { "taskId": "7", "_meta": related("7") } }),
        notice(
            "notifications/message",
            &json!({ "data": { "taskId": "7" }, "taskId": "7" }),
        ),
        notice("notifications/tasks", &json!({ "taskId": { "taskId": "7" } })),
        json!({ "taskId": "7", "_meta": related("7") }),
        json!(["taskId", [answer(&json!({ "task": { "taskId": "7" } }))]]),
        json!("taskId"),
    ] {
        let (rewritten, seen) = tagged_text(&message.to_string());
        assert_eq!((rewritten, seen), (Rewritten::Unchanged, vec![]), "{message}");
    }
}

#[test]
fn what_is_anothers_goes() {
    let list = |ids: &[&str]| {
        let tasks: Vec<Tree> = ids
            .iter()
            .map(|id| json!({ "taskId": id, "status": "working" }))
            .collect();
        answer(&json!({ "tasks": tasks }))
    };
    assert_eq!(
        tagged(&list(&["foreign", "1", "foreign", "2"])).0,
        list(&["t1.1", "t1.2"])
    );
    assert_eq!(tagged(&list(&["foreign", "foreign"])).0, list(&[]));
    let acknowledged = |ids: &[&str]| {
        notice(
            "notifications/subscriptions/acknowledged",
            &json!({ "notifications": { "taskIds": ids } }),
        )
    };
    assert_eq!(
        tagged(&acknowledged(&["1", "foreign"])).0,
        acknowledged(&["t1.1"])
    );

    let status = |id: &str| {
        notice(
            "notifications/tasks/status",
            &json!({ "taskId": id, "_meta": related("1") }),
        )
    };
    assert_eq!(tagged(&status("foreign")).0, "dropped");
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    assert_eq!(tagged(&json!([status("foreign"), ping])).0, json!([ping]));
    assert_eq!(
        tagged(&json!([status("foreign"), status("foreign")])).0,
        "dropped"
    );

    // Somebody waits for these.
    for waited in [
        answer(&json!({ "task": { "taskId": "foreign" } })),
        answer(&json!({ "taskId": "foreign", "status": "working" })),
        answer(&json!({ "content": [], "_meta": related("foreign") })),
    ] {
        assert_eq!(tagged(&waited).0, waited);
    }
}

#[test]
fn everything_else_stays_byte_for_byte() {
    let text =
        "{ \"result\" : {\n\"n\": 1.0e2, \"task\": { \"taskId\" :\"7\" , \"s\":\"\\u00e9\\/\" } }, \"id\":1}";
    let expected = text.replace("\"7\"", "\"t1.7\"");
    assert_eq!(tagged_text(text).0, Rewritten::Changed(expected.into_bytes()));
    // An id is the text that it stands for, whatever way it is written.
    let (rewritten, seen) = tagged_text(r#"{"result":{"task":{"taskId":"\u0037\""}}}"#);
    assert_eq!(
        rewritten,
        Rewritten::Changed(br#"{"result":{"task":{"taskId":"t1.7\""}}}"#.to_vec())
    );
    assert_eq!(seen, [(Place::Created, "7\"".to_owned())]);
}

/// Messages of the right shapes and of nearly right ones.
fn message() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "7",
            "kept",
            "foreign",
            "task",
            "working",
            "notifications/tasks"
        ])
        .prop_map(Tree::from),
        Just(json!(1)),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        let key = prop::sample::select(vec![
            "result",
            "method",
            "params",
            "task",
            "tasks",
            "taskId",
            "taskIds",
            "status",
            "resultType",
            "_meta",
            "notifications",
            RELATED,
        ]);
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::from),
            4 => prop::collection::btree_map(key, inner, 0..6).prop_map(|all| json!(all)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_message_stays_json(message in message()) {
        let text = message.to_string();
        let (rewritten, seen) = tagged_text(&text);
        match rewritten {
            Rewritten::Changed(out) => {
                let read: Tree = serde_json::from_slice(&out).unwrap();
                prop_assert!(read != message);
                prop_assert!(!seen.is_empty());
                let again = parse_answer(&out, &Limits::default());
                prop_assert!(again.is_ok());
            }
            Rewritten::Unchanged => {
                prop_assert!(seen.iter().all(|(_, id)| id == "kept" || id.starts_with("foreign")), "{seen:?}");
            }
            Rewritten::Dropped => prop_assert!(seen.iter().any(|(place, _)| *place == Place::Notified)),
        }
    }
}
