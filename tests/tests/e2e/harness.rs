//! The harness against a plain Envoy: what the other tests conclude from it must be true without the filter.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::OnceCell;
use toolgate_tests::client::{Connection, Request, Transport};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::upstream::{Action, Answer, Received, Upstream, Version, mcp_server};
use toolgate_tests::{SOON, run};

const BODY: &[u8] = br#" {"jsonrpc":"2.0", "id":1,"method":"tools/call","params":{"name":"echo"}}"#;

#[test]
fn plain_envoy_forwards() {
    run(async {
        let (envoy, upstream) = plain().await;
        for transport in Transport::ALL {
            let label = format!("forwards-{transport:?}");
            let request = Request::post("/mcp", BODY)
                .header("x-label", &label)
                .header("x-bytes", b"\xff\xfe");
            let answer = envoy.send(&request, transport).await;
            assert_eq!(answer.status, 200, "{transport:?}: {answer:?}");
            assert_eq!(answer.json()["id"], 1, "{transport:?}");
            let received = upstream.received_for(&label);
            assert_eq!(received.len(), 1, "{transport:?}");
            assert!(received[0].complete, "{transport:?}");
            assert_eq!(received[0].body, BODY, "{transport:?}");
            assert_eq!(
                received[0].header("x-bytes"),
                Some(b"\xff\xfe".as_slice()),
                "{transport:?}"
            );
        }
    });
}

#[test]
fn both_releases_forward() {
    run(async {
        for release in Release::ALL {
            let upstream = Upstream::start(mcp_server(json!([]))).await;
            let address = upstream.address();
            let options = Options {
                release,
                concurrency: 1,
            };
            let envoy = Envoy::start(options, |listener, admin| {
                bootstrap(listener, admin, address, false)
            })
            .await;
            let answer = envoy.send(&Request::post("/mcp", BODY), Transport::Length).await;
            assert_eq!((answer.status, upstream.connections()), (200, 1), "{release:?}");
            assert_eq!(envoy.stat("cluster.up.upstream_rq_total").await, 1, "{release:?}");
        }
    });
}

