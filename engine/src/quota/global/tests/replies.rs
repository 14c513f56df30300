use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::fake::{OK, OVER_LIMIT, Ratelimit, Response, Status};
use super::{Fixture, NOW};
use crate::exchange::RateLimitReply;
use crate::quota::{Answer, Ask, Over};
use crate::store::MemoryStore;

const LIMITS: &str = r#""quotas":[{"limit":2,"per":"minute","scope":"global"},{"limit":3,"per":"5m","scope":"global"}],
    "budget":{"limit":1,"per":"month","scope":"global"}"#;

/// What is left of November.
const MONTH: Duration = Duration::from_millis((10 * 86_400 + 41_104) * 1_000 - 500);

/// A call that costs 0.05, with a quota per minute (2), one per five minutes (3) and a budget per month (1).
fn fixture() -> (Fixture, Ask) {
    let fixture = Fixture::new("", "", LIMITS);
    let asks = fixture.book.ask(&fixture.bill("dear"), &MemoryStore::new(), NOW);
    let [ask] = asks.unwrap().try_into().unwrap();
    (fixture, ask)
}

fn status(code: u64, limit: (u64, u64), reset: u64) -> Status {
    Status {
        code,
        limit: Some(limit),
        remaining: 0,
        reset: Some(reset),
    }
}

/// What the service says when all three are within.
fn within() -> Response {
    Response {
        overall: OK,
        statuses: vec![
            status(OK, (2, 2), 4),
            status(OK, (3, 3), 1_504),
            status(OK, (1_000_000, 6), 2_373_904),
        ],
    }
}

fn read(change: impl FnOnce(&mut Response)) -> Answer {
    let (fixture, mut ask) = fixture();
    let mut response = within();
    change(&mut response);
    let bytes = response.encode();
    fixture.book.read(&mut ask, &RateLimitReply::Answer(&bytes))
}

fn over(line: usize, wait: Duration) -> Answer {
    let (fixture, _) = fixture();
    let line = fixture.bill("dear").lines[line];
    Answer::Over(Over {
        limit: Some(line.limit),
        budget: line.budget,
        wait: Some(wait),
    })
}

#[track_caller]
fn failed(answer: &Answer) -> &str {
    let Answer::Failed(why) = answer else {
        panic!("{answer:?}");
    };
    assert!(why.len() < 200, "{why}");
    why
}

#[test]
fn a_yes_needs_the_proof_that_every_limit_was_applied() {
    assert_eq!(read(|_| ()), Answer::Within);
    let no_limit = read(|r| r.statuses[1].limit = None);
    assert_eq!(
        failed(&no_limit),
        r#"limit 2 of 3 in domain "tg": no limit was applied; does the service know the domain?"#
    );
    let other = read(|r| r.statuses[0].limit = Some((3, 2)));
    assert_eq!(
        failed(&other),
        r#"limit 1 of 3 in domain "tg": another limit was applied (3 per unit 2, not 2 per unit 2)"#
    );
    for (change, why) in [
        (
            (|r| r.statuses[0].limit = Some((2, 3))) as fn(&mut Response),
            "another limit",
        ),
        (|r| r.statuses[2].code = 0, "status code 0"),
        (|r| r.statuses[2].code = 3, "status code 3"),
        (|r| r.overall = 0, "overall code 0"),
        (|r| r.overall = 7, "overall code 7"),
        (|r| r.statuses.truncate(2), "2 statuses for 3 limits"),
        (
            |r| r.statuses.push(r.statuses[0].clone()),
            "4 statuses for 3 limits",
        ),
        (|r| r.statuses.clear(), "0 statuses for 3 limits"),
    ] {
        let answer = read(change);
        assert!(failed(&answer).contains(why), "{answer:?}");
    }
}

