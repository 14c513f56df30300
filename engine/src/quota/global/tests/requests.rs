use std::collections::HashSet;

use prost::Message;

use super::super::fake::{Descriptor, Request};
use super::super::wire;
use super::{Fixture, NOW, at};
use crate::policy::{Policy, Scope};
use crate::quota::{Ask, Bill, Book, Over};
use crate::store::{MemoryStore, Store};

const LIMITADOR: &str = r#""engine":"limitador""#;

fn requests(asks: &[Ask]) -> Vec<Request> {
    asks.iter().map(|ask| Request::decode(&ask.message)).collect()
}

fn ask(fixture: &Fixture, bill: &Bill, store: &dyn Store) -> Vec<Request> {
    requests(&fixture.book.ask(bill, store, NOW).unwrap())
}

/// The id of the limit at this place, as descriptors have it.
fn id(fixture: &Fixture, place: &str) -> String {
    let mut limits = fixture.book.owners().iter().flat_map(|owner| {
        let place = move |limit| (owner.pointer(limit), limit.id);
        owner.limits.iter().map(place)
    });
    let (_, id) = limits.find(|(pointer, _)| pointer == place).unwrap();
    format!("{id:016x}")
}

fn entries(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_descriptor_for_each_global_limit() {
    let fixture = Fixture::new(
        "",
        r#""budget":{"limit":5000,"per":"month","scope":"global"}"#,
        r#""quotas":[{"limit":7,"per":"minute"},{"limit":3,"per":"5m","scope":"global"},
            {"limit":2,"per":"second","on":"docs/*","each":"tool","scope":"global"}],
            "budget":{"limit":0.1,"per":"day","scope":"global"}"#,
    );
    let bill = fixture.bill("dear");
    let part = bill.lines[2].part.number();
    assert_ne!(part, 0);
    let store = MemoryStore::new();
    let none = "0000000000000000";
    let expected = |entries: &[(&str, &str)], limit, hits| Descriptor {
        entries: self::entries(entries),
        limit: Some(limit),
        hits_addend: Some(hits),
    };
    let (five_minutes, each) = (id(&fixture, "/keys/k/quotas/1"), id(&fixture, "/keys/k/quotas/2"));
    let (key, team) = (
        id(&fixture, "/keys/k/budget"),
        id(&fixture, "/teams/eng~1a~0b/budget"),
    );
    assert_eq!(
        ask(&fixture, &bill, &store),
        [Request {
            domain: "tg".to_owned(),
            hits_addend: 0,
            descriptors: vec![
                // 12:34:56 is in the seventh window of its hour, which is an even one.
                expected(
                    &[
                        ("limit", "keys/k/quota"),
                        ("id", &format!("{five_minutes}{none}")),
                        ("window", "6")
                    ],
                    (3, 3),
                    1
                ),
                expected(
                    &[("limit", "keys/k/quota"), ("id", &format!("{each}{part:016x}"))],
                    (2, 1),
                    1
                ),
                expected(
                    &[("limit", "keys/k/budget"), ("id", &format!("{key}{none}"))],
                    (100_000, 4),
                    50_000
                ),
                // 5,000,000,000 micros do not fit: in tens of micros.
                expected(
                    &[
                        ("limit", "teams/eng/a~b/budget"),
                        ("id", &format!("{team}{none}e1")),
                        ("period", "2026-11")
                    ],
                    (500_000_000, 6),
                    5_000
                ),
            ],
        }]
    );
    // A tool that costs nothing is no matter of budgets; a tenth of a unit is a unit.
    let hits = |tool| -> Vec<_> {
        let request = ask(&fixture, &fixture.bill(tool), &store).remove(0);
        request
            .descriptors
            .iter()
            .map(|d| d.hits_addend.unwrap())
            .collect()
    };
    assert_eq!(hits("free"), [1, 1]);
    assert_eq!(hits("cheap"), [1, 1, 1, 1]);
    // Costs that are only known afterwards look whether anything is left.
    assert_eq!(hits("by_size"), [1, 1, 1, 1]);
}

