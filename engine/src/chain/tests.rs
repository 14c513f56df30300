use std::collections::HashSet;
use std::sync::{Barrier, Mutex};

use proptest::prelude::*;

use super::*;
use crate::slots::testing::{Busy, Counting, SharedStore, size};
use crate::store::{Expect, MemoryStore};

const NOW: UnixNanos = UnixNanos(1_795_178_096_000_000_000);

fn session(id: &[u8]) -> Chain {
    Chain::of("alice", Run::Session { server: "docs", id })
}

fn add(chain: &Chain, what: &str, store: &dyn Store) -> Link {
    chain.link([("decision", what)], store, NOW).unwrap()
}

/// What whoever reads the log computes.
fn recomputed(what: &str, link: &Link) -> String {
    let (at, seq) = (link.at.to_string(), link.seq.to_string());
    let prev = link.prev.clone().unwrap_or_default();
    digest([
        ("decision", what),
        (ID, &link.id),
        (SEQ, &seq),
        (PREV, &prev),
        (AT, &at),
    ])
}

#[test]
fn each_link_holds_on_to_the_one_before() {
    let (store, chain) = (MemoryStore::new(), session(b"s-1"));
    let mut before: Option<Link> = None;
    for seq in 1..=5 {
        let link = add(&chain, "allowed", &store);
        assert_eq!((link.seq, link.at), (seq, 1_795_178_096_000));
        assert_eq!(link.prev, before.as_ref().map(|before| before.digest.clone()));
        assert_eq!(link.digest, recomputed("allowed", &link));
        if let Some(before) = before {
            assert_eq!(before.id, link.id);
            assert_ne!(before.digest, link.digest);
        }
        before = Some(link);
    }
    let id = before.unwrap().id;
    let (whose, start) = id.split_once('-').unwrap();
    assert_eq!((whose.len(), start), (16, "18e9c0f790a46000"), "{id}");
}

#[test]
fn chains_of_different_runs_are_different() {
    let trace = |key, id: &[u8; 32]| Chain::of(key, Run::Trace(id));
    let of = |key, server, id: &'static [u8]| Chain::of(key, Run::Session { server, id });
    let chains = [
        of("alice", "docs", b"s"),
        of("bob", "docs", b"s"),
        of("alice", "docz", b"s"),
        of("alice", "docs", b"t"),
        of("alic", "edocs", b"s"),
        of("alice", "doc", b"ss"),
        of("alice", "", &[b'a'; 32]),
        trace("alice", &[b'a'; 32]),
        trace("alice", &[b'b'; 32]),
        trace("bob", &[b'a'; 32]),
    ];
    let ids: HashSet<_> = chains.iter().map(|chain| chain.id).collect();
    assert_eq!(ids.len(), chains.len());
}

#[test]
fn a_digest_is_that_of_the_bytes_that_are_documented() {
    let none: [(&str, &str); 0] = [];
    assert_eq!(digest(none), "e3b0c44298fc1c149afbf4c8996fb924");
    assert_eq!(digest([("a", "")]), digest(none));
    let mut text = Vec::new();
    write("a.b", "x\n=7:é", &mut text);
    write("c", "", &mut text);
    write("d", "1", &mut text);
    assert_eq!(String::from_utf8(text).unwrap(), "a.b=7:x\n=7:é\nd=1:1\n");
}

proptest! {
    /// No value can pretend to be the end of one and the beginning of another.
    #[test]
    fn different_fields_have_different_texts(
        a in prop::collection::vec(("[a-z.]{1,4}", "[a-z0-9=:\n]{1,8}"), 0..4),
        b in prop::collection::vec(("[a-z.]{1,4}", "[a-z0-9=:\n]{1,8}"), 0..4),
    ) {
        let text = |fields: &[(String, String)]| {
            let mut text = Vec::new();
            for (name, value) in fields {
                write(name, value, &mut text);
            }
            text
        };
        prop_assert_eq!(a == b, text(&a) == text(&b));
    }

    /// Whatever another worker does between a read and a write, numbers follow each other and so do digests.
    #[test]
    fn interleaved_workers_make_one_chain(mut turns in prop::collection::vec(any::<bool>(), 1..20)) {
        turns.push(false);
        let (store, chain, links) = (MemoryStore::new(), session(b"s"), Mutex::new(Vec::new()));
        let other = |store: &dyn Store| links.lock().unwrap().push(add(&chain, "loop", store));
        let busy = Busy { inner: &store, turns: &turns, at: 0.into(), other: &other };
        for _ in 0..40 {
            let link = add(&chain, "loop", &busy);
            links.lock().unwrap().push(link);
        }
        check(&mut links.into_inner().unwrap());
    }
}

