use super::*;
use proptest::prelude::*;

const OLD: &str = "0123456789abcdef0123456789abcdef";
const NEW: &str = "fedcba9876543210fedcba9876543210";

const ALICE: Owner<'static> = Owner {
    server: "docs",
    key: "alice",
    subject: None,
};

fn secrets(text: &str) -> Secrets {
    Secrets::parse(text).unwrap()
}

#[test]
fn what_is_tagged_opens() {
    let secrets = secrets(OLD);
    let session = secrets.tag_session(&ALICE, b"8f14e45f");
    assert!(session.starts_with(b"t1.") && session.ends_with(b".8f14e45f"));
    assert_eq!(session.len(), "8f14e45f".len() + 26);
    assert!(session.iter().all(u8::is_ascii_graphic));
    assert_eq!(secrets.open_session(&ALICE, &session), Some(&b"8f14e45f"[..]));

    let task = secrets.tag_task(&ALICE, "search/docs", "786.512");
    assert!(task.ends_with(".c2VhcmNoL2RvY3M.786.512"), "{task}");
    let open = secrets.open_task(&ALICE, &task).unwrap();
    assert_eq!((open.tool.as_str(), open.id), ("search/docs", "786.512"));
    let unknown = secrets.tag_task(&ALICE, "", "7");
    assert_eq!(secrets.open_task(&ALICE, &unknown).unwrap().tool, "");
}

/// Tags outlive a release: sessions must not end with an upgrade, nor differ between replicas during one.
#[test]
fn tags_stay_what_they_are() {
    let secrets = secrets(OLD);
    let owner = Owner {
        subject: Some("u1"),
        ..ALICE
    };
    assert_eq!(
        String::from_utf8(secrets.tag_session(&owner, b"id")).unwrap(),
        "t1.Yk9LoL2oBUkj-h87Z9Bcwg.id"
    );
    assert_eq!(
        secrets.tag_task(&owner, "tool", "id"),
        "t1.6h4-S7uHd_c0U3DirV1l5A.dG9vbA.id"
    );
}

#[test]
fn no_subject_is_not_an_empty_one() {
    let secrets = secrets(OLD);
    let empty = Owner {
        subject: Some(""),
        ..ALICE
    };
    let tagged = secrets.tag_session(&ALICE, b"s");
    assert_eq!(secrets.open_session(&empty, &tagged), None);
}

#[test]
fn two_secrets_open_and_the_first_signs() {
    let (old, new, both) = (secrets(OLD), secrets(NEW), secrets(&format!(" {NEW} ,\n{OLD}\n")));
    let by_old = old.tag_session(&ALICE, b"s");
    assert!(both.open_session(&ALICE, &by_old).is_some());
    let by_both = both.tag_session(&ALICE, b"s");
    assert!(both.open_session(&ALICE, &by_both).is_some());
    assert_eq!(by_both, new.tag_session(&ALICE, b"s"));
    assert!(old.open_session(&ALICE, &by_both).is_none());
    let task = old.tag_task(&ALICE, "t", "1");
    assert!(both.open_task(&ALICE, &task).is_some() && new.open_task(&ALICE, &task).is_none());
}

#[test]
fn long_ids_are_worth_nothing() {
    let secrets = secrets(OLD);
    let (longest, longer) = ("x".repeat(MAX_ID), "x".repeat(MAX_ID + 1));
    let tagged = secrets.tag_session(&ALICE, longest.as_bytes());
    assert_eq!(secrets.open_session(&ALICE, &tagged), Some(longest.as_bytes()));
    assert_eq!(secrets.tag_session(&ALICE, longer.as_bytes()), longer.as_bytes());
    assert_eq!(secrets.open_session(&ALICE, longer.as_bytes()), None);

    let tagged = secrets.tag_task(&ALICE, &longest, &longest);
    let open = secrets.open_task(&ALICE, &tagged).unwrap();
    assert_eq!((open.tool, open.id), (longest.clone(), longest.as_str()));
    assert_eq!(secrets.tag_task(&ALICE, "t", &longer), longer);
    assert_eq!(secrets.tag_task(&ALICE, &longer, "1"), "1");

    // Even with a MAC that is right: nobody reads that far.
    let forged = secrets.head(SESSION, &ALICE, None, longer.as_bytes()) + &longer;
    assert_eq!(secrets.open_session(&ALICE, forged.as_bytes()), None);
    let forged = secrets.head(TASK, &ALICE, Some("t"), longer.as_bytes()) + "dA." + &longer;
    assert_eq!(secrets.open_task(&ALICE, &forged), None);
}

#[test]
fn sessions_and_tasks_are_no_substitutes() {
    let secrets = secrets(OLD);
    let task = secrets.tag_task(&ALICE, "t", "1");
    assert_eq!(secrets.open_session(&ALICE, task.as_bytes()), None);
    let session = String::from_utf8(secrets.tag_session(&ALICE, b"dA.1")).unwrap();
    assert_eq!(secrets.open_task(&ALICE, &session), None);
}

