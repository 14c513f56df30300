//! Each change has its effect, and the way back the other.

mod keys;
mod servers;
mod settings;

use serde_json::Value;

use super::{changes, effects, file, full, with};
use crate::diff::{Change, Effect};

/// A place in the full policy, what is put there (null: nothing), the effect there and back, and what is said of it.
pub(super) type Case = (&'static str, Value, Effect, Effect, &'static str);

pub(super) fn check(cases: impl IntoIterator<Item = Case>) {
    for (pointer, value, there, back, says) in cases {
        let (old, new) = (file(&full()), file(&with(pointer, value.clone())));
        let found = changes(&old, &new);
        let texts: Vec<&str> = found.iter().map(|change| &*change.what).collect();
        assert!(
            found.iter().any(|change| change.what.starts_with(says)),
            "{pointer} {value}: {says:?} is not in {texts:?}"
        );
        let strongest = |changes: &[Change]| effects(changes).into_iter().next();
        assert_eq!(strongest(&found), Some(there), "{pointer} {value}: {found:?}");
        let found = changes(&new, &old);
        assert_eq!(
            strongest(&found),
            Some(back),
            "{pointer} {value}, back: {found:?}"
        );
    }
}
