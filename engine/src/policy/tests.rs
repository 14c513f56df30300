use super::*;

#[test]
fn smallest() {
    let p = Policy::compile(br#"{"version":1}"#).unwrap();
    assert_eq!(p.mode(), Mode::Enforce);
}