#[test]
fn the_bytes_on_the_wire() {
    let request = wire::RateLimitRequest {
        domain: "tg".to_owned(),
        descriptors: vec![wire::Descriptor {
            entries: vec![wire::Entry {
                key: "limit".to_owned(),
                value: "k".to_owned(),
            }],
            limit: Some(wire::Limit {
                requests_per_unit: 300,
                unit: 6,
            }),
            hits_addend: Some(5),
        }],
        hits_addend: 7,
    };
    #[rustfmt::skip]
    let expected = [
        0x0a, 2, b't', b'g',                                                    // 1: domain
        0x12, 23,                                                               // 2: descriptor
            0x0a, 10, 0x0a, 5, b'l', b'i', b'm', b'i', b't', 0x12, 1, b'k',     //   1: entry
            0x12, 5, 0x08, 0xac, 0x02, 0x10, 6,                                 //   2: limit
            0x1a, 2, 0x08, 5,                                                   //   3: hits_addend
        0x18, 7,                                                                // 3: hits_addend
    ];
    assert_eq!(request.encode_to_vec(), expected);
}

#[test]
fn nothing_is_asked_where_nothing_is_global() {
    let fixture = Fixture::new("", "", r#""quotas":[{"limit":1,"per":"minute"}]"#);
    let bill = fixture.bill("dear");
    assert_eq!(fixture.book.ask(&bill, &MemoryStore::new(), NOW), Ok(Vec::new()));
    assert_eq!(fixture.book.limits_file().count(), 0);
}

/// The service would count it twice.
#[test]
fn no_question_names_a_limit_twice() {
    let same = r#"{"limit":2,"per":"second","scope":"global"}"#;
    let other = r#"{"limit":9,"per":"second","scope":"global"}"#;
    let limits = format!(
        r#""quotas":[{same},{same},{other},{{"limit":2,"per":"second","each":"tool","scope":"global"}}],
        "budget":{{"limit":1,"per":"month","scope":"global"}}"#
    );
    for service in ["", LIMITADOR] {
        let fixture = Fixture::new(service, &limits, &limits);
        let requests = ask(&fixture, &fixture.bill("dear"), &MemoryStore::new());
        let names: Vec<_> = requests
            .into_iter()
            .flat_map(|request| request.descriptors)
            .flat_map(|descriptor| match service {
                "" => vec![descriptor.entry("id").unwrap().to_owned()],
                _ => descriptor.entries.into_iter().map(|(key, _)| key).collect(),
            })
            .collect();
        assert_eq!(names.len(), 10);
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), 10, "{names:?}");
    }
}