#[test]
fn secrets_are_held_to_a_length_and_never_shown() {
    assert_eq!(Secrets::parse(" \n").unwrap_err(), SecretError::Empty);
    let short = |previous, bytes| SecretError::TooShort { previous, bytes };
    assert_eq!(Secrets::parse("hunter2").unwrap_err(), short(false, 7));
    assert_eq!(
        Secrets::parse(&format!("{OLD},hunter2")).unwrap_err(),
        short(true, 7)
    );
    assert_eq!(Secrets::parse(&format!("{OLD},")).unwrap_err(), short(true, 0));
    assert_eq!(Secrets::parse(&format!(",{OLD}")).unwrap_err(), short(false, 0));
    // White space is no part of it.
    let padded = format!("{}{}", " ".repeat(20), &OLD[..31]);
    assert_eq!(Secrets::parse(&padded).unwrap_err(), short(false, 31));
    assert_eq!(
        Secrets::parse(&format!("{OLD},{NEW},{OLD}")).unwrap_err(),
        SecretError::TooMany
    );
    assert_eq!(
        short(true, 7).to_string(),
        "the session secret after the comma has 7 bytes; it needs at least 32"
    );
    let shown = format!("{:?}", secrets(&format!("{OLD},{NEW}")));
    assert_eq!(shown, "Secrets { .. }");
}

#[test]
fn random_secrets_differ() {
    let tagged = Secrets::random([1; 32]).tag_session(&ALICE, b"s");
    assert!(Secrets::random([1; 32]).open_session(&ALICE, &tagged).is_some());
    assert!(Secrets::random([2; 32]).open_session(&ALICE, &tagged).is_none());
}

/// Few enough texts that two owners can look alike when written one after the other.
fn text() -> impl Strategy<Value = String> {
    "[ab.]{0,3}"
}

type Owned = (String, String, Option<String>, String, String);

fn owned() -> impl Strategy<Value = Owned> {
    (text(), text(), prop::option::of(text()), text(), text())
}

/// Two that differ in few fields.
fn two_owned() -> impl Strategy<Value = (Owned, Owned)> {
    (
        owned(),
        owned(),
        prop::collection::vec(prop::bool::weighted(0.2), 5),
    )
        .prop_map(|(made, other, differs)| {
            let mut asked = made.clone();
            if differs[0] {
                asked.0 = other.0;
            }
            if differs[1] {
                asked.1 = other.1;
            }
            if differs[2] {
                asked.2 = other.2;
            }
            if differs[3] {
                asked.3 = other.3;
            }
            if differs[4] {
                asked.4 = other.4;
            }
            (made, asked)
        })
}

fn owner((server, key, subject, _, _): &Owned) -> Owner<'_> {
    Owner {
        server,
        key,
        subject: subject.as_deref(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Also says that no byte moves from one field to the next: then two of these would be one.
    #[test]
    fn equal_fields_alone_open(
        (made, asked) in prop_oneof![two_owned(), (owned(), owned())],
    ) {
        let secrets = secrets(OLD);
        let (_, _, _, tool, id) = &made;
        let open = |presented: &str| {
            secrets.open_task(&owner(&asked), presented).map(|open| (open.tool, open.id.to_owned()))
        };
        let task = secrets.tag_task(&owner(&made), tool, id);
        let expected = (owner(&made) == owner(&asked)).then(|| (tool.clone(), id.clone()));
        prop_assert_eq!(open(&task), expected.clone());
        let session = secrets.tag_session(&owner(&made), id.as_bytes());
        prop_assert_eq!(
            secrets.open_session(&owner(&asked), &session).is_some(),
            owner(&made) == owner(&asked)
        );

        // The MAC of one before the fields of another.
        let (_, _, _, other_tool, other_id) = &asked;
        let other = secrets.tag_task(&owner(&asked), other_tool, other_id);
        let swapped = format!("{}{}", &task[..25], &other[25..]);
        prop_assert_eq!(open(&swapped).is_some(), made == asked);
    }

    #[test]
    fn no_other_text_opens(
        fields in owned(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        how in 0..4_u8,
    ) {
        let secrets = secrets(OLD);
        let (_, _, _, tool, id) = &fields;
        let owner = owner(&fields);
        let damage = |tagged: &[u8]| {
            let mut bytes = tagged.to_vec();
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
            (bytes != tagged).then_some(bytes)
        };
        let session = secrets.tag_session(&owner, id.as_bytes());
        if let Some(damaged) = damage(&session) {
            prop_assert_eq!(secrets.open_session(&owner, &damaged), None);
        }
        let task = secrets.tag_task(&owner, tool, id);
        if let Some(damaged) = damage(task.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok()) {
            prop_assert_eq!(secrets.open_task(&owner, &damaged), None);
        }
    }

    #[test]
    fn any_text_is_read(text in "\\PC{0,40}|t1\\.[A-Za-z0-9_-]{20,24}\\.?[A-Za-z.é]{0,6}") {
        let secrets = secrets(OLD);
        prop_assert_eq!(secrets.open_session(&ALICE, text.as_bytes()), None);
        prop_assert_eq!(secrets.open_task(&ALICE, &text), None);
    }
}
