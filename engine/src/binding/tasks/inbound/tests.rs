use super::*;
use crate::json::Limits;
use crate::mcp::envelope;
use serde_json::{Value as Tree, json};

const ALICE: Owner<'static> = Owner {
    server: "docs",
    key: "alice",
    subject: None,
};
const BOB: Owner<'static> = Owner { key: "bob", ..ALICE };

fn secrets() -> Secrets {
    Secrets::random([7; 32])
}

/// Alice's task, as she knows it.
fn tagged(id: &str) -> String {
    secrets().tag_task(&ALICE, "report", id)
}

/// The body as the server gets it, and the tasks that it is about.
fn opened(body: &Tree, owner: &Owner<'_>) -> Result<(Tree, Vec<Task>), UnknownTask> {
    let body = body.to_string();
    let envelope = envelope::read(body.as_bytes(), &Limits::default()).unwrap();
    let mut edits = Edits::new(body.as_bytes());
    let tasks = open(&mut edits, &envelope, &secrets(), owner)?;
    let out = edits.finish().unwrap_or(body.clone().into_bytes());
    assert_eq!(out.len(), body.len());
    Ok((serde_json::from_slice(&out).unwrap(), tasks))
}

fn request(method: &str, params: &Tree) -> Tree {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

fn related(id: &str) -> Tree {
    json!({ "progressToken": 1, RELATED: { "taskId": id }, "x": [] })
}

fn report(id: &str) -> Task {
    Task {
        tool: "report".to_owned(),
        id: id.to_owned(),
    }
}

#[test]
fn requests_name_a_task() {
    for method in ["tasks/get", "tasks/result", "tasks/cancel", "tasks/update"] {
        let ask = |id: &str| request(method, &json!({ "taskId": id, "inputResponses": {} }));
        assert_eq!(
            opened(&ask(&tagged("7é")), &ALICE),
            Ok((ask("7é"), vec![report("7é")]))
        );
        assert_eq!(opened(&ask(&tagged("7")), &BOB), Err(UnknownTask));
        for unknown in ["7", "", "t1.x", "t1.AAAAAAAAAAAAAAAAAAAAAA.cmVwb3J0.7"] {
            assert_eq!(opened(&ask(unknown), &ALICE), Err(UnknownTask), "{unknown}");
        }
        for odd in [
            json!({}),
            json!({ "taskId": 7 }),
            json!({ "taskId": [tagged("7")] }),
        ] {
            assert_eq!(opened(&request(method, &odd), &ALICE), Err(UnknownTask), "{odd}");
        }
    }
    // An escape is no other text.
    let escaped = r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"TAGGED"}}"#
        .replace("TAGGED", &tagged("7").replacen('t', "\\u0074", 1));
    let escaped: Tree = serde_json::from_str(&escaped).unwrap();
    assert!(opened(&escaped, &ALICE).is_ok());
}

#[test]
fn listeners_name_any_number() {
    let listen = |ids: &[&str]| {
        request(
            "subscriptions/listen",
            &json!({ "notifications": { "taskIds": ids, "toolsListChanged": true } }),
        )
    };
    assert_eq!(
        opened(&listen(&[&tagged("1"), &tagged("2")]), &ALICE),
        Ok((listen(&["1", "2"]), vec![report("1"), report("2")]))
    );
    assert_eq!(opened(&listen(&[]), &ALICE), Ok((listen(&[]), vec![])));
    assert_eq!(opened(&listen(&[&tagged("1"), "2"]), &ALICE), Err(UnknownTask));
    assert_eq!(opened(&listen(&[&tagged("1")]), &BOB), Err(UnknownTask));
    let none = request("subscriptions/listen", &json!({ "notifications": {} }));
    assert_eq!(opened(&none, &ALICE), Ok((none.clone(), vec![])));
    for odd in [json!({}), json!([1]), json!("1"), json!(null)] {
        let odd = request(
            "subscriptions/listen",
            &json!({ "notifications": { "taskIds": odd } }),
        );
        assert_eq!(opened(&odd, &ALICE), Err(UnknownTask), "{odd}");
    }
}