#[test]
fn a_count_survives_other_limits_and_another_limit_but_not_another_window() {
    let ids = |key: &str| {
        let fixture = Fixture::new("", "", key);
        let mut requests = ask(&fixture, &fixture.bill("dear"), &MemoryStore::new());
        let descriptors = requests.remove(0).descriptors;
        descriptors.into_iter().map(|d| d.entries).collect::<Vec<_>>()
    };
    let alone = ids(r#""quotas":[{"limit":2,"per":"second","scope":"global"}]"#);
    let more = ids(
        r#""quotas":[{"limit":9,"per":"minute","scope":"global"},{"limit":5,"per":"second","scope":"global"}]"#,
    );
    assert_eq!(alone[0], more[1]);
    assert_ne!(alone[0], more[0]);
}

#[test]
fn a_cost_above_the_whole_limit_is_refused_without_asking() {
    for service in ["", LIMITADOR] {
        let fixture = Fixture::new(
            service,
            r#""budget":{"limit":0.04,"per":"day","scope":"global"}"#,
            r#""budget":{"limit":1,"per":"month","scope":"global"}"#,
        );
        let store = MemoryStore::new();
        fixture.book.settle(&fixture.bill("by_size"), 100, &store, NOW);
        let bill = fixture.bill("dear");
        let over = Over {
            limit: Some(bill.lines[1].limit),
            budget: true,
            wait: None,
        };
        assert_eq!(fixture.book.ask(&bill, &store, NOW), Err(over));
        // The debts are still there.
        let asks = ask(&fixture, &fixture.bill("cheap"), &store);
        let hits: Vec<_> = asks
            .iter()
            .flat_map(|r| {
                r.descriptors
                    .iter()
                    .map(|d| d.hits_addend.unwrap_or(r.hits_addend))
            })
            .collect();
        // 100 bytes at 1 per KiB are 97,657 micros; the team can be asked for 40,000 at once.
        let expected: &[u64] = &[97_658, 40_000];
        assert_eq!(hits, expected, "{service}");
    }
}

#[test]
fn debts_are_asked_for_once_and_come_back_when_the_call_did_not_go_on() {
    for service in ["", LIMITADOR] {
        let fixture = Fixture::new(
            service,
            "",
            r#""quotas":[{"limit":5,"per":"day","scope":"global"}],"budget":{"limit":1,"per":"month","scope":"global"}"#,
        );
        let store = MemoryStore::new();
        let bill = fixture.bill("cheap");
        let budget = |asks: &[Ask]| -> u64 {
            let last = requests(asks).pop().unwrap();
            let own = last.descriptors.last().unwrap().hits_addend;
            own.unwrap_or(last.hits_addend)
        };
        let ask = || fixture.book.ask(&bill, &store, NOW).unwrap();
        fixture.book.settle(&fixture.bill("by_size"), 512, &store, NOW);
        fixture.book.settle(&fixture.bill("by_size"), 256, &store, NOW);
        let asks = ask();
        assert_eq!(budget(&asks), 750_001, "{service}");
        assert_eq!(budget(&ask()), 1, "{service}");
        fixture.book.unasked(&asks, &store);
        assert_eq!(budget(&ask()), 750_001, "{service}");
        // More than the whole budget is paid one budget after another.
        fixture.book.settle(&fixture.bill("by_size"), 2_560, &store, NOW);
        let paid: Vec<u64> = (0..4).map(|_| budget(&ask())).collect();
        assert_eq!(paid, [1_000_000, 1_000_000, 500_003, 1], "{service}");
    }
}

#[test]
fn limitador_is_asked_about_quotas_first() {
    let limits = r#""quotas":[{"limit":3,"per":"7m","scope":"global"},{"limit":2,"per":"second","each":"tool","scope":"global"}],
        "budget":{"limit":5000,"per":"month","scope":"global"}"#;
    let fixture = Fixture::new(
        LIMITADOR,
        r#""budget":{"limit":6000,"per":"total","scope":"global"}"#,
        limits,
    );
    let store = MemoryStore::new();
    let bill = fixture.bill("dear");
    let part = bill.lines[1].part.number();
    let key = |place| format!("limit_{}", id(&fixture, place));
    let question = |hits_addend, list: &[(String, String)]| Request {
        domain: "tg".to_owned(),
        hits_addend,
        descriptors: vec![Descriptor {
            entries: list.to_vec(),
            limit: None,
            hits_addend: None,
        }],
    };
    let quotas = question(
        1,
        &[
            (key("/keys/k/quotas/0"), "0000000000000000".to_owned()),
            (key("/keys/k/quotas/1"), format!("{part:016x}")),
        ],
    );
    let own = (key("/keys/k/budget"), "0000000000000000/2026-11".to_owned());
    let teams = (key("/teams/eng~1a~0b/budget"), "0000000000000000".to_owned());
    let budgets = question(50_000, &[own.clone(), teams.clone()]);
    assert_eq!(ask(&fixture, &bill, &store), [quotas.clone(), budgets]);

    // Debts that differ need a question each, because one number is added to all limits of a question.
    let mut only_team = fixture.bill("by_size");
    only_team.lines.retain(|line| line.limit == bill.lines[3].limit);
    fixture.book.settle(&only_team, 1_024, &store, NOW);
    let expected = [quotas, question(50_000, &[own]), question(1_050_000, &[teams])];
    assert_eq!(ask(&fixture, &bill, &store), expected);

    // More than the 32 bits of one question.
    let huge = fixture.bill("huge");
    let refused = fixture.book.ask(&huge, &store, NOW).unwrap_err();
    assert_eq!((refused.limit, refused.wait), (Some(huge.lines[2].limit), None));
    let most = fixture.bill("by_size");
    fixture.book.settle(&only_team, 5_000 * 1_024, &store, NOW);
    let hits: Vec<u64> = ask(&fixture, &most, &store)
        .iter()
        .map(|r| r.hits_addend)
        .collect();
    assert_eq!(hits, [1, 1, u64::from(u32::MAX)]);
    let hits: Vec<u64> = ask(&fixture, &most, &store)
        .iter()
        .map(|r| r.hits_addend)
        .collect();
    assert_eq!(hits, [1, 1, 5_000_000_000 - u64::from(u32::MAX)]);
}

/// What a call names is in the file, and nothing else is; the numbers are the policy's.
#[test]
fn limitadors_file_and_questions_agree() {
    let limits = |n: u64| {
        format!(
            r#""quotas":[{{"limit":{n},"per":"7m","scope":"global"}},{{"limit":9,"per":"day"}},
            {{"limit":2,"per":"second","each":"tool","scope":"global"}}],
            "budget":{{"limit":{n},"per":"month","scope":"global"}}"#
        )
    };
    let fixture = Fixture::new(LIMITADOR, &limits(6_000), &limits(5_000));
    let file: Vec<_> = fixture.book.limits_file().collect();
    let shown: Vec<_> = file
        .iter()
        .map(|l| (l.name.as_str(), l.max_value, l.seconds))
        .collect();
    assert_eq!(
        shown,
        [
            ("/teams/eng~1a~0b/quotas/0", 6_000, 420),
            ("/teams/eng~1a~0b/quotas/2", 2, 1),
            ("/teams/eng~1a~0b/budget", 6_000_000_000, 32 * 86_400),
            ("/keys/k/quotas/0", 5_000, 420),
            ("/keys/k/quotas/2", 2, 1),
            ("/keys/k/budget", 5_000_000_000, 32 * 86_400),
        ]
    );
    let asked = ask(&fixture, &fixture.bill("dear"), &MemoryStore::new());
    assert!(asked.iter().all(|request| request.domain == "tg"));
    let asked: HashSet<String> = asked
        .into_iter()
        .flat_map(|r| r.descriptors)
        .flat_map(|d| d.entries)
        .map(|(key, _)| key)
        .collect();
    let filed: HashSet<String> = file.iter().map(|limit| limit.key.clone()).collect();
    assert_eq!(asked, filed);
    assert_eq!(file.len(), filed.len());
    assert!(file.iter().all(|limit| &*limit.namespace == "tg"));
    assert_eq!(file[0].variable(), format!("descriptors[0]['{}']", file[0].key));
}

