//! `rollout status` against what may answer in place of an Envoy, or not at all.
#![cfg(unix)]

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use common::{Bench, policy};
use serde_json::{Value, json};
use toolgate_engine::policy::Policy;

/// Answers every connection by what `script` makes of the request line.
fn serve(script: impl Fn(&str, &mut TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the test process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 2048];
            let count = stream.read(&mut request).unwrap_or(0);
            let line = String::from_utf8_lossy(&request[..count])
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            script(&line, &mut stream);
        }
    });
    address
}

fn answer(stream: &mut TcpStream, kind: &str, body: &str) {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // The other side may have had enough.
    let _ = stream.write_all((head + body).as_bytes());
}

/// An Envoy with these gauges and rejections.
fn envoy(state: &'static str, gauges: Value, rejected: u64) -> SocketAddr {
    serve(move |line, stream| {
        let body = if line.contains("/server_info") {
            json!({ "version": "abc/1.40.0/Clean/RELEASE/BoringSSL", "state": state })
        } else if line.contains("/stats") {
            let mut stats: Vec<Value> = gauges
                .as_object()
                .unwrap()
                .iter()
                .map(|(hash, value)| json!({ "name": format!("wasmcustom.toolgate_policy_info;hash={hash}"), "value": value }))
                .collect();
            stats.push(json!({ "name": "listener_manager.lds.update_rejected", "value": rejected }));
            json!({ "stats": stats })
        } else if line.contains("mask=") {
            json!({ "configs": [{ "name": "mcp", "error_state": { "details": "no such\u{1b}[2J field", "last_update_attempt": "2026-11-20T10:00:00Z" } }] })
        } else {
            dump()
        };
        answer(stream, "application/json", &body.to_string());
    })
}

/// A listener with a filter that is discovered.
fn dump() -> Value {
    let config = json!({ "vm_config": {}, "configuration": { "value": policy().to_string() } });
    let filter = json!({ "name": "toolgate", "typed_config": { "config": config } });
    json!({ "configs": [
        { "ecds_filters": [{ "ecds_filter": filter }] },
        { "active_state": { "http_filters": [{ "name": "toolgate", "config_discovery": {} }] } },
    ] })
}

/// The hash of the policy of these tests.
fn hash() -> String {
    let compiled = Policy::compile(policy().to_string().as_bytes()).unwrap();
    compiled.hash().to_string()
}

#[test]
fn says_yes_and_no() {
    let bench = Bench::new(&policy());
    let hash = hash();
    let good = envoy("LIVE", json!({ (hash.clone()): 1, "0123456789abcdef": 0 }), 0);
    let said = bench.run(&format!(
        "rollout status --admin http://{good} --policy policy.json"
    ));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out
            .contains(&format!("policy {hash} is in force (Envoy 1.40.0)")),
        "{said:?}"
    );

    let old = envoy("LIVE", json!({ "0123456789abcdef": 1 }), 2);
    let said = bench.run(&format!("rollout status --admin {old} --policy policy.json"));
    assert_eq!(said.code, Some(1));
    for words in [
        format!("policy {hash} is not in force: 0123456789abcdef is"),
        "2 updates rejected since it started".into(),
        "mcp at 2026-11-20T10:00:00Z: no such\u{fffd}[2J field".into(),
    ] {
        assert!(said.out.contains(&words), "{words}: {said:?}");
    }
    assert_eq!(
        bench.run(&format!("rollout status --admin {old}")).code,
        Some(0),
        "some policy is"
    );

    let none = envoy("LIVE", json!({}), 0);
    let said = bench.run(&format!("rollout status --admin {none}"));
    assert!(
        said.code == Some(1) && said.out.contains("no policy is in force"),
        "{said:?}"
    );
    let starting = envoy("PRE_INITIALIZING", json!({ (hash): 1 }), 0);
    let said = bench.run(&format!("rollout status --admin {starting}"));
    assert!(
        said.code == Some(1) && said.out.contains("PRE_INITIALIZING"),
        "{said:?}"
    );
}

