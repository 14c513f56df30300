//! Names of bounded length: a line may be a mebibyte, and what it names is kept by the thousand.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Characters that a name has at most before it is cut. The filter writes no longer ones (it cuts at 256), other programs
/// may.
pub(crate) const LONGEST_NAME: usize = 300;

/// The beginning of a text that is too long to be a name, and a hash of all of it: two such texts stay two.
pub(crate) fn clipped(text: &str) -> Option<String> {
    // Most are shorter than that in bytes.
    if text.len() <= LONGEST_NAME {
        return None;
    }
    let (end, _) = text.char_indices().nth(LONGEST_NAME)?;
    let hash = Sha256::digest(text.as_bytes());
    let mut clipped = format!("{}…", text.get(..end).unwrap_or_default());
    for byte in hash.iter().take(8) {
        // Writing to a string cannot fail.
        let _ = write!(clipped, "{byte:02x}");
    }
    Some(clipped)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_NAME, clipped};

    #[test]
    fn long_names_stay_apart_and_short_ones_as_they_are() {
        for short in ["", "x", &"é".repeat(LONGEST_NAME)] {
            assert_eq!(clipped(short), None);
        }
        let long = "é".repeat(100_000);
        let names = [format!("{long}a"), format!("{long}b"), long].map(|name| clipped(&name).unwrap());
        assert!(names[0] != names[1] && names[1] != names[2]);
        for name in &names {
            assert_eq!(name.chars().count(), LONGEST_NAME + 17);
            assert!(name.starts_with(&"é".repeat(LONGEST_NAME)));
        }
        assert_eq!(
            clipped(&format!("{}a", "é".repeat(100_000))).as_ref(),
            Some(&names[0])
        );
    }
}
