//! The scripted service.

use std::time::{Duration, Instant};

use bytes::Bytes;
use toolgate_tests::rate_limit::{
    Answer, Code, Failure, FakeService, RateLimitClient, Request, Response, Unit,
};
use toolgate_tests::run;

use super::{about, ask, limited};

fn question() -> Request {
    about([limited("a", 1), limited("b", 2).hits(5)]).hits(3)
}

async fn start(
    script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> (FakeService, RateLimitClient) {
    let service = FakeService::start(script).await;
    let client = RateLimitClient::connect(service.address())
        .await
        .expect("it listens");
    (service, client)
}

#[test]
fn it_answers_by_its_script_and_keeps_what_it_was_asked() {
    run(async {
        let (service, client) = start(Answer::ok).await;
        let answer = ask(&client, &question()).await.expect("an answer");
        assert_eq!(answer.codes(), [Code::Ok, Code::Ok]);
        let limits = answer
            .statuses
            .iter()
            .filter_map(|status| status.current_limit.as_ref());
        let limits: Vec<_> = limits
            .map(|limit| (limit.requests_per_unit, limit.unit()))
            .collect();
        assert_eq!(limits, [(1, Unit::Year), (2, Unit::Year)]);
        service.script(|request| Answer::over(request, 1));
        let answer = ask(&client, &question()).await.expect("an answer");
        assert_eq!(
            (answer.overall_code(), answer.codes()),
            (Code::OverLimit, vec![Code::Ok, Code::OverLimit])
        );
        service.script(Answer::unlimited);
        let answer = ask(&client, &question()).await.expect("an answer");
        assert!(
            answer
                .statuses
                .iter()
                .all(|status| status.current_limit.is_none()),
            "{answer:?}"
        );
        service.script(|_| Answer::statuses([]));
        assert_eq!(ask(&client, &question()).await, Ok(Response::of([])));
        let asked = service.asked();
        assert_eq!((asked.len(), service.connections()), (4, 1));
        assert!(
            asked
                .iter()
                .all(|asked| asked.request == question() && asked.connection == 0)
        );
        assert!(asked.is_sorted_by_key(|asked| asked.at));
    });
}

#[test]
fn it_fails_in_every_way_a_service_can() {
    run(async {
        let (service, client) = start(|_| Answer::unavailable()).await;
        let failed = Err(Failure::Status(14, "unavailable".to_owned()));
        assert_eq!(ask(&client, &question()).await, failed);
        let broken = Bytes::from_static(b"\0\0\0\0\x09short");
        for answer in [
            Answer::garbage(),
            Answer::Body(broken),
            Answer::Http(503),
            Answer::Reset,
            Answer::Never,
        ] {
            let what = format!("{answer:?}");
            service.script(move |_| answer.clone());
            let failure = ask(&client, &question()).await.expect_err(&what);
            assert!(matches!(failure, Failure::Transport(_)), "{what}: {failure}");
        }
        let pause = Duration::from_millis(100);
        service.script(move |request| Answer::ok(request).after(pause));
        let before = Instant::now();
        ask(&client, &question()).await.expect("an answer");
        assert!(before.elapsed() >= pause);
        // All of this was on one connection, which is gone after the last one.
        assert_eq!(service.connections(), 1);
        service.script(|_| Answer::Close);
        ask(&client, &question()).await.expect_err("closed");
        ask(&client, &question()).await.expect_err("still closed");
        assert_eq!(service.asked().len(), 8);
    });
}

#[test]
fn it_can_go_and_come_back() {
    run(async {
        let (service, client) = start(Answer::ok).await;
        let address = service.address();
        service.stop().await;
        ask(&client, &question())
            .await
            .expect_err("its connections are closed");
        assert!(RateLimitClient::connect(address).await.is_err());
        let _service = FakeService::start_at(address, Answer::ok).await;
        let client = RateLimitClient::connect(address).await.expect("it listens again");
        ask(&client, &question()).await.expect("an answer");
    });
}
