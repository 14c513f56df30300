//! Events with other data.

use super::Event;
use super::block::{field, lines};

/// Appends `event` with `new_data` in place of its data. Every other line keeps its place and its
/// spelling; the new `data` lines stand where the first old one was and end like it. Line ends
/// within `new_data` (CR, LF, CRLF) all arrive as LF: the format has no other.
pub fn rewrite(event: &Event<'_>, new_data: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    let mut written = false;
    for line in lines(event.raw) {
        if field(line.text).0 != b"data" {
            push(out, from, line.text, line.end);
        } else if !written {
            written = true;
            push_data(out, from, new_data, line.end);
        }
    }
}

fn push_data(out: &mut Vec<u8>, from: usize, new_data: &[u8], end: &[u8]) {
    let mut open = true;
    for line in lines(new_data) {
        push(out, from, b"data: ", line.text);
        out.extend_from_slice(end);
        open = !line.end.is_empty();
    }
    if open {
        // Empty data, or data that ends with a line end: one more, empty line.
        push(out, from, b"data:", end);
    }
}

/// Appends a line. A line that ended with CR is about to be followed by a bare LF only when the
/// lines between them were dropped; the two must not become one line end.
fn push(out: &mut Vec<u8>, from: usize, text: &[u8], end: &[u8]) {
    let after_cr = out.len() > from && out.ends_with(b"\r");
    if after_cr && text.is_empty() && end.starts_with(b"\n") {
        out.push(b'\n');
    }
    out.extend_from_slice(text);
    out.extend_from_slice(end);
}