#[test]
fn threads_make_one_chain() {
    let (store, chain) = (SharedStore::default(), session(b"s"));
    let (links, barrier) = (Mutex::new(Vec::new()), Barrier::new(4));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..100 {
                    let link = add(&chain, "loop", &store);
                    links.lock().unwrap().push(link);
                }
            });
        }
    });
    let mut links = links.into_inner().unwrap();
    assert_eq!(links.len(), 400);
    check(&mut links);
}

fn check(links: &mut [Link]) {
    links.sort_by_key(|link| link.seq);
    let mut prev = None;
    for (link, seq) in links.iter().zip(1..) {
        assert_eq!((link.seq, &link.prev), (seq, &prev));
        assert_eq!(link.digest, recomputed("loop", link));
        prev = Some(link.digest.clone());
    }
}

#[test]
fn a_chain_costs_one_read_and_one_write() {
    let (store, chain) = (Counting::default(), session(b"s"));
    add(&chain, "allowed", &store);
    add(&chain, "allowed", &store);
    assert_eq!(store.asked(), (2, 2));
}

#[test]
fn without_a_store_there_is_no_link_and_the_chain_goes_on_afterwards() {
    let (store, chain) = (Counting::default(), session(b"s"));
    let first = add(&chain, "allowed", &store);
    for fails in [StoreError::Host(10), StoreError::Conflict] {
        store.set_fails.set(Some(fails));
        assert_eq!(chain.link([("a", "b")], &store, NOW), Err(fails));
        store.set_fails.set(None);
    }
    store.get_fails.set(Some(StoreError::Host(10)));
    assert!(chain.link([("a", "b")], &store, NOW).is_err());
    store.get_fails.set(None);
    let second = add(&chain, "allowed", &store);
    assert_eq!((second.seq, second.prev), (2, Some(first.digest)));
}

#[test]
fn what_is_damaged_is_forgotten() {
    let (store, chain) = (MemoryStore::new(), session(b"s"));
    let first = add(&chain, "allowed", &store);
    let key = format!("toolgate/chain/1/{:03x}", chain.slot);
    for damage in [
        b"".as_slice(),
        b"\x02",
        b"\x01123",
        &[1; 1 + 48 * (record::MOST + 1)],
    ] {
        store.set(&key, damage, Expect::Anything).unwrap();
        assert_eq!(
            chain.link([("a", "b")], &store, NOW),
            Err(StoreError::Corrupt),
            "{damage:?}"
        );
        let later = UnixNanos(NOW.0 + 1_000_000);
        let again = chain.link([("a", "b")], &store, later).unwrap();
        assert_eq!((again.seq, again.prev), (1, None));
        assert_ne!(again.id, first.id);
    }
}

#[test]
fn the_chain_that_rested_longest_is_forgotten_and_begins_anew_under_another_id() {
    let store = MemoryStore::new();
    let of_one_slot: Vec<Chain> = (0..1000_u64)
        .map(|id| Chain {
            id: id.to_le_bytes(),
            slot: 7,
        })
        .collect();
    let at = |turn: u64| UnixNanos(NOW.0 + turn * 1_000_000);
    let link = |chain: &Chain, turn| chain.link([("a", "b")], &store, at(turn)).unwrap();
    let first = link(&of_one_slot[0], 0);
    for (chain, turn) in of_one_slot.iter().skip(1).zip(1..) {
        link(chain, turn);
        // Whoever goes on is kept.
        let kept = link(&of_one_slot[1], turn);
        assert_eq!(kept.id, format!("0100000000000000-{:x}", at(1).0));
    }
    let record = slots::Held::<Record>::read(7, &store).unwrap().record;
    assert_eq!(record.len(), record::MOST);
    assert_eq!(size("chain", &store), (1, 1 + 48 * record::MOST));
    let again = link(&of_one_slot[0], 2_000);
    assert_eq!((again.seq, again.prev.clone()), (1, None));
    assert_ne!(again.id, first.id);
}