#[test]
fn a_no_names_the_limit_with_the_longest_wait() {
    assert_eq!(
        read(|r| r.statuses[0].code = OVER_LIMIT),
        over(0, Duration::from_secs(4))
    );
    // 12:34:56.5: the five minutes end with this minute, the month does not.
    let both = read(|r| {
        r.overall = OVER_LIMIT;
        r.statuses[0].code = OVER_LIMIT;
        r.statuses[1].code = OVER_LIMIT;
    });
    assert_eq!(both, over(0, Duration::from_secs(4)));
    let all = read(|r| {
        r.overall = OVER_LIMIT;
        r.statuses.iter_mut().for_each(|status| status.code = OVER_LIMIT);
    });
    assert_eq!(all, over(2, MONTH));
    let budget = read(|r| r.statuses[2].code = OVER_LIMIT);
    assert_eq!(budget, over(2, MONTH));
}

#[test]
fn a_wait_is_never_longer_than_the_window() {
    for (line, reset, wait) in [
        (0, Some(60), Duration::from_mins(1)),
        (0, Some(61), Duration::from_mins(1)),
        (0, Some(0), Duration::ZERO),
        (0, Some(u64::MAX), Duration::ZERO),
        (0, Some(u64::MAX >> 1), Duration::from_mins(1)),
        (0, None, Duration::from_mins(1)),
        (1, Some(3), Duration::from_secs(3)),
        (1, None, Duration::from_millis(3_500)),
    ] {
        let answer = read(|r| {
            r.statuses[line].code = OVER_LIMIT;
            r.statuses[line].reset = reset;
        });
        assert_eq!(answer, over(line, wait), "{reset:?}");
    }
}

#[test]
fn a_no_counts_whatever_else_is_wrong() {
    let four = over(0, Duration::from_secs(4));
    let no = |r: &mut Response| r.statuses[0].code = OVER_LIMIT;
    assert_eq!(read(|r| (no(r), r.overall = OK).0), four);
    assert_eq!(read(|r| (no(r), r.overall = 0).0), four);
    assert_eq!(read(|r| (no(r), r.statuses[1].limit = None).0), four);
    assert_eq!(read(|r| (no(r), r.statuses[0].limit = None).0), four);
    // Unless it is about another limit.
    let other = read(|r| (no(r), r.statuses[0].limit = Some((9, 2))).0);
    assert!(failed(&other).contains("another limit"), "{other:?}");
    // Nobody says which: the first moment at which it can be otherwise.
    let unnamed = Over {
        limit: None,
        budget: false,
        wait: Some(Duration::from_millis(3_500)),
    };
    assert_eq!(read(|r| r.overall = OVER_LIMIT), Answer::Over(unnamed));
}

