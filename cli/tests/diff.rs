//! `diff`: what it says, and how it exits.

mod common;

use common::{Bench, policy};
use serde_json::{Value, json};

/// `policy.json`, and `new.json` in which a key gains a server and another one ends.
fn pair() -> Bench {
    let bench = Bench::new(&policy());
    let mut new = policy();
    new["keys"]["ada"]["roles"] = json!(["reader", "filer"]);
    new["keys"]["bob"]["disabled"] = json!(true);
    bench.write("new.json", &new.to_string());
    bench
}

#[test]
fn says_who_gains_and_who_loses() {
    let bench = pair();
    let said = bench.run("diff policy.json new.json");
    assert_eq!(
        (said.code, said.out.as_str()),
        (
            Some(0),
            "key ada\n  wider     gains tools of files, such as \"files/x\" by \"files/*\" of role \"filer\"\n\
             key bob\n  narrower  disabled\n1 wider, 1 narrower, 0 other\n"
        )
    );
    let said = bench.run("diff policy.json new.json --format json");
    let report = said.json();
    assert_eq!(report["wider"], true);
    assert_eq!(
        report["changes"][1],
        json!({ "effect": "narrower", "kind": "key", "name": "bob", "what": "disabled" })
    );
    let said = bench.run("diff new.json new.json");
    assert_eq!((said.code, said.out.as_str()), (Some(0), "no difference\n"));
}

#[test]
fn fails_on_widening_where_it_is_asked_to() {
    let bench = pair();
    for (arguments, code) in [
        ("policy.json new.json", 0),
        ("policy.json new.json --fail-on-widening", 1),
        ("policy.json new.json --fail-on-widening --format json", 1),
        ("policy.json policy.json --fail-on-widening", 0),
    ] {
        let said = bench.run(&format!("diff {arguments}"));
        assert_eq!(said.code, Some(code), "{arguments}: {said:?}");
    }
    // Less, and nothing else.
    let mut less = policy();
    less["keys"].as_object_mut().unwrap().remove("bob");
    bench.write("less.json", &less.to_string());
    let said = bench.run("diff policy.json less.json --fail-on-widening");
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn takes_parts_on_both_sides() {
    let bench = pair();
    let whole = policy();
    for (name, members) in [("a.json", ["servers", "roles"]), ("b.json", ["keys", "teams"])] {
        let mut part = json!({ "version": 1 });
        for member in members {
            part[member] = whole[member].clone();
        }
        bench.write(name, &part.to_string());
    }
    let said = bench.run("diff --old a.json --old b.json --new policy.json");
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), "no difference\n"),
        "{said:?}"
    );
    let said = bench.run("diff --old policy.json --new b.json --new a.json --fail-on-widening");
    assert_eq!(said.code, Some(0), "{said:?}");

    bench.run("diff policy.json").is_usage(&["<NEW>"]);
    bench.run("diff --old policy.json").is_usage(&["--new <FILE>"]);
    bench
        .run("diff policy.json new.json --old a.json")
        .is_usage(&["cannot be used with"]);
    bench
        .run("diff policy.json nowhere.json")
        .is_usage(&["nowhere.json"]);
    let broken = json!({ "version": 1, "keys": Value::Null }).to_string();
    bench.write("broken.json", &broken);
    let said = bench.run("diff policy.json broken.json");
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("/keys: wrong type"), "{said:?}");
}

#[test]
fn names_cannot_steer_the_terminal() {
    let bench = pair();
    let mut new = policy();
    new["servers"]["docs"]["tools"]["a\u{202e}b"] = json!({ "cost": 1 });
    bench.write("new.json", &new.to_string());
    let said = bench.run("diff policy.json new.json");
    assert!(
        said.out.contains("tool a") && !said.out.contains('\u{202e}'),
        "{said:?}"
    );
}
