//! The valid name that somebody probably meant.

/// The nearest of `valid` to `name`, if one is near enough to be a slip of the keyboard or of
/// naming style (`request_bytes` for `requestBytes`).
pub(super) fn nearest(name: &str, valid: impl IntoIterator<Item = impl AsRef<str>>) -> Option<String> {
    let wanted = plain(name)?;
    let worst = (wanted.len() / 3).max(1);
    valid
        .into_iter()
        .filter_map(|candidate| {
            let distance = distance(&wanted, &plain(candidate.as_ref())?, worst)?;
            Some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.as_ref().to_owned())
}

/// Letters without case or separators; nothing for names too long to be worth comparing.
fn plain(name: &str) -> Option<Vec<char>> {
    const LONGEST: usize = 64;
    let plain = |c: &char| !matches!(c, '_' | '-' | ' ');
    (name.len() <= LONGEST).then(|| name.chars().filter(plain).flat_map(char::to_lowercase).collect())
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`, if at most
/// `worst` (optimal string alignment distance, one row at a time).
fn distance(a: &[char], b: &[char], worst: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > worst {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let changed = at(&above, j) + usize::from(x != y);
            let mut best = changed.min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().filter(|distance| *distance <= worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let valid = ["tools", "methods", "requestBytes", "path", "unlistedTools"];
        for (name, expected) in [
            ("toolz", Some("tools")),
            ("tool", Some("tools")),
            ("tolos", Some("tools")),
            ("request_bytes", Some("requestBytes")),
            ("REQUESTBYTES", Some("requestBytes")),
            ("pth", Some("path")),
            ("unlistedTool", Some("unlistedTools")),
            ("breaker", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, valid).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn the_nearest_of_several_wins() {
        assert_eq!(nearest("reeder", ["leader", "reader"]).as_deref(), Some("reader"));
    }
}