#[test]
fn the_record_shows_requests_that_are_not_complete() {
    run(async {
        let (envoy, upstream) = plain().await;
        let mut connection = Connection::open(envoy.address()).await.expect("connects");
        let head = "POST /mcp HTTP/1.1\r\nhost: x\r\nx-label: unfinished\r\ncontent-length: 10\r\n\r\nabc";
        connection.write(head.as_bytes()).await.expect("written");
        let deadline = Instant::now() + SOON;
        while upstream
            .received_for("unfinished")
            .iter()
            .all(|request| request.body != b"abc")
        {
            assert!(
                Instant::now() < deadline,
                "{:?}",
                upstream.received_for("unfinished")
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!upstream.received_for("unfinished")[0].complete);
    });
}

/// Who sees that a request has arrived may change what the next one gets, and not what this one does.
#[test]
fn an_answer_is_decided_before_its_request_is_complete() {
    run(async {
        for (version, transport) in [
            (Version::Http1, Transport::Length),
            (Version::Http2, Transport::Http2),
        ] {
            let undecided = |received: &Received| !received.complete && received.body == BODY;
            let script = move |received: &Received| Answer::new(if undecided(received) { 200 } else { 500 });
            let upstream = Upstream::start_version(version, script).await;
            let answer = Request::post("/mcp", BODY)
                .send(upstream.address(), transport)
                .await;
            assert_eq!(answer.status, 200, "{version:?}");
            assert!(upstream.received()[0].complete, "{version:?}");
        }
    });
}

#[test]
fn answers_arrive_as_scripted() {
    run(async {
        let (envoy, upstream) = plain().await;
        let post = |label: &str| Request::post("/mcp", BODY).header("x-label", label);

        upstream.answer("answer-truncated", |_| Answer::new(200).declared(100, "short"));
        let answer = envoy.send(&post("answer-truncated"), Transport::Length).await;
        assert_eq!(
            (answer.status, answer.complete, answer.body.as_slice()),
            (200, false, b"short".as_slice())
        );

        upstream.answer("answer-reset", |_| Answer::reset());
        let answer = envoy.send(&post("answer-reset"), Transport::Http2).await;
        assert_eq!(answer.status, 503);

        upstream.answer("answer-close", |_| Answer::new(200).until_close("to the end"));
        let answer = envoy.send(&post("answer-close"), Transport::Length).await;
        assert_eq!(
            (answer.complete, answer.body.as_slice()),
            (true, b"to the end".as_slice())
        );

        upstream.answer("answer-huge", |_| {
            Answer::new(200)
                .chunked::<&str>([])
                .then(Action::Repeat("x".repeat(65_536).into(), 160))
        });
        let answer = envoy.send(&post("answer-huge"), Transport::Http2).await;
        assert_eq!((answer.complete, answer.body.len()), (true, 160 * 65_536));

        upstream.answer("answer-raw", |_| Answer::raw("this is not HTTP\r\n\r\n"));
        let answer = envoy.send(&post("answer-raw"), Transport::Length).await;
        assert_eq!(answer.status, 502);
    });
}

#[test]
fn events_arrive_one_by_one() {
    run(async {
        let (envoy, upstream) = plain().await;
        let pause = Duration::from_millis(150);
        upstream.answer("one-by-one", move |_| {
            Answer::sse((0..3).map(|n| (pause, format!("data: {n}\n\n"))))
        });
        let mut connection = Connection::open(envoy.address()).await.expect("connects");
        let request = Request::post("/mcp", BODY).header("x-label", "one-by-one");
        connection
            .request(&request, Transport::Length)
            .await
            .expect("sent");
        let head = connection.head().await.expect("an answer");
        assert_eq!(head.header("content-type"), "text/event-stream");
        let begin = Instant::now();
        for n in 0..3 {
            let piece = connection.piece().await.expect("readable").expect("not the end");
            assert_eq!(piece, format!("data: {n}\n\n").as_bytes());
            assert!(
                begin.elapsed() < pause * (n + 2),
                "event {n} is late: {:?}",
                begin.elapsed()
            );
        }
        assert_eq!(connection.piece().await.expect("readable"), None);
    });
}

#[test]
fn an_http2_upstream_records_trailers() {
    run(async {
        let upstream = Upstream::start_version(Version::Http2, |_| {
            Answer::new(200).body("done").trailer("x-outcome", "fine")
        })
        .await;
        let address = upstream.address();
        let envoy = Envoy::start(Options::default(), |listener, admin| {
            bootstrap(listener, admin, address, true)
        })
        .await;
        let answer = envoy
            .send(&Request::post("/mcp", BODY), Transport::Http2Trailers)
            .await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"done".as_slice()));
        assert_eq!(answer.trailers, [("x-outcome".to_owned(), b"fine".to_vec())]);
        let received = upstream.received();
        assert_eq!(received[0].body, BODY);
        assert_eq!(received[0].trailers, [("x-trailer".to_owned(), b"1".to_vec())]);
    });
}

/// One plain Envoy for all tests that do not need their own.
async fn plain() -> &'static (Envoy, Upstream) {
    static PLAIN: OnceCell<(Envoy, Upstream)> = OnceCell::const_new();
    PLAIN
        .get_or_init(|| async {
            let upstream = Upstream::start(mcp_server(json!([{ "name": "echo" }]))).await;
            let address = upstream.address();
            let options = Options::default();
            let envoy = Envoy::start(options, |listener, admin| {
                bootstrap(listener, admin, address, false)
            })
            .await;
            (envoy, upstream)
        })
        .await
}

fn bootstrap(listener: SocketAddr, admin: SocketAddr, upstream: SocketAddr, http2: bool) -> String {
    let address = |address: SocketAddr| json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } });
    let mut cluster = json!({
        "name": "up",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": "up",
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(upstream) } }] }],
        },
    });
    if http2 {
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        });
    }
    json!({
        "admin": { "address": address(admin) },
        "static_resources": {
            "listeners": [{
                "name": "plain",
                "address": address(listener),
                "enable_reuse_port": false,
                "filter_chains": [{ "filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                        "stat_prefix": "plain",
                        "codec_type": "AUTO",
                        "route_config": { "virtual_hosts": [{
                            "name": "all",
                            "domains": ["*"],
                            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "up", "timeout": "0s" } }],
                        }] },
                        "http_filters": [{
                            "name": "envoy.filters.http.router",
                            "typed_config": {
                                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                            },
                        }],
                    },
                }] }],
            }],
            "clusters": [cluster],
        },
    })
    .to_string()
}