#[test]
fn where_two_gauges_say_so_the_configuration_decides() {
    let bench = Bench::new(&policy());
    let hash = hash();
    let two = envoy("LIVE", json!({ (hash): 1, "0123456789abcdef": 1 }), 0);
    let said = bench.run(&format!("rollout status --admin {two} --policy policy.json"));
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn all_replicas_must_have_it() {
    let bench = Bench::new(&policy());
    let hash = hash();
    let (good, old) = (
        envoy("LIVE", json!({ (hash.clone()): 1 }), 0),
        envoy("LIVE", json!({ "00": 1 }), 0),
    );
    let command = format!("rollout status --admin {good} --admin {old} --policy policy.json --format json");
    let said = bench.run(&command);
    assert_eq!(said.code, Some(1));
    let found = said.json();
    assert_eq!((&found["ok"], &found["policy"]), (&json!(false), &json!(hash)));
    assert_eq!(found["envoys"][0]["ok"], true);
    assert_eq!(found["envoys"][1]["inForce"], json!(["00"]));
    assert_eq!(found["envoys"][1]["admin"], format!("http://{old}"));
}

#[test]
fn waits_until_it_is_there() {
    let bench = Bench::new(&policy());
    let hash = hash();
    let begun = Instant::now();
    let address = serve(move |line, stream| {
        let late = begun.elapsed() > Duration::from_secs(2);
        let body = if line.contains("/server_info") {
            json!({ "version": "a/1.36.2/c", "state": "LIVE" })
        } else if line.contains("/stats") {
            // It was before another one, and is again.
            let name = |hash: &str| format!("wasmcustom.toolgate_policy_info;hash={hash}");
            json!({ "stats": [
                { "name": name(&hash), "value": u64::from(late) },
                { "name": name("0123456789abcdef"), "value": u64::from(!late) },
            ] })
        } else {
            dump()
        };
        answer(stream, "application/json", &body.to_string());
    });
    let said = bench.run(&format!(
        "rollout status --admin {address} --policy policy.json --timeout 30s"
    ));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(begun.elapsed() > Duration::from_secs(2));
}

#[test]
fn what_is_not_there_is_not_in_force() {
    let bench = Bench::new(&policy());
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let begun = Instant::now();
    let said = bench.run(&format!("rollout status --admin {free} --timeout 1s"));
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("no answer"), "{said:?}");
    let silent = serve(|_, _| thread::sleep(Duration::from_mins(1)));
    let dripping = serve(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    let said = bench.run(&format!(
        "rollout status --admin {silent} --admin {dripping} --timeout 2s"
    ));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn what_is_not_envoy_is_a_wrong_question() {
    let bench = Bench::new(&policy());
    let page = serve(|_, stream| answer(stream, "text/html", "<html>"));
    let other = serve(|_, stream| answer(stream, "application/json", "{}"));
    let nonsense = serve(|_, stream| {
        let _ = stream.write_all(b"220 smtp.example ESMTP\r\n");
    });
    let endless = serve(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        let zeros = vec![b'0'; 1 << 20];
        for _ in 0..400 {
            if stream.write_all(&zeros).is_err() {
                break;
            }
        }
    });
    for address in [page, other, nonsense] {
        bench
            .run(&format!("rollout status --admin {address} --timeout 20s"))
            .is_usage(&["is not Envoy's admin interface", "\"admin\" in Envoy's bootstrap"]);
    }
    // Too large, or too slow for that: no more than either.
    assert_ne!(
        bench.run(&format!("rollout status --admin {endless}")).code,
        Some(0)
    );
    bench.run("rollout status").is_usage(&["--admin"]);
    bench
        .run("rollout status --admin ftp://h")
        .is_usage(&["http://HOST:PORT"]);
    bench
        .run("rollout status --admin h:1 --timeout 5")
        .is_usage(&["30s"]);
}