#[test]
fn failures_say_where_to_look() {
    let (fixture, mut ask) = fixture();
    let mut read = |reply| failed(&fixture.book.read(&mut ask, &reply)).to_owned();
    for (status, name) in [
        (14, "UNAVAILABLE"),
        (2, "UNKNOWN"),
        (12, "UNIMPLEMENTED"),
        (16, "UNAUTHENTICATED"),
    ] {
        let why = read(RateLimitReply::Status(status));
        assert_eq!(why, format!("gRPC status {status} ({name}) from cluster \"rl\""));
    }
    let why = read(RateLimitReply::Status(u32::MAX));
    assert_eq!(
        why,
        r#"gRPC status 4294967295 (no known status) from cluster "rl""#
    );
    let why = read(RateLimitReply::NotSent(2));
    assert_eq!(why, r#"not asked (host status 2): is there a cluster "rl"?"#);
    assert_eq!(
        read(RateLimitReply::TimedOut),
        r#"no answer from cluster "rl" within 50ms"#
    );
    assert_eq!(
        read(RateLimitReply::Answer(b"<html>")),
        "an answer that is no RateLimitResponse"
    );
    // An empty message is one whose codes are unknown.
    assert_eq!(read(RateLimitReply::Answer(b"")), "0 statuses for 3 limits");
    let large = vec![0; 64 * 1024 + 1];
    assert_eq!(read(RateLimitReply::Answer(&large)), "an answer of 65537 bytes");
    // As many statuses as fit.
    let many: Vec<u8> = [0x12, 0].into_iter().cycle().take(64 * 1024).collect();
    assert_eq!(read(RateLimitReply::Answer(&many)), "32768 statuses for 3 limits");
}

#[test]
fn limitador_says_one_word() {
    let fixture = Fixture::new(r#""engine":"limitador""#, "", LIMITS);
    let asks = fixture.book.ask(&fixture.bill("dear"), &MemoryStore::new(), NOW);
    let [mut quotas, mut budgets] = <[Ask; 2]>::try_from(asks.unwrap()).unwrap();
    let read = |ask: &mut Ask, overall| {
        let response = Response {
            overall,
            statuses: Vec::new(),
        };
        fixture
            .book
            .read(ask, &RateLimitReply::Answer(&response.encode()))
    };
    assert_eq!(read(&mut quotas, OK), Answer::Within);
    assert!(matches!(read(&mut quotas, 0), Answer::Failed(_)));
    assert!(matches!(read(&mut quotas, 3), Answer::Failed(_)));
    // One of two quotas: trying again is of use after a minute.
    let unnamed = Over {
        limit: None,
        budget: false,
        wait: Some(Duration::from_mins(1)),
    };
    assert_eq!(read(&mut quotas, OVER_LIMIT), Answer::Over(unnamed));
    // The only budget.
    assert_eq!(read(&mut budgets, OVER_LIMIT), over(2, MONTH));
}

#[test]
fn only_debts_that_are_counted_are_struck() {
    let both = r#""budget":{"limit":0.1,"per":"month","scope":"global"}"#;
    let fixture = Fixture::new("", both, r#""budget":{"limit":1,"per":"month","scope":"global"}"#);
    let store = MemoryStore::new();
    fixture.book.settle(&fixture.bill("by_size"), 50, &store, NOW);
    let bill = fixture.bill("dear");
    let [mut ask] = <[Ask; 1]>::try_from(fixture.book.ask(&bill, &store, NOW).unwrap()).unwrap();
    let mut service = Ratelimit::new("tg");
    let first = service.should_rate_limit(&ask.message, NOW);
    assert_eq!(
        fixture
            .book
            .read(&mut ask.clone(), &RateLimitReply::Answer(&first)),
        Answer::Within
    );
    // Now the team's budget is used up, and has counted the debt once more; whether the key's has, nobody knows.
    let second = service.should_rate_limit(&ask.message, NOW);
    let answer = fixture.book.read(&mut ask, &RateLimitReply::Answer(&second));
    assert!(matches!(answer, Answer::Over(Over { limit, .. }) if limit == Some(bill.lines[1].limit)));
    fixture.book.unasked(&[ask], &store);
    let again = fixture.book.ask(&bill, &store, NOW).unwrap();
    let request = super::super::fake::Request::decode(&again[0].message);
    let hits: Vec<_> = request
        .descriptors
        .iter()
        .map(|d| d.hits_addend.unwrap())
        .collect();
    // 50 bytes are 48,829 micros.
    assert_eq!(hits, [98_829, 50_000]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (fixture, mut ask) = fixture();
        let answer = fixture.book.read(&mut ask, &RateLimitReply::Answer(&bytes));
        prop_assert_ne!(answer, Answer::Within);
    }

    #[test]
    fn damaged_answers_are_read(
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<Index>()),
    ) {
        let (fixture, mut ask) = fixture();
        let mut bytes = within().encode();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        match fixture.book.read(&mut ask, &RateLimitReply::Answer(&bytes)) {
            Answer::Within => {}
            Answer::Over(over) => prop_assert!(over.wait.is_some_and(|wait| wait <= Duration::from_hours(24 * 31))),
            Answer::Failed(why) => prop_assert!(why.len() < 200),
        }
    }
}
