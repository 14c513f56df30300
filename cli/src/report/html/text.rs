//! Names from the wire, on a page.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::style::steers;

/// Characters of a name that are shown; the whole of it is in its tool tip.
const SHOWN: usize = 72;

/// A name, apart from the direction of what stands around it.
pub(super) fn name(text: &str) -> Markup {
    let whole = shown(text);
    let length = whole.chars().count();
    if length <= SHOWN {
        return html! { bdi.name { (breakable(&whole)) } };
    }
    // Names that begin alike differ in the end.
    let head: String = whole.chars().take(SHOWN - 24).collect();
    let tail: String = whole.chars().skip(length - 23).collect();
    html! { bdi.name title=(whole) { (breakable(&head)) "…" (breakable(&tail)) } }
}

/// With places to break it: those that people would choose, and others where there are none.
fn breakable(text: &str) -> Markup {
    const UNBROKEN: usize = 16;
    let mut parts: Vec<String> = vec![String::new()];
    let mut length = 0;
    for c in text.chars() {
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
        length += 1;
        if matches!(c, '/' | '_' | '-' | '.' | ':') || length == UNBROKEN {
            parts.push(String::new());
            length = 0;
        }
    }
    parts.retain(|part| !part.is_empty());
    html! {
        @for (index, part) in parts.iter().enumerate() {
            @if index > 0 { wbr; }
            (part)
        }
    }
}

/// A name where there is one.
pub(super) fn name_or(text: Option<&str>, none: &str) -> Markup {
    match text {
        Some(text) => name(text),
        None => html! { i.none { (none) } },
    }
}

/// Text with what steers and what is invisible spelled out.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_markup_or_hides() {
        let said = name("</bdi><script>\"'\u{202e}x\u{0}").into_string();
        assert_eq!(
            said,
            "<bdi class=\"name\">&lt;/<wbr>bdi&gt;&lt;script&gt;&quot;'\\u<wbr>{202e}x\\u{0}</bdi>"
        );
    }

    #[test]
    fn a_long_name_is_cut_in_the_middle_and_whole_in_its_tip() {
        let long = format!("{}\"end", "é".repeat(252));
        let said = name(&long).into_string();
        assert!(
            said.contains("title=\"ééé") && said.contains("…") && said.ends_with("&quot;end</bdi>"),
            "{said}"
        );
    }
}