/// A count must outlast the period whose label it has.
#[test]
fn limitador_keeps_a_period_longer_than_it_lasts() {
    for (per, longest) in [("day", 1), ("month", 31), ("total", 36_500)] {
        let budget = format!(r#""budget":{{"limit":1,"per":"{per}","scope":"global"}}"#);
        let fixture = Fixture::new(LIMITADOR, "", &budget);
        let limit = fixture.book.limits_file().next().unwrap();
        assert!(limit.seconds > longest * 86_400, "{per}");
    }
    let days: HashSet<String> = [NOW, at(1_795_219_199), at(1_795_219_200)]
        .map(|now| {
            let fixture = Fixture::new(
                LIMITADOR,
                "",
                r#""budget":{"limit":1,"per":"day","scope":"global"}"#,
            );
            let asks = fixture
                .book
                .ask(&fixture.bill("dear"), &MemoryStore::new(), now)
                .unwrap();
            requests(&asks)[0].descriptors[0].entries[0].1.clone()
        })
        .into();
    assert_eq!(
        days,
        HashSet::from(["0000000000000000/2026-11-20", "0000000000000000/2026-11-21"].map(String::from))
    );
}

/// No policy that compiles has such limits. If one had, nothing would be let through unasked.
#[test]
fn a_limit_that_nobody_can_count_lets_nothing_through() {
    let local = r#""quotas":[{"limit":3,"per":"7m"}]"#;
    let with_service = Fixture::new("", "", local);
    let text = format!(
        r#"{{"version":1,"identity":{{"anonymous":"k"}},"servers":{{"docs":{{"path":"/mcp"}}}},"keys":{{"k":{{{local}}}}}}}"#
    );
    let policy = Policy::compile(text.as_bytes()).unwrap();
    let book = Book::new(&policy);
    let without_service = Fixture { policy, book };
    for fixture in [with_service, without_service] {
        let mut bill = fixture.bill("free");
        bill.lines[0].scope = Scope::Global;
        let over = Over {
            limit: Some(bill.lines[0].limit),
            budget: false,
            wait: None,
        };
        assert_eq!(fixture.book.ask(&bill, &MemoryStore::new(), NOW), Err(over));
    }
}