#[test]
fn metadata_of_requests_is_opened_or_refused() {
    for method in ["tools/call", "resources/read", "x/y"] {
        let call = |meta: Tree| request(method, &json!({ "name": "t", "_meta": meta }));
        assert_eq!(
            opened(&call(related(&tagged("7"))), &ALICE),
            Ok((call(related("7")), vec![]))
        );
        assert_eq!(opened(&call(related(&tagged("7"))), &BOB), Err(UnknownTask));
        for bad in [
            related("7"),
            json!({ RELATED: {} }),
            json!({ RELATED: "7" }),
            json!({ RELATED: { "taskId": 7 } }),
            json!({ RELATED: { "taskId": tagged("7"), "TASKID": "7" } }),
            json!({ RELATED.to_uppercase(): { "taskId": tagged("7") } }),
            json!({ RELATED: { "taskId": tagged("7") }, RELATED.to_uppercase(): { "taskId": "7" } }),
        ] {
            assert_eq!(opened(&call(bad.clone()), &ALICE), Err(UnknownTask), "{bad}");
        }
        let none = call(json!({ "progressToken": 1 }));
        assert_eq!(opened(&none, &ALICE), Ok((none.clone(), vec![])));
    }
}

#[test]
fn metadata_that_is_to_be_ignored_is_blanked() {
    let get = |meta: Tree, id: &str| request("tasks/get", &json!({ "_meta": meta, "taskId": id }));
    let rest = json!({ "progressToken": 1, "x": [] });
    for id in [tagged("8"), "8".to_owned()] {
        assert_eq!(
            opened(&get(related(&id), &tagged("7")), &ALICE),
            Ok((get(rest.clone(), "7"), vec![report("7")]))
        );
    }
    let list = |meta: Tree| request("tasks/list", &json!({ "_meta": meta }));
    assert_eq!(opened(&list(related("8")), &ALICE), Ok((list(rest), vec![])));
}

#[test]
fn metadata_of_answers_and_notifications_is_opened_or_blanked() {
    let answer =
        |meta: Tree| json!({ "jsonrpc": "2.0", "id": 1, "result": { "action": "accept", "_meta": meta } });
    let notice = |meta: Tree| json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progress": 1, "_meta": meta } });
    for message in [answer, notice] {
        assert_eq!(
            opened(&message(related(&tagged("7"))), &ALICE),
            Ok((message(related("7")), vec![]))
        );
        let rest = json!({ "progressToken": 1, "x": [] });
        assert_eq!(
            opened(&message(related("7")), &ALICE),
            Ok((message(rest.clone()), vec![]))
        );
        assert_eq!(
            opened(&message(related(&tagged("7"))), &BOB),
            Ok((message(rest), vec![]))
        );
        assert_eq!(
            opened(
                &message(json!({ RELATED: 7, RELATED.to_uppercase(): { "taskId": "7" } })),
                &ALICE
            ),
            Ok((message(json!({})), vec![]))
        );
    }
}

/// What a client makes of a server's request is its own task.
#[test]
fn tasks_of_clients_pass() {
    for message in [
        json!({ "jsonrpc": "2.0", "id": 1, "result": { "task": { "taskId": "7", "status": "working" } } }),
        json!({ "jsonrpc": "2.0", "id": 1, "result": { "taskId": "7", "status": "completed" } }),
        json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32602, "message": "Task not found" } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/tasks/status", "params": { "taskId": "7" } }),
        request(
            "tools/call",
            &json!({ "name": "t", "arguments": { "taskId": "7", "_meta": related("7") } }),
        ),
        request("x/y", &json!({ "taskId": "7" })),
        request("ping", &json!({})),
    ] {
        assert_eq!(opened(&message, &ALICE), Ok((message.clone(), vec![])));
    }
}
