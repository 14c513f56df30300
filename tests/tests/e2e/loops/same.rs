//! Which calls are the same call.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use toolgate_tests::client::Request;
use toolgate_tests::messages::Era;
use toolgate_tests::run;

use super::{ISSUER, PATH, call, modern, retry_after, stand, text, written};

#[test]
fn the_way_of_writing_makes_no_difference() {
    run(async {
        let stand = stand().await;
        let groups: [&[&str]; 6] = [
            &[
                r#"{"a":1,"b":[true,null],"c":{"d":"e","f":""}}"#,
                "{ \"c\" : {\"f\":\"\",\t\"d\":\"e\"} ,\n \"b\":[true , null],\r\n\"a\":1}",
            ],
            &[r#"{"n":1}"#, r#"{"n":1.0}"#, r#"{"n":1e0}"#, r#"{"n":10E-1}"#],
            &[r#"{"n":0}"#, r#"{"n":-0}"#, r#"{"n":0.0}"#],
            &[r#"{"n":0.000001}"#, r#"{"n":1e-6}"#],
            &[r#"{"s":"é/\n"}"#, r#"{"s":"\u00e9\/\u000A"}"#],
            &["{}", " { } "],
        ];
        for (number, texts) in groups.into_iter().enumerate() {
            let tool = format!("same_{number}");
            for at in 0..5 {
                stand
                    .passes(&written("five", &tool, texts[at % texts.len()]))
                    .await;
            }
            for text in texts {
                stand.is_looping(&written("five", &tool, text)).await;
            }
        }
        // No arguments are an empty object, and neither the id nor the rest of the message matters.
        let bare = r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"same_5","_meta":{"progressToken":7}}}"#;
        let bare = written("five", "same_5", "{}").body(bare);
        stand.is_looping(&bare).await;
    });
}

#[test]
fn another_call_is_another_call() {
    run(async {
        let stand = stand().await;
        let first = json!({ "a": 1, "b": [1, 2] });
        stand.passes(&call("one", "other_1", &first)).await;
        stand.is_looping(&call("one", "other_1", &first)).await;
        for arguments in [
            json!({}),
            json!({ "a": 1 }),
            json!({ "a": "1", "b": [1, 2] }),
            json!({ "a": 2, "b": [1, 2] }),
            json!({ "a": 1, "b": [2, 1] }),
            json!({ "a": 1, "b": [1, 2], "c": null }),
            json!({ "a": { "a": 1, "b": [1, 2] } }),
            json!({ "A": 1, "b": [1, 2] }),
            json!({ "a": 1, "b": [[1, 2]] }),
            json!({ "a": true, "b": [1, 2] }),
        ] {
            stand.passes(&call("one", "other_1", &arguments)).await;
            stand.is_looping(&call("one", "other_1", &arguments)).await;
        }
        // Integers that a double does not tell apart are told apart by servers.
        stand.passes(&call("one", "other_2", &first)).await;
        // Another key, and another server.
        stand.passes(&call("five", "other_1", &first)).await;
        let mut elsewhere = call("one", "other_1", &first);
        elsewhere.target = "/other/mcp".to_owned();
        stand.passes(&elsewhere).await;
        stand.is_looping(&elsewhere).await;
        // A key without a guard.
        for _ in 0..8 {
            stand.passes(&call("free", "other_1", &first)).await;
        }
        stand.is_looping(&call("one", "other_1", &first)).await;
    });
}

/// A call by a verified subject.
fn by(stand: &super::Stand, subject: &str, tool: &str, number: usize) -> Request {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let claims = json!({ "iss": ISSUER, "aud": "toolgate", "sub": subject, "exp": now.as_secs() + 600 });
    call("free", tool, &json!({ "number": number }))
        .with("authorization", format!("Bearer {}", stand.issuer.sign(&claims)))
}

#[test]
fn every_subject_of_a_key_by_itself() {
    run(async {
        let stand = stand().await;
        for subject in ["user:ada", "user:bob"] {
            for _ in 0..2 {
                stand.passes(&by(stand, subject, "subjects", 1)).await;
            }
            stand.is_looping(&by(stand, subject, "subjects", 1)).await;
        }
        // Their runs are as separate as they are.
        for subject in ["user:ada", "user:bob"] {
            for number in 2..5 {
                stand.passes(&by(stand, subject, "subjects", number)).await;
            }
            let told = stand.is_looping(&by(stand, subject, "subjects", 5)).await;
            assert!(
                text(&told).contains("This run has made 5 calls"),
                "{}",
                text(&told)
            );
        }
    });
}

#[test]
fn the_caller_is_told_what_to_do_instead() {
    run(async {
        let stand = stand().await;
        for era in Era::ALL {
            let request = |tool: &str| {
                let request = era.call(PATH, tool, &json!({ "era": format!("{era:?}") }));
                request.key("two-key").header("x-label", format!("{tool}."))
            };
            stand.passes(&request("told")).await;
            stand.passes(&request("told")).await;
            let answer = stand.is_looping(&request("told")).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let millis = retry_after(&answer);
            assert!((3_480_000..=3_600_000).contains(&millis), "{millis}");
            assert_eq!(answer.header("retry-after"), millis.div_ceil(1000).to_string());
            let minutes = millis.div_ceil(60_000);
            let text = format!(
                "This tool was already called 2 times with exactly these arguments, which is all that this key may do per \
                 hour. Repeating the call does not help: use what it returned, change the arguments, or try again in \
                 {minutes} minutes."
            );
            let mut result = json!({
                "content": [{ "type": "text", "text": text }],
                "isError": true,
                "_meta": { "toolgate/retryAfterMs": millis },
            });
            if era == Era::Modern {
                result["resultType"] = "complete".into();
            }
            assert_eq!(
                answer.json(),
                json!({ "jsonrpc": "2.0", "id": 1, "result": result })
            );
        }
        stand.passes(&call("one", "told_once", &json!({}))).await;
        let told = stand.is_looping(&call("one", "told_once", &json!({}))).await;
        assert!(
            text(&told).contains("already called once with"),
            "{}",
            text(&told)
        );
    });
}

#[test]
fn the_window_starts_again() {
    run(async {
        let stand = stand().await;
        for request in [
            (|_| call("brief", "again", &json!({}))) as fn(usize) -> Request,
            |number| call("brief_run", "again_run", &json!({ "number": number })),
        ] {
            for _ in 0..2 {
                stand.passes(&request(1)).await;
                stand.passes(&request(2)).await;
                let told = retry_after(&stand.is_looping(&request(3)).await);
                assert!((1..=3_000).contains(&told), "{told}");
                // Refused calls do not count: the window ends when it was going to.
                stand.is_looping(&request(4)).await;
                tokio::time::sleep(Duration::from_millis(told + 50)).await;
            }
            stand.passes(&request(5)).await;
        }
    });
}

/// A model that repeats what does not fit the schema goes in circles, too.
#[test]
fn calls_that_the_schema_refuses_count() {
    run(async {
        let stand = stand().await;
        let request = call("two", "strict", &json!({ "wrong": 1 }));
        for _ in 0..2 {
            assert_eq!(stand.send(&request).await.header("x-toolgate-decision"), "schema");
        }
        stand.is_looping(&request).await;
        assert_eq!(stand.arrived("strict"), 0);
        stand
            .passes(&call("two", "strict", &json!({ "needed": 1 })))
            .await;
    });
}

#[test]
fn calls_that_a_quota_refuses_count_and_those_of_unknown_tools_do_not() {
    run(async {
        let stand = stand().await;
        let request = call("quota", "used_up", &json!({}));
        stand.passes(&request).await;
        assert_eq!(stand.send(&request).await.header("x-toolgate-decision"), "quota");
        stand.is_looping(&request).await;
        for _ in 0..4 {
            let answer = stand.send(&call("one", "hidden", &json!({}))).await;
            assert_eq!(answer.header("x-toolgate-decision"), "hidden");
        }
        assert_eq!(stand.arrived("hidden"), 0);
    });
}

/// A retry with what the server asked for is the next step of the same call, not a repetition.
/// <https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr>
#[test]
fn answers_to_what_the_server_asked_make_another_call() {
    run(async {
        let stand = stand().await;
        let answer = |name: &str| json!({ "who": { "action": "accept", "content": { "name": name } } });
        let steps = [
            json!({}),
            json!({ "requestState": "one" }),
            json!({ "inputResponses": answer("Ada") }),
            json!({ "inputResponses": answer("Bob") }),
            json!({ "inputResponses": answer("Ada"), "requestState": "one" }),
            json!({ "inputResponses": answer("Ada"), "requestState": "two" }),
        ];
        for step in &steps {
            stand.passes(&modern("one", "asks", step.clone())).await;
        }
        for step in steps {
            stand.is_looping(&modern("one", "asks", step)).await;
        }
    });
}

#[test]
fn a_shadow_key_passes_and_is_noted() {
    run(async {
        let stand = stand().await;
        let request = call("shade", "shaded", &json!({}));
        for _ in 0..5 {
            stand.passes(&request).await;
        }
        let log = stand.directory.path().join("access.log");
        let mut lines: Vec<Value> = Vec::new();
        for _ in 0..500 {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let read = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            lines = read
                .filter(|line: &Value| line["gen_ai.tool.name"] == "shaded")
                .collect();
            if lines.len() >= 5 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(
            lines.iter().all(|line| line["decision"] == "allowed"),
            "{lines:?}"
        );
        // Workers log when they get to it.
        let noted = lines.iter().filter(|line| line["would_deny"] == "loop").count();
        assert_eq!((lines.len(), noted), (5, 3), "{lines:?}");
    });
}
