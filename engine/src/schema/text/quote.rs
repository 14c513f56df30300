//! Values and names in a text: clipped, never whole.

use serde_json::Value;

/// Most bytes of one quoted value or name.
pub(super) const MAX_QUOTE: usize = 60;
/// Most bytes of a list of allowed values.
pub(super) const MAX_LIST: usize = 160;

/// `value` as JSON, clipped without writing out a large one.
pub(in super::super) fn quote(value: &Value) -> String {
    if let Value::String(text) = value {
        return quote_str(text);
    }
    let mut quote = Quote(Vec::new());
    let whole = serde_json::to_writer(&mut quote, value).is_ok();
    let text = String::from_utf8_lossy(&quote.0);
    if whole {
        text.into_owned()
    } else {
        format!("{}…", text.trim_end_matches('\u{fffd}'))
    }
}

/// Takes the beginning of what is written, and fails after it.
struct Quote(Vec<u8>);

impl std::io::Write for Quote {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let fits = bytes.len().min(MAX_QUOTE.saturating_sub(self.0.len()));
        self.0.extend(bytes.iter().take(fits));
        if fits == bytes.len() {
            Ok(fits)
        } else {
            Err(std::io::ErrorKind::WriteZero.into())
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// `text` as a JSON string, clipped.
pub(in super::super) fn quote_str(text: &str) -> String {
    Value::String(clip(text, MAX_QUOTE)).to_string()
}

/// `text`, or its beginning of at most `max` bytes and an ellipsis.
pub(in super::super) fn clip(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max;
    while end > 0 && !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// `items`, as many as a text has room for.
pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for item in items {
        if text.len().saturating_add(item.len()) > MAX_LIST {
            text.push_str(", …");
            break;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&item);
    }
    text
}

/// The candidate that `name` is most likely a slip of, if one is close.
pub(super) fn nearest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    const LONGEST: usize = 64;
    let reach = name.chars().count() / 3 + 1;
    if name.len() > LONGEST {
        return None;
    }
    candidates
        .take(500)
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (edits(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= reach)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance over characters.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let cost = (diagonal + usize::from(from != to)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = cost;
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
