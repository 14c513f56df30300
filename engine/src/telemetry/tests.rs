use std::collections::HashSet;
use std::rc::Rc;

use super::series::Text;
use super::{Family, Series};

#[test]
fn families_have_names_labels_and_buckets_of_their_own() {
    let names: HashSet<&str> = Family::ALL.into_iter().map(Family::name).collect();
    assert_eq!(names.len(), Family::ALL.len());
    for family in Family::ALL {
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(plain(family.name()) && family.labels().iter().all(|label| plain(label)));
        let counter = family.kind() == super::Kind::Counter;
        assert_eq!(family.name().ends_with("_total"), counter, "{family:?}");
        let histogram = family.kind() == super::Kind::Histogram;
        assert_eq!(!family.buckets().is_empty(), histogram, "{family:?}");
    }
}

#[test]
fn series_are_equal_if_they_hold_the_same_names() {
    let alice: Rc<str> = Rc::from("alice");
    let series = |name: &Rc<str>, family| {
        let values = [
            Text::Name(Rc::clone(name)),
            Text::Nothing,
            Text::Word("quota"),
            Text::Nothing,
        ];
        Series::new(family, values)
    };
    let one = series(&alice, Family::KeyCalls);
    assert_eq!(one, series(&alice, Family::KeyCalls));
    assert_ne!(one, series(&alice, Family::CostMicros));
    // Of another policy.
    assert_ne!(one, series(&Rc::from("alice"), Family::KeyCalls));
    assert_eq!(
        HashSet::from([one.clone(), series(&alice, Family::KeyCalls)]).len(),
        1
    );
    let labels: Vec<_> = one.labels().collect();
    assert_eq!(labels, [("key", "alice"), ("team", ""), ("reason", "quota")]);
}
