//! TLS on both sides of Envoy, with certificates that are right and wrong.

use serde_json::json;
use toolgate_tests::client::Transport;
use toolgate_tests::messages::Era;
use toolgate_tests::run;
use toolgate_tests::tls::{Handshake, Tunnel};

use super::{KEY, stands};

#[test]
fn agents_reach_it_over_tls_with_http1_and_http2_as_negotiated() {
    run(async {
        for stand in stands().await {
            for (tunnel, transports, protocol) in [
                (
                    &stand.http1,
                    [Transport::Length, Transport::ChunkedBytes],
                    "http/1.1",
                ),
                (&stand.http2, [Transport::Http2, Transport::Http2Trailers], "h2"),
            ] {
                for transport in transports {
                    let label = format!("outside-{transport:?}");
                    let request = Era::Legacy
                        .call("/docs/mcp", "search", &json!({ "q": label }))
                        .key(KEY);
                    let answer = request.send(tunnel.address(), transport).await;
                    assert_eq!(
                        (answer.status, answer.header("x-toolgate-decision").as_str()),
                        (200, "allowed")
                    );
                    assert_eq!(stand.parts.plain.wait_for(&label, 1).await.len(), 1);
                    let refused =
                        Era::Legacy.call("/docs/mcp", "delete_it", &json!({ "q": format!("no-{label}") }));
                    let answer = refused.key(KEY).send(tunnel.address(), transport).await;
                    assert_eq!(answer.header("x-toolgate-decision"), "hidden", "{transport:?}");
                    assert!(arrived_whole(stand.parts.plain.received_for(&format!("no-{label}"))).is_empty());
                }
                let agreed: Vec<_> = tunnel.handshakes().into_iter().map(|h| h.protocol).collect();
                assert!(!agreed.is_empty());
                assert!(
                    agreed.iter().all(|agreed| agreed.as_deref() == Some(protocol)),
                    "{agreed:?}"
                );
            }
        }
    });
}

#[test]
fn a_client_that_does_not_speak_tls_gets_nothing() {
    run(async {
        for stand in stands().await {
            let request = Era::Legacy
                .call("/docs/mcp", "search", &json!({ "q": "in-the-clear" }))
                .key(KEY);
            let mut connection = toolgate_tests::client::Connection::open(stand.envoy.address())
                .await
                .expect("connects");
            let answer = connection.exchange(&request, Transport::Length).await;
            assert!(answer.is_err(), "{answer:?}");
            // And one that trusts another authority does not go on.
            let stranger = toolgate_tests::tls::Authority::new().pem();
            let tunnel = Tunnel::to(stand.envoy.address(), "gate.example", &stranger, &["http/1.1"]).await;
            let mut connection = toolgate_tests::client::Connection::open(tunnel.address())
                .await
                .expect("connects");
            assert!(connection.exchange(&request, Transport::Length).await.is_err());
            assert_eq!(tunnel.handshakes(), []);
            assert!(stand.parts.plain.received_for("in-the-clear").is_empty());
        }
    });
}

#[test]
fn an_https_server_is_told_its_name_and_must_prove_it() {
    run(async {
        for stand in stands().await {
            let parts = &stand.parts;
            let port = parts.secure_tls.address().port();
            for (server, host, name) in [
                ("secure", "localhost", Some("localhost")),
                // RFC 6066, section 3: an address is no server name.
                ("secure-address", "127.0.0.1", None),
            ] {
                for era in Era::ALL {
                    let label = format!("label-{server}-{era:?}");
                    let request = era.call(&format!("/{server}/mcp"), "search", &json!({ "q": label }));
                    let answer = stand.send(&request.clone().key(KEY)).await;
                    assert_eq!(answer.status, 200, "{server}: {answer:?}");
                    let received = parts.secure.wait_for(&label, 1).await;
                    assert_eq!(received.len(), 1);
                    assert_eq!(Some(&received[0].body[..]), request.body.as_deref());
                    assert_eq!(received[0].target, "/behind/tls");
                    let authority = format!("{host}:{port}");
                    assert_eq!(received[0].header("host"), Some(authority.as_bytes()));
                }
                let expected = Handshake {
                    server_name: name.map(str::to_owned),
                    protocol: Some("http/1.1".to_owned()),
                };
                assert!(parts.secure_tls.handshakes().contains(&expected), "{expected:?}");
            }
        }
    });
}

#[test]
fn an_https_server_with_the_wrong_certificate_receives_nothing() {
    run(async {
        for stand in stands().await {
            let parts = &stand.parts;
            for (server, upstream, tunnel) in [
                ("misnamed", &parts.misnamed, &parts.misnamed_tls),
                ("misnamed-address", &parts.misnamed, &parts.misnamed_tls),
                ("untrusted", &parts.untrusted, &parts.untrusted_tls),
            ] {
                for era in Era::ALL {
                    let request = era.call(&format!("/{server}/mcp"), "search", &json!({ "q": "secret" }));
                    let answer = stand.send(&request.key(KEY)).await;
                    assert_eq!(answer.status, 503, "{server}: {answer:?}");
                }
                assert_eq!(
                    (upstream.received().len(), upstream.connections()),
                    (0, 0),
                    "{server}"
                );
                assert_eq!(tunnel.handshakes(), [], "{server}");
                assert!(!tunnel.failures().is_empty(), "{server} was never tried");
            }
        }
    });
}

fn arrived_whole(
    received: Vec<toolgate_tests::upstream::Received>,
) -> Vec<toolgate_tests::upstream::Received> {
    received.into_iter().filter(|request| request.complete).collect()
}
